package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cilium/ebpf/link"

	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/survey"
)

// maxEntries is the limit of connections in one snapshot.
const maxEntries = 16384

// snapshots takes snapshots: the iterators over the connections and over the
// descriptors of all processes, and the buffer that they are read into.
type snapshots struct {
	mu    sync.Mutex
	conns []*link.Iter
	files *link.Iter
	buf   bytes.Buffer
	uses  uint64 // of connections, when they were last looked at
}

var errNoSnapshots = errors.New("take a snapshot: the probes were opened without snapshots, or are closed")

// Snapshots reports whether the probes can take snapshots: the options ask for it, and
// the kernel has the iterators.
func (p *Probe) Snapshots() bool { return len(p.snaps.conns) > 0 }

// prepareSnapshots attaches the iterators, if they were loaded.
func (p *Probe) prepareSnapshots() error {
	for _, t := range p.tables() {
		if err := p.addSnapshot(t.see, t.name); err != nil {
			return err
		}
	}
	if err := p.addSnapshot("see_open", ""); err != nil {
		return err
	}
	var err error
	p.snaps.files, err = p.iterator("see_files", "")
	return err
}

// addSnapshot adds an iterator that shows connections, if it was loaded.
func (p *Probe) addSnapshot(program, m string) error {
	it, err := p.iterator(program, m)
	if it != nil {
		p.snaps.conns = append(p.snaps.conns, it)
	}
	return err
}

// iterator attaches an iterator, over a map or over what its name says. It returns nil if
// the program was not loaded.
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

// Touched reports whether bytes came or went on any connection since the last SnapConns.
// If not, only the waits of threads for connections can have changed.
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
func (p *Probe) SnapConns(s *snapshot.Snapshot) error {
	p.snaps.mu.Lock()
	defer p.snaps.mu.Unlock()
	if len(p.snaps.conns) == 0 {
		return errNoSnapshots
	}
	p.snaps.uses = p.uses()
	if err := errors.Join(p.coll.Variables["snap_left"].Set(uint32(maxEntries)),
		p.coll.Variables["snap_cut"].Set(uint32(0))); err != nil {
		return fmt.Errorf("prepare a snapshot: %w", err)
	}
	raw, err := p.snaps.read(p.snaps.conns...)
	if err != nil {
		return err
	}
	s.Conns, s.Cut = s.Conns[:0], 0
	var cut uint32
	if err := p.coll.Variables["snap_cut"].Get(&cut); err != nil {
		return fmt.Errorf("read the number of connections that a snapshot left out: %w", err)
	}
	s.Cut = int(cut)
	err = s.Decode(raw)
	s.Compact()
	return err
}

// SnapFiles finds the listening sockets, the processes that have them open and the
// threads that wait on them. With holders it also finds the processes that have
// connections open. It walks the descriptors of all processes.
func (p *Probe) SnapFiles(s *snapshot.Snapshot, holders bool) error {
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
	err = s.Decode(raw)
	for i := range s.Listeners {
		s.Listeners[i].Discerned = p.coll.Programs[survey.DiscardProgram] != nil
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
