package servers

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/service"
	"lapwing/probes/socket/survey"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// standing is a started server.
type standing struct {
	server
	at      place
	process *harness.Process
	leftOut string // why it was not started
}

// TestServers runs real servers with twice as many clients as they have
// workers.
func TestServers(t *testing.T) {
	servers := startAll(t, allServers())
	var table table
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, portsOf(t, servers)...)
		for _, s := range servers {
			t.Run(s.name, func(t *testing.T) {
				table.add(s.play(t, trace, string(plan)))
			})
		}
		nothingElse(t, trace.Finish())
	})
	table.write(t)
}

// startAll starts all servers at once and waits until they listen. If one does
// not listen, its row fails.
func startAll(t *testing.T, rows []server) (all []*standing) {
	t.Helper()
	for _, row := range rows {
		s := &standing{server: row, leftOut: row.leftOut(t)}
		all = append(all, s)
		if s.leftOut == "" {
			s.start(t)
		}
	}
	for _, s := range all {
		if s.leftOut == "" {
			harness.Within(20*time.Second, func() bool { return s.process.Exited() || harness.Listens(s.at.address) })
		}
	}
	t.Cleanup(func() { stopAll(all) })
	return all
}

// stopAll ends all servers at once. Some take long to end, which is not tested
// here.
func stopAll(all []*standing) {
	running := func(s *standing) bool { return s.process != nil && !s.process.Exited() }
	for _, s := range all {
		if running(s) {
			s.process.Signal(syscall.SIGTERM)
		}
	}
	harness.Within(2*time.Second, func() bool { return !slices.ContainsFunc(all, running) })
	for _, s := range all {
		if running(s) {
			s.process.Kill()
		}
	}
}

// start starts the server in a directory of its own, on a free port.
func (s *standing) start(t *testing.T) {
	t.Helper()
	s.at = place{dir: harness.OpenDir(t), address: harness.FreeAddress(t)}
	writeFiles(t, s.at, append(s.files, file{applicationLog, ""}))
	if s.behind != nil {
		start(t, s.at, s.behind)
	}
	s.process = start(t, s.at, s.command, s.adds...)
}

// start starts a program in the directory of a server.
func start(t *testing.T, at place, command func(place) *exec.Cmd, adds ...string) *harness.Process {
	t.Helper()
	cmd := command(at)
	cmd.Args = append(cmd.Args, adds...)
	cmd.Dir = at.dir
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1")
	return harness.Start(t, cmd)
}

// named reports whether a record belongs to a service. Several servers of one
// program run at the same time. The part after the colon distinguishes them.
func named(r harness.Record, want string) bool { return service.MatchName(want, r.Service) }

func portsOf(t *testing.T, servers []*standing) (args []string) {
	t.Helper()
	for _, s := range servers {
		if s.leftOut == "" {
			args = append(args, "--port", harness.Port(t, s.at.address))
		}
	}
	return args
}

// attempts is how often a row is played until all times agree, because other
// programs can use the CPUs. Facts must be right in each attempt.
const attempts = 3

// play lets the clients of a row send requests, and checks what the agent
// printed.
func (s *standing) play(t *testing.T, trace *harness.Trace, plan string) (r result) {
	if s.leftOut != "" {
		t.Skip(s.leftOut)
	}
	require.True(t, !s.process.Exited() && harness.Listens(s.at.address), "%s does not listen at %s:\n%s", s.name, s.at.address, s.process.Stderr())
	var late []string
	for attempt := range attempts {
		run := plan + string(rune('a'+attempt))
		r, late = s.attempt(t, trace, run).judge(plan)
		if t.Failed() || len(late) == 0 {
			return r
		}
		t.Logf("%s:\n%s", run, strings.Join(late, "\n"))
	}
	assert.Empty(t, late, "times did not agree in %d attempts", attempts)
	return r
}

// attempt collects all accounts of one run.
func (s *standing) attempt(t *testing.T, trace *harness.Trace, run string) comparison {
	c := comparison{server: s.server, t: t}
	c.asked = s.askAll(t, s.at.address, run)
	ofRun := func(r harness.Record) bool { return r.Local == s.at.address && strings.Contains(r.Path, "/"+run+"-") }
	harness.Within(2*time.Second, func() bool { return len(trace.Records(ofRun)) >= requests })
	c.records = trace.Records(ofRun)
	if s.threads != noApp {
		c.worked = readWorked(t, s.at, run)
	}
	if s.flush != 0 {
		s.process.Signal(s.flush)
	}
	for _, l := range s.logs {
		c.logged = append(c.logged, readLogged(t, s.at, l, run))
	}
	return c
}
