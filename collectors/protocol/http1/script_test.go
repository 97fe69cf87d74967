package http1

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// script plays the events of one connection to a pairer. Its times are in
// milliseconds.
type script struct {
	t   *testing.T
	p   *Pairer
	got []*request.Request
}

func newScript(t *testing.T) *script {
	s := &script{t: t}
	base := request.Request{Conn: 7, Seq: 4, AcceptorTID: 9, Service: "shop"}
	base.Established, base.Accepted = ms(1), ms(2)
	s.p = newPairer(base, func(r *request.Request) { s.got = append(s.got, r.Clone()) })
	return s
}

func newPairer(base request.Request, done func(*request.Request)) *Pairer {
	return NewPairer(protocol.Options{Base: base, Done: done})
}

func ms(n float64) request.Stamp { return request.Stamp(n * float64(time.Millisecond)) }

// read plays a read whose bytes all arrived at the same time.
func (s *script) read(arrived, exit float64, data string) {
	s.readWait(arrived, exit, 0, data)
}

// readWait plays a read before which the queue was empty for some milliseconds.
func (s *script) readWait(arrived, exit, wait float64, data string) {
	s.event(protocol.Event{Kind: protocol.Read, Arrived: ms(arrived), ArrivedLast: ms(arrived), Exit: ms(exit),
		Wait: time.Duration(ms(wait)), Bytes: uint64(len(data)), Data: []byte(data)})
}

func (s *script) write(enter, exit float64, data string) {
	s.writeBlocked(enter, exit, 0, data)
}

func (s *script) writeBlocked(enter, exit, blocked float64, data string) {
	s.event(protocol.Event{Kind: protocol.Write, Enter: ms(enter), Exit: ms(exit), Blocked: time.Duration(ms(blocked)),
		Bytes: uint64(len(data)), Data: []byte(data)})
}

// event plays ev. If ev has no process, it is by process 100, thread 101.
func (s *script) event(ev protocol.Event) {
	if ev.PID == 0 {
		ev.PID, ev.TID, ev.Comm = 100, 101, "worker"
	}
	s.p.Handle(&ev)
}

func (s *script) close(at float64, cause string) {
	s.event(protocol.Event{Kind: protocol.Close, Exit: ms(at), Error: cause})
}

// one returns the request. It fails the test if there is not exactly one.
func (s *script) one() *request.Request {
	s.t.Helper()
	require.Len(s.t, s.got, 1)
	return s.got[0]
}

// lines returns a line for each request: method, path, status, flags, error.
func (s *script) lines() []string {
	var all []string
	for _, r := range s.got {
		line := r.Method + " " + string(r.Path) + " " + strconv.Itoa(r.Status)
		if r.Flags != 0 {
			line += " " + strings.Join(r.Flags.Names(), "+")
		}
		if r.Error != "" {
			line += " " + r.Error
		}
		all = append(all, line)
	}
	return all
}

// checkPhases checks the four phases, in milliseconds.
func checkPhases(t *testing.T, r *request.Request, queue, parse, app, writeBack float64) {
	t.Helper()
	got, all := r.Phases()
	require.True(t, all, "all phases are known")
	want := request.Phases{time.Duration(ms(queue)), time.Duration(ms(parse)), time.Duration(ms(app)), time.Duration(ms(writeBack))}
	assert.Equal(t, want, got)
	duration, _ := r.Duration()
	assert.Equal(t, duration, got.Sum())
}

// checkParts checks client_wait, blocked and produce, in milliseconds.
func checkParts(t *testing.T, r *request.Request, clientWait, blocked, produce float64) {
	t.Helper()
	assert.Equal(t, time.Duration(ms(clientWait)), r.ClientWait, "client_wait")
	assert.Equal(t, time.Duration(ms(blocked)), r.Blocked, "blocked")
	assert.Equal(t, time.Duration(ms(produce)), r.Produce, "produce")
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func post(path, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func response(status int, body string) string {
	return "HTTP/1.1 " + strconv.Itoa(status) + " X\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

const (
	chunkedPost     = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunkedResponse = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	continueInterim = "HTTP/1.1 100 Continue\r\n\r\n"
)
