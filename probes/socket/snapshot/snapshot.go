package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/wire"
)

// Conn is a connection that is in use at the moment of a snapshot.
type Conn struct {
	connEntry
	Record wire.Record // of the request in progress, or of the last one
}

// Listener is a listening socket that a process has open.
type Listener struct {
	PID     uint32
	Socket  uint64 // identifies the socket: a shared socket is the same one
	NetNS   uint32 // inode of the network namespace
	Address netip.AddrPort
	Unix    []byte // the address that a unix socket is bound to; nil for TCP
	Len     int    // connections that wait for accept
	Limit   int    // how many can wait
	// Drops is the socket's own counter in TCP. It counts dropped connection
	// attempts, and also each end of a handshake that accept need not see yet,
	// repeated SYNs, and some drops twice. Discards counts all of these but the
	// dropped attempts, if the kernel reports them.
	Drops, Discards uint32
	Discerned       bool // Discards are counted

	Deferred bool // TCP: accept waits until data has arrived (TCP_DEFER_ACCEPT)
}

// IsUnix reports whether it is a unix socket.
func (l Listener) IsUnix() bool { return !l.Address.IsValid() }

// Waiter is a thread that waits on a listening socket.
type Waiter struct {
	PID, TID uint32
	Socket   uint64
	How      WaitHow
}

// Holder is a process that has a connection's socket open.
type Holder struct {
	PID    uint32
	Socket uint64
}

// Snapshot is what was found at one moment. It is valid until the next one is taken.
type Snapshot struct {
	Conns     []Conn
	Cut       int // connections for which there was no room
	Listeners []Listener
	Waiters   []Waiter
	Holders   []Holder
}

var errTruncated = errors.New("read a snapshot: a message is truncated")

// Decode decodes the messages in raw.
func (s *Snapshot) Decode(raw []byte) error {
	for len(raw) > 0 {
		if len(raw) < 4 {
			return errTruncated
		}
		kind, size := binary.NativeEndian.Uint16(raw), int(binary.NativeEndian.Uint16(raw[2:]))
		if size < 4 || size > len(raw) || !s.add(kind, raw[:size]) {
			return errTruncated
		}
		raw = raw[size:]
	}
	return nil
}

// Compact leaves one of each connection, in their order. A search of the descriptors of
// all processes finds a connection once for each process that has it open.
func (s *Snapshot) Compact() {
	seen := make(map[uint64]bool, len(s.Conns))
	s.Conns = slices.DeleteFunc(s.Conns, func(c Conn) bool {
		twice := seen[c.Record.Conn]
		seen[c.Record.Conn] = true
		return twice
	})
}

func (s *Snapshot) add(kind uint16, raw []byte) bool {
	switch bpf.SocketPlanSnapKind(kind) {
	case bpf.SocketPlanSnapKindSNAP_CONN:
		c, ok := entryOf[connEntry](raw)
		if !ok {
			return false
		}
		r, ok := wire.DecodeRecord(raw[unsafe.Sizeof(*c):])
		s.Conns = append(s.Conns, Conn{*c, r})
		return ok
	case bpf.SocketPlanSnapKindSNAP_LISTENER:
		l, ok := entryOf[bpf.SocketPlanSnapListener](raw)
		if ok {
			s.Listeners = append(s.Listeners, newListener(l))
		}
		return ok
	case bpf.SocketPlanSnapKindSNAP_WAITER:
		w, ok := entryOf[bpf.SocketPlanSnapWaiter](raw)
		if ok {
			s.Waiters = append(s.Waiters, Waiter{w.Pid, w.Tid, w.Sk, WaitHow(w.How)})
		}
		return ok
	case bpf.SocketPlanSnapKindSNAP_HOLDER:
		h, ok := entryOf[bpf.SocketPlanSnapHolder](raw)
		if ok {
			s.Holders = append(s.Holders, Holder{h.Pid, h.Sk})
		}
		return ok
	}
	return false
}

func entryOf[T any](raw []byte) (*T, bool) {
	var zero T
	if len(raw) < int(unsafe.Sizeof(zero)) {
		return nil, false
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(raw))), true
}

func newListener(l *bpf.SocketPlanSnapListener) Listener {
	out := Listener{PID: l.Pid, Socket: l.Sk, NetNS: l.Netns, Len: int(l.Len), Limit: int(l.Limit), Drops: l.Drops, Discards: l.Discards, Deferred: l.Defers != 0}
	switch l.Family {
	case unix.AF_INET:
		out.Address = netip.AddrPortFrom(netip.AddrFrom4([4]byte(l.Local[:4])), l.Port)
	case unix.AF_INET6:
		out.Address = netip.AddrPortFrom(netip.AddrFrom16(l.Local), l.Port)
	default:
		out.Unix = bytes.Clone(l.Name[:min(int(l.NameLen), len(l.Name))])
	}
	return out
}
