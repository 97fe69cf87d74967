package foreign

import (
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/require"
)

// TestPolicyIsWholeEverywhere checks the filter on each architecture. It is built from
// names that each architecture must have; if one were missing, there would be no reader.
func TestPolicyIsWholeEverywhere(t *testing.T) {
	for _, name := range []string{"x86_64", "arm64"} {
		info, err := arch.GetInfo(name)
		require.NoError(t, err)
		for _, group := range policy.Syscalls {
			for _, call := range group.Names {
				require.Contains(t, info.SyscallNames, call, name)
			}
			for _, call := range group.NamesWithCondtions {
				require.Contains(t, info.SyscallNames, call.Name, name)
			}
		}
	}
}
