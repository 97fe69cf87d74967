// Package fuzzing has what fuzz targets share: the budget of an input.
package fuzzing

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

// Budget is what a function may use for one input, whatever the input is.
type Budget struct {
	Bytes uint64        // allocated in total, even if freed again
	Time  time.Duration // CPU time
}

// For returns the budget of an input of this number of bytes: a fixed amount,
// and an amount per byte, the same for all targets.
func For(input int) Budget {
	return Budget{Bytes: 256<<10 + 64*uint64(input), Time: 100*time.Millisecond + time.Duration(input)*10*time.Microsecond}
}

// attempts is how often a measurement is made at most, until one is within the
// budget. Allocations of
// the rest of the process are counted too, and a running fuzzer allocates.
const attempts = 5

// Within runs f and fails the test if f uses more than the budget. A real
// excess repeats: f may be called again, and must do the same then. Other load
// of the host does not count, because only the CPU time of the calling thread
// is measured.
func (b Budget) Within(t testing.TB, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := measure(allocated, f)
	for again := 0; again < attempts && took.over(b); again++ {
		took = measure(exactlyAllocated, f)
	}
	assert.LessOrEqual(t, took.Time, b.Time, "%v of the processor's time was taken, at most %v may be", took.Time, b.Time)
	assert.LessOrEqual(t, took.Bytes, b.Bytes, "%d bytes were allocated, at most %d may be", took.Bytes, b.Bytes)
}

func (b Budget) over(limit Budget) bool { return b.Time > limit.Time || b.Bytes > limit.Bytes }

func measure(allocated func() uint64, f func()) Budget {
	bytes, spent := allocated(), threadTime()
	f()
	return Budget{Time: threadTime() - spent, Bytes: allocated() - bytes}
}

// allocated does not stop the world. But small objects are counted late, per
// span: when the garbage collector starts, all earlier ones appear at once.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// exactlyAllocated is exact, but stops the world.
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
