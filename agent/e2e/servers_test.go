package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket"
)

// realServer is one row of the test with real servers.
type realServer struct {
	name    string
	service string // by which the agent must know it
	start   func(t *testing.T) *served
	paths   []string // asked for in turn; each gets a number of its own

	// compare holds the agent's times against the server's own, request by
	// request; nil where the server's log has none.
	compare func(t *testing.T, r harness.Record, l logged)
}

// served is a running server and how to read its own record of the requests.
type served struct {
	*harness.Process
	address string
	log     func(t *testing.T) []logged // complete once the server was stopped
}

// logged is one request by the server's own log.
type logged struct {
	path   string
	status int
	took   time.Duration // by the server's clock; its definition is the row's
}

func realServers() []realServer {
	return []realServer{
		{
			name: "nginx static", service: "nginx", start: startNginxStatic,
			paths: []string{"/static/%d", "/missing/%d"}, compare: nginxTime,
		},
		{
			name: "nginx to gunicorn", service: "nginx", start: startNginxToGunicorn,
			paths: []string{"/sleep/20/%d", "/fast/%d", "/status/503/%d"}, compare: nginxTime,
		},
		{
			name: "gunicorn sync", service: "gunicorn", start: startGunicorn,
			paths: []string{"/sleep/20/%d", "/fast/%d", "/status/503/%d"}, compare: gunicornTime,
		},
	}
}

// requestsEach is how many requests a real server gets, clientsEach from how
// many clients.
const (
	requestsEach = 60
	clientsEach  = 4
)

// TestServers lets real servers serve requests from real clients: the agent
// must print what the server's own log says, no more and no less.
func TestServers(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan socket.Plan) {
		for _, s := range realServers() {
			t.Run(s.name, func(t *testing.T) { s.test(t, plan) })
		}
	})
}

func (s realServer) test(t *testing.T, plan socket.Plan) {
	server := s.start(t)
	trace := harness.StartTrace(t, plan, "--port", harness.Port(t, server.address))
	askAll(t, server.address, s.paths)
	trace.AwaitRecords(server.address, requestsEach, handOut())
	records := trace.Finish()
	if err := server.Stop(); err != nil {
		t.Errorf("%s ended with %v:\n%s", s.name, err, server.Stderr())
	}
	log := server.log(t)
	sameRequests(t, records, log)
	for _, r := range records {
		equal(t, r.Path+" service", r.Service, s.service)
		equal(t, r.Path+" local", r.Local, server.address)
		equal(t, r.Path+" failed", r.Error != "", r.Status >= 500)
		if i := slices.IndexFunc(log, func(l logged) bool { return l.path == r.Path }); i >= 0 && s.compare != nil {
			s.compare(t, r, log[i])
		}
	}
}

// sameRequests compares the paths and statuses of both accounts, whatever
// their order.
func sameRequests(t *testing.T, records []harness.Record, log []logged) {
	t.Helper()
	var seen, own []string
	for _, r := range records {
		seen = append(seen, fmt.Sprint(r.Path, " ", r.Status))
	}
	for _, l := range log {
		own = append(own, fmt.Sprint(l.path, " ", l.status))
	}
	sort.Strings(seen)
	sort.Strings(own)
	if len(own) == 0 {
		t.Fatal("the server's own log is empty")
	}
	if !slices.Equal(seen, own) {
		t.Errorf("the agent printed %d requests, the server logged %d\nonly the agent: %s\nonly the server: %s",
			len(seen), len(own), strings.Join(missing(seen, own), ", "), strings.Join(missing(own, seen), ", "))
	}
}

// missing lists what is in a more often than in b.
func missing(a, b []string) (left []string) {
	count := make(map[string]int)
	for _, s := range b {
		count[s]++
	}
	for _, s := range a {
		if count[s]--; count[s] < 0 {
			left = append(left, s)
		}
	}
	return left
}

// askAll asks for all paths in turn, from several clients with kept-alive
// connections of their own where the server keeps them.
func askAll(t *testing.T, address string, paths []string) {
	t.Helper()
	var clients sync.WaitGroup
	for c := range clientsEach {
		clients.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for i := c; i < requestsEach; i += clientsEach {
				url := "http://" + address + fmt.Sprintf(paths[i%len(paths)], i)
				if err := fetch(t.Context(), client, url); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext},
		Timeout:   harness.Slow(10 * time.Second),
	}
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
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// nginxTime compares with nginx's $request_time. It runs from the first byte
// that nginx read to the last it wrote, so it lacks the queue; both of its ends
// are read from a clock of 1 ms that nginx updates once per event loop.
func nginxTime(t *testing.T, r harness.Record, l logged) {
	t.Helper()
	read := time.Duration(value(r.Duration) - value(r.Queue))
	differsBy(t, r.Path, read, l.took, -3*time.Millisecond, 3*time.Millisecond)
}

// gunicornTime compares with gunicorn's %(D)s, in microseconds. It begins when
// gunicorn has parsed the request, which the probes see as the begin of app,
// up to the time gunicorn's own parsing takes.
func gunicornTime(t *testing.T, r harness.Record, l logged) {
	t.Helper()
	worked := time.Duration(value(r.App) + value(r.WriteBack))
	differsBy(t, r.Path, worked, l.took, -2*time.Millisecond, 5*time.Millisecond)
}

// differsBy checks that the agent's time lies in a range around the server's.
func differsBy(t *testing.T, path string, agent, server, least, most time.Duration) {
	t.Helper()
	relative := server / 50
	diff := agent - server
	if diff < harness.Slow(least)-relative || diff > harness.Slow(most)+relative {
		t.Errorf("%s took %s by the agent and %s by the server", path, agent, server)
	}
}
