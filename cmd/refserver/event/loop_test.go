package event

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// run runs a loop until the returned function is called from the loop.
func run(t *testing.T, prepare func(l *Loop, stop func())) {
	t.Helper()
	l, err := New()
	require.NoError(t, err)
	done := make(chan struct{})
	prepare(l, func() { close(done) })
	go func() { _ = l.Run() }() // never returns; it ends with the process
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the loop did not do what it should")
	}
}

func TestTimersInOrder(t *testing.T) {
	var order []int
	began := time.Now()
	run(t, func(l *Loop, stop func()) {
		l.After(30*time.Millisecond, func() { order = append(order, 3); stop() })
		l.After(10*time.Millisecond, func() { order = append(order, 1) })
		l.After(20*time.Millisecond, func() { order = append(order, 2) })
	})
	d := time.Since(began)
	assert.Equal(t, []int{1, 2, 3}, order)
	assert.GreaterOrEqual(t, d, 30*time.Millisecond, "the last timer of 30 ms ran too early")
}

func TestPost(t *testing.T) {
	run(t, func(l *Loop, stop func()) {
		go l.Post(stop)
	})
}

type handler func(uint32)

func (h handler) Ready(events uint32) { h(events) }

// TestReusedDescriptor has a handler that closes a descriptor with a waiting
// event in the same batch, and opens a new descriptor with the same number.
func TestReusedDescriptor(t *testing.T) {
	stale := 0
	run(t, func(l *Loop, stop func()) {
		a, b := eventfd(t), eventfd(t)
		replaced := false
		replace := func(self, other int) handler {
			return func(uint32) {
				if replaced {
					stale++
					return
				}
				replaced = true
				l.Forget(other)
				_ = unix.Close(other)
				fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
				assert.NoError(t, err)
				assert.Equal(t, other, fd, "the new descriptor has another number")
				assert.NoError(t, l.Watch(fd, unix.EPOLLIN|unix.EPOLLET, handler(func(uint32) { stale++ })))
				l.Unwatch(self)
				l.After(5*time.Millisecond, stop)
			}
		}
		for fd, h := range map[int]handler{a: replace(a, b), b: replace(b, a)} {
			require.NoError(t, l.Watch(fd, unix.EPOLLIN|unix.EPOLLET, h))
			_, err := unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
			require.NoError(t, err)
		}
	})
	assert.Zero(t, stale)
}

func eventfd(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	return fd
}

func TestWatchError(t *testing.T) {
	l, err := New()
	require.NoError(t, err)
	assert.Error(t, l.Watch(-1, unix.EPOLLIN, wakeUp{}), "a descriptor that does not exist is watched")
}
