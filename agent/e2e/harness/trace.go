package harness

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/survey"
)

// Trace is a running `lapwing trace --format json`.
type Trace struct {
	*Process

	mu      sync.Mutex
	records []Record
	bad     []error
	read    chan struct{} // closed when the output has ended
}

// StartTrace starts the agent and waits until its probes are attached. args are
// appended to the command line.
func StartTrace(t testing.TB, plan survey.Plan, args ...string) *Trace {
	t.Helper()
	tr := &Trace{read: make(chan struct{})}
	p, out := startAgent(t, "trace", plan, args)
	tr.Process = p
	go tr.collect(out)
	awaitAttached(t, p, plan)
	awaitMarkers(t, p, args)
	return tr
}

// startAgent starts a subcommand that prints JSON lines.
func startAgent(t testing.TB, command string, plan survey.Plan, args []string) (*Process, io.Reader) {
	t.Helper()
	args = append([]string{command, "--format", "json", "--probe-plan", string(plan)}, args...)
	cmd := exec.Command(Lapwing(t), args...)
	cmd.Env = append(os.Environ(), "LAPWING_LOG_LEVEL=info") // for awaitMarkers
	// Not a StdoutPipe: Wait would close it before the last lines were read.
	out := newSpill()
	cmd.Stdout = out
	p := Start(t, cmd)
	go func() {
		<-p.exited
		_ = out.Close()
	}()
	return p, out
}

// awaitAttached waits until the agent reports that its probes are attached.
func awaitAttached(t testing.TB, p *Process, plan survey.Plan) {
	t.Helper()
	ready := "lapwing: attached (plan " + string(plan) + ")"
	Eventually(t, 20*time.Second, "the line "+ready, func() bool {
		if strings.Contains(p.Stderr(), ready) {
			return true
		}
		if p.Exited() { // only then p.err may be read
			require.Fail(t, "the agent ended before it was attached", "%v\n%s", p.err, p.Stderr())
		}
		return false
	})
}

// awaitMarkers waits until the running processes were searched for markers,
// which the agent does after it is attached.
func awaitMarkers(t testing.TB, p *Process, args []string) {
	t.Helper()
	if slices.Contains(args, "--markers=off") {
		return
	}
	const searched = "processes searched for markers"
	Eventually(t, 20*time.Second, searched, func() bool { return p.Exited() || strings.Contains(p.Stderr(), searched) })
}

func (tr *Trace) collect(out io.Reader) {
	defer close(tr.read)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r, err := ParseRecord(lines.Bytes())
		tr.mu.Lock()
		if err != nil {
			tr.bad = append(tr.bad, err)
		}
		tr.records = append(tr.records, r)
		tr.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		tr.mu.Lock()
		tr.bad = append(tr.bad, err)
		tr.mu.Unlock()
		_, _ = io.Copy(io.Discard, out)
	}
}

// Records returns what was printed so far and satisfies keep; nil keeps all.
func (tr *Trace) Records(keep func(Record) bool) []Record {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var kept []Record
	for _, r := range tr.records {
		if keep == nil || keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// At selects the records of one listening address.
func At(address string) func(Record) bool {
	return func(r Record) bool { return r.Local == address }
}

// AwaitRecords waits until at least n records of the address were printed, and
// returns them. After the limit, it returns fewer.
func (tr *Trace) AwaitRecords(address string, n int, limit time.Duration) []Record {
	Within(limit, func() bool { return len(tr.Records(At(address))) >= n || tr.Exited() })
	return tr.Records(At(address))
}

// Finish ends the agent like a user does and returns everything that it
// printed. The agent must exit with status 0, and every line must be a valid
// record.
func (tr *Trace) Finish() []Record {
	tr.t.Helper()
	return tr.finished(tr.Stop())
}

// AwaitLimit waits until the agent ends because of its own --for or --count.
func (tr *Trace) AwaitLimit(limit time.Duration) []Record {
	tr.t.Helper()
	return tr.finished(tr.AwaitExit(limit))
}

func (tr *Trace) finished(err error) []Record {
	tr.t.Helper()
	assert.NoError(tr.t, err, "the agent must end with status 0:\n%s", tr.Stderr())
	<-tr.read
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, bad := range tr.bad {
		assert.NoError(tr.t, bad)
	}
	return tr.records
}
