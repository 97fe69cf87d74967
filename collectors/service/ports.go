package service

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// tcpListen is TCP_LISTEN of the kernel, as /proc/net/tcp shows it.
const tcpListen = 10

// listeningPorts lists the TCP ports on which a process holds a listening
// socket. It looks at every descriptor of the process and every socket of its
// network namespace: slow on big hosts, so it runs once per process and only
// for rules that ask.
func listeningPorts(root string, proc procfs.Proc) []uint16 {
	held := map[uint64]bool{}
	targets, _ := proc.FileDescriptorTargets()
	for _, target := range targets {
		number, ok := strings.CutPrefix(target, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); ok && err == nil {
			held[inode] = true
		}
	}
	// net/ below a process shows that process's network namespace.
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
