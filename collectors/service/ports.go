package service

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// tcpListen is the kernel's TCP_LISTEN, as /proc/net/tcp shows it.
const tcpListen = 10

// listeningPorts returns the TCP ports on which a process has a listening socket.
// It reads all descriptors of the process and all sockets of its network namespace.
// This is slow on big hosts, so it runs once per process and only for rules with a
// port.
func listeningPorts(root string, proc procfs.Proc) []uint16 {
	held := map[uint64]bool{}
	targets, _ := proc.FileDescriptorTargets()
	for _, target := range targets {
		number, ok := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); ok && err == nil {
			held[inode] = true
		}
	}
	// net/ below a process shows the network namespace of that process.
	ns, err := procfs.NewFS(filepath.Join(root, strconv.Itoa(proc.PID)))
	if err != nil || len(held) == 0 {
		return nil
	}
	var ports []uint16
	//lint:ignore SA1019 netlink answers for the agent's own namespace only
	for _, read := range []func() (procfs.NetTCP, error){ns.NetTCP, ns.NetTCP6} {
		sockets, _ := read()
		for _, s := range sockets {
			if s.St == tcpListen && held[s.Inode] {
				ports = append(ports, uint16(s.LocalPort))
			}
		}
	}
	return ports
}
