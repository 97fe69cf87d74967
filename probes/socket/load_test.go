package socket

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
)

func TestOpenEachPlan(t *testing.T) {
	for _, plan := range []Plan{PlanSocket, PlanSyscall} {
		t.Run(string(plan), func(t *testing.T) {
			p, err := Open(Options{Plan: plan})
			var v *ebpf.VerifierError
			if errors.As(err, &v) {
				t.Logf("%+v", v)
			}
			require.NoError(t, err)
			require.NoError(t, p.Close())
		})
	}
}
