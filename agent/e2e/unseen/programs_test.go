package unseen

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// python responds to each request with its own name. After a request for /go it
// executes the program that it was given, which continues with the same
// listening socket.
const python = `import os, socket, sys

name, place, following = os.path.basename(sys.argv[0])[:-3], sys.argv[1], sys.argv[2:]
if "LISTENER" in os.environ:
    listener = socket.socket(fileno=int(os.environ["LISTENER"]))
elif place.startswith("/"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
else:
    host, port = place.split(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, int(port)))
listener.listen(64)
listener.set_inheritable(True)
while True:
    conn, _ = listener.accept()
    head = conn.recv(4096)
    body = name.encode()
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    conn.close()
    if b"/go " in head and following:
        os.environ["LISTENER"] = str(listener.fileno())
        os.execv(following[0], following)
`

// perl is the same in another language. It continues with what it inherits.
const perl = `#!/usr/bin/perl
use Socket;
open(my $listener, '+<&=', $ENV{LISTENER}) or die "inherit: $!";
while (1) {
	accept(my $conn, $listener) or next;
	sysread($conn, my $head, 4096);
	syswrite($conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ngamma");
	close $conn;
}
`

// who requests a path, and returns the name in the response.
func who(address, path string) (string, error) {
	c, err := net.Dial(network(address), address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(harness.Slow(10 * time.Second)))
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path); err != nil {
		return "", err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r.Body)
	return string(body), err
}

// names holds the names that answered at an address.
type names struct {
	address string
	truth   map[string]string // path → name
}

// ask sends a request as soon as a server answers.
func (n *names) ask(t *testing.T, path string) {
	t.Helper()
	harness.Eventually(t, waitForLast, "an answer to "+path, func() bool {
		name, err := who(n.address, path)
		if err == nil && name != "" {
			n.truth[path] = name
		}
		return err == nil && name != ""
	})
}

// askAll sends requests for a while, during which the agent checks its known
// processes again.
func (n *names) askAll(t *testing.T, prefix string) {
	for i := range 10 {
		n.ask(t, fmt.Sprintf("%s/%d", prefix, i))
		time.Sleep(20 * time.Millisecond)
	}
}

// check compares the names in the records with those in the answers.
func (n *names) check(t *testing.T, all []harness.Record) {
	found := map[string]string{}
	for _, r := range all {
		if r.Local == local(n.address) {
			// The part after the colon distinguishes servers of one program.
			found[r.Path], _, _ = strings.Cut(r.Service, ":")
		}
	}
	assert.Equal(t, n.truth, found)
}

// places returns addresses of a program on TCP and on a unix socket.
func places(t *testing.T) (addresses []string) {
	return []string{harness.FreeAddress(t), filepath.Join(harness.OpenDir(t), "s")}
}

func scripts(t *testing.T) (alpha, beta, gamma string) {
	dir := harness.OpenDir(t)
	alpha, beta, gamma = filepath.Join(dir, "alpha.py"), filepath.Join(dir, "beta.py"), filepath.Join(dir, "gamma.pl")
	for file, text := range map[string]string{alpha: python, beta: python, gamma: perl} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
	}
	return alpha, beta, gamma
}

// TestProgramsInTheSameProcess has servers that execute another program while
// they serve: another script of the same interpreter, or of a different one.
func TestProgramsInTheSameProcess(t *testing.T) {
	interpreter := "/usr/bin/python3"
	alpha, beta, gamma := scripts(t)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		var all []*names
		for _, next := range [][]string{{interpreter, beta, "-"}, {harness.Installed(t, "perl"), gamma}} {
			for _, address := range places(t) {
				n := &names{address, map[string]string{}}
				all = append(all, n)
				harness.Start(t, exec.Command(interpreter, append([]string{alpha, address}, next...)...))
				n.ask(t, "/before")
				time.Sleep(300 * time.Millisecond) // it is known by its first name
				n.ask(t, "/go")
				n.askAll(t, "/after")
				assert.NotContains(t, n.truth["/after/0"], "alpha")
			}
		}
		time.Sleep(time.Second)
		records := trace.Finish()
		for _, n := range all {
			n.check(t, records)
		}
	})
}

// startAs starts a program with a process id that another process had, unless a
// third process takes the id first.
func startAs(t *testing.T, pid int, cmd *exec.Cmd) *harness.Process {
	require.NoError(t, os.WriteFile("/proc/sys/kernel/ns_last_pid", fmt.Append(nil, pid-1), 0o644))
	return harness.Start(t, cmd)
}

// TestProcessIDsUsedAgain ends a server and starts another one with the same
// process id.
func TestProcessIDsUsedAgain(t *testing.T) {
	const tries = 50
	interpreter := "/usr/bin/python3"
	alpha, beta, _ := scripts(t)
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan)
		var all []*names
		for i, address := range places(t) {
			n := &names{address, map[string]string{}}
			all = append(all, n)
			again := false
			for try := 0; try < tries && !again; try++ {
				_ = os.Remove(address)
				first := harness.Start(t, exec.Command(interpreter, alpha, address))
				n.ask(t, fmt.Sprintf("/before/%d", try))
				time.Sleep(300 * time.Millisecond) // it is known by its name
				first.Kill()
				_ = os.Remove(address)
				second := startAs(t, first.PID(), exec.Command(interpreter, beta, address))
				if again = second.PID() == first.PID(); again {
					n.askAll(t, fmt.Sprintf("/after%d", i))
				} else {
					second.Kill()
				}
			}
			require.True(t, again, "the process id was not used again")
		}
		time.Sleep(time.Second)
		records := trace.Finish()
		for _, n := range all {
			n.check(t, records)
			assert.True(t, strings.Contains(fmt.Sprint(n.truth), "beta"))
		}
	})
}
