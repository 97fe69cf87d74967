package peer

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Run is a set of processes that play programs against each other.
type Run struct {
	t        testing.TB
	timeout  time.Duration
	board    *board
	parts    []*Part
	listener *Listener
}

// Part is one of the processes of a run.
type Part struct {
	run   *Run
	child *child
	res   *result
}

// NewRun prepares a run with one listening socket. timeout limits every wait
// for an event, and the whole of each program. The processes are gone when the
// test ends.
func NewRun(t testing.TB, l *Listener, timeout time.Duration) *Run {
	t.Helper()
	events, err := newBoard()
	require.NoError(t, err)
	r := &Run{t: t, timeout: timeout, board: events, listener: l}
	t.Cleanup(r.end)
	return r
}

// Serve starts a process that inherits the listening socket.
func (r *Run) Serve(prog Program) *Part {
	r.t.Helper()
	return r.start(setup{Program: prog, Listener: boardDescriptor + 1}, r.board.file, r.listener.file)
}

// Call starts a process that connects to the listening socket.
func (r *Run) Call(prog Program) *Part {
	r.t.Helper()
	return r.start(setup{Program: prog}, r.board.file)
}

func (r *Run) start(s setup, files ...*os.File) *Part {
	r.t.Helper()
	s.Address, s.Timeout = r.listener.Address, r.timeout
	c, err := startChild(s, files)
	require.NoError(r.t, err)
	p := &Part{run: r, child: c}
	r.parts = append(r.parts, p)
	return p
}

// PID returns the process id of the part.
func (p *Part) PID() int { return p.child.cmd.Process.Pid }

// Signal makes an event happen, from the test itself.
func (r *Run) Signal(e Event) {
	r.t.Helper()
	require.NoError(r.t, r.board.signal(e), "signal event %d", e)
}

// Await waits for an event, in the test itself.
func (r *Run) Await(e Event) {
	r.t.Helper()
	require.NoError(r.t, r.board.await(e, r.timeout))
}

// Wait waits for the program to end. It returns what its process did, and the
// time for which its threads were runnable without a CPU. The process itself
// stays until the test ends, so that it can be looked up.
func (p *Part) Wait() (Stamps, time.Duration) {
	p.run.t.Helper()
	if p.res == nil {
		kill := time.AfterFunc(2*p.run.timeout, func() { _ = p.child.cmd.Process.Kill() })
		defer kill.Stop()
		res, err := p.child.result()
		require.NoError(p.run.t, err)
		p.res = &res
	}
	require.Empty(p.run.t, p.res.Error, "the error of peer %d:\n%s", p.PID(), p.res.Stamps)
	return p.res.Stamps, time.Duration(p.res.Waited)
}

func (r *Run) end() {
	for _, p := range r.parts {
		assert.NoError(r.t, p.child.end())
	}
	assert.NoError(r.t, r.board.close(), "close the event board")
}

// String shows the stamps relative to the first, one per line.
func (s Stamps) String() string {
	if len(s) == 0 {
		return "(nothing stamped)"
	}
	text, zero := "", s[0].Before
	for _, st := range s {
		text += fmt.Sprintf("  %10.3f ms – %10.3f ms  %d/%d %-12s %-12s %7d bytes %s\n",
			float64(st.Before-zero)/1e6, float64(st.After-zero)/1e6,
			st.PID, st.TID, st.Op, st.Label, st.N, st.Err)
	}
	return text
}
