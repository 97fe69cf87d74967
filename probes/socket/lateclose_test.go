package socket

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// framedEvents keeps the events of this process.
type framedEvents struct {
	reads, closes int
	last          wire.EventFields
}

func (f *framedEvents) HandleRecord(wire.Kind, wire.Record) {}
func (f *framedEvents) Tick(time.Time)                      {}
func (f *framedEvents) HandleEvent(e wire.Event) {
	switch e.EventKind() {
	case wire.Read:
		if e.Pid == uint32(os.Getpid()) {
			f.reads++
		}
	case wire.Close:
		f.closes++
		f.last = e.Fields()
	}
}

// TestCloseFindsNoRoom fills the log with reads on a connection, which ends when there is
// no more room. User space would wait for the end forever, but learns of it.
func TestCloseFindsNoRoom(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan, RingBytes: 1 << 16})
		l := newLine(t, listen(t, "tcp"))
		many := strings.Repeat(lineRequest("/"), 200)
		const rounds = 100
		for range rounds {
			_, err := l.client.Write([]byte(many))
			require.NoError(t, err)
			for had := 0; had < len(many); {
				n, err := l.server.Read(make([]byte, 4096))
				require.NoError(t, err)
				had += n
			}
		}
		before := monotonic()
		require.NoError(t, l.server.Close())
		require.NoError(t, l.client.Close())
		got := &framedEvents{}
		runOut(t, p, got)
		stats, err := p.Stats()
		require.NoError(t, err)
		require.Positive(t, stats.LostEvents, "the log was full")
		require.Positive(t, got.reads)
		assert.Equal(t, 1, got.closes)
		assert.Greater(t, got.last.Number, uint32(got.reads), "it is the last event")
		assert.GreaterOrEqual(t, got.last.Exit, before)
	})
}
