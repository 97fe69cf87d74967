package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNowIsTheKernelsClock compares Now with the kernel's clock before and
// after it.
func TestNowIsTheKernelsClock(t *testing.T) {
	const slack = int64(5 * time.Microsecond) // a clock_gettime call on a slow machine
	for range 1000 {
		before := kernel(t)
		now := Now()
		after := kernel(t)
		require.GreaterOrEqual(t, now, before-slack, "clock.Now() = %d, kernel says between %d and %d", now, before, after)
		require.LessOrEqual(t, now, after+slack, "clock.Now() = %d, kernel says between %d and %d", now, before, after)
	}
}

func TestNowNeverDecreases(t *testing.T) {
	stamps := make([]int64, 10001)
	for i := range stamps {
		stamps[i] = Now()
	}
	require.IsNonDecreasing(t, stamps, "clock went back")
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}

func kernel(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	return ts.Nano()
}
