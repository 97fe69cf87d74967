package worker

import (
	"strings"

	"lapwing/collectors/service"
	"lapwing/probes/socket/snapshot"
)

// finder answers questions about one look.
type finder struct {
	c        *Collector
	holders  map[uint64]uint32
	sockets  map[uint64]*snapshot.Listener
	missing  bool // the process of a connection was not found
	listened map[uint32][]*snapshot.Listener
	unread   map[uint32]bool // processes that accepted connections and do not read them
}

func newFinder(c *Collector) *finder {
	f := &finder{c: c, holders: map[uint64]uint32{}, sockets: map[uint64]*snapshot.Listener{},
		listened: map[uint32][]*snapshot.Listener{}, unread: map[uint32]bool{}}
	for _, h := range c.snap.Holders {
		f.holders[h.Socket] = h.PID
	}
	for i := range c.snap.Listeners {
		l := &c.snap.Listeners[i]
		f.sockets[l.Socket] = l
		f.listened[l.PID] = append(f.listened[l.PID], l)
	}
	return f
}

// holder returns a process that has the socket open, or 0 if none was found.
func (f *finder) holder(sk uint64) uint32 { return f.holders[sk] }

// leavesUnread notes the process that accepted a connection and does not read it.
func (f *finder) leavesUnread(sk uint64) {
	if pid := f.holder(sk); pid != 0 {
		f.unread[pid] = true
	}
	f.missing = true // so that the next look finds the process again
}

// listens reports whether a process listens on an address.
func (f *finder) listens(pid uint32, port uint16, path []byte) bool {
	for _, l := range f.listened[pid] {
		if l.IsUnix() && port == 0 && string(unixPath(l.Unix)) == string(path) || !l.IsUnix() && l.Address.Port() == port {
			return true
		}
	}
	return false
}

// port returns the port of a listening socket, or 0 for a unix socket.
func (f *finder) port(sk uint64) uint16 {
	if l := f.sockets[sk]; l != nil && !l.IsUnix() {
		return l.Address.Port()
	}
	return 0
}

// at returns the pool of a connection: that of the process which last read from it,
// else the one that answers at its address.
func (f *finder) at(pid uint32, comm string, port uint16, path []byte) *pool {
	if pid != 0 {
		return f.c.poolOf(pid, comm, port, false)
	}
	for _, p := range f.c.pools {
		if p.answersAt(port, path) {
			return p
		}
	}
	return nil
}

// owner returns the pool of a listening socket: its service answers at the address,
// and the process that has the socket open is of this service.
func (f *finder) owner(l *snapshot.Listener) *pool {
	port, path := uint16(0), []byte(nil)
	if l.IsUnix() {
		path = unixPath(l.Unix)
	} else {
		port = l.Address.Port()
	}
	p := f.c.poolOf(l.PID, "", port, false)
	if p == nil {
		p = f.poolBelow(l.PID, port, path)
	}
	if p == nil || !p.answersAt(port, path) {
		return nil
	}
	return p
}

// poolBelow returns the pool that answers at an address, if a master of several
// pools has the socket open, as the master of php-fpm does.
func (f *finder) poolBelow(pid uint32, port uint16, path []byte) *pool {
	name, ok := f.c.opts.Service(pid, "", port)
	if !ok {
		return nil
	}
	for _, p := range f.c.pools {
		if p.answersAt(port, path) && strings.HasPrefix(p.name, name+service.PoolSep) {
			return p
		}
	}
	return nil
}
