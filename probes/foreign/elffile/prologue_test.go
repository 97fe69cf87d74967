package elffile

import (
	"debug/elf"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		machine elf.Machine
		code    string
		want    uint64
		cheap   bool
	}{
		"push":                    {elf.EM_X86_64, "55 4889e5", 0, true},
		"push of a new register":  {elf.EM_X86_64, "4154 4189d4 55 53", 0, true},
		"branch tracking":         {elf.EM_X86_64, "f30f1efa 55 4889e5", 4, true},
		"nginx":                   {elf.EM_X86_64, "488b4708 488b4050 48c7403800000000 0fb6871a050000 a804 742a", 25, true},
		"room on the stack":       {elf.EM_X86_64, "4883ec18 e800000000 c3", 4, true},
		"a call through memory":   {elf.EM_X86_64, "4883ec18 ff5010 55", 0, false},
		"nothing to emulate":      {elf.EM_X86_64, "48ffc0 c3 55", 0, false},
		"no code at all":          {elf.EM_X86_64, "0606060606", 0, false},
		"Go, small frame":         {elf.EM_X86_64, "493b6610 762d 55 4889e5", 6, true},
		"Go, small, far branch":   {elf.EM_X86_64, "493b6610 0f8600010000 55 4889e5", 10, true},
		"Go, large frame":         {elf.EM_X86_64, "4c8d6424c0 4d3b6610 0f86bc020000 55 4889e5", 15, true},
		"Go, larger frame":        {elf.EM_X86_64, "4c8da42400ffffff 4d3b6610 0f86bc020000 55 4889e5", 18, true},
		"cut":                     {elf.EM_X86_64, "4c8d6424", 0, false},
		"nothing":                 {elf.EM_X86_64, "", 0, false},
		"arm64, Go, small frame":  {elf.EM_AARCH64, "900b40f9 ff6330eb e9010054 fe0f1ef8", 12, true},
		"arm64, Go, large frame":  {elf.EM_AARCH64, "900b40f9 f10301d1 3f0210eb e9010054 fe0f1ef8", 16, true},
		"arm64, C":                {elf.EM_AARCH64, "fd7bbea9 fd030091 e9010054", 0, true},
		"arm64, a load alone":     {elf.EM_AARCH64, "900b40f9 fd7bbea9", 0, true},
		"arm64, cut":              {elf.EM_AARCH64, "900b", 0, true},
		"a machine without rules": {elf.EM_RISCV, "f30f1efa", 0, true},
	} {
		raw, err := hex.DecodeString(strings.ReplaceAll(tt.code, " ", ""))
		require.NoError(t, err, name)
		at, cheap := place(tt.machine, raw)
		require.Equal(t, tt.want, at, name)
		require.Equal(t, tt.cheap, cheap, name)
	}
}

// FuzzPlace checks that a probe is placed in the code that was looked at, or at its end.
func FuzzPlace(f *testing.F) {
	for _, code := range []string{"55 4889e5", "f30f1efa 55 4889e5", "4c8da42400ffffff 4d3b6610 0f86bc020000 55", "4883ec18 ff5010 55", "900b40f9 ff6330eb 09000054"} {
		raw, err := hex.DecodeString(strings.ReplaceAll(code, " ", ""))
		require.NoError(f, err)
		f.Add(uint16(elf.EM_X86_64), raw)
		f.Add(uint16(elf.EM_AARCH64), raw)
	}
	f.Fuzz(func(t *testing.T, machine uint16, code []byte) {
		at, _ := place(elf.Machine(machine), code)
		assert.LessOrEqual(t, at, uint64(len(code)), "the place is behind the end of the code")
	})
}
