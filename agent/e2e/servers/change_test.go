package servers

import (
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// change is a row of the test of servers that change under load.
type change struct {
	server string   // the row that changes
	adds   []string // additional arguments for the server
	signal syscall.Signal
	path   func(run string, i int) string // nil for that of the application
	// losing means that the server may leave requests without a response.
	losing bool
	// processes is the number of different processes that must have served.
	processes int
}

// changesAt is the number of the request after which the signal is sent.
const changesAt = 60

func changes() []change {
	return []change{
		{server: "gunicorn sync", path: killingPath, losing: true, processes: 5},
		{server: "gunicorn gthread", path: killingPath, losing: true, processes: 4},
		{server: "uWSGI processes", path: killingPath, losing: true, processes: 5},
		{server: "gunicorn sync", signal: syscall.SIGHUP, processes: 8},
		{server: "uWSGI processes", signal: syscall.SIGHUP, processes: 8},
		{server: "nginx to gunicorn", signal: syscall.SIGHUP, processes: 2},
		{server: "Apache prefork, mod_wsgi embedded", signal: syscall.SIGUSR1, processes: 5},
		{server: "Apache event, mod_wsgi embedded", signal: syscall.SIGUSR1, processes: 2},
		{server: "gunicorn sync", adds: []string{"--max-requests", "10"}, processes: 15},
		{server: "uWSGI processes", adds: []string{"--max-requests", "10", "--min-worker-lifetime", "0"}, processes: 15},
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

// killingPath requests three times that the application kills its own process
// in the middle of the work.
func killingPath(run string, i int) string {
	path := applicationPath(run, i)
	if i%60 == 50 {
		_, tag, _ := strings.Cut(path, run)
		return "/work/20/599/" + run + tag
	}
	return path
}

// row returns the row of the server with the additions of the change.
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

// outcome is what a client knows about a request: err is nil if it got a
// response.
type outcome struct {
	asked
	err     error
	retried bool // on a new connection, because the kept-alive one was closed
}

// TestChange kills, reloads and recycles the workers of servers under load. No
// request may be missing, doubled or attributed to another service.
func TestChange(t *testing.T) {
	rows := changes()
	var all []server
	for _, c := range rows {
		all = append(all, c.row())
	}
	servers := startAll(t, all)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, portsOf(t, servers)...)
		outcomes := askAllThroughout(trace, string(plan), servers, rows)
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

// askAllThroughout has three servers change at a time.
func askAllThroughout(trace *harness.Trace, run string, servers []*standing, rows []change) [][]outcome {
	outcomes := make([][]outcome, len(rows))
	slots := make(chan struct{}, 3)
	var all sync.WaitGroup
	for i, s := range servers {
		if s.leftOut != "" {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			outcomes[i] = s.askThroughout(run, rows[i])
			trace.AwaitRecords(s.at.address, requests, time.Second)
			<-slots
		})
	}
	all.Wait()
	return outcomes
}

// askThroughout lets the clients send all requests while the server changes. A
// client continues after a failure.
func (s *standing) askThroughout(run string, c change) []outcome {
	all := make([]outcome, requests)
	var clients sync.WaitGroup
	for n := range 2 * s.workers {
		clients.Go(func() {
			cl := &client{address: s.at.address, closes: s.closes, patience: 5 * time.Second}
			defer cl.hangUp()
			for i := n; i < requests; i += 2 * s.workers {
				all[i] = cl.try(s.asks(run, i), !c.losing)
				if err := all[i].err; err != nil {
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

// try sends a request, and repeats it if the server may have closed a
// kept-alive connection.
func (c *client) try(path string, again bool) (o outcome) {
	if again {
		o.asked, o.retried, o.err = c.retry(path, false)
	} else {
		o.asked, o.err = c.ask(path, false)
	}
	o.path = path
	return o
}

// judge compares what was printed about a row with what the clients know.
func (c change) judge(t *testing.T, service string, records []harness.Record, outcomes []outcome) {
	t.Helper()
	p := newProblems(t)
	retried := make(map[string]bool)
	failed := 0
	for _, o := range outcomes {
		retried[o.path] = o.retried
		if o.retried || o.err != nil {
			failed++
		}
	}
	pids := make(map[int]bool)
	for _, r := range records {
		p.check(named(r, service), "service is not %q: %s", service, r.Line)
		pids[r.PID] = true
	}
	// The first attempt of a repeated request may have been read.
	all := len(records)
	records = slices.DeleteFunc(records, func(r harness.Record) bool {
		return r.Status == 0 && r.Error != "" && (r.Path == "" || retried[r.Path])
	})
	p.check(all-len(records) <= failed, "%d requests that died unread, %d failed", all-len(records), failed)
	p.check(len(pids) >= c.processes, "%d processes served, want at least %d: nothing changed", len(pids), c.processes)
	printed := make(map[string][]harness.Record)
	for _, r := range records {
		printed[r.Path] = append(printed[r.Path], r)
	}
	for _, o := range outcomes {
		c.judgeOne(p, o, printed[o.path])
	}
	p.report()
	t.Logf("%d requests, %d not answered at first, %d records, %d processes", len(outcomes), failed, all, len(pids))
}

// judgeOne compares what was printed about one request with its outcome.
func (c change) judgeOne(p *problems, o outcome, printed []harness.Record) {
	var r harness.Record
	if len(printed) > 0 {
		r = printed[0]
	}
	if o.err == nil {
		p.check(len(printed) == 1 && r.Status == o.status, "%s was answered with %d, printed %d times: %s", o.path, o.status, len(printed), r.Line)
		return
	}
	p.check(c.losing, "%s was not answered: %v", o.path, o.err)
	p.check(len(printed) == 0 || len(printed) == 1 && r.Error != "", "%s failed with %v, printed %d times: %s", o.path, o.err, len(printed), r.Line)
	if strings.Contains(o.path, "/599/") {
		p.check(len(printed) == 1 && r.Status == 0 && r.Duration == nil, "%s killed its worker, printed %d times: %s", o.path, len(printed), r.Line)
	}
}
