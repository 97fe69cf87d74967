package socket

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

// openSmall opens the probes with maps that hold few entries.
func openSmall(t *testing.T, plan survey.Plan, sizes map[string]uint32) *Probe {
	s, err := survey.TakeSurvey().Resolve(plan)
	require.NoError(t, err)
	var opts Options
	require.NoError(t, opts.setDefaults())
	p, err := openPlan(s, opts, func(spec *ebpf.CollectionSpec) {
		for name, n := range sizes {
			spec.Maps[name].MaxEntries = n
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

// TestForgottenAccepts accepts more connections than the map of accepts holds before it
// reads from any of them.
func TestForgottenAccepts(t *testing.T) {
	const connections, room = 200, 32
	if s, err := survey.TakeSurvey().Resolve(survey.PlanSocket); err != nil {
		t.Skipf("only the plan socket has this map: %v", s.Why)
	}
	p := openSmall(t, survey.PlanSocket, map[string]uint32{"accepts": room})
	all := lines(t, listen(t, "tcp"), connections)
	for i, l := range all {
		path := fmt.Sprintf("/forgotten/%d", i)
		l.ask(path)
		l.answer(path)
	}
	got := &seen{}
	runOut(t, p, ours{got})
	known := 0
	found := got.requestsTo("/forgotten/")
	for _, r := range found {
		if r.Accepted != 0 {
			known++
		}
	}
	stats, err := p.Stats()
	require.NoError(t, err)
	assert.Len(t, found, connections)
	assert.LessOrEqual(t, known, room)
	assert.Equal(t, connections-known, int(stats.LostAccept))
}

// TestForgottenCallers has a server open more calls than the map of calls holds.
func TestForgottenCallers(t *testing.T) {
	const calls, room = 60, 20
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := openSmall(t, plan, map[string]uint32{"clients": room})
		l := listen(t, "tcp")
		first := newLine(t, l)
		first.ask("/first") // from here on the process is a server
		first.answer("/first")
		lines(t, l, calls)
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.Equal(t, calls-room, int(stats.LostCaller))
	})
}

// TestForgottenThreads has more threads in the middle of a request than the map of
// threads holds.
func TestForgottenThreads(t *testing.T) {
	const threads, room = 80, 16
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := openSmall(t, plan, map[string]uint32{"workers": room})
		l := listen(t, "tcp")
		first := newLine(t, l)
		first.ask("/first")
		first.answer("/first")
		all := lines(t, l, threads) // the process makes calls
		read, answer := make(chan bool), make(chan bool)
		answered := make(chan bool)
		for i, line := range all {
			path := fmt.Sprintf("/thread/%d", i)
			line.ask(path)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
				w := line.half(path)
				read <- w
				<-answer
				line.answered()
				answered <- true
			}()
			require.True(t, <-read)
		}
		close(answer)
		for range all {
			<-answered
		}
		stats, err := p.Stats()
		require.NoError(t, err)
		assert.GreaterOrEqual(t, int(stats.LostThread), threads-room)
		assert.LessOrEqual(t, int(stats.LostThread), threads)
	})
}

// half reads a request and does not answer it.
func (l *line) half(path string) bool {
	_, err := l.server.Read(make([]byte, len(lineRequest(path))))
	return err == nil
}

// answered answers what half has read.
func (l *line) answered() {
	_, err := l.server.Write([]byte(lineResponse))
	assert.NoError(l.t, err)
}
