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
	if !r.Has("pipelined") || r.Has("upgraded") || *r.App != 3 || r.Drain != nil {
		t.Errorf("decoded as %+v", r)
	}
	at, err := r.Arrived()
	if err != nil || at.Nanosecond() != 6 {
		t.Errorf("start is %v, %v", at, err)
	}
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
		if _, err := ParseRecord([]byte(line)); err == nil {
			t.Errorf("%s: taken for a sound record", name)
		}
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
	if got := trace.Records(nil); len(got) != 0 {
		t.Errorf("printed before the end: %+v", got)
	}
	if got := trace.Finish(); len(got) != 1 || got[0].Path != "/" {
		t.Errorf("printed %+v", got)
	}
	if got := trace.AwaitRecords("127.0.0.1:80", 1, time.Second); len(got) != 1 {
		t.Errorf("%d records at the address, want 1", len(got))
	}

	totals := StartTop(t, survey.PlanSocket).Finish()
	if totals.Requests() != 5 || Sum(totals.Lost) != 3 {
		t.Errorf("totals are %+v", totals)
	}
}

func TestProcessEnds(t *testing.T) {
	p := Start(t, exec.Command("sh", "-c", "echo said >&2; exit 3"))
	err := p.AwaitExit(5 * time.Second)
	if ExitStatus(err) != 3 || !p.Exited() || p.Stderr() != "said\n" {
		t.Errorf("status %d, exited %v, stderr %q", ExitStatus(err), p.Exited(), p.Stderr())
	}
	killed := Start(t, exec.Command("sleep", "60"))
	killed.Kill()
	if status := ExitStatus(killed.AwaitExit(time.Second)); status != -1 {
		t.Errorf("status of a killed process is %d, want -1", status)
	}
	if ExitStatus(nil) != 0 || ExitStatus(errors.New("other")) != -1 {
		t.Error("status of no error must be 0, of another error -1")
	}
}

func TestWithin(t *testing.T) {
	tries := 0
	if !Within(time.Second, func() bool { tries++; return tries == 3 }) {
		t.Error("a condition that holds at the third try was not met")
	}
	if Within(20*time.Millisecond, func() bool { return false }) {
		t.Error("a condition that never holds was met")
	}
}

func TestPlansAndSlowness(t *testing.T) {
	t.Setenv("LAPWING_TEST_PLANS", " syscall ")
	if got := Plans(t); len(got) != 1 || got[0] != survey.PlanSyscall {
		t.Errorf("plans are %v, want syscall", got)
	}
	t.Setenv("LAPWING_TEST_PLANS", "")
	if got := Plans(t); len(got) != 2 {
		t.Errorf("plans are %v, want both", got)
	}
	for factor, want := range map[string]time.Duration{"": time.Second, "2.5": 2500 * time.Millisecond, "0.1": time.Second, "x": time.Second} {
		t.Setenv("LAPWING_TEST_SLOW", factor)
		if got := Slow(time.Second); got != want {
			t.Errorf("a second times %q is %s, want %s", factor, got, want)
		}
	}
}
