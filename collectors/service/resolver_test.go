package service

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	require.NoError(t, err)
	return n
}

// copyProcess makes a process table with one process of the fixture. The test may
// change it.
func copyProcess(t *testing.T, pid string) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, pid)
	unpack(t, pid, root)
	return root, dir
}

// rewrite replaces a part of a file.
func rewrite(t *testing.T, file, old, new string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(raw), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(raw), old, new, 1)), 0o644))
}

func TestReusedProcessID(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	require.Equal(t, "http.server", r.Lookup(203, "").Name)

	rewrite(t, filepath.Join(dir, "cmdline"), "http.server", "flask")
	r.Refresh()
	require.Equal(t, "http.server", r.Lookup(203, "").Name, "the same process keeps its identity")

	rewrite(t, filepath.Join(dir, "stat"), " 20300 ", " 999999 ")
	r.Refresh()
	require.Equal(t, "flask", r.Lookup(203, "").Name)
}

func TestForget(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	r.Lookup(203, "")
	rewrite(t, filepath.Join(dir, "cmdline"), "http.server", "flask")
	r.Forget(203)
	require.Equal(t, "flask", r.Lookup(203, "").Name)
}

func TestProcessThatAppearsAfterItsName(t *testing.T) {
	root := t.TempDir()
	r := fixture(t, func(o *Options) { o.Proc = root })
	require.Equal(t, FromComm, r.Lookup(203, "python3").Source)
	unpack(t, "203", root)
	r.Refresh()
	require.Equal(t, "http.server", r.Lookup(203, "").Name)
}

func TestMemoryIsBounded(t *testing.T) {
	r := fixture(t, func(o *Options) { o.Limit = 16 })
	for pid := range uint32(1000) {
		r.Lookup(pid+100000, "worker")
	}
	require.Equal(t, 16, r.Len())
}

func TestRunRefreshesUntilItsContextEnds(t *testing.T) {
	root, dir := copyProcess(t, "203")
	r := fixture(t, func(o *Options) { o.Proc = root })
	r.Lookup(203, "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx, time.Millisecond)
	}()
	require.NoError(t, os.RemoveAll(dir))
	require.Eventually(t, func() bool { return r.Len() == 0 }, 10*time.Second, time.Millisecond)
	cancel()
	<-done
}

func TestConcurrentUse(t *testing.T) {
	r := fixture(t, func(o *Options) { o.Limit = 8 })
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 200 {
				pid := uint32(200 + (i+worker)%12)
				assert.NotEmpty(t, r.Lookup(pid, "").Name, "process %d has no name", pid)
				if i%20 == 0 {
					r.Forget(pid)
					r.Refresh()
				}
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, r.Len(), 8)
}

func TestNoProcessTable(t *testing.T) {
	_, err := New(Options{Proc: filepath.Join(t.TempDir(), "none")})
	require.ErrorContains(t, err, "open the process table at")
}

func TestLookupDoesNotAllocate(t *testing.T) {
	r := fixture(t, nil)
	f := Filter{PIDs: []uint32{101}, Exes: []string{"/usr/sbin/*"}, Services: []string{"ng*"}}
	r.Lookup(101, "nginx")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		assert.True(t, f.Match(101, 80, r.Lookup(101, "nginx")), "the filter does not match")
	}))
}

func BenchmarkLookup(b *testing.B) {
	r, err := New(Options{Proc: procTree(b)})
	require.NoError(b, err)
	for pid := range uint32(20) {
		r.Lookup(200+pid, "")
	}
	b.ReportAllocs()
	var pid uint32
	for b.Loop() {
		r.Lookup(200+pid%20, "nginx")
		pid++
	}
}

func BenchmarkFilter(b *testing.B) {
	id := &Identity{Name: "shop", Exe: "/usr/sbin/nginx"}
	f := Filter{Ports: []uint16{80, 8080}, Services: []string{"blog*", "shop"}}
	b.ReportAllocs()
	for b.Loop() {
		f.Match(101, 8080, id)
	}
}
