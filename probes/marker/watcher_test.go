package marker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeKernel counts the marks that are set.
type fakeKernel struct {
	mu     sync.Mutex
	set    int
	closed int
	refuse error
}

func (k *fakeKernel) Mark(path string, offset uint64, rank uint8) (io.Closer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if offset == 0 || rank != 3 {
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
	w := NewWatcher(k, Auto, slog.New(slog.NewTextHandler(io.Discard, nil)))
	w.markers = []Marker{{Server: "test", Program: "napper*", File: "napper*", Symbol: ownSymbol, Rank: 3}}
	return w
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
		w.Scan()
	}
	require.Equal(t, 1, k.set, "two processes of one file")

	end1()
	w.Scan()
	require.Equal(t, 1, k.open(), "the other process still runs it")
	end2()
	w.Scan()
	require.Zero(t, k.open(), "nobody runs it any more")
	require.Empty(t, w.files)
	require.Empty(t, w.known)
}

func TestProgramThatWasReplaced(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	file := napper(t, "napper-old")
	startNap(t, file)
	require.NoError(t, os.Remove(file))
	w.Scan()
	require.Equal(t, 1, k.open(), "its name is gone, the program is not")
	require.NoError(t, w.Close())
	require.Zero(t, k.open())
}

func TestOtherProgramsAreLeftAlone(t *testing.T) {
	k := &fakeKernel{}
	w := newTestWatcher(k)
	startNap(t, napper(t, "other"))
	w.Scan()
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
	for pid := range uint32(3 * maxServed) { // nobody takes them
		w.Served(pid)
	}
	require.LessOrEqual(t, len(w.served), maxServed)
	var none *Watcher
	none.Served(1)
}

// TestFileThatBecameSomethingElse: what stands at a path need not be what the
// process runs.
func TestFileThatBecameSomethingElse(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "napper-pipe")
	require.NoError(t, exec.Command("mkfifo", pipe).Run())
	for _, path := range []string{pipe, filepath.Dir(pipe), "/dev/zero", filepath.Join(pipe, "none")} {
		_, _, err := candidate{reach: path}.open()
		require.Error(t, err, path)
	}
}

func TestKernelThatRefusesIsAskedOnce(t *testing.T) {
	k := &fakeKernel{refuse: errors.New("no")}
	w := newTestWatcher(k)
	startNap(t, napper(t, "napper-no"))
	w.Scan()
	k.refuse = nil
	w.Scan()
	require.Zero(t, k.set)
}

func TestSurveyFindsWhatRuns(t *testing.T) {
	defer func(table []Marker) { Table = table }(Table)
	Table = []Marker{{Server: "test", Program: "napper*", File: "napper*", Symbol: ownSymbol, Rank: 3}, {Program: "napper*", File: "napper*", Symbol: "absent"}}
	file := napper(t, "napper-survey")
	startNap(t, file)
	found, err := Survey()
	require.NoError(t, err)
	require.Equal(t, []string{file}, found[0].Files)
	require.Empty(t, found[1].Files)
}

// TestCostlyPlaceIsLeftAlone: a function where no cheap probe can stand gets
// one only if all are wanted.
func TestCostlyPlaceIsLeftAlone(t *testing.T) {
	startNap(t, napper(t, "napper-costly"))
	for mode, want := range map[Mode]int{Auto: 0, On: 1} {
		k := &fakeKernel{}
		w := newTestWatcher(k)
		w.mode = mode
		w.markers[0].Symbol = "main.step" // multiplies and returns
		w.Scan()
		require.Equal(t, want, k.set, mode)
	}
}
