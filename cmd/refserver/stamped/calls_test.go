package stamped

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// between checks that a call returned after begin and before now.
func between(t *testing.T, begin, returned int64) {
	t.Helper()
	const apart = int64(time.Microsecond) // clock is off by a constant below it
	assert.GreaterOrEqual(t, returned, begin-apart)
	assert.LessOrEqual(t, returned, clock.Now()+apart)
}

func TestCalls(t *testing.T) {
	a, b := pair(t)
	begin := clock.Now()
	n, returned, err := Write(a, []byte("one "))
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	between(t, begin, returned)

	begin = clock.Now()
	n, returned, err = Writev(a, []byte("two "), []byte("three "))
	require.NoError(t, err)
	assert.Equal(t, 10, n)
	between(t, begin, returned)

	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("zero four"), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	offset := int64(5)
	begin = clock.Now()
	n, returned, err = Sendfile(a, int(file.Fd()), &offset, 4)
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	assert.Equal(t, int64(9), offset)
	between(t, begin, returned)

	var got [64]byte
	begin = clock.Now()
	n, returned, err = Read(b, got[:])
	require.NoError(t, err)
	assert.Equal(t, "one two three four", string(got[:n]))
	between(t, begin, returned)
}

func TestErrors(t *testing.T) {
	n, _, err := Read(-1, make([]byte, 1))
	assert.ErrorIs(t, err, unix.EBADF)
	assert.Equal(t, -1, n)
	_, _, errno := Accept(-1, new(unix.RawSockaddrAny), 0)
	assert.Equal(t, unix.EBADF, errno)
}

// TestCallsBesideTheRuntime checks that threads that block in a call block
// neither other threads nor the garbage collector, and that their buffers do
// not move.
func TestCallsBesideTheRuntime(t *testing.T) {
	const threads, rounds = 16, 200
	var all sync.WaitGroup
	for range threads {
		a, b := pair(t)
		all.Go(func() { echo(t, b, rounds) })
		all.Go(func() {
			for i := range rounds {
				buf := []byte{byte(i)}
				_, _, _ = Write(a, buf)
				runtime.Gosched()
				n, _, err := Read(a, buf)
				if !assert.NoError(t, err, "round %d", i) || !assert.Equal(t, 1, n, "round %d", i) ||
					!assert.Equal(t, byte(i)+1, buf[0], "round %d", i) {
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
			runtime.GC()
		}
	}
}

// echo responds to each byte with the next one.
func echo(t *testing.T, fd, rounds int) {
	runtime.LockOSThread()
	for range rounds {
		buf := make([]byte, 1)
		n, _, err := Read(fd, buf)
		if !assert.NoError(t, err, "read %d", n) || !assert.Equal(t, 1, n) {
			return
		}
		buf[0]++
		_, _, _ = Write(fd, buf)
	}
}
