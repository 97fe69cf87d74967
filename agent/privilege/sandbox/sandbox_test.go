package sandbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// childEnv makes the test binary lock itself in and do what the value says.
const childEnv = "SANDBOX_TEST_CHILD"

func TestMain(m *testing.M) {
	what := os.Getenv(childEnv)
	if what == "" {
		os.Exit(m.Run())
	}
	if err := child(what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// report is what a child prints.
type report struct {
	Result   Result
	Errors   map[string]string // of its attempts
	Refused  map[string]uint64
	Statuses []string // of its threads
}

// attempts are what an attacker who has taken over the agent would try. Each is
// one system call.
var attempts = map[string]func() error{
	"execve":        func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
	"fork":          func() error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) },
	"ptrace":        func() error { return raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME) },
	"write a file":  func() error { _, err := unix.Open("/tmp", unix.O_RDWR|unix.O_TMPFILE, 0o600); return err },
	"mount":         func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"setns":         func() error { return unix.Setns(0, 0) },
	"unshare":       func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"modules":       func() error { return unix.FinitModule(0, "", 0) },
	"kexec":         func() error { return unix.KexecFileLoad(0, 0, "", 0) },
	"load program":  func() error { return raw(unix.SYS_BPF, unix.BPF_PROG_LOAD) },
	"make map":      func() error { return raw(unix.SYS_BPF, unix.BPF_MAP_CREATE) },
	"raw packets":   func() error { _, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0); return err },
	"new listener":  func() error { return unix.Listen(0, 1) },
	"kill another":  func() error { return unix.Kill(1, 0) },
	"others memory": func() error { _, err := unix.ProcessVMReadv(1, nil, nil, 0); return err },
	"code": func() error {
		_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
		return err
	},
	"type":         func() error { return unix.IoctlSetInt(0, unix.TIOCSTI, 0) },
	"io_uring":     func() error { return raw(unix.SYS_IO_URING_SETUP, 1) },
	"setuid":       func() error { return raw(unix.SYS_SETUID, 0) },
	"capset":       func() error { return raw(unix.SYS_CAPSET) },
	"keyring":      func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true); return err },
	"limits":       func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}) },
	"user faults":  func() error { return raw(unix.SYS_USERFAULTFD) },
	"hosts name":   func() error { return unix.Sethostname([]byte("x")) },
	"no such call": func() error { return raw(500) },
}

func raw(nr uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	_, _, errno := unix.Syscall(nr, args[0], args[1], args[2])
	if errno == 0 {
		return nil
	}
	return errno
}

func child(what string) error {
	r := report{Errors: map[string]string{}}
	mode, what, _ := strings.Cut(what, ":")
	stop := threads()
	defer stop()
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	helper, err := Start()
	if err != nil {
		return err
	}
	if r.Result, err = Lock(Mode(mode), helper); err != nil {
		return err
	}
	switch what {
	case "attempts":
		for name, try := range attempts {
			r.Errors[name] = fmt.Sprint(try())
		}
	case "orphan":
		r.Errors["before"] = fmt.Sprint(attempts["mount"]())
		_ = helper.Close()
		<-helper.Ended()
		r.Errors["after"] = fmt.Sprint(attempts["mount"]())
	case "live":
		if err := live(); err != nil {
			return err
		}
	default:
		r.Errors[what] = fmt.Sprint(attempts[what]())
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread has ended
		}
		if err != nil {
			return err
		}
		r.Statuses = append(r.Statuses, string(text))
	}
	r.Refused = helper.Refused()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// threads keeps a few threads busy.
func threads() (stop func()) {
	release := make(chan struct{})
	for range 3 {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			<-release
		}()
		<-started
	}
	return func() { close(release) }
}

// live does what Go programs do: memory, threads, files, the network.
func live() error {
	ballast := make([][]byte, 64)
	for i := range ballast {
		ballast[i] = make([]byte, 1<<20)
	}
	runtime.GC()
	defer threads()()
	if _, err := os.ReadFile("/etc/passwd"); err != nil {
		return err
	}
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		return err
	}
	if _, err := net.LookupHost("localhost"); err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond)
	return nil
}

func run(t *testing.T, what string) (report, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+what)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Log(stderr.String())
	}
	var r report
	if err == nil {
		require.NoError(t, json.Unmarshal(out, &r), "%s%s", out, stderr.String())
	}
	return r, err
}

// TestRefusedCallsAreCounted checks that each attempt fails, on all threads,
// and is counted exactly.
func TestRefusedCallsAreCounted(t *testing.T) {
	r, err := run(t, "refuse:attempts")
	require.NoError(t, err)
	require.Equal(t, Result{Mode: Refuse, Counted: true}, r.Result)
	total := uint64(0)
	for _, n := range r.Refused {
		total += n
	}
	for name := range attempts {
		require.Equal(t, unix.EPERM.Error(), r.Errors[name], name)
	}
	require.Equal(t, uint64(len(attempts)), total, r.Refused)
	for name, want := range map[string]uint64{"execve": 1, "clone": 1, "ptrace": 1, "openat": 1, "bpf": 2, "socket": 1, "mmap": 1, "nr_500": 1} {
		require.Equal(t, want, r.Refused[name], "%s of %v", name, r.Refused)
	}
	require.GreaterOrEqual(t, len(r.Statuses), 4)
	for _, status := range r.Statuses {
		require.Contains(t, status, "Seccomp:\t2", "every thread")
	}
}

// TestKill checks that each attempt ends the process.
func TestKill(t *testing.T) {
	for name := range attempts {
		_, err := run(t, "kill:"+name)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, name)
		require.Contains(t, exit.String(), "bad system call", name)
	}
}

// TestLife checks that what the runtime and the library of Go do is allowed.
func TestLife(t *testing.T) {
	_, err := run(t, "kill:live")
	require.NoError(t, err)
}

// TestNobodyAnswers checks that a refused call does not wait for a helper that
// has ended.
func TestNobodyAnswers(t *testing.T) {
	r, err := run(t, "refuse:orphan")
	require.NoError(t, err)
	require.Equal(t, unix.EPERM.Error(), r.Errors["before"])
	require.Equal(t, unix.ENOSYS.Error(), r.Errors["after"])
	require.Equal(t, map[string]uint64{"mount": 1}, r.Refused)
}

// TestFilterIsWholeEverywhere checks that each architecture has all system
// calls that the filter names. If one were missing, there would be no filter.
func TestFilterIsWholeEverywhere(t *testing.T) {
	defer func(here []string) { ofArchitecture = here }(ofArchitecture)
	for name, further := range map[string][]string{"x86_64": {"newfstatat", "epoll_wait", "poll", "select"}, "arm64": {"fstatat"}} {
		ofArchitecture = further
		info, err := arch.GetInfo(name)
		require.NoError(t, err)
		_, err = assemble(info, 1, unix.SECCOMP_RET_KILL_PROCESS)
		require.NoError(t, err, name)
	}
}

// TestEveryArgument runs the filter on each call, with arguments that equal the
// numbers of allowed calls. Only the call itself must count.
func TestEveryArgument(t *testing.T) {
	info, err := arch.GetInfo("")
	require.NoError(t, err)
	filter, err := assemble(info, 4711, unix.SECCOMP_RET_KILL_PROCESS)
	require.NoError(t, err)
	raw := make([]bpf.RawInstruction, len(filter))
	for i, in := range filter {
		raw[i] = bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	program, all := bpf.Disassemble(raw)
	require.True(t, all)
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	decide := func(architecture, nr, argument uint32) uint32 {
		data := make([]byte, 64) // the BPF machine reads big-endian
		for at, value := range map[int]uint32{offNumber: nr, offArchitecture: architecture} {
			binary.BigEndian.PutUint32(data[at:], value)
		}
		for i := range 6 {
			binary.BigEndian.PutUint32(data[offArguments+8*i:], argument)
		}
		verdict, err := vm.Run(data)
		require.NoError(t, err)
		return uint32(verdict)
	}
	limited := map[string]rule{}
	for _, r := range conditional(4711) {
		limited[r.name] = r
	}
	free := allowed()
	for nr, name := range info.SyscallNumbers {
		for argument := range uint32(700) {
			got := decide(uint32(info.ID), uint32(nr), argument) == unix.SECCOMP_RET_ALLOW
			r, some := limited[name]
			want := slices.Contains(free, name) ||
				some && (slices.Contains(r.one, argument) || r.with != 0 && r.with&argument != 0 || r.without != 0 && r.without&argument == 0)
			require.Equal(t, want, got, "%s with %d", name, argument)
		}
		require.EqualValues(t, unix.SECCOMP_RET_KILL_PROCESS, decide(uint32(info.ID), uint32(nr)|x32, 0), "another interface: %s", name)
		require.EqualValues(t, unix.SECCOMP_RET_KILL_PROCESS, decide(uint32(info.ID)+1, uint32(nr), 0), "another architecture: %s", name)
	}
}

func TestModes(t *testing.T) {
	for _, m := range []Mode{Refuse, Kill, Off} {
		got, err := ParseMode(string(m))
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	_, err := ParseMode("on")
	require.ErrorContains(t, err, "refuse, kill or off")
}

// TestHelperEndsWithTheAgent checks that no process is left, however the agent
// ends.
func TestHelperEndsWithTheAgent(t *testing.T) {
	h, err := Start()
	require.NoError(t, err)
	require.NoError(t, h.Close())
	require.NoError(t, h.Close(), "twice does no harm")
	select {
	case <-h.Ended():
	case <-time.After(30 * time.Second):
		require.Fail(t, "the helper did not end")
	}
	require.Empty(t, h.Refused())
	var none *Helper
	require.NoError(t, none.Close())
	require.Empty(t, none.Refused())
}
