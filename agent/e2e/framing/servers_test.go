package framing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// fact is what the agent must print about one request to a real server.
type fact struct {
	local, path string
	method      string // GET if empty
	status      int
	least, most time.Duration // of the duration
	read        bool          // the duration without queue is compared
	bytes       int           // of the response; 0: any
	failed      bool
	part        string // blocked or produce: the part with at least 80 % of write_back
	check       func(t *testing.T, r harness.Record)
}

// scene is a real server with what it needs, and its clients.
type scene struct {
	name string
	// start starts the server and returns the addresses it listens on. They are
	// known before the agent starts.
	start func(t *testing.T, dir string) (addresses []string)
	// play sends requests and returns what must be printed. The paths are
	// different for each plan.
	play func(t *testing.T, dir string, addresses []string) []fact
}

// started is a scene whose servers are running.
type started struct {
	scene
	dir       string
	addresses []string
}

// TestServers plays all scenes at once, with each probe plan.
func TestServers(t *testing.T) {
	var all []started
	for _, s := range scenes() {
		dir := harness.OpenDir(t)
		all = append(all, started{s, dir, s.start(t, dir)})
	}
	for _, s := range all {
		harness.Eventually(t, 20*time.Second, s.name+" listening", func() bool { return harness.Listens(s.addresses[0]) })
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		var args []string
		for _, s := range all {
			for _, a := range s.addresses {
				args = append(args, "--port", harness.Port(t, a))
			}
		}
		trace := harness.StartTrace(t, plan, args...)
		var mu sync.Mutex
		var wanted []fact
		t.Run("scene", func(t *testing.T) {
			for _, s := range all {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					facts := s.play(t, s.dir, s.addresses)
					mu.Lock()
					wanted = append(wanted, facts...)
					mu.Unlock()
					judge(t, trace, facts)
				})
			}
		})
		nothingElse(t, trace.Finish(), wanted)
		nothingLost(t, trace)
	})
}

func scenes() []scene {
	return slices.Concat(proxyScenes(), slowScenes(), requestScenes())
}

// recordsWithin is the longest wait for records. Those of the first calls of a
// process can be held back for five seconds.
const recordsWithin = 8 * time.Second

// judge waits for the records of the facts and compares them.
func judge(t *testing.T, trace *harness.Trace, facts []fact) {
	t.Helper()
	harness.Within(recordsWithin, func() bool {
		return !slices.ContainsFunc(facts, func(f fact) bool { return len(trace.Records(f.is)) == 0 })
	})
	for _, f := range facts {
		records := trace.Records(f.is)
		if !assert.Equal(t, 1, len(records), "records of %s at %s with status %d", f.path, f.local, f.status) {
			t.Logf("at this address:\n%s", strings.Join(linesOf(trace.Records(harness.At(f.local))), "\n"))
			continue
		}
		f.judge(t, records[0])
		if t.Failed() {
			t.Logf("printed: %s", records[0].Line)
		}
	}
}

func (f fact) is(r harness.Record) bool {
	method := f.method
	if method == "" {
		method = "GET"
	}
	return r.Local == f.local && r.Path == f.path && r.Method == method && r.Status == f.status
}

func (f fact) judge(t *testing.T, r harness.Record) {
	t.Helper()
	assert.Equal(t, f.failed || f.status >= 500, r.Error != "", "%s: failed", f.path)
	if f.bytes > 0 {
		assert.Equal(t, uint64(f.bytes), value(r.ResponseBytes), "%s: response_bytes", f.path)
	}
	late := harness.Slow(max(ms(30), f.most/20))
	d := duration(r.Duration)
	if f.read {
		d -= duration(r.Queue)
	}
	if f.most > 0 {
		assert.True(t, d >= f.least-late && d <= f.most+late, "%s took %s, want %s to %s", f.path, d, f.least, f.most)
	}
	shares := map[string]time.Duration{"blocked": duration(r.Blocked), "produce": duration(r.Produce)}
	if f.part != "" {
		assert.GreaterOrEqual(t, shares[f.part], duration(r.WriteBack)*8/10, "%s: %s of a write_back of %s", f.path, f.part, duration(r.WriteBack))
	}
	if f.part == "produce" {
		assert.True(t, r.Has("streamed"), "%s: flag streamed", f.path)
	}
	if f.check != nil {
		f.check(t, r)
	}
}

// nothingElse checks that every record belongs to a request that was sent.
func nothingElse(t *testing.T, records []harness.Record, facts []fact) {
	t.Helper()
	assert.Equal(t, len(facts), len(records), "records in all")
	for _, r := range records {
		assert.True(t, slices.ContainsFunc(facts, func(f fact) bool { return f.is(r) }), "nobody asked for this: %s", r.Line)
	}
}

func linesOf(records []harness.Record) (lines []string) {
	for _, r := range records {
		lines = append(lines, r.Line)
	}
	return lines
}

// write writes a file into the directory. Each @NAME@ is replaced by the value
// that follows the name in pairs.
func write(t *testing.T, dir, name, content string, pairs ...string) string {
	t.Helper()
	for i, p := range pairs {
		if i%2 == 0 {
			pairs[i] = "@" + p + "@"
		}
	}
	path := filepath.Join(dir, name)
	content = strings.NewReplacer(append(pairs, "@DIR@", dir)...).Replace(content)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// run starts a server in the directory.
func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(harness.Installed(t, program), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	harness.Start(t, cmd)
}

// python is the interpreter of the distribution, which has the packaged
// modules.
const python = "/usr/bin/python3"

// counter makes the paths of all plans and attempts different.
var counter struct {
	sync.Mutex
	n int
}

func unique(path string) string {
	counter.Lock()
	defer counter.Unlock()
	counter.n++
	return fmt.Sprintf("%s/%d", path, counter.n)
}
