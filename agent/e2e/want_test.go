package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/collectors/request"
)

// want is what the agent must print about one request. The scripts' stamps show
// how long things took. n is the suffix of the labels of the request: want{n:
// "1"} is the request that was sent in the steps labelled send1, read in read1
// and answered in write1. conn is the suffix of the labels connect and accept
// of its connection.
type want struct {
	n, conn  string
	method   string // empty means GET
	path     string
	protocol string // empty means http/1.1
	status   int
	flags    []string // that must be set
	unmarked []string // flags that must not be set

	// Labels other than send+n, read+n and write+n. first is that of the read
	// that returned the first byte, if it differs from the read that returned
	// the last.
	sent, first, read, write string

	later      bool // not the first request of its connection: no backlog
	failed     bool // no complete response: error is set
	cutOff     bool // the response was written to a client that had gone: may count as failed
	unanswered bool // no byte of a response
	early      bool // the response starts before the request is read
	unaccepted bool // the connection was accepted before the agent started
	unsplit    bool // backlog and dispatch cannot be separated: the agent may leave both out
	prompt     bool // the record must have come although the connection stayed open

	requestBytes, responseBytes int // if different from what read and write carried; −1: any

	clientWait, blocked, produce, drain amount
}

// observed is what is known after a row was played.
type observed struct {
	address peer.Address
	stamps  peer.Stamps
	noise   time.Duration // how late stamps may be
	records []harness.Record
	late    []string // times that do not agree with the scripts
}

// replays is how often something is played until all times agree.
const replays = 3

// replay plays something until all times agree with the scripts. A process can
// lose its CPU between a system call and the stamp after it; in a virtual
// machine this can happen without its kernel knowing. The script's stamp is
// then late, and the agent is right. This does not happen three times in a row,
// but a time that the agent gets wrong is wrong each time. All other facts must
// be right at the first attempt.
func replay(t *testing.T, play func(t *testing.T) (late []string)) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		late := play(t)
		if t.Failed() || len(late) == 0 {
			return
		}
		times := strings.Join(late, "\n")
		if attempt == replays {
			assert.Fail(t, "times do not agree with the scripts", "attempt %d:\n%s", attempt, times)
			return
		}
		t.Logf("attempt %d:\n%s", attempt, times)
	}
}

// check compares the records with the wants, each by its path. Requests of one
// connection must be printed in order, which is the order of the wants.
func (o *observed) check(t *testing.T, wants []want) {
	t.Helper()
	assert.Equal(t, len(wants), len(o.records), "records")
	last := make(map[string]int)
	for _, w := range wants {
		i := slices.IndexFunc(o.records, w.matches)
		if !assert.GreaterOrEqual(t, i, 0, "no record for %s %s", or(w.method, "GET"), w.path) {
			continue
		}
		if before, ok := last[w.conn]; ok {
			assert.GreaterOrEqual(t, i, before, "%s was printed before a request that came earlier on its connection", w.path)
		}
		last[w.conn] = i
		o.facts(t, w, o.records[i])
		o.times(t, w, o.records[i])
	}
	if t.Failed() || len(o.late) > 0 {
		t.Logf("what the scripts did:\n%s", o.stamps)
		for _, r := range o.records {
			t.Logf("printed: %s", r.Line)
		}
	}
}

// matches reports whether the record belongs to the want. A tunnel's request
// has no path.
func (w want) matches(r harness.Record) bool { return w.path == "" || r.Path == w.path }

// disagree records a time that does not agree with the scripts.
func (o *observed) disagree(format string, args ...any) {
	o.late = append(o.late, fmt.Sprintf(format, args...))
}

// facts checks everything that is not a duration.
func (o observed) facts(t *testing.T, w want, r harness.Record) {
	t.Helper()
	assert.Equal(t, or(w.method, "GET"), r.Method, w.path+" method")
	assert.Equal(t, or(w.protocol, "http/1.1"), r.Protocol, w.path+" protocol")
	assert.Equal(t, w.status, r.Status, w.path+" status")
	assert.Equal(t, "syscall", r.Boundary, w.path+" boundary")
	if !w.cutOff {
		assert.Equal(t, w.failed || w.status >= 500, r.Error != "", w.path+" failed")
	}
	for _, flag := range w.flags {
		assert.True(t, r.Has(flag), w.path+" flag "+flag)
	}
	for _, flag := range w.unmarked {
		assert.False(t, r.Has(flag), w.path+" flag "+flag)
	}
	o.place(t, w, r)
	o.bytes(t, w, r)
}

// place checks where the request was served.
func (o observed) place(t *testing.T, w want, r harness.Record) {
	t.Helper()
	read := o.first(t, w.firstLabel())
	assert.Equal(t, read.PID, r.PID, w.path+" pid")
	assert.Equal(t, read.TID, r.TID, w.path+" tid")
	acceptor := 0
	if !w.unaccepted {
		acceptor = o.first(t, "accept"+w.conn).TID
	}
	assert.Equal(t, acceptor, r.AcceptorTID, w.path+" acceptor_tid")
	assert.Equal(t, o.address.String(), r.Local, w.path+" local")
	if o.address.Family != peer.Unix {
		assert.Equal(t, o.first(t, "connect"+w.conn).Name, r.Peer, w.path+" peer")
	}
	assert.NotEmpty(t, r.Service, "%s: the service must be known; comm is %q", w.path, r.Comm)
	assert.NotEmpty(t, r.Comm, "%s: comm must be known; the service is %q", w.path, r.Service)
}

func (o observed) bytes(t *testing.T, w want, r harness.Record) {
	t.Helper()
	if want := orInt(w.requestBytes, o.stamps.Bytes(w.readLabel())); want >= 0 {
		assert.Equal(t, want, int(value(r.RequestBytes)), w.path+" request_bytes")
	}
	if want := orInt(w.responseBytes, o.stamps.Bytes(w.writeLabel())); want >= 0 && !w.unanswered {
		assert.Equal(t, want, int(value(r.ResponseBytes)), w.path+" response_bytes")
	}
}

func (w want) readLabel() string  { return or(w.read, "read"+w.n) }
func (w want) writeLabel() string { return or(w.write, "write"+w.n) }
func (w want) sendLabel() string  { return or(w.sent, "send"+w.n) }
func (w want) firstLabel() string { return or(w.first, w.readLabel()) }

func (o observed) first(t *testing.T, label string) peer.Stamp {
	t.Helper()
	st, ok := o.stamps.First(label)
	require.True(t, ok, "the scripts left no stamp %q", label)
	return st
}

func (o observed) last(t *testing.T, label string) peer.Stamp {
	t.Helper()
	st, ok := o.stamps.Last(label)
	require.True(t, ok, "the scripts left no stamp %q", label)
	return st
}

// started checks the wall time of the arrival.
func (o *observed) started(t *testing.T, w want, r harness.Record) {
	t.Helper()
	at, err := r.Arrived()
	if !assert.NoError(t, err, "%s: start", w.path) {
		return
	}
	sent := o.first(t, w.sendLabel())
	clock := request.NewClock()
	// Setting the wall clock in between changes the offset, so there is some
	// latitude.
	off := at.Sub(clock.Time(request.Stamp(sent.Before)))
	if off.Abs() > harness.Slow(10*time.Millisecond)+o.noise {
		o.disagree("%s started %s after it was sent", w.path, off)
	}
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func orInt(n, other int) int {
	if n != 0 {
		return n
	}
	return other
}

// value returns the value of a field, or the zero value if it was left out.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// get returns a GET request with the header lines.
func get(path string, headers ...string) string { return ask("GET", path, "", headers...) }

// post returns a POST request with its length in the head.
func post(path, body string, headers ...string) string { return ask("POST", path, body, headers...) }

func ask(method, path, body string, headers ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: example.test"}, headers...)
	if body != "" {
		lines = append(lines, "Content-Length: "+itoa(len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// reply returns a response with a body and its length in the head.
func reply(status, body string) string {
	return "HTTP/1.1 " + status + "\r\nServer: script\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}
