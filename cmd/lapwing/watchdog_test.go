package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWatchdogIsOfWork has an agent that works, hangs, and works again.
func TestWatchdogIsOfWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(context.Background())
		var turns, pings atomic.Uint64
		go pingWhile(ctx, time.Second, turns.Load, func() { pings.Add(1) })
		pass := func(work uint64) uint64 {
			before := pings.Load()
			for range 10 {
				turns.Add(work)
				time.Sleep(time.Second)
				synctest.Wait()
			}
			return pings.Load() - before
		}
		time.Sleep(time.Millisecond)
		require.EqualValues(t, 10, pass(3))
		require.Zero(t, pass(0), "it hangs")
		require.EqualValues(t, 10, pass(1))
		end()
		synctest.Wait()
	})
}
