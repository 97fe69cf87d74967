package uprobes

import (
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

//go:noinline
func marked() int { return os.Getpid() }

// spot returns the offset of a function in the file of this program.
func spot(t *testing.T, function any) (file *os.File, offset uint64) {
	t.Helper()
	file, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	offset, err = offsetOf(reflect.ValueOf(function).Pointer())
	require.NoError(t, err)
	return file, offset
}

// TestOpenedEventsCount counts the calls of a function with an event that the
// child opened, as with any perf event.
func TestOpenedEventsCount(t *testing.T) {
	o, err := Start(nil)
	require.NoError(t, err)
	file, offset := spot(t, marked)
	event, err := o.Open(file, offset)
	require.NoError(t, err)
	defer func() { _ = event.Close() }()
	before := count(t, event)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.Eventually(t, func() bool {
		for range 100 {
			marked()
		}
		return count(t, event) > before
	}, 10*time.Second, time.Millisecond, "the event is of processor 0, where this thread runs now and then")
	require.NoError(t, o.Close())
	assert.Eventually(t, func() bool { _, err := o.Open(file, offset); return err != nil }, 5*time.Second, 10*time.Millisecond)
	count(t, event) // the event stays open
}

func count(t *testing.T, event *os.File) uint64 {
	t.Helper()
	raw := make([]byte, 8)
	_, err := unix.Read(int(event.Fd()), raw)
	require.NoError(t, err)
	return uint64(raw[0]) | uint64(raw[1])<<8 | uint64(raw[2])<<16 | uint64(raw[3])<<24
}

// TestRefusal checks the kernel's error for an offset where nothing can be
// attached.
func TestRefusal(t *testing.T) {
	o, err := Start(nil)
	require.NoError(t, err)
	defer func() { _ = o.Close() }()
	pipe, other, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = pipe.Close(); _ = other.Close() }()
	_, err = o.Open(pipe, 0)
	require.ErrorIs(t, err, unix.EINVAL)
}
