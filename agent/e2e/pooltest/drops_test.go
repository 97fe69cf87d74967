package pooltest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// listening is a server with its clients in a network namespace without other
// processes, so that the kernel's counts are those of its listener. It prints
// READY, starts when it receives a line, and prints the kernel's counts. It
// serves no request before its clients have done everything.
const listening = `import fcntl, json, socket, struct, sys, threading, time
defer, backlog, clients, stall = sys.argv[1] == "defer", int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1)) # lo is up
s.close()
s = socket.socket()
if defer:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
s.bind(("127.0.0.1", 8080))
s.listen(backlog)

def serve():
    while True:
        c, _ = s.accept()
        c.recv(1000)
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        c.close()

def ask():
    c = socket.socket()
    c.settimeout(4)
    try:
        c.connect(("127.0.0.1", 8080))
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        c.recv(1000)
    except OSError:
        pass
    c.close()

def counts():
    lines = [l.split()[1:] for l in open("/proc/net/netstat") if l.startswith("TcpExt:")]
    return {k: int(v) for k, v in zip(*lines)}

def waiting():
    # of the socket in state LISTEN: what its queue of receipt holds
    return max(int(l.split()[4].split(":")[1], 16) for l in open("/proc/net/tcp") if " 0A " in l)

print("READY", flush=True)
sys.stdin.readline()
full = 0
if not stall:
    threading.Thread(target=serve, daemon=True).start()
all = [threading.Thread(target=ask) for _ in range(clients)]
for t in all:
    t.start()
    if not stall:
        t.join()
if stall:
    time.sleep(stall)
    full = waiting()
    threading.Thread(target=serve, daemon=True).start()
for t in all:
    t.join()
print(json.dumps(dict(counts(), Waiting=full)), flush=True)
sys.stdin.readline()
`

// kernelCounts are the counts of a network namespace, and the length of its
// listener's backlog when the server started to serve.
type kernelCounts struct {
	ListenDrops, ListenOverflows, TCPDeferAcceptDrop uint64

	Waiting int
}

// listenerServer is a running server of this kind.
type listenerServer struct {
	*harness.Process
	in  io.Writer
	out *bufio.Scanner
}

func startListener(t *testing.T, args ...string) *listenerServer {
	t.Helper()
	return startScript(t, listening, args...)
}

// startScript starts a script in a network namespace of its own.
func startScript(t *testing.T, script string, args ...string) *listenerServer {
	t.Helper()
	cmd := exec.Command("unshare", append([]string{"--net", "python3", "-c", script}, args...)...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	reader, writer := io.Pipe()
	cmd.Stdout = writer
	s := &listenerServer{in: in, out: bufio.NewScanner(reader)}
	s.Process = harness.Start(t, cmd)
	require.True(t, s.out.Scan(), s.Stderr())
	require.Equal(t, "READY", s.out.Text())
	return s
}

// run starts the clients, and returns the kernel's counts after that.
func (s *listenerServer) run(t *testing.T) (c kernelCounts) {
	t.Helper()
	_, err := io.WriteString(s.in, "\n")
	require.NoError(t, err)
	require.True(t, s.out.Scan(), s.Stderr())
	require.NoError(t, json.Unmarshal(s.out.Bytes(), &c))
	return c
}

// TestDropsAreTheKernels compares DROPS and MAX with the kernel's own counts:
// for healthy servers with deferred accept, and for servers whose backlog
// overflows before any of their requests was seen.
func TestDropsAreTheKernels(t *testing.T) {
	rows := []struct {
		name    string
		args    string // kind, backlog, clients, stall in seconds
		backlog int
		drops   bool
		defers  bool
	}{
		{"deferred", "defer 100 100 0", 100, false, true},
		{"plain", "plain 100 100 0", 100, false, false},
		{"overflowing", "plain 2 15 1.5", 2, true, false},
		{"deferred-overflowing", "defer 2 15 1.5", 2, true, true},
	}
	config := "services:\n"
	for _, row := range rows {
		config += fmt.Sprintf("  - name: %s\n    cmdline: %q\n", row.name, " "+row.args+"$")
	}
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		servers := make([]*listenerServer, len(rows))
		for i, row := range rows {
			servers[i] = startListener(t, strings.Fields(row.args)...)
		}
		agent := harness.StartPools(t, plan, "--interval", "300ms", "--config", file)
		counted := make([]kernelCounts, len(rows))
		var asking sync.WaitGroup
		for i := range rows {
			asking.Go(func() { counted[i] = servers[i].run(t) })
		}
		asking.Wait()
		for i, row := range rows {
			p := agent.AwaitOf(harness.Slow(10*time.Second), row.name, "the kernel's count of drops", func(p harness.Pool) bool {
				return p.Overflows == counted[i].ListenDrops && p.Served > 0
			})
			assert.Equal(t, row.drops, counted[i].ListenDrops > 0, "%s: %+v", row.name, counted[i])
			assert.Equal(t, row.defers, counted[i].TCPDeferAcceptDrop > 0, "%s: %+v", row.name, counted[i])
			if row.drops {
				assert.Greater(t, counted[i].Waiting, row.backlog, row.name)
				assert.GreaterOrEqual(t, p.BacklogMax, counted[i].Waiting, row.name)
			}
		}
		final := agent.Finish()
		for i, row := range rows {
			n := slices.IndexFunc(final.Pools, func(p harness.Pool) bool { return p.Service == row.name })
			require.GreaterOrEqual(t, n, 0, row.name)
			p := final.Pools[n]
			assert.Equal(t, counted[i].ListenDrops, p.Overflows, row.name)
			// The kernel accepts one more than the limit, and concurrently one
			// more per CPU.
			assert.LessOrEqual(t, p.BacklogMax, row.backlog+runtime.NumCPU(), row.name)
		}
		assert.Zero(t, final.Host.Unattributed)
	})
}

// several is a script with four servers in one network namespace, whose
// backlogs overflow at the same time or not at all. Each SYN to a full backlog
// is sent once, because the client ends before it repeats it. Drops at the end
// of a handshake, which only deferred accept causes here, are only counted by
// the kernel.
const several = `import fcntl, json, os, socket, struct, subprocess, sys, time
s = socket.socket()
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))
s.close()
server = """import socket, sys
name, defer, backlog, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
s = socket.socket()
if defer:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
s.bind(("127.0.0.1", port))
s.listen(backlog)
print("READY", flush=True)
while defer < 2:
    if sys.stdin.readline() == "serve\\n":
        break
while True:
    c, _ = s.accept()
    c.recv(1000)
    c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    c.close()
"""
rows = [r.split(":") for r in sys.argv[1:]]
all = [subprocess.Popen([sys.executable, "-c", server] + r, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for r in rows]
for p in all:
    p.stdout.readline()

def connect(port, wait=True):
    c = socket.socket()
    c.setblocking(wait)
    c.connect_ex(("127.0.0.1", port))
    return c

def ask(port, wait=True):
    c = connect(port, wait)
    try:
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    except OSError: # there is no connection yet
        pass
    return c

def counts():
    lines = [l.split()[1:] for l in open("/proc/net/netstat") if l.startswith("TcpExt:")]
    return {k: int(v) for k, v in zip(*lines)}

def waiting():
    # of the socket in state LISTEN: what its queue of receipt holds
    return max(int(l.split()[4].split(":")[1], 16) for l in open("/proc/net/tcp") if " 0A " in l)

print("READY", flush=True)
sys.stdin.readline()
plain = [(int(b), int(p)) for _, d, b, p in rows if d == "0"]
full = [ask(p) for b, p in plain for _ in range(b + 1)]
syns = 0
deferred = []
for round in range(3):
    for n in range(20):
        for i, (_, p) in enumerate(plain):
            if n % (i + 1) == 0:
                connect(p, False).close()
        if n < 6:
            deferred += [ask(int(p), d == "2") for _, d, _, p in rows if d != "0"]
    time.sleep(0.4)
for p in all:
    p.stdin.write("serve\n")
    p.stdin.flush()
for c in full + deferred:
    c.close()
time.sleep(0.5)
for _, _, _, p in rows:
    c = ask(int(p))
    c.settimeout(20)
    c.recv(1000)
    c.close()
print(json.dumps(counts()), flush=True)
sys.stdin.readline()
for p in all:
    p.kill()
    p.wait()
`

// TestDropsOfSeveralAtOnce has two servers that overflow at the same time, a
// healthy one with deferred accept, and one with deferred accept that
// overflows.
func TestDropsOfSeveralAtOnce(t *testing.T) {
	args := []string{"first:0:2:8081", "second:0:4:8082", "well:2:100:8083", "late:1:1:8084"}
	want := map[string]uint64{"several-first": 3 * 20, "several-second": 3 * 10, "several-well": 0}
	config := "services:\n"
	for _, arg := range args {
		config += fmt.Sprintf("  - name: several-%s\n    cmdline: %q\n", arg[:strings.Index(arg, ":")], strings.ReplaceAll(arg, ":", " ")+"$")
	}
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		s := startScript(t, several, args...)
		agent := harness.StartPools(t, plan, "--interval", "300ms", "--config", file)
		counted := s.run(t)
		assert.Positive(t, counted.TCPDeferAcceptDrop)
		for _, arg := range args {
			name := "several-" + arg[:strings.Index(arg, ":")]
			agent.AwaitOf(harness.Slow(10*time.Second), name, "its requests", func(p harness.Pool) bool { return p.Served > 0 })
		}
		time.Sleep(1500 * time.Millisecond) // time for another snapshot
		final := agent.Finish()
		sum := uint64(0)
		for _, arg := range args {
			p := poolOf(t, final, "several-"+arg[:strings.Index(arg, ":")])
			sum += p.Overflows
			assert.False(t, p.OverflowsAtLeast, p.Service)
			if dropped, known := want[p.Service]; known {
				assert.Equal(t, dropped, p.Overflows, p.Service)
			} else {
				assert.Positive(t, p.Overflows, p.Service)
			}
		}
		assert.Equal(t, counted.ListenDrops, sum, "%+v", counted)
		assert.Zero(t, final.Host.Unattributed)
	})
}
