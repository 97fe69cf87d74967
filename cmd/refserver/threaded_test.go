package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestThreadedWorkers checks who serves: threads of one process, none of which
// is the one that accepts.
func TestThreadedWorkers(t *testing.T) {
	s := start(t, "threaded", "--workers", "3")
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { s.get("/sleep?ms=30") })
	}
	all.Wait()
	threads := make(map[int]bool)
	for _, l := range s.stop() {
		threads[l.TID] = true
		assert.Equal(t, s.cmd.Process.Pid, l.PID, "served by %+v", l)
		assert.Equal(t, l.PID, l.AcceptorTID, "served by %+v", l)
		assert.NotEqual(t, l.PID, l.TID, "served by %+v", l)
	}
	assert.Len(t, threads, 3)
}

// TestThreadedDispatch checks where requests wait when all workers are busy:
// after accept, before a worker takes the connection.
func TestThreadedDispatch(t *testing.T) {
	s := start(t, "threaded", "--workers", "1", "--keepalive", "0")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { s.get("/sleep?ms=250") })
	}
	all.Wait()
	lines := s.stop()
	for i, l := range lines[1:] {
		previous := lines[i]
		about := fmt.Sprintf("request %d: accepted at %d, taken at %d; the one before was written from %d to %d",
			i+1, l.AcceptNS, l.HandoverNS, previous.WriteEnterNS, previous.WriteLeaveNS)
		assert.LessOrEqual(t, l.AcceptNS, previous.WriteEnterNS, about)
		assert.GreaterOrEqual(t, l.HandoverNS, previous.WriteLeaveNS, about)
	}
}

// TestThreadedLock checks that the process has one lock for all its threads.
func TestThreadedLock(t *testing.T) {
	s := start(t, "threaded", "--workers", "3", "--keepalive", "0")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { s.get("/lock?ms=20") })
	}
	all.Wait()
	lines := s.stop()
	first, last := lines[0].AppEnterNS, int64(0)
	for _, l := range lines {
		first, last = min(first, l.AppEnterNS), max(last, l.AppLeaveNS)
	}
	assert.GreaterOrEqual(t, last-first, int64(60e6), "ns that three times 20 ms under one lock took")
}

func TestSerialWritesAndCloses(t *testing.T) {
	s := start(t, "serial")
	resp, _ := s.get("/fast")
	assert.True(t, resp.Close, "the response does not say that the connection closes")
	assert.Len(t, s.workers().Workers, 1, "workers")
	for _, l := range s.stop() {
		assert.Equal(t, l.PID, l.TID, "served by %+v", l)
		assert.Equal(t, 1, l.Seq, "served by %+v", l)
		assert.True(t, strings.HasPrefix(l.Route, "/"), "served by %+v", l)
	}
}
