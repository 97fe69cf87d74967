package socket

import (
	"os"
	"regexp"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVerifierLogIsKept loads a program that reads a register that was never written. The
// error names a file in which the verifier says so.
func TestVerifierLogIsKept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.TracePoint, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Reg(asm.R0, asm.R5), asm.Return()},
	})
	require.Error(t, err)
	named := regexp.MustCompile(`and the file (\S+\.log): `).FindStringSubmatch(explain(err).Error())
	require.NotEmpty(t, named, explain(err).Error())
	log, err := os.ReadFile(named[1])
	require.NoError(t, err)
	assert.Contains(t, string(log), "R5 !read_ok")
}
