// Package fuzzing holds what fuzz targets share: the budget of an input.
package fuzzing

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Budget is what a function may take for one input, however it was made.
type Budget struct {
	Bytes uint64        // allocated, in all, whether they are let go or not
	Time  time.Duration // of the processor
}

// For is the budget of an input of so many bytes: some for itself, and some for each
// of its bytes, the same for all targets. What other threads of the test allocate
// meanwhile is counted too.
func For(input int) Budget {
	return Budget{Bytes: 256<<10 + 64*uint64(input), Time: 100*time.Millisecond + time.Duration(input)*10*time.Microsecond}
}

// Within runs f and fails the test if it takes more. A host that is busy does not
// count, only the processor's time of the calling thread does.
func (b Budget) Within(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	bytes, spent := allocated(), threadTime()
	f()
	if spent = threadTime() - spent; spent > b.Time {
		t.Errorf("%v of the processor's time was taken, at most %v may be", spent, b.Time)
	}
	if bytes = allocated() - bytes; bytes > b.Bytes {
		t.Errorf("%d bytes were allocated, at most %d may be", bytes, b.Bytes)
	}
}

// allocated may lag behind by a few spans of small objects. It stops nobody, as
// runtime.ReadMemStats would, for every input.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
