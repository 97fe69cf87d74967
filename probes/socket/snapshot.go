package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// maxSights bounds the connections of one snapshot.
const maxSights = 16384

// snapshots takes snapshots: the iterators over the connections and over the
// descriptors of all processes, and the buffer that they are read into.
type snapshots struct {
	mu    sync.Mutex
	conns []*link.Iter
	files *link.Iter
	buf   bytes.Buffer
	uses  uint64 // of connections, when these were looked at last
}

// ConnSight is a connection that is in use at the moment of a snapshot.
type ConnSight struct {
	sightConn
	Record Record // of the request in progress, or of the last one
}

// Listener is a listening socket that a process has open.
type Listener struct {
	PID     uint32
	Socket  uint64 // tells sockets apart: one that is shared is the same
	NetNS   uint32 // inode of the network namespace
	Address netip.AddrPort
	Unix    []byte // what a unix socket is bound to; nil for TCP
	Len     int    // connections that wait for accept
	Limit   int    // how many may wait
	// Drops is TCP's own counter of the socket. It counts, besides connection
	// attempts that were dropped, each end of a handshake that accept need not
	// see yet, repeated SYNs, and some drops twice: the Discards, where the
	// kernel tells of them.
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

// Snapshot is what was found at one moment. It is valid until the next one is
// taken.
type Snapshot struct {
	Conns     []ConnSight
	Cut       int // connections that found no room
	Listeners []Listener
	Waiters   []Waiter
	Holders   []Holder
}

// Snapshots reports whether the probes can take snapshots: they were asked to,
// and the kernel has the iterators.
func (p *Probe) Snapshots() bool { return len(p.snaps.conns) > 0 }

// prepareSnapshots attaches the iterators, where they were loaded.
func (p *Probe) prepareSnapshots() error {
	for _, t := range p.tables() {
		it, err := p.iterator("see_"+t.walk, t.name)
		if err != nil {
			return err
		}
		if it != nil {
			p.snaps.conns = append(p.snaps.conns, it)
		}
	}
	var err error
	p.snaps.files, err = p.iterator("see_files", "")
	return err
}

// iterator attaches an iterator, over a map or over what its name says. It is
// nil when the program was not loaded.
func (p *Probe) iterator(program, m string) (*link.Iter, error) {
	prog := p.coll.Programs[program]
	if prog == nil {
		return nil, nil
	}
	opts := link.IterOptions{Program: prog}
	if m != "" {
		opts.Map = p.coll.Maps[m]
	}
	it, err := link.AttachIter(opts)
	if err != nil {
		return nil, fmt.Errorf("attach the iterator %s: %w", program, err)
	}
	return it, nil
}

// Touched reports whether bytes came or went on any connection since the last
// SnapConns. If none did, all that can have changed is which thread waits for
// which connection.
func (p *Probe) Touched() bool {
	p.snaps.mu.Lock()
	defer p.snaps.mu.Unlock()
	if len(p.snaps.conns) == 0 || p.uses() != p.snaps.uses {
		return true
	}
	for _, s := range p.sweeps {
		if used, err := s.inUse(); used || err != nil {
			return true
		}
	}
	return false
}

// SnapConns finds the connections in use.
func (p *Probe) SnapConns(s *Snapshot) error {
	p.snaps.mu.Lock()
	defer p.snaps.mu.Unlock()
	if len(p.snaps.conns) == 0 {
		return errNoSnapshots
	}
	p.snaps.uses = p.uses()
	if err := errors.Join(p.coll.Variables["sights_left"].Set(uint32(maxSights)),
		p.coll.Variables["sights_cut"].Set(uint32(0))); err != nil {
		return fmt.Errorf("prepare a snapshot: %w", err)
	}
	raw, err := p.snaps.read(p.snaps.conns...)
	if err != nil {
		return err
	}
	s.Conns, s.Cut = s.Conns[:0], 0
	var cut uint32
	if err := p.coll.Variables["sights_cut"].Get(&cut); err != nil {
		return fmt.Errorf("read the number of connections that a snapshot left out: %w", err)
	}
	s.Cut = int(cut)
	return s.decode(raw)
}

// SnapFiles finds the listening sockets, who has them open and who waits on
// them; with holders also who has connections open. It walks the descriptors
// of all processes.
func (p *Probe) SnapFiles(s *Snapshot, holders bool) error {
	p.snaps.mu.Lock()
	defer p.snaps.mu.Unlock()
	want := uint32(0)
	if holders {
		want = 1
	}
	if err := p.coll.Variables["want_holders"].Set(want); err != nil {
		return fmt.Errorf("prepare a snapshot: %w", err)
	}
	if p.snaps.files == nil {
		return errNoSnapshots
	}
	raw, err := p.snaps.read(p.snaps.files)
	if err != nil {
		return err
	}
	s.Listeners, s.Waiters, s.Holders = s.Listeners[:0], s.Waiters[:0], s.Holders[:0]
	err = s.decode(raw)
	for i := range s.Listeners {
		s.Listeners[i].Discerned = p.coll.Programs[discardProgram] != nil
	}
	return err
}

// read runs iterators and returns a copy of what they wrote.
func (sn *snapshots) read(all ...*link.Iter) ([]byte, error) {
	sn.buf.Reset()
	for _, it := range all {
		r, err := it.Open()
		if err != nil {
			return nil, fmt.Errorf("open an iterator: %w", err)
		}
		_, err = io.Copy(&sn.buf, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("read a snapshot: %w", err)
		}
	}
	return bytes.Clone(sn.buf.Bytes()), nil
}

func (sn *snapshots) close() error {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	var errs []error
	for _, it := range append(sn.conns, sn.files) {
		if it != nil {
			errs = append(errs, it.Close())
		}
	}
	sn.conns, sn.files = nil, nil
	return errors.Join(errs...)
}

var (
	errCutSight    = errors.New("read a snapshot: a message is truncated")
	errNoSnapshots = errors.New("take a snapshot: the probes were opened without snapshots, or are closed")
)

// decode takes the messages of raw apart.
func (s *Snapshot) decode(raw []byte) error {
	for len(raw) > 0 {
		if len(raw) < 4 {
			return errCutSight
		}
		kind, size := binary.NativeEndian.Uint16(raw), int(binary.NativeEndian.Uint16(raw[2:]))
		if size < 4 || size > len(raw) || !s.add(kind, raw[:size]) {
			return errCutSight
		}
		raw = raw[size:]
	}
	return nil
}

func (s *Snapshot) add(kind uint16, raw []byte) bool {
	switch socketPlanSightKind(kind) {
	case socketPlanSightKindSIGHT_CONN:
		c, ok := sightOf[sightConn](raw)
		if !ok {
			return false
		}
		r, ok := decodeRecord(raw[unsafe.Sizeof(*c):])
		s.Conns = append(s.Conns, ConnSight{*c, r})
		return ok
	case socketPlanSightKindSIGHT_LISTENER:
		l, ok := sightOf[socketPlanSightListener](raw)
		if ok {
			s.Listeners = append(s.Listeners, newListener(l))
		}
		return ok
	case socketPlanSightKindSIGHT_WAITER:
		w, ok := sightOf[socketPlanSightWaiter](raw)
		if ok {
			s.Waiters = append(s.Waiters, Waiter{w.Pid, w.Tid, w.Sk, WaitHow(w.How)})
		}
		return ok
	case socketPlanSightKindSIGHT_HOLDER:
		h, ok := sightOf[socketPlanSightHolder](raw)
		if ok {
			s.Holders = append(s.Holders, Holder{h.Pid, h.Sk})
		}
		return ok
	}
	return false
}

func sightOf[T any](raw []byte) (*T, bool) {
	var zero T
	if len(raw) < int(unsafe.Sizeof(zero)) {
		return nil, false
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(raw))), true
}

func newListener(l *socketPlanSightListener) Listener {
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
