package worker

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// Host is what the kernel counts for all TCP listeners of the agent's network
// namespace together, since the collector was made. It does not tell which
// listener was meant: Listener.Overflows does.
type Host struct {
	// ListenOverflows counts handshakes that found a listen backlog full.
	ListenOverflows uint64 `json:"listen_overflows"`
	// ListenDrops counts all connection attempts that listeners dropped, the
	// overflows included.
	ListenDrops uint64 `json:"listen_drops"`
	// SYNDrops counts SYNs that found the queue of unfinished handshakes full.
	SYNDrops uint64 `json:"syn_drops"`
}

// readHost reads the counts since boot.
func readHost() (Host, error) {
	self, err := procfs.Self()
	if err != nil {
		return Host{}, fmt.Errorf("look at the agent's own process: %w", err)
	}
	n, err := self.Netstat()
	if err != nil {
		return Host{}, fmt.Errorf("read the network's counts: %w", err)
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

// Host reads the host-wide counts.
func (c *Collector) Host() (Host, error) {
	now, err := readHost()
	if err != nil {
		return Host{}, err
	}
	return Host{
		ListenOverflows: now.ListenOverflows - c.host.ListenOverflows,
		ListenDrops:     now.ListenDrops - c.host.ListenDrops,
		SYNDrops:        now.SYNDrops - c.host.SYNDrops,
	}, nil
}
