package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExposureOfUnit checks systemd's exposure score of the unit, from 0 to 10:
// how much an attacker could reach through a flaw in the agent.
func TestExposureOfUnit(t *testing.T) {
	for _, tt := range []struct {
		dropIn string
		most   float64
	}{
		{"", 2.0},
		{"lapwing.service.d/closed.conf", 1.5},
	} {
		unit, err := os.ReadFile("lapwing.service")
		require.NoError(t, err)
		if tt.dropIn != "" { // later settings win, as with a drop-in
			more, err := os.ReadFile(tt.dropIn)
			require.NoError(t, err)
			unit = append(unit, more...)
		}
		file := filepath.Join(t.TempDir(), "lapwing.service")
		require.NoError(t, os.WriteFile(file, unit, 0o644))
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=100", file).CombinedOutput()
		require.NoError(t, err, string(out))
		level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		require.NotNil(t, level, string(out))
		exposure, err := strconv.ParseFloat(string(level[1]), 64)
		require.NoError(t, err)
		assert.LessOrEqual(t, exposure, tt.most, "%s%s", tt.dropIn, out)
	}
}

// TestUnitRestarts checks the settings that the agent relies on.
func TestUnitRestarts(t *testing.T) {
	unit, err := os.ReadFile("lapwing.service")
	require.NoError(t, err)
	for _, line := range []string{"Type=notify", "Restart=always", "WatchdogSec=30", "DynamicUser=yes", "NoNewPrivileges=yes", "ProtectProc=invisible"} {
		assert.Regexp(t, `(?m)^`+line+`$`, string(unit))
	}
}

// TestUnitsAreWellFormed checks the units with systemd.
func TestUnitsAreWellFormed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"lapwing.service", "lapwing.socket"} {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		// The unit's own binary would have to be installed.
		raw = regexp.MustCompile(`/usr/bin/lapwing|/bin/kill`).ReplaceAll(raw, []byte("/bin/true"))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, "lapwing.service"), filepath.Join(dir, "lapwing.socket")).CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out))
}
