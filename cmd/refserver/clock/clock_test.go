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
		if now < before-slack || now > after+slack {
			t.Fatalf("clock.Now() = %d, kernel says between %d and %d", now, before, after)
		}
	}
}

func TestNowNeverDecreases(t *testing.T) {
	last := Now()
	for range 10000 {
		now := Now()
		if now < last {
			t.Fatalf("clock went back from %d to %d", last, now)
		}
		last = now
	}
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
