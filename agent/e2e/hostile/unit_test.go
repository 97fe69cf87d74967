package hostile

import (
	"debug/elf"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// asUnit does what systemd does for the unit, as far as a test can: a user with
// only the four capabilities, a /proc that shows processes of others only to
// those who may trace them, a port opened in advance if there is one, and the
// system calls that the unit allows.
const asUnit = `mount -t proc -o hidepid=2 proc /proc && export LISTEN_PID=$$ &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
	--inh-caps=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search \
	--bounding-set=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search \
	--ambient-caps=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search "$@"`

// TestAsTheUnit checks that the packaged units allow what the agent needs. The
// agent measures servers of other users, in other networks, is scraped, marks
// the calls of applications, reports that it is ready, and keeps the watchdog
// quiet.
func TestAsTheUnit(t *testing.T) {
	for name, tt := range map[string]struct {
		files   []string
		unshare []string
	}{
		"plain":  {[]string{"lapwing.service"}, []string{"--mount"}},
		"closed": {[]string{"lapwing.service", "lapwing.service.d/closed.conf"}, []string{"--mount", "--net"}},
	} {
		t.Run(name, func(t *testing.T) {
			closed := len(tt.files) > 1
			server := startServers(t, "shopfront")[0]
			application := startMarked(t)
			told := notifications(t)
			env := append(unitEnv(t, tt.files...), "PATH="+os.Getenv("PATH"), "NOTIFY_SOCKET="+told.path, "WATCHDOG_USEC=800000", harness.KillEnv())
			metrics := harness.FreeAddress(t)
			var files []*os.File
			if closed {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer listener.Close()
				port, err := listener.(*net.TCPListener).File()
				require.NoError(t, err)
				metrics, files, env = listener.Addr().String(), []*os.File{port}, append(env, "LISTEN_FDS=1")
			}
			args := append(slices.Clone(tt.unshare), "sh", "-c", asUnit, "sh", harness.Executable(t), harness.Lapwing(t), "run", "--prometheus-listen", metrics)
			cmd := exec.Command("unshare", args...)
			cmd.ExtraFiles, cmd.Env = files, env
			agent := harness.Start(t, cmd)
			told.await(t, "READY=1")
			ask(t, "http://"+server+"/")
			for range 3 {
				told.await(t, "WATCHDOG=1")
			}
			application.awaitMark(t, agent)
			var page string
			harness.Eventually(t, 20*time.Second, "the request and the process in a scrape", func() bool {
				page, _, _ = harness.Scrape(metrics)
				return seenWhole.MatchString(page)
			})
			assert.NotContains(t, page, "lapwing_agent_markers_refused_total{")
			require.NoError(t, agent.Stop(), agent.Stderr())
			told.await(t, "STOPPING=1")
			for _, complaint := range []string{"level=WARN", "level=ERROR"} {
				assert.NotContains(t, agent.Stderr(), complaint)
			}
		})
	}
}

// seenWhole matches if the worker and the process of the server could be
// inspected.
var seenWhole = regexp.MustCompile(`(?ms)^lapwing_workers\{service_name="shopfront.*^process_memory_usage_bytes\{[^}]*service_name="shopfront`)

// marked is a server whose call of the application can be marked. Its user lets
// no other user read its program.
type marked struct {
	*harness.Process
	address int64
	code    [16]byte
}

const markedUser = 65533

func startMarked(t *testing.T) *marked {
	t.Helper()
	dir := harness.OpenDir(t)
	program := filepath.Join(dir, "refserver")
	raw, err := os.ReadFile(harness.RefServer(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, raw, 0o700))
	require.NoError(t, os.Chown(program, markedUser, markedUser))
	listen := harness.FreeAddress(t)
	p := harness.StartAs(t, exec.Command(program, "--arch", "prefork", "--listen", listen, "--truth", filepath.Join(dir, "truth")), markedUser)
	harness.AwaitListener(t, p, listen)
	file, err := elf.Open(program)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.Symbols()
	require.NoError(t, err)
	m := &marked{Process: p}
	for _, s := range symbols {
		if s.Name == "lapwing/cmd/refserver/app.Serve" {
			m.address = int64(s.Value)
		}
	}
	require.NotZero(t, m.address)
	m.code = m.read(t)
	return m
}

// read reads the code at the place of the marker.
func (m *marked) read(t *testing.T) (code [16]byte) {
	t.Helper()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", m.PID()))
	require.NoError(t, err)
	defer memory.Close()
	_, err = memory.ReadAt(code[:], m.address)
	require.NoError(t, err)
	return code
}

// awaitMark waits until the agent reports that it has set markers and the code
// has changed. The code alone is not enough, because another agent on the
// machine may have marked it.
func (m *marked) awaitMark(t *testing.T, agent *harness.Process) {
	t.Helper()
	harness.Eventually(t, 20*time.Second, "a mark", func() bool {
		require.False(t, agent.Exited(), agent.Stderr())
		return setMarks.MatchString(agent.Stderr()) && m.read(t) != m.code
	})
}

var setMarks = regexp.MustCompile(`"processes searched for markers" files=\d+ markers=[1-9]`)

// notified is what a service reported to its manager.
type notified struct {
	path string
	seen chan string
}

func notifications(t *testing.T) *notified {
	t.Helper()
	n := &notified{path: filepath.Join(t.TempDir(), "notify"), seen: make(chan string, 1024)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, os.Chmod(n.path, 0o777))
	go func() {
		buf := make([]byte, 4096)
		for {
			size, err := conn.Read(buf)
			if err != nil {
				return
			}
			select {
			case n.seen <- string(buf[:size]):
			default: // no test waits for that many
			}
		}
	}()
	return n
}

func (n *notified) await(t *testing.T, state string) {
	t.Helper()
	var others []string
	for deadline := time.After(harness.Slow(20 * time.Second)); ; {
		select {
		case got := <-n.seen:
			if strings.Contains(got, state) {
				return
			}
			others = append(others, got)
		case <-deadline:
			require.Fail(t, "the agent did not say "+state, "but %v", others)
		}
	}
}
