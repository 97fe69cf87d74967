package protocol

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTraceParent(t *testing.T) {
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for name, tc := range map[string]struct {
		value       string
		ok, sampled bool
	}{
		"sampled":               {"00-" + id + "-" + span + "-01", true, true},
		"not sampled":           {"00-" + id + "-" + span + "-00", true, false},
		"unknown flags":         {"00-" + id + "-" + span + "-fe", true, false},
		"later version":         {"cc-" + id + "-" + span + "-01", true, true},
		"later version, longer": {"cc-" + id + "-" + span + "-01-what", true, true},
		"later version, glued":  {"cc-" + id + "-" + span + "-01what", false, false},
		"version 00, longer":    {"00-" + id + "-" + span + "-01-what", false, false},
		"version ff":            {"ff-" + id + "-" + span + "-01", false, false},
		"version not hex":       {"0x-" + id + "-" + span + "-01", false, false},
		"upper case":            {"00-" + strings.ToUpper(id) + "-" + span + "-01", false, false},
		"zero trace":            {"00-" + strings.Repeat("0", 32) + "-" + span + "-01", false, false},
		"zero span":             {"00-" + id + "-" + strings.Repeat("0", 16) + "-01", false, false},
		"dash missing":          {"00-" + id + "0" + span + "-01", false, false},
		"flags not hex":         {"00-" + id + "-" + span + "-0g", false, false},
		"cut":                   {"00-" + id + "-" + span + "-0", false, false},
		"empty":                 {"", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			traceID, spanID, sampled, ok := ParseTraceParent([]byte(tc.value))
			require.Equal(t, tc.ok, ok)
			assert.Equal(t, tc.sampled, sampled)
			if !ok {
				assert.Zero(t, traceID)
				assert.Zero(t, spanID)
				return
			}
			assert.Equal(t, [8]byte{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}, spanID)
			assert.Equal(t, byte(0x4b), traceID[0])
			assert.Equal(t, byte(0x36), traceID[15])
		})
	}
}
