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
// of its bytes, the same for all targets.
func For(input int) Budget {
	return Budget{Bytes: 256<<10 + 64*uint64(input), Time: 100*time.Millisecond + time.Duration(input)*10*time.Microsecond}
}

// attempts is how often what goes over its budget is measured again: what the rest of
// the process allocates meanwhile is counted too, and a fuzzer at work allocates.
const attempts = 5

// Within runs f and fails the test if it takes more. What takes too much takes it each
// time: f may be called again, and must do the same then. A host that is busy does not
// count, only the processor's time of the calling thread does.
func (b Budget) Within(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := measure(allocated, f)
	for again := 0; again < attempts && took.over(b); again++ {
		took = measure(exactlyAllocated, f)
	}
	if took.Time > b.Time {
		t.Errorf("%v of the processor's time was taken, at most %v may be", took.Time, b.Time)
	}
	if took.Bytes > b.Bytes {
		t.Errorf("%d bytes were allocated, at most %d may be", took.Bytes, b.Bytes)
	}
}

func (b Budget) over(limit Budget) bool { return b.Time > limit.Time || b.Bytes > limit.Bytes }

func measure(allocated func() uint64, f func()) Budget {
	bytes, spent := allocated(), threadTime()
	f()
	return Budget{Time: threadTime() - spent, Bytes: allocated() - bytes}
}

// allocated stops nobody, but small objects are counted late, by the span: when the
// garbage collector begins, all of what went before appears at once.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// exactlyAllocated stops all threads for it.
func exactlyAllocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
