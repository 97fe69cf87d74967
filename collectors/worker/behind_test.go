package worker

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

// TestThreadsBehindALoop looks every second at a process whose thread 1 reads and
// answers: how often its other thread slept, and how many requests ended.
func TestThreadsBehindALoop(t *testing.T) {
	type second struct{ sleeps, requests uint64 }
	rows := []struct {
		name    string
		threads int
		seconds []second
		works   bool
	}{
		{"it is the only thread", 1, []second{{0, 5}, {0, 5}}, false},
		{"nothing has ended yet", 2, []second{{0, 0}}, true},
		{"the others are idle", 2, []second{{0, 5}, {0, 7}, {1, 9}}, false},
		{"a sleep for each request", 2, []second{{5, 5}, {6, 7}, {9, 9}}, true},
		{"requests that become known a second later", 2, []second{{0, 0}, {20, 0}, {0, 20}, {0, 0}}, true},
		{"housekeeping, ten times a second", 2, []second{{10, 0}, {10, 0}, {10, 0}, {10, 3}, {10, 0}, {10, 0}, {10, 0}, {10, 2}, {10, 0}}, false},
		{"housekeeping and work", 2, []second{{10, 0}, {10, 0}, {10, 0}, {15, 5}, {10, 0}, {10, 0}, {10, 0}, {14, 4}, {10, 0}}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b, w := &behind{}, &worker{tid: 1}
			slept := uint64(1000)
			now := request.Stamp(time.Hour)
			look := func() {
				sleeps := map[uint32]uint64{1: slept * 3}
				if row.threads > 1 {
					sleeps[2] = slept
				}
				b.look(w, sleeps, now)
			}
			look()
			for _, s := range row.seconds {
				now += request.Stamp(time.Second)
				slept += s.sleeps
				w.served += s.requests
				look()
			}
			assert.Equal(t, row.works, b.works())
		})
	}
}

// TestThreadsNotAskedYet shows pools whose threads there was no time to ask about:
// how many workers they have is not known, until it is.
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
		s := w.sight(socket.WorkComputing, pid, "")
		s.WaiterHow, s.WaiterTid, s.WaiterPid = uint8(socket.WaitLoop), pid, pid
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
