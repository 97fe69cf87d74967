package worker

import (
	"fmt"
	"os"

	"github.com/prometheus/procfs"
)

// Host holds the kernel's counts for all TCP listeners of the agent's network
// namespace together, since the collector was made. The kernel does not say which
// listener they belong to; for that see Listener.Overflows.
type Host struct {
	// ListenOverflows counts handshakes that found a full listen backlog.
	ListenOverflows uint64 `json:"listen_overflows"`
	// ListenDrops counts all connection attempts that listeners dropped, including
	// overflows.
	ListenDrops uint64 `json:"listen_drops"`
	// SYNDrops counts SYNs that found the queue of unfinished handshakes full.
	SYNDrops uint64 `json:"syn_drops"`
	// Unattributed counts the drops of all network namespaces whose listener is not
	// known.
	Unattributed uint64 `json:"unattributed_drops"`
}

// readHost reads the counts since boot.
func readHost() (Host, error) {
	self, err := procfs.Self()
	if err != nil {
		return Host{}, fmt.Errorf("read the agent's own process: %w", err)
	}
	n, err := self.Netstat()
	if err != nil {
		return Host{}, fmt.Errorf("read the network counters: %w", err)
	}
	return Host{
		ListenOverflows: counted(n.ListenOverflows),
		ListenDrops:     counted(n.ListenDrops),
		SYNDrops:        counted(n.TCPReqQFullDrop),
	}, nil
}

func counted(n *float64) uint64 {
	if n == nil {
		return 0 // this kernel does not count it
	}
	return uint64(*n)
}

// ReadListenCounts reads the counts of a process's network namespace. It fails if
// that is not the namespace netns, because a process may hold sockets of other
// namespaces.
func ReadListenCounts(pid, netns uint32) (ListenCounts, error) {
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
		return ListenCounts{}, fmt.Errorf("find the network namespace of process %d: %w", pid, err)
	} else if at != fmt.Sprintf("net:[%d]", netns) {
		return ListenCounts{}, fmt.Errorf("process %d is in %s, not in the network namespace %d", pid, at, netns)
	}
	p, err := procfs.NewProc(int(pid))
	if err != nil {
		return ListenCounts{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	n, err := p.Netstat()
	if err != nil {
		return ListenCounts{}, fmt.Errorf("read the network counters: %w", err)
	}
	return ListenCounts{Drops: counted(n.ListenDrops), Deferred: counted(n.TCPDeferAcceptDrop)}, nil
}

// Host reads the host-wide counts.
func (c *Collector) Host() (Host, error) {
	now, err := readHost()
	if err != nil {
		return Host{}, err
	}
	c.look.Lock()
	defer c.look.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Host{
		Unattributed:    c.drops.unattributed,
		ListenOverflows: now.ListenOverflows - c.host.ListenOverflows,
		ListenDrops:     now.ListenDrops - c.host.ListenDrops,
		SYNDrops:        now.SYNDrops - c.host.SYNDrops,
	}, nil
}
