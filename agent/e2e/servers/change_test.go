package servers

import (
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket"
)

// change is a row of the test of servers that change under load.
type change struct {
	server string   // the row to which it happens
	adds   []string // arguments that it takes for it
	signal syscall.Signal
	path   func(run string, i int) string // nil for the application's
	// losing: the server may leave requests without an answer.
	losing bool
	// processes is how many different ones must have served.
	processes int
}

// changesAt is the number of the request that is followed by the signal.
const changesAt = 60

func changes() []change {
	return []change{
		{server: "gunicorn sync", path: killingPath, losing: true, processes: 7},
		{server: "gunicorn gthread", path: killingPath, losing: true, processes: 4},
		{server: "uWSGI processes", path: killingPath, losing: true, processes: 7},
		{server: "gunicorn sync", signal: syscall.SIGHUP, processes: 8},
		{server: "uWSGI processes", signal: syscall.SIGHUP, processes: 8},
		{server: "nginx to gunicorn", signal: syscall.SIGHUP, processes: 2},
		{server: "Apache prefork, mod_wsgi embedded", signal: syscall.SIGUSR1, processes: 8},
		{server: "Apache event, mod_wsgi embedded", signal: syscall.SIGUSR1, processes: 2},
		{server: "gunicorn sync", adds: []string{"--max-requests", "10"}, processes: 15},
		{server: "uWSGI processes", adds: []string{"--max-requests", "10"}, processes: 15},
	}
}

func (c change) name() string {
	what := "workers killed"
	switch {
	case c.signal != 0:
		what = "reloaded"
	case c.adds != nil:
		what = "workers recycled"
	}
	return c.server + ", " + what
}

// killingPath asks the application three times to kill its own process in the
// middle of the work.
func killingPath(run string, i int) string {
	path := applicationPath(run, i)
	if i%60 == 50 {
		_, tag, _ := strings.Cut(path, run)
		return "/work/20/599/" + run + tag
	}
	return path
}

// row is the server's row, with what the change adds.
func (c change) row() server {
	all := allServers()
	s := all[slices.IndexFunc(all, func(s server) bool { return s.name == c.server })]
	s.name = c.name()
	s.adds = c.adds
	if c.path != nil {
		s.path = c.path
	}
	return s
}

// outcome is what a client knows of a request: err is nil if it was answered.
type outcome struct {
	asked
	err error
}

// TestChange kills, reloads and recycles the workers of servers under load: no
// request may be missing, doubled or taken for another service's.
func TestChange(t *testing.T) {
	rows := changes()
	var all []server
	for _, c := range rows {
		all = append(all, c.row())
	}
	servers := startAll(t, all)
	harness.ForEachPlan(t, func(t *testing.T, plan socket.Plan) {
		trace := harness.StartTrace(t, plan, portsOf(t, servers)...)
		outcomes := make([][]outcome, len(rows))
		for i, s := range servers {
			if s.leftOut == "" {
				t.Log(s.name, time.Now())
				outcomes[i] = s.askThroughout(string(plan), rows[i])
				trace.AwaitRecords(s.at.address, requests, time.Second)
			}
		}
		records := trace.Finish()
		for i, s := range servers {
			t.Run(s.name, func(t *testing.T) {
				if s.leftOut != "" {
					t.Skip(s.leftOut)
				}
				own := slices.DeleteFunc(slices.Clone(records), func(r harness.Record) bool { return r.Local != s.at.address })
				rows[i].judge(t, s.service, own, outcomes[i])
			})
		}
	})
}

// askThroughout lets the clients ask for all requests while the server
// changes. A client goes on after a failure.
func (s *standing) askThroughout(run string, c change) []outcome {
	all := make([]outcome, requests)
	var clients sync.WaitGroup
	for n := range 2 * s.workers {
		clients.Go(func() {
			cl := &client{address: s.at.address, closes: s.closes, patience: 5 * time.Second}
			defer cl.hangUp()
			for i := n; i < requests; i += 2 * s.workers {
				a, err := cl.ask(s.asks(run, i), false)
				a.path = s.asks(run, i)
				all[i] = outcome{a, err}
				if err != nil {
					cl.hangUp()
				}
				if i == changesAt && c.signal != 0 {
					s.process.Signal(c.signal)
				}
			}
		})
	}
	clients.Wait()
	return all
}

func (c change) judge(t *testing.T, service string, records []harness.Record, outcomes []outcome) {
	t.Helper()
	problems := newProblems(t)
	times := counts(records, func(r harness.Record) string { return r.Path })
	byItsPath := byPath(records, func(r harness.Record) string { return r.Path })
	failed := 0
	for _, o := range outcomes {
		r, printed := byItsPath[o.path]
		switch {
		case o.err == nil:
			problems.check(times[o.path] == 1, "%s was answered and printed %d times", o.path, times[o.path])
			problems.check(!printed || r.Status == o.status, "%s was answered with %d: %s", o.path, o.status, r.Line)
		default:
			failed++
			problems.check(times[o.path] <= 1 && (!printed || r.Error != ""), "%s failed with %v, printed %d times: %s", o.path, o.err, times[o.path], r.Line)
			problems.check(c.losing, "%s was not answered: %v", o.path, o.err)
		}
		if strings.Contains(o.path, "/599/") {
			problems.check(o.err != nil && printed && r.Status == 0 && r.Duration == nil, "%s killed its worker: %v, printed: %s", o.path, o.err, r.Line)
		}
	}
	pids := make(map[int]bool)
	for _, r := range records {
		problems.check(r.Service == service, "service is not %q: %s", service, r.Line)
		pids[r.PID] = true
	}
	problems.check(times[""] <= failed, "%d records without a path, %d requests failed", times[""], failed)
	problems.check(len(pids) >= c.processes, "%d processes served, want at least %d: nothing changed", len(pids), c.processes)
	problems.report()
	t.Logf("%d requests, %d not answered, %d records, %d processes", len(outcomes), failed, len(records), len(pids))
}
