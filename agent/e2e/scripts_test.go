package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/peer"
)

// TestScripts plays every row without the agent. It checks that the scripts
// reach their end and leave the stamps that the wants of the row need.
func TestScripts(t *testing.T) {
	for _, c := range hardCases() {
		t.Run(c.name, func(t *testing.T) {
			for _, family := range c.on() {
				t.Run(string(family), func(t *testing.T) {
					o := c.rehearse(t, peer.Listen(t, family, c.server.Backlog))
					for _, w := range c.want {
						o.stamped(t, w)
					}
				})
			}
		})
	}
}

// rehearse runs the scripts of a row.
func (c hardCase) rehearse(t *testing.T, l *peer.Listener) observed {
	run := peer.NewRun(t, l, patience())
	parts := []*peer.Part{run.Serve(c.server)}
	for _, client := range c.clients {
		parts = append(parts, run.Call(client))
	}
	run.Signal(released)
	return gather(l, parts)
}

// TestStartScripts plays the connections that exist when the agent starts, but
// without the agent.
func TestStartScripts(t *testing.T) {
	for _, c := range startCases() {
		t.Run(c.name, func(t *testing.T) {
			l := peer.Listen(t, peer.TCP4, 0)
			run := peer.NewRun(t, l, patience())
			parts := []*peer.Part{run.Serve(peer.Script(c.server...)), run.Call(peer.Script(c.client...))}
			run.Await(underWay)
			run.Signal(attached)
			o := gather(l, parts)
			for _, w := range c.want {
				o.stamped(t, w)
			}
		})
	}
}

// stamped checks that the stamps for a want exist, and are in the order in
// which they must have happened.
func (o observed) stamped(t *testing.T, w want) {
	t.Helper()
	order := []int64{o.first(t, w.sendLabel()).Before, o.first(t, w.firstLabel()).After, o.last(t, w.readLabel()).After}
	if !w.unanswered {
		begin, end := o.first(t, w.writeLabel()).Before, o.last(t, w.writeLabel()).After
		order = append(order, begin, end)
	}
	for i := 1; i < len(order); i++ {
		assert.GreaterOrEqual(t, order[i], order[i-1], "%s: stamp %d lies before the one that leads to it\n%s", w.path, i, o.stamps)
	}
	assert.LessOrEqual(t, o.first(t, "accept"+w.conn).After, order[1],
		"%s was read before its connection was accepted\n%s", w.path, o.stamps)
	assert.LessOrEqual(t, o.first(t, "connect"+w.conn).Before, order[0],
		"%s was sent before its connection was opened\n%s", w.path, o.stamps)
}
