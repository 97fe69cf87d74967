package stitch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

const wait = 20 * time.Second

func TestMain(m *testing.M) {
	goProxy()
	loggedBack()
	spaceCaller()
	status := m.Run()
	if err := harness.Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	os.Exit(status)
}

func setting(t *testing.T, name string, or int) int {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return or
	}
	n, err := strconv.Atoi(value)
	require.NoError(t, err, "%s: %q is not a number", name, value)
	require.Positive(t, n, name)
	return n
}

// outcome is the result for the requests of one chain at one hop.
type outcome struct {
	right, wrong, unjoined, unseen int
}

// many is the number of requests from which the records of all chains are too
// many to keep. Then each chain gets an agent of its own.
const many = 2000

func TestChains(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var shared *harness.Trace
		if requests(t) < many {
			shared = harness.StartTrace(t, plan)
			defer shared.Finish()
		}
		for _, c := range chains() {
			t.Run(c.name, func(t *testing.T) { c.test(t, plan, shared) })
		}
	})
}

func requests(t *testing.T) int { return setting(t, "LAPWING_STITCH_REQUESTS", 150) }

func (c chain) test(t *testing.T, plan survey.Plan, trace *harness.Trace) {
	n := requests(t)
	h := c.start(t)
	if trace == nil {
		trace = harness.StartTrace(t, plan)
		defer func() { trace.Finish(); t.Log(trace.Stderr()) }()
	}
	ask(t, h, n)
	awaitAll(trace, h, n)
	records := trace.Records(func(r harness.Record) bool { return slices.Contains(h.addresses, r.Local) })
	for i := 1; i < len(h.addresses); i++ {
		got := judge(records, h, i, n)
		t.Logf("| %s | %s | %s | %d | %d | %d |", c.name, h.hop(i), plan, got.right, got.wrong, got.unjoined)
		if !assert.True(t, got.wrong == 0 && got.unseen == 0 && got.unjoined <= coldStart+n/100, "hop %d: %+v", i, got) {
			t.Log(trace.Stderr())
		}
	}
}

// awaitAll waits until all requests were printed at all hops. It checks rarely:
// with many records a check is expensive, and the agent's output must be read.
func awaitAll(trace *harness.Trace, h hops, n int) {
	for range 100 {
		seen := make(map[string]int)
		trace.Records(func(r harness.Record) bool { seen[r.Local]++; return false })
		if !slices.ContainsFunc(h.addresses, func(a string) bool { return seen[a] < n }) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// coldStart is the highest number of requests that are not joined before the
// behaviour of the servers of a chain is known.
const coldStart = 20

// hop returns the name of a hop if a chain has several.
func (h hops) hop(i int) string {
	if len(h.addresses) == 2 {
		return ""
	}
	return fmt.Sprint(i)
}

// judge compares the parent of each request at one hop with the request of the
// same number at the previous hop.
func judge(records []harness.Record, h hops, i, n int) (o outcome) {
	owner := make(map[string]int)  // span of a call → number of the request that made it
	child := make(map[int]string)  // number → parent at this hop
	parent := make(map[int]string) // number → trace at the previous hop
	trace := make(map[int]string)
	for _, r := range records {
		number := numberOf(r.Path)
		switch r.Local {
		case h.addresses[i-1]:
			parent[number] = r.TraceID
			for _, c := range r.Calls {
				owner[c.SpanID] = number
			}
		case h.addresses[i]:
			child[number], trace[number] = r.ParentSpanID, r.TraceID
		}
	}
	for number := range n {
		span, seen := child[number]
		made, known := owner[span]
		switch {
		case !seen || parent[number] == "":
			o.unseen++
		case span == "":
			o.unjoined++
		case known && made == number && trace[number] == parent[number]:
			o.right++
		default:
			o.wrong++
		}
	}
	return o
}

// numberOf returns the last part of a path.
func numberOf(path string) int {
	n, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return -1
	}
	return n
}

// ask sends n requests from several clients.
func ask(t *testing.T, h hops, n int) {
	t.Helper()
	clients := setting(t, "LAPWING_STITCH_CONNECTIONS", 50)
	client := &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: clients},
		Timeout:   harness.Slow(wait),
	}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if !assert.NoError(t, fetch(t.Context(), client, "http://"+h.addresses[0]+fmt.Sprintf(h.path, i)), "request %d", i) {
					return
				}
			}
		})
	}
	all.Wait()
}

func fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
