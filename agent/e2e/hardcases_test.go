package e2e

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/probes/socket/survey"
)

// hardCase is one row: what both ends of the connections do, and what the agent
// must print about it.
type hardCase struct {
	name     string
	families []peer.Family // nil for all
	server   peer.Program
	clients  []peer.Program
	want     []want // empty: the agent must print nothing

	// holds means that the scripts keep their connections open until the
	// records were printed (they await the event released).
	holds bool
}

// The events of the rows, in the order in which they usually happen.
const (
	connected peer.Event = iota
	accepted
	asked    // a client has sent a request
	taken    // the server has read it
	answered // the server has written a response
	received // a client has read it
	gone     // an end has closed the connection
	released // the records were printed
)

// patience returns the limit of the waits in scripts.
func patience() time.Duration { return harness.Slow(10 * time.Second) }

// handOut returns the documented limit on how long the agent may hold back a
// finished request, plus time for printing and reading it.
func handOut() time.Duration { return time.Second + harness.Slow(300*time.Millisecond) }

// TestHardCases plays each row with each probe plan and address family. One
// agent watches all rows of a plan, as it would on a host. Each row has a
// listening address of its own, by which its output is found. The families of a
// row are played at the same time, because most of their time is known delays.
func TestHardCases(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
		wanted := make(map[string]int)
		var mu sync.Mutex
		for _, c := range hardCases() {
			t.Run(c.name, func(t *testing.T) {
				for _, family := range c.on() {
					t.Run(string(family), func(t *testing.T) {
						t.Parallel()
						replay(t, func(t *testing.T) []string {
							listener := peer.Listen(t, family, c.server.Backlog)
							mu.Lock()
							wanted[listener.Address.String()] = len(c.want)
							mu.Unlock()
							return c.play(t, trace, listener)
						})
					})
				}
			})
			if t.Failed() {
				require.NotEmpty(t, trace.Records(nil), "the agent has printed nothing at all:\n%s", trace.Stderr())
			}
		}
		harness.CheckTotals(t, trace.Finish(), wanted)
	})
}

func hardCases() []hardCase {
	return slices.Concat(basicCases(), clientCases(), headCases(), bodyCases(), pipeliningCases(),
		writeCases(), failureCases(), handoverCases(), foreignCases())
}

func (c hardCase) on() []peer.Family {
	if c.families == nil {
		return peer.Families
	}
	return c.families
}

// play runs the scripts of a row and checks what the agent printed about them.
// It returns the times that do not agree.
func (c hardCase) play(t *testing.T, trace *harness.Trace, l *peer.Listener) (late []string) {
	run := peer.NewRun(t, l, patience())
	parts := []*peer.Part{run.Serve(c.server)}
	for _, client := range c.clients {
		parts = append(parts, run.Call(client))
	}
	address := l.Address.String()
	if c.holds {
		trace.AwaitRecords(address, len(c.want), 5*time.Second)
		run.Signal(released)
	}
	o := gather(l, parts)
	if len(c.want) == 0 {
		return nil // checked at the end, when no more records can come
	}
	o.records = trace.AwaitRecords(address, len(c.want), 3*time.Second)
	o.check(t, c.want)
	return o.late
}
