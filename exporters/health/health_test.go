package health

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/stitch"
	"lapwing/probes/socket"
)

// TestTableIsWhole checks what every exporter relies on.
func TestTableIsWhole(t *testing.T) {
	keys, metrics := map[string]bool{}, map[string]bool{}
	for _, c := range Table {
		assert.Regexp(t, regexp.MustCompile(`^[a-z_]+$`), c.Key)
		assert.False(t, keys[c.Key], "%s stands twice", c.Key)
		keys[c.Key] = true
		assert.True(t, strings.HasSuffix(c.Help, "."), "the help of %s is no sentence", c.Key)
		assert.LessOrEqual(t, len(c.By), 2, c.Key)
		assert.False(t, c.Apart && len(c.By) != 2, c.Key)
		if c.Metric != "" {
			assert.True(t, strings.HasPrefix(c.Metric, "lapwing.agent."), c.Metric)
			assert.False(t, metrics[c.Metric], "%s stands twice", c.Metric)
			metrics[c.Metric] = true
			assert.NotEmpty(t, c.Unit, c.Key)
		}
		for _, cause := range c.Causes {
			assert.True(t, strings.HasSuffix(cause.Help, "."), "the help of %s is no sentence", cause.Name)
			assert.True(t, c.read != nil || cause.read != nil, "%s %s is read nowhere", c.Key, cause.Name)
		}
		assert.True(t, c.read != nil || len(c.Causes) > 0, "%s is read nowhere", c.Key)
	}
}

// TestEverySourceIsRead gives every source a number of its own and expects it
// in the right place.
func TestEverySourceIsRead(t *testing.T) {
	h := Read(&Sources{
		Kernel: socket.Stats{LostRing: 1, LostEvents: 2, LostUnknown: 3, LostTable: 4, LostCalls: 5, Malformed: 6, Skipped: 7,
			MissedQueued: 8, MissedProgress: 9, LostAccept: 34, LostCaller: 35, LostThread: 36},
		Assembled: assemble.Counts{Requests: 10, Incomplete: 11, Tunnels: 12, LostEvents: 1, Desynced: 13, Overflowed: 14, InFlight: 15,
			Undecided: 16, HeadsCut: 17, Unpaired: 18, Unknown: map[string]uint64{"tls": 19},
			Abandoned: map[string]map[string]uint64{"127.0.0.1:80": {"not_read": 20}, "unix:/a": {"not_read": 21, "client_reset": 0}}},
		Joins: stitch.Counts{
			Requests: stitch.Tally{Joined: 22, Unjoined: map[string]uint64{"late": 23}},
			Calls:    stitch.Tally{Joined: 24, Unjoined: map[string]uint64{"late": 25}},
		},
		Asked:   patience.Counts{Late: 26, Refused: 27, Busy: 28, Stuck: 29},
		Markers: map[string]uint64{"no_answer": 30},
		Calls:   map[string]uint64{"execve": 33},
		Pools:   map[string]uint64{"too_many_services": 31},
		Dropped: map[string]map[string]uint64{"otlp": {"queue_full": 32}},
	})
	raw, err := json.Marshal(h.Account())
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"requests": 10, "incomplete": 11, "heads_cut": 17, "probe_runs_skipped": 7, "in_flight": 15, "tunnels": 12, "unpaired": 18,
		"lost": {"ring_full": 1, "ring_full_events": 2, "malformed": 6, "table_full": 4, "framing_lost": 13, "too_many_open": 14, "not_named": 16},
		"forgotten": {"accept": 34, "caller": 35, "thread": 36},
		"missed_start": {"queued": 8, "in_progress": 9}, "unknown": {"tls": 19, "ring_full": 3}, "abandoned": {"not_read": 41},
		"markers_refused": {"no_answer": 30}, "syscalls_refused": {"execve": 33}, "unanswered": {"late": 26, "left_alone": 27, "others_hold_up": 28}, "helpers_stuck": 29,
		"pools_left_out": {"too_many_services": 31}, "joined": 22, "unjoined": {"late": 23}, "calls_joined": 24,
		"calls_unjoined": {"late": 25, "ring_full": 5}, "dropped": {"otlp": {"queue_full": 32}}
	}`, string(raw))
	assert.Equal(t, map[string]uint64{"not_read": 20}, h.Scopes(Abandoned)["127.0.0.1:80"])
	assert.Len(t, h.Sorted(Abandoned), 2, "what did not happen is left out")
}

func TestNothingWasRead(t *testing.T) {
	var h Health
	assert.Zero(t, h.Total(Lost))
	assert.Empty(t, h.Causes(Lost))
	assert.Len(t, h.Account(), len(Table))
}

func TestPhrases(t *testing.T) {
	assert.Equal(t, "1 tunnel", Phrase(1, Tunnels.Short))
	assert.Equal(t, "2 skipped probe runs", Phrase(2, Skipped.Short))
	assert.Equal(t, "1 incomplete", Phrase(1, Incomplete.Short))
	assert.Equal(t, "see security now", plain("see [security](security.md#a) `now`"))
}
