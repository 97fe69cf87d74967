package uprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/probes/foreign"
)

// fakeKernel counts the marks that are set.
type fakeKernel struct {
	mu     sync.Mutex
	set    int
	closed int
	refuse error
}

func (k *fakeKernel) Attach(path string, offset uint64, f Function) (io.Closer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if offset == 0 || f.Cookie != 3 {
		return nil, errors.New("a wrong mark")
	}
	if k.refuse != nil {
		return nil, k.refuse
	}
	k.set++
	return k, nil
}

func (k *fakeKernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed++
	return nil
}

func (k *fakeKernel) open() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set - k.closed
}

func newTestWatcher(k Kernel) *Watcher {
	w := NewWatcher(Options{Kernel: k, Functions: []Function{own}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w.looker.reader.Deadline = time.Minute // on a busy machine
	return w
}

// awaitOpen waits for a number of marks: they are removed in the background.
func awaitOpen(t *testing.T, k *fakeKernel, want int, why string) {
	t.Helper()
	require.Eventually(t, func() bool { return k.open() == want }, 5*time.Second, time.Millisecond, why)
}

var own = Function{Of: "test", Program: "napper*", File: "napper*", Symbol: "main.marked", Cookie: 3}

// buildNapper builds a program once; go test strips its own.
var buildNapper = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "marker")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "napper")
	if out, err := exec.Command("go", "build", "-o", file, "../foreign/elffile/testdata/napper.go").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// napper returns the program under a name of its own.
func napper(t *testing.T, name string) string {
	code, err := buildNapper()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, code, 0o700))
	return file
}

func startNap(t *testing.T, file string) (pid int, end func()) {
	cmd := exec.Command(file)
	require.NoError(t, cmd.Start())
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(end)
	return cmd.Process.Pid, end
}

func TestOneMarkPerFile(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	file := napper(t, "napper-one")
	_, end1 := startNap(t, file)
	_, end2 := startNap(t, file)
	for range 4 {
		w.Scan(t.Context())
	}
	require.Equal(t, 1, k.set, "two processes of one file")

	end1()
	w.Scan(t.Context())
	awaitOpen(t, k, 1, "the other process still runs it")
	end2()
	w.Scan(t.Context())
	awaitOpen(t, k, 0, "nobody runs it any more")
	require.Empty(t, w.files)
	require.Empty(t, w.known)
}

func TestProgramThatWasReplaced(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	file := napper(t, "napper-old")
	startNap(t, file)
	require.NoError(t, os.Remove(file))
	w.Scan(t.Context())
	require.Equal(t, 1, k.open(), "its name is gone, the program is not")
	require.NoError(t, w.Close())
	require.Zero(t, k.open())
}

func TestOtherProgramsAreLeftAlone(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	startNap(t, napper(t, "other"))
	w.Scan(t.Context())
	require.Zero(t, k.set)
	require.Empty(t, w.known)
}

func TestServedFindsANewServer(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	pid, _ := startNap(t, napper(t, "napper-new"))
	w.Served(uint32(pid))
	require.Eventually(t, func() bool { return k.open() == 1 }, 3*time.Second, 5*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.Zero(t, k.open(), "marks are removed at the end")
}

func TestServedNeverWaits(t *testing.T) {
	w := newTestWatcher(&fakeKernel{})
	for pid := range uint32(3 * maxServed) { // nothing takes them from the watcher
		w.Served(pid)
	}
	require.LessOrEqual(t, len(w.served), maxServed)
	var none *Watcher
	none.Served(1)
}

func TestKernelThatRefusesIsAskedOnce(t *testing.T) {
	k := &fakeKernel{refuse: errors.New("no")}
	w := newTestWatcher(k)
	startNap(t, napper(t, "napper-no"))
	w.Scan(t.Context())
	k.refuse = nil
	w.Scan(t.Context())
	require.Zero(t, k.set)
}

func TestFindsWhatRuns(t *testing.T) {
	file := napper(t, "napper-survey")
	startNap(t, file)
	found, _, err := Find([]Function{own, {Program: "napper*", File: "napper*", Symbol: "absent"}})
	require.NoError(t, err)
	require.Equal(t, []string{file}, found[0].Files)
	require.Empty(t, found[1].Files)
}

// TestCostlyPlaceIsLeftAlone checks that a function with no place for a cheap probe gets
// a probe only if all are wanted.
func TestCostlyPlaceIsLeftAlone(t *testing.T) {
	startNap(t, napper(t, "napper-costly"))
	for anywhere, want := range map[bool]int{false: 0, true: 1} {
		k := &fakeKernel{}
		w := newTestWatcher(k)
		f := &w.looker.functions[0]
		f.Anywhere = anywhere
		f.Symbol = "main.step" // multiplies and returns
		w.Scan(t.Context())
		require.Equal(t, want, k.set, anywhere)
	}
}

// TestFilesShareOut checks that a user's files take a part of the table, and his
// processes a part of what is looked at.
func TestFilesShareOut(t *testing.T) {
	table := files{}
	add := func(user uint32, program string, ino uint64) foreign.Reason {
		p := &process{exe: program, user: user}
		out, why := table.room(p)
		if why != "" {
			return why
		}
		if out != nil {
			delete(table, out.id)
		}
		f := newFile(foreign.FileID{Ino: ino}, p)
		table[f.id] = f
		f.use(p)
		return ""
	}
	of := func(user uint32) (n int) {
		for _, f := range table {
			n += f.users[user]
		}
		return n
	}
	ino := uint64(0)
	next := func() uint64 { ino++; return ino }
	for range filesPerProgram {
		require.Empty(t, add(1, "/bin/httpd", next()))
	}
	require.Equal(t, refusedProgram, add(1, "/bin/httpd", next()))
	for range filesPerUser - filesPerProgram {
		require.Empty(t, add(1, "/bin/apache2", next()))
	}
	require.Equal(t, refusedUser, add(1, "/bin/uwsgi", next()))

	for user := uint32(2); len(table) < maxFiles; user++ {
		for i := 0; i < filesPerUser && len(table) < maxFiles; i++ {
			require.Empty(t, add(user, []string{"/bin/a", "/bin/b"}[i%2], next()))
		}
	}
	for range 40 {
		require.NotEqual(t, refusedFull, add(99, "/bin/"+string(rune('a'+of(99)/30)), next()), "who has few displaces who has many")
		require.LessOrEqual(t, len(table), maxFiles)
	}
	require.Equal(t, 40, of(99))
	for of(99) < 50 {
		require.Empty(t, add(99, "/bin/z", next()))
	}
	last := of(99)
	for add(99, "/bin/y", next()) == "" {
		last++
	}
	require.Equal(t, last, of(99))
	require.LessOrEqual(t, last, maxFiles/5+2, "no more than the others")
}

// TestFileOfSeveralUsers checks that a file stays if a user with few files also runs it,
// whoever brought it in.
func TestFileOfSeveralUsers(t *testing.T) {
	table := files{}
	shared := newFile(foreign.FileID{Ino: 1}, &process{user: 1})
	shared.use(&process{user: 1})
	shared.use(&process{user: 2})
	table[shared.id] = shared
	for ino := uint64(2); ino < 10; ino++ {
		f := newFile(foreign.FileID{Ino: ino}, &process{user: 1})
		f.use(&process{user: 1})
		table[f.id] = f
	}
	heaviest, most := table.heaviest()
	require.NotEqual(t, shared, heaviest)
	require.Equal(t, 9, most)
	require.False(t, shared.leave(1), "the other still runs it")
	require.True(t, shared.leave(2))
}

func TestShareOfTime(t *testing.T) {
	s, now := shares{}, time.Now()
	require.True(t, s.has(1, now))
	s.spend(1, shareBurst+time.Second, now)
	require.False(t, s.has(1, now))
	require.True(t, s.has(2, now), "another user's is his own")
	require.False(t, s.has(1, now.Add(19*time.Second)))
	require.True(t, s.has(1, now.Add(21*time.Second)))
	s.tidy(now.Add(30 * time.Second))
	require.Len(t, s, 1)
	s.tidy(now.Add(90 * time.Second))
	require.Empty(t, s)
}

// TestProcessThatDoesNotAnswer has no thread left to look with. The process is left alone
// for longer and longer, and counted.
func TestProcessThatDoesNotAnswer(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	w.looker.pool.Max = 0
	pid, _ := startNap(t, napper(t, "napper-busy"))
	w.process(t.Context(), pid, maxLooks)
	require.Equal(t, map[string]uint64{"busy": 1}, w.Refused())
	w.process(t.Context(), pid, maxLooks)
	require.Equal(t, map[string]uint64{"busy": 1}, w.Refused(), "not asked again at once")
	pause := w.known[pid].pause
	w.known[pid].next = time.Now()
	w.process(t.Context(), pid, maxLooks)
	require.Equal(t, 2*pause, w.known[pid].pause)

	w.looker.pool.Max = 1
	w.known[pid].next = time.Now()
	w.process(t.Context(), pid, maxLooks)
	require.Equal(t, 1, k.open(), "it is looked at when it answers")
}

// slowKernel does not answer until the test lets it.
type slowKernel struct {
	fakeKernel
	answer chan struct{}
}

func (k *slowKernel) Attach(path string, offset uint64, f Function) (io.Closer, error) {
	<-k.answer
	return k.fakeKernel.Attach(path, offset, f)
}

// TestKernelThatWaitsForAProcess ends the agent meanwhile. A mark that comes too late is
// removed.
func TestKernelThatWaitsForAProcess(t *testing.T) {
	k := &slowKernel{answer: make(chan struct{})}
	w := newTestWatcher(k)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	startNap(t, napper(t, "napper-slow"))
	require.Eventually(t, func() bool { return w.looker.pool.Out() > 0 || len(w.Refused()) > 0 }, 10*time.Second, time.Millisecond)
	begin := time.Now()
	stop()
	require.NoError(t, <-ended)
	require.Less(t, time.Since(begin), time.Second)
	close(k.answer)
	awaitOpen(t, &k.fakeKernel, 0, "a late mark")
}

// TestProcessesPerUser checks that one user's processes do not fill the table.
func TestProcessesPerUser(t *testing.T) {
	w := newTestWatcher(&fakeKernel{})
	w.byUser[0] = knownPerUser
	pid, _ := startNap(t, napper(t, "napper-many"))
	require.True(t, w.process(t.Context(), pid, maxLooks))
	require.Empty(t, w.known)
	require.Equal(t, map[string]uint64{"too_many_processes": 1}, w.Refused())
}
