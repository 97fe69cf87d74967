package worker

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// TestThreadsBehindALoop looks every second at a process whose thread 1 reads and
// answers. Each step says how often the other thread slept, how many requests
// ended, and how many requests of an earlier second became known.
func TestThreadsBehindALoop(t *testing.T) {
	type second struct{ sleeps, requests, known int }
	rows := []struct {
		name    string
		threads int
		seconds []second
		works   bool
	}{
		{"it is the only thread", 1, []second{{0, 5, 5}, {0, 5, 5}}, false},
		{"nothing has ended yet", 2, []second{{0, 0, 0}}, true},
		{"the others are idle", 2, []second{{0, 5, 5}, {0, 7, 7}, {1, 9, 9}}, false},
		{"a sleep for each request", 2, []second{{5, 5, 5}, {6, 7, 7}, {9, 9, 9}}, true},
		{"requests that become known a second later", 2, []second{{0, 0, 0}, {20, 20, 0}, {0, 0, 20}, {0, 0, 0}}, true},
		{"some of them after the last look", 2, []second{{20, 20, 0}, {6, 6, 20}}, true},
		{"requests from before the first look, known after it", 2, []second{{6, 6, 12}}, true},
		{"housekeeping, ten times a second", 2, []second{{10, 0, 0}, {10, 0, 0}, {10, 0, 0}, {10, 3, 3}, {10, 0, 0}, {10, 0, 0}, {10, 0, 0}, {10, 2, 2}, {10, 0, 0}}, false},
		{"housekeeping and work", 2, []second{{10, 0, 0}, {10, 0, 0}, {10, 0, 0}, {15, 5, 5}, {10, 0, 0}, {10, 0, 0}, {10, 0, 0}, {14, 4, 4}, {10, 0, 0}}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := &worker{tid: 1, pool: &pool{}, siblings: &siblings{}}
			slept := uint64(1000)
			now := request.Stamp(time.Hour)
			var ended []*request.Request
			serve := func(n int) {
				for range n {
					ended = append(ended, &request.Request{Stamps: request.Stamps{
						ReadFirst: now + request.Stamp(300*time.Millisecond), WriteFirst: now + request.Stamp(500*time.Millisecond),
						WriteLast: now + request.Stamp(500*time.Millisecond),
					}})
				}
			}
			look := func() {
				sleeps := map[uint32]uint64{1: slept * 3}
				if row.threads > 1 {
					sleeps[2] = slept
				}
				w.siblings.look(w.tid, sleeps, false, now)
			}
			now -= request.Stamp(time.Second)
			serve(6)
			now += request.Stamp(time.Second)
			if row.seconds[0].known <= row.seconds[0].requests {
				ended = nil
			}
			look()
			for _, s := range row.seconds {
				serve(s.requests)
				now += request.Stamp(time.Second)
				slept += uint64(s.sleeps)
				for range s.known {
					w.finish(ended[0], false)
					ended = ended[1:]
				}
				look()
			}
			assert.Equal(t, row.works, w.siblings.works())
		})
	}
}

// TestThreadsNotAskedYet has pools whose threads could not be read yet for lack of
// time. Until they are, the number of workers is not known.
func TestThreadsNotAskedYet(t *testing.T) {
	slow := true
	w := newWorld(t, func(o *Options) {
		o.Service = func(pid uint32, _ string, _ uint16) (string, bool) { return fmt.Sprint("shop-", pid), true }
		o.Sleeps = func(pid uint32) (map[uint32]uint64, error) {
			if slow {
				time.Sleep(forSome + 10*time.Millisecond)
			}
			return map[uint32]uint64{pid: 1}, nil
		}
	})
	for _, pid := range []uint32{10, 20, 30} {
		w.runs(pid, pid)
		s := w.conn(snapshot.WorkComputing, pid, "")
		s.WaiterHow, s.WaiterTid, s.WaiterPid = uint8(snapshot.WaitLoop), pid, pid
		w.found.Conns = append(w.found.Conns, s)
	}
	known := func() (n int) {
		w.pass(time.Second)
		for _, s := range w.Snapshot() {
			if !s.Hidden {
				n++
			}
		}
		return n
	}
	assert.Equal(t, 1, known())
	slow = false
	assert.Equal(t, 3, known())
	assert.Equal(t, 3, known())
}
