package protocoltest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

// Script plays the events of one connection to a pairer. Its times are in
// milliseconds.
type Script struct {
	protocol.Pairer

	// Got holds the requests so far. Unknown holds the reasons why the connection
	// is of no known protocol.
	Got     []*request.Request
	Unknown []string

	t testing.TB
}

// New starts a script with a pairer that newPairer makes. The last request of the
// connection had the number 4.
func New(t testing.TB, newPairer func(protocol.Options) protocol.Pairer) *Script {
	s := &Script{t: t}
	base := request.Request{Conn: 7, Seq: 4, AcceptorTID: 9, Service: "shop"}
	base.Established, base.Accepted = MS(1), MS(2)
	s.Pairer = newPairer(protocol.Options{
		Base:    base,
		Done:    func(r *request.Request) { s.Got = append(s.Got, r.Clone()) },
		Unknown: func(reason string) { s.Unknown = append(s.Unknown, reason) },
	})
	return s
}

// MS returns a stamp n milliseconds after the start of the clock.
func MS(n float64) request.Stamp { return request.Stamp(n * float64(time.Millisecond)) }

// Read plays a read whose bytes all arrived at the same time.
func (s *Script) Read(arrived, exit float64, data string) {
	s.Event(protocol.Event{Kind: protocol.Read, Arrived: MS(arrived), ArrivedLast: MS(arrived), Exit: MS(exit),
		Bytes: uint64(len(data)), Data: []byte(data)})
}

// ReadHidden plays a read of which only the first bytes are at hand.
func (s *Script) ReadHidden(arrived, exit float64, data string, missing uint64) {
	s.Event(protocol.Event{Kind: protocol.Read, Arrived: MS(arrived), ArrivedLast: MS(arrived), Exit: MS(exit),
		Bytes: uint64(len(data)) + missing, Data: []byte(data)})
}

// Write plays a write.
func (s *Script) Write(enter, exit float64, data string) { s.WriteHidden(enter, exit, data, 0) }

// WriteHidden plays a write of which only the first bytes are at hand.
func (s *Script) WriteHidden(enter, exit float64, data string, missing uint64) {
	s.Event(protocol.Event{Kind: protocol.Write, Enter: MS(enter), Exit: MS(exit),
		Bytes: uint64(len(data)) + missing, Data: []byte(data)})
}

// Close plays the end of the connection.
func (s *Script) Close(at float64, cause string) {
	s.Event(protocol.Event{Kind: protocol.Close, Exit: MS(at), Error: cause})
}

// Event plays ev. If ev has no process, it is by process 100, thread 101.
func (s *Script) Event(ev protocol.Event) {
	if ev.PID == 0 {
		ev.PID, ev.TID, ev.Comm = 100, 101, "worker"
	}
	s.Handle(&ev)
}

// One returns the request. It fails the test if there is not exactly one.
func (s *Script) One() *request.Request {
	s.t.Helper()
	require.Len(s.t, s.Got, 1)
	return s.Got[0]
}

// Lines returns a line for each request: method, path, status, flags, error.
func (s *Script) Lines() []string {
	var all []string
	for _, r := range s.Got {
		line := fmt.Sprint(r.Method, " ", string(r.Path), " ", r.Status)
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

// Phases checks the four phases of a request, in milliseconds.
func Phases(t testing.TB, r *request.Request, queue, parse, app, writeBack float64) {
	t.Helper()
	got, all := r.Phases()
	require.True(t, all, "all phases are known")
	want := request.Phases{time.Duration(MS(queue)), time.Duration(MS(parse)), time.Duration(MS(app)), time.Duration(MS(writeBack))}
	assert.Equal(t, want, got)
	duration, _ := r.Duration()
	assert.Equal(t, duration, got.Sum())
}

// Sane checks what must hold for every request, whatever the bytes are.
func Sane(t testing.TB, r *request.Request) {
	t.Helper()
	require.NotEmpty(t, r.Method, "what has no method is no request")
	bounds := r.Bounds()
	phases, all := r.Phases()
	require.True(t, all || r.Error != "", "a request is measured or failed: %+v", r.Stamps)
	if bounds.Known(request.Parse) {
		require.LessOrEqual(t, r.ClientWait, phases[request.Parse])
	}
	if bounds.Known(request.WriteBack) {
		require.LessOrEqual(t, r.Blocked+r.Produce, phases[request.WriteBack])
	}
	require.GreaterOrEqual(t, r.Produce, time.Duration(0))
	require.True(t, r.Status == 0 || r.Status >= 100 && r.Status <= 999)
	require.Less(t, len(r.Path)+len(r.Host), 20<<10)
	require.Equal(t, r.Detail, r.Detail.Clone())
}
