package framing

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/probes/socket/survey"
)

// TestScripted plays every row with each probe plan and address family. Each
// row has a listening address of its own, by which its output is found.
func TestScripted(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
		wanted := make(map[string]int)
		var absent atomic.Int64
		t.Run("row", func(t *testing.T) {
			for _, r := range rows() {
				for _, family := range r.on() {
					// Open until all are done, so that no two rows share an
					// address.
					listener := peer.Listen(t, family, 0)
					wanted[listener.Address.String()] = len(r.talk)
					t.Run(r.name+"/"+string(family), func(t *testing.T) {
						t.Parallel()
						r.play(t, trace, listener, &absent)
					})
				}
			}
		})
		records := trace.Finish()
		assert.LessOrEqual(t, absent.Load(), int64(len(records)/100), "requests of %d whose arrival is absent", len(records))
		harness.CheckTotals(t, records, wanted)
		nothingLost(t, trace)
	})
}

func rows() []row {
	return slices.Concat(streamRows(), memoryRows(), slowRows(), headRows(), bodyRows(), bothRows(), interimRows(),
		expectRows(), refusedRows(), rawRows(), traceRows(), pairRows(), blankRows(), unreadRows(), randomRows())
}

// play runs the scripts of a row and checks what the agent printed about them.
func (r row) play(t *testing.T, trace *harness.Trace, l *peer.Listener, absent *atomic.Int64) {
	run := peer.NewRun(t, l, harness.Slow(20*time.Second))
	server, client := r.scripts()
	parts := []*peer.Part{run.Serve(server), run.Call(client)}
	address := l.Address.String()
	if !r.closes {
		// The connection is closed once the records are printed, or must be.
		trace.AwaitRecords(address, len(r.talk), r.least()+3*time.Second)
		run.Signal(released)
	}
	p := played{t: t, address: l.Address, absent: absent}
	p.gather(parts)
	p.records = trace.AwaitRecords(address, len(r.talk), 3*time.Second)
	p.judge(r.talk)
}

// gather waits until the scripts have ended.
func (p *played) gather(parts []*peer.Part) {
	for _, part := range parts {
		stamps, noise := part.Wait()
		p.stamps, p.noise = append(p.stamps, stamps...), p.noise+noise
	}
}

// least returns the minimum time of the scripts of the row, as far as it is
// known.
func (r row) least() (d time.Duration) {
	server, client := r.scripts()
	for _, s := range slices.Concat(server.Threads[0], client.Threads[0]) {
		d += s.Pause * time.Duration(max(1, max(s.Size, len(s.Data))/max(s.Chunk, 1)))
	}
	return d
}
