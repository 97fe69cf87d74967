package agent

import (
	"time"

	"golang.org/x/sys/unix"

	"lapwing/collectors/service"
	"lapwing/collectors/worker"
	"lapwing/probes/socket"
	"lapwing/probes/socket/snapshot"
)

// namedSource takes snapshots of whose processes the names are known: who looks
// at them holds a lock that finished requests wait for.
type namedSource struct {
	*socket.Probe
	services *service.Resolver
}

var _ worker.Source = namedSource{}

// namesWait is how long a snapshot waits for names. There can be hundreds of
// processes that nobody has looked at yet: of those who are not known by then, the
// next one tells.
const namesWait = 50 * time.Millisecond

// SnapConns implements worker.Source. The listeners are those of the last look at
// the files, which comes before.
func (n namedSource) SnapConns(s *snapshot.Snapshot) error {
	err := n.Probe.SnapConns(s)
	if err == nil {
		n.services.Await(peopleOf(s), namesWait)
	}
	return err
}

// peopleOf lists the processes in a snapshot, with the command names where those
// are known.
func peopleOf(s *snapshot.Snapshot) map[uint32]string {
	all := make(map[uint32]string)
	note := func(pid uint32, comm string) {
		if pid != 0 && all[pid] == "" {
			all[pid] = comm
		}
	}
	opened := make(map[uint64]bool, len(s.Conns)) // whose process the kernel does not know
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
