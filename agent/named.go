package agent

import (
	"time"

	"golang.org/x/sys/unix"

	"lapwing/collectors/service"
	"lapwing/collectors/worker"
	"lapwing/probes/socket"
	"lapwing/probes/socket/snapshot"
)

// namedSource takes snapshots and waits until the names of their processes are
// known. The reader of a snapshot holds a lock that finished requests wait for,
// so it must not look names up itself.
type namedSource struct {
	*socket.Probe
	services *service.Resolver
}

var _ worker.Source = namedSource{}

// namesWait is the longest time that a snapshot waits for names. There can be
// hundreds of processes that have not been looked up yet. The next snapshot has
// the names that are missing in this one.
const namesWait = 50 * time.Millisecond

// SnapConns implements worker.Source. The listeners are those of the last scan
// of the files, which comes before.
func (n namedSource) SnapConns(s *snapshot.Snapshot) error {
	err := n.Probe.SnapConns(s)
	if err == nil {
		n.services.Await(peopleOf(s), namesWait)
	}
	return err
}

// peopleOf lists the processes in a snapshot, with the command names that are
// known.
func peopleOf(s *snapshot.Snapshot) map[uint32]string {
	all := make(map[uint32]string)
	note := func(pid uint32, comm string) {
		if pid != 0 && all[pid] == "" {
			all[pid] = comm
		}
	}
	opened := make(map[uint64]bool, len(s.Conns)) // connections whose process the kernel does not know
	for i := range s.Conns {
		c := &s.Conns[i]
		r := c.Record
		note(r.Pid, unix.ByteSliceToString(r.Command()[:]))
		if pid, _, blocked := c.Blocked(); blocked {
			note(pid, "")
		}
		if r.Pid == 0 {
			opened[r.Sk] = true
		}
	}
	for _, h := range s.Holders {
		if opened[h.Socket] {
			note(h.PID, "")
		}
	}
	for i := range s.Listeners {
		note(s.Listeners[i].PID, "")
	}
	for _, w := range s.Waiters {
		note(w.PID, "")
	}
	return all
}
