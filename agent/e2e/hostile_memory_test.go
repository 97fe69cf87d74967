package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// neverWritten is a file whose server does not answer writes until it is
// released.
type neverWritten struct {
	fs.Inode
	release chan struct{}
}

var (
	_ fs.NodeGetattrer = (*neverWritten)(nil)
	_ fs.NodeOpener    = (*neverWritten)(nil)
	_ fs.NodeReader    = (*neverWritten)(nil)
	_ fs.NodeWriter    = (*neverWritten)(nil)
)

func (n *neverWritten) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o666, uint64(os.Getpagesize())
	return 0
}

func (n *neverWritten) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *neverWritten) Read(_ context.Context, _ fs.FileHandle, dest []byte, _ int64) (fuse.ReadResult, syscall.Errno) {
	clear(dest)
	return fuse.ReadResultData(dest), 0
}

func (n *neverWritten) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	<-n.release
	return uint32(len(data)), 0
}

// mountNeverWritten mounts a file system with that file. Until release is
// called, a process that waits for it cannot even be killed.
func mountNeverWritten(t *testing.T) (file string, release func()) {
	t.Helper()
	dir := harness.OpenDir(t)
	node := &neverWritten{release: make(chan struct{})}
	root := &fs.Inode{}
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{AllowOther: true, DirectMountStrict: true, FsName: "never"},
		OnAdd: func(ctx context.Context) {
			root.AddChild("page", root.NewPersistentInode(ctx, node, fs.StableAttr{Mode: fuse.S_IFREG}), false)
		},
	})
	require.NoError(t, err)
	keepFuse(t)
	release = sync.OnceFunc(func() { close(node.release) })
	t.Cleanup(func() {
		release()
		harness.Eventually(t, 10*time.Second, "the end of the file system", func() bool { return server.Unmount() == nil })
	})
	return filepath.Join(dir, "page"), release
}

// keepFuse keeps the server's end of the file system out of the programs that
// the test starts. So if the server dies, the kernel releases the waiting
// processes.
func keepFuse(t *testing.T) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	kept := 0
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if to, _ := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || to != "/dev/fuse" {
			continue
		}
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		require.NoError(t, err)
		kept++
	}
	require.NotZero(t, kept, "the server's end of the file system was not found")
}

// startHeld starts a process whose memory cannot be inspected, and checks this.
func startHeld(t *testing.T, name string) *hostile {
	t.Helper()
	file, release := mountNeverWritten(t)
	attacker := startHostile(t, name, "hold", hostileUser, file)
	t.Cleanup(release) // before the attacker is ended
	harness.Eventually(t, 10*time.Second, "a held lock", func() bool {
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = os.ReadFile(fmt.Sprintf("/proc/%d/maps", attacker.cmd.Process.Pid))
		}()
		select {
		case <-read:
			return false
		case <-time.After(300 * time.Millisecond):
			return true
		}
	})
	return attacker
}

// TestHostileMemory has a process whose memory lock is held forever. The agent
// must start, measure every request of a server under load, serve metrics, and
// end, as if the process did not exist.
func TestHostileMemory(t *testing.T) {
	usual := startTime(t)
	startHeld(t, "httpd")
	server, status := startLoaded(t)
	metrics := harness.FreeAddress(t)
	begin := time.Now()
	agent := harness.StartDaemon(t, "--prometheus-listen", metrics)
	assert.LessOrEqual(t, time.Since(begin), 2*usual+harness.Slow(time.Second), "the time to attach, otherwise %s", usual)
	before := counted(t, status)
	load := startLoad(t, server.address, 6*time.Second) // enough for two searches
	var scrapes []time.Duration
	for !load.Exited() {
		asked := time.Now()
		_ = scrape(t, metrics)
		scrapes = append(scrapes, time.Since(asked))
		time.Sleep(50 * time.Millisecond)
	}
	load.finish(t)
	served := counted(t, status) - before - 1
	awaitRefusal(t, metrics, "no_answer", 1)
	usually, slowest := median(scrapes), slices.Max(scrapes)
	t.Logf("%d requests, a scrape took %s, the slowest %s, refused %v", served, usually, slowest, refusals(t, metrics))
	// One scrape may wait for the CPU, which the load and others use. A scrape
	// that waited for the process would take seconds.
	assert.LessOrEqual(t, usually, harness.Slow(100*time.Millisecond), "a scrape; the slowest took %s", slowest)
	assert.LessOrEqual(t, slowest, harness.Slow(time.Second), "the slowest scrape; a scrape took %s", usually)
	harness.Within(5*time.Second, func() bool {
		return harness.SumOf(t, scrape(t, metrics), "lapwing_agent_requests_total") >= float64(served)
	})
	page := scrape(t, metrics)
	assert.Zero(t, harness.SumOf(t, page, "lapwing_agent_requests_lost_total"), "requests were lost")
	assert.GreaterOrEqual(t, harness.SumOf(t, page, "lapwing_agent_requests_total"), float64(served),
		"requests that the agent counted; nginx served %d", served)
	stopInTime(t, agent)
}

// startTime returns how long an agent takes to attach.
func startTime(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	agent := harness.StartDaemon(t, "--prometheus-listen", harness.FreeAddress(t))
	took := time.Since(begin)
	stopInTime(t, agent)
	return took
}
