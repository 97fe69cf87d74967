package foreign

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// napper builds a program that sleeps; go test strips its own symbols.
var napper = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "foreign")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "napper")
	if out, err := exec.Command("go", "build", "-o", file, "elffile/testdata/napper.go").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// nap starts the program, in a directory.
func nap(t *testing.T, dir string) (pid int, exe string) {
	t.Helper()
	code, err := napper()
	require.NoError(t, err)
	exe = filepath.Join(dir, "napper")
	require.NoError(t, os.WriteFile(exe, code, 0o700))
	return start(t, exec.Command(exe)), exe
}

func start(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func mapping(t *testing.T, pid int, path string) Mapping {
	t.Helper()
	var all []Mapping
	require.Eventually(t, func() bool { // a child has its parent's files until it executes
		var err error
		all, err = Mappings(pid, func(p string) bool { return p == path })
		return err == nil && len(all) == 1
	}, 5*time.Second, time.Millisecond)
	return all[0]
}

func newReader() *Reader {
	return &Reader{Start: (&Processes{Max: 4}).Start, Deadline: 20 * time.Second}
}

func TestReaderFindsFunctions(t *testing.T) {
	pid, exe := nap(t, t.TempDir())
	m := mapping(t, pid, exe)
	for name, as := range map[string]string{"executable": exe, "by its path": "/another"} {
		f, err := Open(pid, as, m)
		require.NoError(t, err, name)
		found, err := newReader().Functions(context.Background(), f, m, []string{"main.marked", "runtime.main", "absent"})
		require.NoError(t, err, name)
		require.Len(t, found, 2)
		require.NotZero(t, found["main.marked"].Offset)
		require.NoError(t, f.Close())
	}
}

// TestFilesOnOverlays has files on an overlay, where stat reports other numbers than
// lists of mappings.
func TestFilesOnOverlays(t *testing.T) {
	dir := t.TempDir()
	// The directory of tests may itself be on an overlay, which cannot carry another.
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	code, err := napper()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lower", "napper"), code, 0o755))
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	require.NoError(t, unix.Mount("overlay", dir+"/merged", "overlay", 0, options))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir+"/merged", unix.MNT_DETACH)) })
	exe := filepath.Join(dir, "merged", "napper")
	pid := start(t, exec.Command(exe))
	m := mapping(t, pid, exe)
	for _, as := range []string{exe, "/another"} {
		f, err := Open(pid, as, m)
		require.NoError(t, err)
		found, err := newReader().Functions(context.Background(), f, m, []string{"main.marked"})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NoError(t, f.Close())
	}
}

// TestFileThatBecameSomethingElse puts other files at the path of the file that a process
// runs.
func TestFileThatBecameSomethingElse(t *testing.T) {
	pid, exe := nap(t, t.TempDir())
	m := mapping(t, pid, exe)
	for name, tt := range map[string]struct {
		put  func(path string) error
		want Reason
	}{
		"a pipe":                {func(path string) error { return unix.Mkfifo(path, 0o666) }, NotRegular},
		"a directory":           {func(path string) error { return os.Mkdir(path, 0o777) }, NotRegular},
		"a device":              {func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }, NotRegular},
		"a socket":              {func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) }, NotRegular},
		"a link to a terminal":  {func(path string) error { return os.Symlink("/dev/ptmx", path) }, NotRegular},
		"a link to the program": {func(path string) error { return os.Symlink("/bin/true", path) }, NotRegular},
		"nothing":               {func(string) error { return nil }, NotCached},
		"another program":       {func(path string) error { return copyFile("/bin/true", path) }, Replaced},
		"no program":            {func(path string) error { return os.WriteFile(path, []byte("#!/bin/sh\n"), 0o777) }, Replaced},
		"an empty file":         {func(path string) error { return os.WriteFile(path, nil, 0o777) }, Replaced},
	} {
		t.Run(name, func(t *testing.T) {
			m := m
			m.Path = filepath.Join(t.TempDir(), "napper")
			require.NoError(t, tt.put(m.Path))
			require.Equal(t, tt.want, ReasonOf(try(t, pid, m)))
		})
	}
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o777)
}

// try opens and reads a file by its path.
func try(t *testing.T, pid int, m Mapping) error {
	t.Helper()
	f, err := Open(pid, "/another", m)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = newReader().Functions(context.Background(), f, m, []string{"main.marked"})
	return err
}

// TestLinkOnTheWay checks that a directory of the path that became a link is not
// followed.
func TestLinkOnTheWay(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(dir+"/real", 0o755))
	pid, exe := nap(t, dir+"/real")
	m := mapping(t, pid, exe)
	require.NoError(t, os.Symlink(dir+"/real", dir+"/link"))
	m.Path = dir + "/link/napper"
	require.Equal(t, NotRegular, ReasonOf(try(t, pid, m)))
	m.Path = dir + "/real/../real/napper"
	require.NoError(t, try(t, pid, m), "the way is another, the file the same")
	m.Path = "/../../etc/passwd"
	require.Error(t, try(t, pid, m))
}

// TestReaderIsLockedIn looks at a reader that waits in its filter of system calls: it has
// no privileges, no files, and small limits.
func TestReaderIsLockedIn(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{readerName}
	cmd.Env = []string{lockedEnv + "=1"}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	pid := start(t, cmd)
	defer func() { _ = in.Close() }()
	var status string
	require.Eventually(t, func() bool {
		raw, err := os.ReadFile(procPath(pid, "status"))
		status = string(raw)
		return err == nil && strings.Contains(status, "Seccomp:\t2")
	}, 20*time.Second, 5*time.Millisecond, status)
	for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
		require.Contains(t, status, want)
	}
	raw, err := os.ReadFile(procPath(pid, "limits"))
	require.NoError(t, err)
	require.Regexp(t, `Max open files +0 +0 `, string(raw))
	require.Regexp(t, `Max cpu time +2 +2 `, string(raw))
	require.Regexp(t, `Max data size +268435456 +268435456 `, string(raw))
	score, err := os.ReadFile(procPath(pid, "oom_score_adj"))
	require.NoError(t, err)
	require.Equal(t, "1000\n", string(score))
	tasks, err := filepath.Glob(procPath(pid, "task/*/status"))
	require.NoError(t, err)
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		require.NoError(t, err)
		require.Contains(t, string(raw), "Seccomp:\t2", "every thread")
		require.Contains(t, string(raw), "CapEff:\t0000000000000000")
	}
}

// TestReaderCannotDoMore checks that a reader that was taken over ends with the first
// system call that is not needed for reading.
func TestReaderCannotDoMore(t *testing.T) {
	for _, what := range []string{"open", "socket", "exec", "fork", "kill", "ptrace", "setuid"} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = []string{readerName}
		cmd.Env = []string{lockedEnv + "=" + what}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s: %s", what, out)
		require.Contains(t, exit.String(), "bad system call", what)
	}
}

// TestReaderThatHangs stops a reader while it reads. The agent does not wait for it.
func TestReaderThatHangs(t *testing.T) {
	pid, exe := nap(t, t.TempDir())
	m := mapping(t, pid, exe)
	f, err := Open(pid, exe, m)
	require.NoError(t, err)
	defer f.Close()
	all := &Processes{Max: 1, environ: []string{hangEnv + "=1"}}
	r := &Reader{Start: all.Start, Deadline: 300 * time.Millisecond}
	begin := time.Now()
	_, err = r.Functions(context.Background(), f, m, []string{"main.marked"})
	require.Equal(t, NoAnswer, ReasonOf(err))
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Eventually(t, func() bool { return all.alive.Load() == 0 }, 10*time.Second, time.Millisecond, "it was killed")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Deadline = time.Hour
	_, err = r.Functions(ctx, f, m, nil)
	require.Error(t, err, "nor when the agent ends")
}

func TestReaderThatDies(t *testing.T) {
	pid, exe := nap(t, t.TempDir())
	m := mapping(t, pid, exe)
	f, err := Open(pid, exe, m)
	require.NoError(t, err)
	defer f.Close()
	for _, how := range []string{"panic", "exit", "garbage", "lie"} {
		all := &Processes{Max: 4, environ: []string{hangEnv + "=" + how}}
		r := &Reader{Start: all.Start, Deadline: 20 * time.Second}
		_, err = r.Functions(context.Background(), f, m, []string{"main.marked"})
		want := ReaderDied
		if how == "lie" {
			want = Replaced
		}
		require.Equal(t, want, ReasonOf(err), "%s: %v", how, err)
	}
}

// TestReadersAreBounded checks that a reader that cannot be killed, as on a hanging disk,
// keeps its place.
func TestReadersAreBounded(t *testing.T) {
	all := &Processes{Max: 0}
	r := &Reader{Start: all.Start, Deadline: time.Second}
	_, err := r.Functions(context.Background(), nil, Mapping{}, nil)
	require.Equal(t, Busy, ReasonOf(err))
	require.Zero(t, all.alive.Load())
}

func TestReaderLeavesNothingBehind(t *testing.T) {
	pid, exe := nap(t, t.TempDir())
	m := mapping(t, pid, exe)
	all := &Processes{Max: 4}
	r := &Reader{Start: all.Start, Deadline: 20 * time.Second}
	open := func() int {
		runtime.GC()
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	before := -1
	for i := range 6 {
		f, err := Open(pid, exe, m)
		require.NoError(t, err)
		_, err = r.Functions(context.Background(), f, m, nil)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if i == 0 {
			before = open()
		}
	}
	require.Eventually(t, func() bool { return all.alive.Load() == 0 && open() <= before }, 10*time.Second, 10*time.Millisecond)
}

func TestPool(t *testing.T) {
	p := &Pool{Max: 3, PerUser: 2}
	hold := make(chan struct{})
	ctx := context.Background()
	hang := func(user uint32) Reason {
		return ReasonOf(p.Do(ctx, user, 10*time.Millisecond, func() { <-hold }))
	}
	require.NoError(t, p.Do(ctx, 1, time.Minute, func() {}))
	require.Equal(t, NoAnswer, hang(1))
	require.NoError(t, p.Do(ctx, 1, time.Minute, func() {}), "one of the user's hangs, another may run")
	require.Equal(t, NoAnswer, hang(1))
	require.Equal(t, Busy, hang(1), "the user has its share")
	require.NoError(t, p.Do(ctx, 2, time.Minute, func() {}), "others have theirs")
	require.Equal(t, NoAnswer, hang(2))
	require.Equal(t, Busy, hang(3), "as many hang as may")
	require.Equal(t, 3, p.Out())
	close(hold)
	require.Eventually(t, func() bool { return p.Out() == 0 }, 5*time.Second, time.Millisecond)
	require.NoError(t, p.Do(ctx, 3, time.Minute, func() {}))
	require.Empty(t, p.byUser)

	ended, end := context.WithCancel(ctx)
	end()
	block := make(chan struct{})
	defer close(block)
	require.ErrorIs(t, p.Do(ended, 1, time.Hour, func() { <-block }), context.Canceled)
}

func TestMappingsOfHostileProcesses(t *testing.T) {
	all := func(string) bool { return true }
	line := "55d0c8a3b000-55d0c8a40000 r-xp 00002000 fe:01 1234                       /usr/bin/a b (deleted)\n"
	for text, want := range map[string][]Mapping{
		line:        {{"/usr/bin/a b", FileID{unix.Mkdev(0xfe, 1), 1234}}},
		line + line: {{"/usr/bin/a b", FileID{unix.Mkdev(0xfe, 1), 1234}}},
		"55d0c8a3b000-55d0c8a40000 rw-p 00002000 fe:01 1234 /usr/bin/data\n": nil,
		"7ffd0000-7ffd1000 r-xp 00000000 00:00 0 [vdso]\n":                   nil,
		"7ffd0000-7ffd1000 r-xp 00000000 00:00 0 \n":                         nil,
		"7ffd0000-7ffd1000 r-xp 00000000 fe 1 /x\n":                          nil,
		"7ffd0000-7ffd1000 r-xp 00000000 fe:01 x /x\n":                       nil,
		"\n \n/\n": nil,
	} {
		found, err := mappings(strings.NewReader(text), all)
		require.NoError(t, err)
		require.Equal(t, want, found, text)
	}
	found, err := mappings(strings.NewReader(line+strings.Repeat("x", 2*maxLine)), all)
	require.Equal(t, Budget, ReasonOf(err))
	require.Len(t, found, 1, "what stands before it is known")
	_, err = mappings(strings.NewReader(strings.Repeat(line, maxMaps/len(line)+2)), all)
	require.Equal(t, Budget, ReasonOf(err))
}

func TestMountTypes(t *testing.T) {
	for line, want := range map[string]string{
		"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": "ext3",
		"36 35 98:0 /mnt1 /mnt2 rw,noatime - fuse.sshfs x rw":            "fuse.sshfs",
		"36 35 98:0 / /a\\040-\\040ext4 rw - fuse x rw":                  "fuse",
		"361 35 98:0 / / rw - ext4 x rw":                                 "",
		"36 35":                                                          "",
	} {
		kind, _ := parseMount(line, "36")
		require.Equal(t, want, kind, line)
	}
}

func TestRealUser(t *testing.T) {
	id, err := realUser([]byte("Name:\tx\\nUid:\t7\nUid:\t1000\t0\t0\t0\n"))
	require.NoError(t, err)
	require.EqualValues(t, 1000, id)
	for _, text := range []string{"", "Uid:\n", "Uid:\tx\n"} {
		_, err := realUser([]byte(text))
		require.Error(t, err, text)
	}
}

// TestUserWhoTookFurtherIds checks that a user with 65,536 ids, in a user namespace of
// his own, counts as one.
func TestUserWhoTookFurtherIds(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 70000, Size: 10}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 70000, Size: 10}},
		Credential:  &syscall.Credential{Uid: 3},
	}
	pid := start(t, cmd)
	id, err := User(pid)
	require.NoError(t, err)
	require.Zero(t, id, "this process made the namespace, as root")

	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 70001}}
	id, err = User(start(t, other))
	require.NoError(t, err)
	require.EqualValues(t, 70001, id)
}
