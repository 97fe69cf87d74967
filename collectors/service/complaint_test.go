package service

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listeners makes the test process a server, at a TCP port and a unix socket.
func listeners(t *testing.T) (port uint16, path string) {
	t.Helper()
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = tcp.Close() })
	path = filepath.Join(t.TempDir(), "s.sock")
	unix, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close() })
	return uint16(tcp.Addr().(*net.TCPAddr).Port), path
}

func TestServersOfThisHost(t *testing.T) {
	port, path := listeners(t)
	r, err := New(Options{})
	require.NoError(t, err)
	all, err := r.Servers()
	require.NoError(t, err)
	found := map[string]bool{}
	for _, s := range all {
		if s.PID == uint32(os.Getpid()) {
			found[fmt.Sprint(s.Port, s.Path)] = true
			require.NotEmpty(t, s.Name)
		}
	}
	require.True(t, found[fmt.Sprint(port, "")], "%v", found)
	require.True(t, found["0"+path], "%v", found)
}

func TestComplaints(t *testing.T) {
	port, _ := listeners(t)
	self := uint32(os.Getpid())
	r, err := New(Options{Rules: []Rule{{Name: "checkout", Exe: "service.test"}}})
	require.NoError(t, err)
	running, err := r.Servers()
	require.NoError(t, err)
	idle := start(t, "perl", script(t, "idle.pl", ""))
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	gone := uint32(ended.Process.Pid)

	for name, tt := range map[string]struct {
		filter   Filter
		warnings []string // the start of each
		err      string
	}{
		"all match":           {Filter{PIDs: []uint32{self}, Services: []string{"check*"}, Exes: []string{"service.test"}, Ports: []uint16{port}}, nil, ""},
		"no such process":     {Filter{PIDs: []uint32{gone}}, nil, fmt.Sprintf("no process has the PID %d, so nothing would be shown (listening now: ", gone)},
		"one of two":          {Filter{PIDs: []uint32{gone, self}}, []string{fmt.Sprintf("no process has the PID %d", gone)}, ""},
		"does not listen":     {Filter{PIDs: []uint32{uint32(idle.Process.Pid)}}, []string{fmt.Sprintf("process %d (perl) does not listen on any socket", idle.Process.Pid)}, ""},
		"no such service":     {Filter{Services: []string{"chekout"}}, []string{"no server is called chekout now: waiting for one (listening now: "}, ""},
		"one service of two":  {Filter{Services: []string{"chekout*", "checkout"}}, []string{"no server is called chekout* now"}, ""},
		"no such executable":  {Filter{Exes: []string{"/opt/*/nginx"}}, []string{"no server runs the executable /opt/*/nginx now"}, ""},
		"nobody at that port": {Filter{Ports: []uint16{1}}, []string{"nothing listens on TCP port 1 now"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.filter.Impossible(r)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.ErrorContains(t, err, fmt.Sprintf("checkout %d", self), "what could be meant")
				return
			}
			require.NoError(t, err)
			warnings := tt.filter.Complaints(r, running)
			require.Len(t, warnings, len(tt.warnings), "%v", warnings)
			for i, want := range tt.warnings {
				require.True(t, strings.HasPrefix(warnings[i], want), warnings[i])
				if strings.Contains(want, "listening now") {
					require.Contains(t, warnings[i], "checkout")
				}
			}
		})
	}
}
