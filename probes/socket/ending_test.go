package socket

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// TestClosedWhileTheAgentEnds has connections whose request is answered, and which are
// closed while the hooks are released: some before the hook that would report the close,
// some after.
func TestClosedWhileTheAgentEnds(t *testing.T) {
	const connections = 300
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, network := range []string{"tcp4", "unix"} {
			p := open(t, Options{Plan: plan})
			l := listen(t, network)
			lines := make([]*line, connections)
			for i := range lines {
				lines[i] = newLine(t, l)
				path := fmt.Sprintf("/ending/%d", i)
				lines[i].ask(path)
				lines[i].answer(path)
			}
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				for _, line := range lines {
					_ = line.server.Close()
					_ = line.client.Close()
					time.Sleep(200 * time.Microsecond)
				}
			}()
			got := &seen{}
			runOut(t, p, ours{got})
			<-closed
			heads := map[string]bool{}
			for _, r := range got.requests {
				if r.kind == wire.Final || r.kind == wire.Tentative {
					heads[r.head] = true
				}
			}
			require.Len(t, heads, connections, network)
		}
	})
}
