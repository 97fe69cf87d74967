package gateways

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
)

// waitForLast is the longest wait for the last record. A request from another
// server on the host waits up to 5 s for its place in the trace.
const waitForLast = 12 * time.Second

// kinds are the requests to send in turn: what the application does, and its
// argument.
var kinds = []struct {
	path   string
	status int
}{{"sleep/20", 200}, {"fast/0", 200}, {"status/503", 503}, {"status/404", 404}}

func pathOf(name, run string, i int) string {
	return fmt.Sprintf("/%s/%s/%s/%d", name, run, kinds[i%len(kinds)].path, i)
}

func hasRun(path, name, run string) bool { return strings.HasPrefix(path, "/"+name+"/"+run+"/") }

// askAll sends all requests of a hop. Each client has connections of its own.
func (h hop) askAll(t *testing.T, run string) {
	t.Helper()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for i := c; i < requests; i += clients {
				status, err := ask(t.Context(), client, h.front, pathOf(h.name, run, i)+"?q=1")
				if !assert.NoError(t, err, "request %d: status %d", i, status) || !assert.Equal(t, kinds[i%len(kinds)].status, status, "status of request %d", i) {
					return
				}
			}
		})
	}
	all.Wait()
}

// warmUp waits until the hop responds, which includes the start of an
// interpreter.
func (h hop) warmUp(t *testing.T) {
	t.Helper()
	client := newClient()
	defer client.CloseIdleConnections()
	var status int
	var err error
	harness.Eventually(t, 40*time.Second, h.name+" to answer", func() bool {
		status, err = ask(t.Context(), client, h.front, "/"+h.name+"/warm/fast/0/0")
		return err == nil && status == http.StatusOK
	})
}

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext},
		Timeout:   harness.Slow(20 * time.Second),
	}
}

func ask(ctx context.Context, client *http.Client, address, path string) (status int, err error) {
	return send(ctx, client, address, path, "")
}

// send sends a GET request, or a POST request if there is a body, and reads the
// response.
func send(ctx context.Context, client *http.Client, address, path, body string) (status int, err error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
