package service

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// start runs a program that prints a line when it is ready, and ends it with the
// test. Every Debian and Ubuntu has Perl.
func start(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the process did not become ready")
	return cmd
}

// script writes a Perl program that does setup, reports it and waits.
func script(t *testing.T, name, setup string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	code := setup + "\n$| = 1; print \"ready\\n\"; sleep 60;\n"
	require.NoError(t, os.WriteFile(file, []byte(code), 0o644))
	return file
}

// TestRealProcesses looks at programs that run now, in whatever control group the
// test runs: Kind does not depend on it.
func TestRealProcesses(t *testing.T) {
	r, err := New(Options{Host: "here"})
	require.NoError(t, err)

	plain := start(t, "perl", "-w", script(t, "storefront.pl", ""))
	require.Equal(t, "storefront", r.Lookup(uint32(plain.Process.Pid), "perl").Kind)

	titled := start(t, "perl", script(t, "anything.pl", `$0 = "shopd: worker 3";`))
	require.Equal(t, "shopd", r.Lookup(uint32(titled.Process.Pid), "perl").Kind)

	self := r.Lookup(uint32(os.Getpid()), "")
	exe, err := os.Executable()
	require.NoError(t, err)
	require.Equal(t, exe, self.Exe)
}

func TestRealListeningPort(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)

	r, err := New(Options{Rules: []Rule{{Name: "mine", Port: port}}})
	require.NoError(t, err)
	require.Equal(t, "mine", r.Lookup(uint32(os.Getpid()), "").Name)

	other := start(t, "perl", script(t, "other.pl", ""))
	require.NotEqual(t, "mine", r.Lookup(uint32(other.Process.Pid), "").Name,
		"the port belongs to another process of the same namespace")
}

// startPrinting runs a program whose first line is the id of a process, which ends
// with the test.
func startPrinting(t *testing.T, name string, args ...string) uint32 {
	t.Helper()
	return printedPID(t, exec.Command(name, args...))
}

func printedPID(t *testing.T, cmd *exec.Cmd) uint32 {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the process did not say its id")
	return uint32(atoi(t, line))
}

// TestRealWorkersShareTheirMaster forks as prefork servers do. The worker ends when
// the master closes its end of the pipe.
func TestRealWorkersShareTheirMaster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pool.pl")
	require.NoError(t, os.WriteFile(file, []byte(`
		$| = 1;
		pipe(my $wait, my $hold);
		my $worker = fork;
		if (!$worker) { close $hold; $0 = "pool: worker"; <$wait>; exit; }
		$0 = "pool: master";
		print "$worker\n";
		sleep 60;
	`), 0o644))
	master := exec.Command("perl", file)
	worker := printedPID(t, master)

	r, err := New(Options{Host: "here"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r.Forget(worker)
		return r.Lookup(worker, "").Kind == "pool"
	}, 10*time.Second, 10*time.Millisecond, "the worker did not set its title")
	id := r.Lookup(worker, "")
	require.Equal(t, uint32(master.Process.Pid), id.Master)
	require.Equal(t, r.Lookup(uint32(master.Process.Pid), "").Instance, id.Instance)
}

func TestRefreshSeesAnExecAndAnEnd(t *testing.T) {
	r, err := New(Options{})
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", "read go; exec perl -e 'sleep 60'")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	pid := uint32(cmd.Process.Pid)

	before := r.Lookup(pid, "")
	r.Refresh()
	require.Same(t, before, r.Lookup(pid, ""), "nothing changed")

	_, err = in.Write([]byte("\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		r.Refresh()
		return r.Lookup(pid, "").Kind == "perl"
	}, 10*time.Second, 10*time.Millisecond, "the exec was not noticed")

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	held := r.Lookup(pid, "")
	r.Refresh()
	require.Same(t, held, r.Lookup(pid, ""), "late records still find their server")
	r.Refresh()
	require.Zero(t, r.Len())
	require.Equal(t, FromComm, r.Lookup(pid, "sh").Source)
}
