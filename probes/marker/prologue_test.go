package marker

import (
	"debug/elf"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrologues(t *testing.T) {
	for name, tt := range map[string]struct {
		machine elf.Machine
		code    string
		want    uint64
	}{
		"C":                       {elf.EM_X86_64, "415441 89d4 55 53", 0},
		"C, branch tracking":      {elf.EM_X86_64, "f30f1efa 55", 4},
		"Go, small frame":         {elf.EM_X86_64, "493b6610 762d 55", 6},
		"Go, small, far branch":   {elf.EM_X86_64, "493b6610 0f8600010000 55", 10},
		"Go, large frame":         {elf.EM_X86_64, "4c8d6424c0 4d3b6610 0f86bc020000 55", 15},
		"Go, larger frame":        {elf.EM_X86_64, "4c8da42400ffffff 4d3b6610 0f86bc020000 55", 18},
		"a compare alone":         {elf.EM_X86_64, "493b6610 55", 0},
		"cut":                     {elf.EM_X86_64, "4c8d6424", 0},
		"nothing":                 {elf.EM_X86_64, "", 0},
		"arm64, Go, small frame":  {elf.EM_AARCH64, "900b40f9 ff6330eb e9010054 fe0f1ef8", 12},
		"arm64, Go, large frame":  {elf.EM_AARCH64, "900b40f9 f10301d1 3f0210eb e9010054 fe0f1ef8", 16},
		"arm64, C":                {elf.EM_AARCH64, "fd7bbea9 fd030091 e9010054", 0},
		"arm64, a load alone":     {elf.EM_AARCH64, "900b40f9 fd7bbea9", 0},
		"arm64, cut":              {elf.EM_AARCH64, "900b", 0},
		"a machine without rules": {elf.EM_RISCV, "f30f1efa", 0},
	} {
		code := make([]byte, 0, maxPrologue)
		for _, c := range tt.code {
			if c != ' ' {
				code = append(code, byte(c))
			}
		}
		raw, err := hex.DecodeString(string(code))
		require.NoError(t, err, name)
		require.Equal(t, tt.want, prologue(tt.machine, raw), name)
	}
}
