package prometheus

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/prometheus/procfs"
)

// tcpListen is TCP_LISTEN of the kernel, as /proc/net/tcp shows it.
const tcpListen = 10

// owner returns the name of the process that listens on the port. It is empty
// if the process cannot be found: it may belong to another user or to another
// network namespace.
func owner(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return ""
	}
	inodes := listening(fs, uint64(at.Port()))
	procs, err := fs.AllProcs()
	if err != nil || len(inodes) == 0 {
		return ""
	}
	for _, p := range procs {
		targets, _ := p.FileDescriptorTargets() // none for processes that have ended meanwhile
		for _, target := range targets {
			if inodes[target] {
				comm, _ := p.Comm()
				return strings.TrimSpace(fmt.Sprintf("%s (process %d)", comm, p.PID))
			}
		}
	}
	return ""
}

// listening returns the sockets that listen on a port, as the links in /proc
// name them.
func listening(fs procfs.FS, port uint64) map[string]bool {
	inodes := map[string]bool{}
	//lint:ignore SA1019 netlink answers for the agent's own namespace only
	for _, read := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} {
		sockets, _ := read() // a kernel without IPv6 has no second file
		for _, s := range sockets {
			if s.St == tcpListen && s.LocalPort == port {
				inodes[fmt.Sprintf("socket:[%d]", s.Inode)] = true
			}
		}
	}
	return inodes
}
