package service

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"lapwing/collectors/patience"
)

// Server is a process that listens at a TCP port or, with port 0, at the path of a
// unix socket.
type Server struct {
	PID      uint32
	Identity *Identity
	Name     string // as PoolName returns it
	Port     uint16
	Path     string
}

// unixListens is the flag of a listening socket in /proc/net/unix.
const unixListens = 1 << 16

// Servers returns what listens on this host now, in all network namespaces. It
// reads all descriptors of all processes, which is slow: call it only once, when a
// person waits for the answer.
func (r *Resolver) Servers() ([]Server, error) {
	procs, err := r.proc.AllProcs()
	if err != nil {
		return nil, err
	}
	namespaces := map[uint32]map[string]Server{}
	var all []Server
	for _, p := range procs {
		targets, _ := p.FileDescriptorTargets() // none for a process that ended meanwhile
		if len(targets) == 0 {
			continue
		}
		listening := r.listening(p, namespaces)
		for _, target := range targets {
			s, ok := listening[target]
			if !ok {
				continue
			}
			s.PID = uint32(p.PID)
			r.Ask(s.PID, "") // start all looks before waiting for any
			all = append(all, s)
		}
	}
	for i := range all {
		all[i].Identity = r.Lookup(all[i].PID, "")
		all[i].Name = r.PoolName(all[i].Identity, all[i].Port, []byte(all[i].Path))
	}
	for i := range all { // the second server of a name changes the name of the first
		all[i].Name = r.PoolName(all[i].Identity, all[i].Port, []byte(all[i].Path))
	}
	slices.SortFunc(all, func(a, b Server) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID)) })
	return all, nil
}

// listening returns the listening sockets of a process's network namespace, by the
// link texts of their descriptors. Each namespace is read once.
func (r *Resolver) listening(p procfs.Proc, known map[uint32]map[string]Server) map[string]Server {
	var inode uint32
	if all, err := p.Namespaces(); err == nil {
		inode = all["net"].Inode
	}
	if sockets, ok := known[inode]; ok {
		return sockets
	}
	sockets := map[string]Server{}
	known[inode] = sockets
	ns, err := procfs.NewFS(filepath.Join(r.root, strconv.Itoa(p.PID)))
	if err != nil {
		return sockets
	}
	//lint:ignore SA1019 netlink answers for the agent's own namespace only
	for _, read := range []func() (procfs.NetTCP, error){ns.NetTCP, ns.NetTCP6} {
		found, _ := read() // a kernel without IPv6 does not have the second file
		for _, s := range found {
			if s.St == tcpListen {
				sockets[socketLink(s.Inode)] = Server{Port: uint16(s.LocalPort)}
			}
		}
	}
	if found, err := ns.NetUNIX(); err == nil {
		for _, s := range found.Rows {
			if s.Flags&unixListens != 0 {
				sockets[socketLink(s.Inode)] = Server{Path: strings.TrimSpace(s.Path)}
			}
		}
	}
	return sockets
}

func socketLink(inode uint64) string { return "socket:[" + strconv.FormatUint(inode, 10) + "]" }

// Exists reports whether the process exists, and returns its command name.
func (r *Resolver) Exists(pid uint32) (comm string, ok bool) {
	p, err := ask(r.pool, pid, "state", func() (process, error) { return readProcess(r.proc, int(pid)) })
	return p.comm, err == nil && !p.ended || patience.NotAsked(err)
}

// Impossible returns an error if a filter selects nothing and never will: it
// selects processes by id, and none of them exists. Only for the text of this error
// does it read facts that a process could hold up.
func (f *Filter) Impossible(r *Resolver) error {
	var missing []string
	for _, pid := range f.PIDs {
		if _, ok := r.Exists(pid); ok {
			return nil
		}
		missing = append(missing, fmt.Sprint(pid))
	}
	if len(missing) == 0 {
		return nil
	}
	running, err := r.Servers()
	if err != nil {
		return nil // without permission to read the processes there is no error
	}
	return fmt.Errorf("no process has the PID %s, so nothing would be shown (listening now: %s)",
		strings.Join(missing, " or "), complaint{f, r, running}.namesWithIDs())
}

// Complaints returns a warning for each part of a filter that selects nothing now,
// given the running servers.
func (f *Filter) Complaints(r *Resolver, running []Server) []string {
	return complaint{f, r, running}.all()
}
