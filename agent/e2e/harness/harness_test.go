package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

const sound = `{"start":"2026-01-02T03:04:05.000000006Z","method":"GET","path":"/","status":200,` +
	`"duration_ns":10,"queue_ns":1,"parse_ns":2,"app_ns":3,"write_back_ns":4,"local":"127.0.0.1:80","flags":["pipelined"]}`

func TestParseRecord(t *testing.T) {
	r, err := ParseRecord([]byte(sound))
	require.NoError(t, err)
	assert.True(t, r.Has("pipelined"), "decoded as %+v", r)
	assert.False(t, r.Has("upgraded"), "decoded as %+v", r)
	assert.Equal(t, int64(3), *r.App, "decoded as %+v", r)
	assert.Nil(t, r.Drain, "decoded as %+v", r)
	at, err := r.Arrived()
	assert.NoError(t, err)
	assert.Equal(t, 6, at.Nanosecond(), "start is %v", at)
}

func TestUnsoundRecords(t *testing.T) {
	for name, line := range map[string]string{
		"unknown field":     `{"fnord":1}`,
		"no object":         `fnord`,
		"sum is off":        strings.Replace(sound, `"app_ns":3`, `"app_ns":4`, 1),
		"negative phase":    strings.Replace(sound, `"app_ns":3`, `"app_ns":-3`, 1),
		"phase left out":    strings.Replace(sound, `"parse_ns":2,`, ``, 1),
		"duration left out": strings.Replace(sound, `"duration_ns":10,`, ``, 1),
	} {
		_, err := ParseRecord([]byte(line))
		assert.Error(t, err, "%s: taken for a sound record", name)
	}
	_, err := ParseRecord([]byte(`{"method":"GET","queue_ns":1,"parse_ns":2,"error":"connection_closed"}`))
	assert.NoError(t, err, "a request without a response")
}

// standIn replaces the agent by a shell script.
func standIn(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return path
}

// The replacement of the agent prints what its subcommand prints when it is
// told to end.
const agentScript = `
printf 'lapwing: attached (plan %s)\n' "$5" >&2
printf 'level=INFO msg="processes searched for markers" files=0 markers=0\n' >&2
finish() {
	case $1 in
	trace) printf '%s\n' "$RECORD" ;;
	top) printf '{}\n{"final":true,"services":[{"service":"a","requests":2},{"service":"b","requests":3}],"lost":{"x":1,"y":2}}\n' ;;
	esac
	exit 0
}
trap 'finish '"$1" TERM
while :; do sleep 0.05; done
`

func TestAgentIsFollowed(t *testing.T) {
	t.Setenv("LAPWING_BIN", standIn(t, agentScript))
	t.Setenv("RECORD", sound)

	trace := StartTrace(t, survey.PlanSyscall, "--port", "80")
	assert.Empty(t, trace.Records(nil), "printed before the end")
	if printed := trace.Finish(); assert.Len(t, printed, 1) {
		assert.Equal(t, "/", printed[0].Path)
	}
	assert.Len(t, trace.AwaitRecords("127.0.0.1:80", 1, time.Second), 1, "records at the address")

	totals := StartTop(t, survey.PlanSocket).Finish()
	assert.Equal(t, uint64(5), totals.Requests(), "totals are %+v", totals)
	assert.Equal(t, uint64(3), Sum(totals.Lost), "totals are %+v", totals)
}

func TestProcessEnds(t *testing.T) {
	p := Start(t, exec.Command("sh", "-c", "echo said >&2; exit 3"))
	err := p.AwaitExit(5 * time.Second)
	assert.Equal(t, 3, ExitStatus(err))
	assert.True(t, p.Exited())
	assert.Equal(t, "said\n", p.Stderr())
	killed := Start(t, exec.Command("sleep", "60"))
	killed.Kill()
	assert.Equal(t, -1, ExitStatus(killed.AwaitExit(time.Second)), "status of a killed process")
	assert.Equal(t, 0, ExitStatus(nil), "status of no error")
	assert.Equal(t, -1, ExitStatus(errors.New("other")), "status of another error")
}

func TestWithin(t *testing.T) {
	tries := 0
	assert.True(t, Within(time.Second, func() bool { tries++; return tries == 3 }),
		"a condition that holds at the third try was not met")
	assert.False(t, Within(20*time.Millisecond, func() bool { return false }), "a condition that never holds was met")
}

func TestPlansAndSlowness(t *testing.T) {
	t.Setenv("LAPWING_TEST_PLANS", " syscall ")
	assert.Equal(t, []survey.Plan{survey.PlanSyscall}, Plans(t))
	t.Setenv("LAPWING_TEST_PLANS", "")
	assert.Len(t, Plans(t), 2, "want both plans")
	for factor, want := range map[string]time.Duration{"": time.Second, "2.5": 2500 * time.Millisecond, "0.1": time.Second, "x": time.Second} {
		t.Setenv("LAPWING_TEST_SLOW", factor)
		assert.Equal(t, want, Slow(time.Second), "a second times %q", factor)
	}
}
