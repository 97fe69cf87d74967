package harness

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Scrape reads a page of metrics and returns how long that took.
func Scrape(address string) (page string, took time.Duration, err error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	resp, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return "", time.Since(began), err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return string(raw), time.Since(began), err
}

// SumOf adds up the series of a metric in a page that have all of the labels.
// The labels are written as in the page: service_name="shop".
func SumOf(t testing.TB, page, metric string, labels ...string) (sum float64) {
	t.Helper()
lines:
	for line := range strings.SplitSeq(page, "\n") {
		if !strings.HasPrefix(line, metric+" ") && !strings.HasPrefix(line, metric+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue lines
			}
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		require.NoError(t, err, "%q", line)
		sum += n
	}
	return sum
}

// FinalAccount returns the line in which a daemon that has ended reports its
// counts, empty if there is none.
func (p *Process) FinalAccount() (account string) {
	for line := range strings.SplitSeq(p.Stderr(), "\n") {
		if strings.Contains(line, "msg=stopped") {
			account = line
		}
	}
	return account
}
