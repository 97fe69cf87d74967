package main

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marker is the symbol whose uprobe marks the call of the application. Agents
// know it by this name.
const marker = "lapwing/cmd/refserver/app.Serve"

func TestMarkerSymbol(t *testing.T) {
	program := filepath.Join(t.TempDir(), "refserver")
	out, err := exec.Command("go", "build", "-trimpath", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	file, err := elf.Open(program)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.Symbols()
	require.NoError(t, err)
	found := 0
	for _, s := range symbols {
		if s.Name == marker && elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 {
			found++
		}
	}
	assert.Equal(t, 1, found, "%d functions are named %s, want 1", found, marker)
}
