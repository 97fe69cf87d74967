package servers

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
	"lapwing/probes/socket/survey"
)

// manner is a client that does not simply send a request and wait.
type manner struct {
	name string
	play func(c *conversation) error
	// check compares what was printed with the client's account.
	check func(c *conversation, p *problems)
}

// conversation is one manner with one server.
type conversation struct {
	server
	run          string
	at           place
	conn         net.Conn
	in           *bufio.Reader
	paths        []string // of the requests, in order
	statuses     []int    // of the responses received
	continued    bool     // an interim response arrived
	began, ended span     // around the writes of the first and the last byte
	err          error
	records      []harness.Record
	worked       []worked
}

// span is the time before and after an event.
type span struct{ before, after request.Stamp }

func manners() []manner {
	return []manner{
		{"silent, then in three pieces", (*conversation).hesitate, (*conversation).hesitated},
		{"waits to be told to go on", (*conversation).expect, (*conversation).expected},
		{"three requests at once", (*conversation).hurry, (*conversation).hurried},
	}
}

// TestManners has one client of each manner for each server with an
// application.
func TestManners(t *testing.T) {
	servers := startAll(t, allServers())
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, portsOf(t, servers)...)
		for i, m := range manners() {
			t.Run(m.name, func(t *testing.T) {
				talks := talkToAll(servers, m, string(plan)+string(rune('a'+i)))
				awaitPrinted(trace, talks)
				for _, c := range talks {
					t.Run(c.name, func(t *testing.T) { c.judge(t, trace, m) })
				}
			})
		}
		trace.Finish()
	})
}

// awaitPrinted waits until the requests of all talks were printed, and then for
// any that are printed twice. A request through a proxy is printed when its
// calls are known.
func awaitPrinted(trace *harness.Trace, talks []*conversation) {
	for end := time.Now().Add(harness.Slow(15 * time.Second)); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if !slices.ContainsFunc(talks, func(c *conversation) bool { return len(c.printed(trace)) < len(c.statuses) }) {
			break
		}
	}
	time.Sleep(harness.Slow(500 * time.Millisecond))
}

// printed returns the records of a conversation so far.
func (c *conversation) printed(trace *harness.Trace) []harness.Record {
	return trace.Records(func(r harness.Record) bool {
		return r.Local == c.at.address && strings.Contains(r.Path, "/"+c.run+"-")
	})
}

// talkToAll starts a conversation with all servers at the same time.
func talkToAll(servers []*standing, m manner, run string) (talks []*conversation) {
	var all sync.WaitGroup
	for _, s := range servers {
		if s.leftOut != "" || s.threads == noApp {
			continue
		}
		c := &conversation{server: s.server, run: run, at: s.at}
		talks = append(talks, c)
		all.Go(func() { c.err = c.talk(m) })
	}
	all.Wait()
	return talks
}

func (c *conversation) talk(m manner) (err error) {
	if c.conn, err = net.DialTimeout("tcp", c.at.address, harness.Slow(5*time.Second)); err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	c.in = bufio.NewReader(c.conn)
	return errors.Join(c.conn.SetDeadline(time.Now().Add(harness.Slow(10*time.Second))), m.play(c))
}

func (c *conversation) judge(t *testing.T, trace *harness.Trace, m manner) {
	t.Helper()
	require.NoError(t, c.err)
	c.records = c.printed(trace)
	c.worked = readWorked(t, c.at, c.run)
	p := newProblems(t)
	p.check(len(c.worked) >= len(c.statuses), "%d responses, the application noted %d", len(c.statuses), len(c.worked))
	for i, status := range c.statuses {
		own := withPath(c.records, c.paths[i])
		p.check(len(own) == 1, "%d records for %s", len(own), c.paths[i])
		for _, r := range own {
			p.check(r.Status == status && named(r, c.service), "answered with %d: %s", status, r.Line)
		}
	}
	m.check(c, p)
	p.report()
}

func withPath(records []harness.Record, path string) (own []harness.Record) {
	for _, r := range records {
		if r.Path == path {
			own = append(own, r)
		}
	}
	return own
}

// path returns the path of the n-th request.
func (c *conversation) path(n string) string {
	path := "/work/10/200/" + c.run + "-" + n
	c.paths = append(c.paths, path)
	return path
}

func (c *conversation) write(text string) (at span, err error) {
	at.before = request.Now()
	_, err = io.WriteString(c.conn, text)
	at.after = request.Now()
	return at, err
}

// read reads a response, after an interim one if there is one.
func (c *conversation) read(method string) error {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return err
	}
	if resp.StatusCode == 100 {
		c.continued = true
		return c.read(method)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	c.statuses = append(c.statuses, resp.StatusCode)
	return err
}

// The silence before the first piece and between two pieces.
const (
	silence = 80 * time.Millisecond
	gap     = 30 * time.Millisecond
)

// hesitate opens a connection, sends nothing for a while, and then sends its
// request in three pieces.
func (c *conversation) hesitate() (err error) {
	time.Sleep(silence)
	head := "GET " + c.path("1") + " HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n"
	for i, piece := range []string{head[:20], head[20:50], head[50:]} {
		if i > 0 {
			time.Sleep(gap)
		}
		if c.ended, err = c.write(piece); err != nil {
			return err
		}
		if i == 0 {
			c.began = c.ended
		}
	}
	return c.read("GET")
}

// hesitated checks that the silence before the first byte belongs to no phase,
// and that the gaps are time in which the server waited.
func (c *conversation) hesitated(p *problems) {
	clock := request.NewClock()
	for _, r := range c.records {
		m, err := momentsOf(r)
		p.check(err == nil, "%v", err)
		p.check(!m.arrived.Add(slack()).Before(clock.Time(c.began.before)), "arrived before it was sent: %s", r.Line)
		p.check(!m.arrived.After(clock.Time(c.began.after).Add(slack()+putOff())), "arrived after it was sent: %s", r.Line)
		p.check(!m.readLast.Add(slack()).Before(clock.Time(c.ended.before)), "read before it was sent: %s", r.Line)
		prompt := sum(r.Queue) < gap/2
		p.check(!prompt || sum(r.ClientWait) > gap, "the gaps are missing in client_wait: %s", r.Line)
		p.check(!m.readLast.After(c.workedAt(r.Path, true).Add(slack())), "read after the application was called: %s", r.Line)
		p.check(!c.workedAt(r.Path, false).After(m.writeFirst.Add(slack())), "answered before the application was done: %s", r.Line)
	}
}

// workedAt returns when the application was called, or when it was done.
func (c *conversation) workedAt(path string, begin bool) time.Time {
	clock := request.NewClock()
	for _, w := range c.worked {
		switch {
		case w.path == path && begin:
			return clock.Time(w.begin)
		case w.path == path:
			return clock.Time(w.end)
		}
	}
	return time.Time{}
}

// expect sends the body after 100 Continue, or after a while without it.
func (c *conversation) expect() error {
	const wait = 100 * time.Millisecond
	head := "POST " + c.path("1") + " HTTP/1.1\r\nHost: example.test\r\nContent-Length: 5\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
	if _, err := c.write(head); err != nil {
		return err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, told := c.in.Peek(1)
	if told == nil {
		time.Sleep(gap)
	}
	err := c.conn.SetReadDeadline(time.Now().Add(harness.Slow(10 * time.Second)))
	if err != nil {
		return err
	}
	if c.ended, err = c.write("hello"); err != nil {
		return err
	}
	return c.read("POST")
}

// expected checks that the interim response does not count as the response, and
// that waiting for the body does not count as app.
func (c *conversation) expected(p *problems) {
	clock := request.NewClock()
	for _, r := range c.records {
		m, err := momentsOf(r)
		p.check(err == nil, "%v", err)
		p.check(r.Method == "POST" && r.Has("continued") == c.continued, "told to go on is %t: %s", c.continued, r.Line)
		// If a mark shows the call of the application, the body is read during
		// the call.
		marked := r.Boundary == "marker"
		p.check(marked || !m.readLast.Add(slack()).Before(clock.Time(c.ended.before)), "read before it was sent: %s", r.Line)
		p.check(marked || sum(r.ClientWait) > gap-slack(), "the wait is missing in client_wait: %s", r.Line)
		p.check(!c.workedAt(r.Path, false).After(m.writeFirst.Add(slack())), "answered before the application was done: %s", r.Line)
	}
}

// hurry sends three requests in one write. Some servers only answer the first.
func (c *conversation) hurry() error {
	var all strings.Builder
	for _, n := range []string{"1", "2", "3"} {
		all.WriteString("GET " + c.path(n) + " HTTP/1.1\r\nHost: example.test\r\n\r\n")
	}
	if _, err := c.write(all.String()); err != nil {
		return err
	}
	patience := 8 * time.Second
	for range c.paths {
		if err := c.conn.SetReadDeadline(time.Now().Add(harness.Slow(patience))); err != nil {
			return err
		}
		if err := c.read("GET"); err != nil {
			break // only the received responses count
		}
		patience = 2 * time.Second
	}
	return nil
}

// hurried checks that each answered request is printed once, in order and
// marked as pipelined, and that no dropped one looks answered.
func (c *conversation) hurried(p *problems) {
	p.check(len(c.statuses) > 0, "no response at all")
	for i, path := range c.paths {
		for _, r := range withPath(c.records, path) {
			p.check(i < len(c.statuses) || r.Error != "", "was not answered: %s", r.Line)
			p.check(i >= len(c.statuses) || r.Has("pipelined") == (i > 0), "request %d of a pipeline: %s", i+1, r.Line)
		}
	}
	for i, r := range c.records {
		p.check(i < len(c.paths) && r.Path == c.paths[i], "record %d is out of order: %s", i+1, r.Line)
	}
}
