package agent

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/config"
	"lapwing/exporters/health"
)

// fake is a probe that records the calls of its methods.
type fake struct {
	name          string
	attached, ran error
	needs         []cap.Value
	steps         *[]string
}

func (f *fake) note(step string)       { *f.steps = append(*f.steps, step+" "+f.name) }
func (f *fake) attach() error          { f.note("attach"); return f.attached }
func (f *fake) look()                  { f.note("look") }
func (f *fake) keeps() []cap.Value     { return f.needs }
func (f *fake) health(*health.Sources) {}
func (f *fake) close() error           { f.note("close"); return nil }
func (f *fake) run(ctx context.Context) error {
	if f.ran == nil {
		<-ctx.Done()
	}
	return f.ran
}

func agentWith(t *testing.T, probes ...probe) *Agent {
	a := newAgent(t, config.Default())
	a.probes = probes
	return a
}

func TestProbesAreClosedInReverse(t *testing.T) {
	var steps []string
	bad := errors.New("no such hook")
	a := agentWith(t, &fake{name: "1", steps: &steps}, &fake{name: "2", steps: &steps}, &fake{name: "3", attached: bad, steps: &steps})
	require.ErrorIs(t, a.attachAll(), bad)
	assert.Equal(t, []string{"attach 1", "attach 2", "attach 3", "close 2", "close 1"}, steps)
}

func TestProbeThatFailsEndsTheOthers(t *testing.T) {
	bad := errors.New("the log cannot be read")
	a := agentWith(t, &fake{}, &fake{ran: bad}, &fake{})
	assert.ErrorIs(t, a.runAll(context.Background()), bad)
}

func TestProbesRunUntilTheEnd(t *testing.T) {
	ctx, end := context.WithCancel(context.Background())
	end()
	assert.NoError(t, agentWith(t, &fake{}, &fake{}).runAll(ctx))
}

func TestPrivilegesOfAllProbesAreKept(t *testing.T) {
	a := agentWith(t, &fake{needs: []cap.Value{cap.SYS_PTRACE}}, &fake{needs: []cap.Value{cap.BPF, cap.SYS_PTRACE}})
	assert.ElementsMatch(t, []cap.Value{cap.BPF, cap.SYS_PTRACE}, a.keeps())
}
