package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/wire"
)

// Handler takes what the kernel hands out. Its methods are called from one goroutine.
// Their arguments are valid until they return.
type Handler interface {
	// HandleRecord takes a record of kind Final, Tentative, Opened, Unknown,
	// Call, Abandoned or UnderWay.
	HandleRecord(kind wire.Kind, r wire.Record)
	// HandleEvent takes a read, write or close of an opened connection.
	HandleEvent(e wire.Event)
	// Tick is called about every pollEvery, between messages.
	Tick(now time.Time)
}

// ProcessHandler is a Handler that also takes notes on processes.
type ProcessHandler interface {
	// HandleProcess takes a note of what a server process did.
	HandleProcess(n wire.ProcessNote)
}

// The kernel wakes the reader only when the log fills, not for each record. So the reader
// looks by itself.
const (
	pollEvery  = 100 * time.Millisecond
	sweepEvery = 250 * time.Millisecond
	goneEvery  = 2 * time.Second
	restEvery  = 10 * time.Second
	// burst is how many messages are read before other duties get their turn.
	burst = 1 << 16
	// turn is how many messages are read before a thread that waits for the CPU gets
	// it. Usually that is a thread of a server, which the agent would delay.
	turn = 256
)

// Run hands everything to h until ctx ends. It then detaches the probes, hands over what
// is left, including finished requests of quiet connections, and returns.
func (p *Probe) Run(ctx context.Context, h Handler) error {
	swept, cleared, rested := time.Now(), time.Now(), time.Now()
	for ctx.Err() == nil {
		n := p.readSome(h)
		now := time.Now()
		if now.Sub(swept) >= sweepEvery {
			swept = now
			if err := p.sweep(); err != nil {
				return err
			}
			n += p.readSome(h)
		}
		if now.Sub(cleared) >= goneEvery {
			cleared = now
			if err := errors.Join(p.gone.walk(), p.lateCloses(h)); err != nil {
				return err
			}
		}
		if now.Sub(rested) >= p.restEvery {
			rested = now
			if err := p.letRest(); err != nil {
				return err
			}
		}
		h.Tick(now)
		if n >= burst {
			continue
		}
		if err := p.log.Await(now.Add(pollEvery)); err != nil {
			return err
		}
	}
	return p.drain(h)
}

// drain hands over what the kernel wrote before the probes were detached. The hooks are
// detached one after the other: if a connection is closed meanwhile, nothing reports it
// any more, and its state is freed with it. So everything that is complete is handed out
// first.
func (p *Probe) drain(h Handler) error {
	err := p.coll.Variables["ending"].Set(uint32(1))
	err = errors.Join(err, p.sweepComplete(), p.Detach(), p.sweepAll())
	for p.readSome(h) > 0 {
	}
	// The messages before them have been read.
	return errors.Join(err, p.lateCloses(h), p.lateCloses(h))
}

// lateCloses hands over closes that found no room in the log. What was written before
// them about their connections is in the log, and has been read at the time of the second
// look.
func (p *Probe) lateCloses(h Handler) error {
	var conn uint64
	var late bpf.SocketPlanLateClose
	closes := p.coll.Maps["late_closes"]
	found := map[uint64]bool{}
	for all := closes.Iterate(); all.Next(&conn, &late); {
		if !p.late[conn] {
			found[conn] = true
			continue
		}
		if err := closes.Delete(conn); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read a late close: %w", err)
		}
		h.HandleEvent(wire.ComposeEvent(wire.EventFields{Conn: conn, Number: late.Number, Exit: late.Exit, Error: uint16(late.Error)}, wire.Close, nil))
	}
	p.late = found
	return nil
}

// readSome hands over the messages that are there, up to a limit, and returns how many.
func (p *Probe) readSome(h Handler) int {
	n := 0
	for ; n < burst; n++ {
		raw := p.log.Next()
		if raw == nil {
			break
		}
		p.dispatch(raw, h)
		if n%turn == turn-1 {
			p.log.Yield()
		}
	}
	p.log.Release()
	return n
}

func (p *Probe) dispatch(raw []byte, h Handler) {
	if len(raw) < 2 {
		p.malformed.Add(1)
		return
	}
	switch kind := wire.Kind(binary.NativeEndian.Uint16(raw)); kind {
	case wire.Final, wire.Tentative, wire.Opened, wire.Unknown, wire.Call, wire.Abandoned, wire.UnderWay:
		if r, ok := wire.DecodeRecord(raw); ok {
			h.HandleRecord(kind, r)
			return
		}
	case wire.Read, wire.Write, wire.Close:
		if e, ok := wire.DecodeEvent(raw); ok {
			h.HandleEvent(e)
			return
		}
	case wire.KindWithdrawn:
		return
	case wire.KindProcess:
		if n, ok := wire.DecodeProcess(raw); ok {
			if takes, ok := h.(ProcessHandler); ok {
				takes.HandleProcess(n)
			}
			return
		}
	}
	p.malformed.Add(1)
}

// Stats are the kernel side's own counts since the start.
type Stats struct {
	Final       uint64 // requests handed out
	Tentative   uint64 // some of these were handed out before their end was certain
	Events      uint64 // events of connections that user space frames
	EventConns  uint64 // such connections
	LostRing    uint64 // finished requests that found the log full
	LostEvents  uint64 // events that found the log full
	LostUnknown uint64 // connections of unknown protocol that found the log full
	LostTable   uint64 // connections that found the table of connections full
	LostAccept  uint64 // connections that were read whose accept is not known
	LostCaller  uint64 // ends of calls that found the table of calls full
	Rested      uint64 // idle connections whose state was reduced
	LostThread  uint64 // requests whose thread or process was evicted before the answer
	Malformed   uint64 // messages of an unknown form
	Calls       uint64 // exchanges of calls handed out
	LostCalls   uint64 // exchanges of calls that found the log full
	Skipped     uint64 // runs skipped because they interrupted a run of the same program

	MissedQueued   uint64 // requests unread when the agent started
	MissedProgress uint64 // requests in progress when the agent started
}

// Stats reads the counts from the kernel.
func (p *Probe) Stats() (Stats, error) {
	var s Stats
	for what, to := range map[bpf.SocketPlanStat]*uint64{
		bpf.SocketPlanStatSTAT_FINAL:           &s.Final,
		bpf.SocketPlanStatSTAT_TENTATIVE:       &s.Tentative,
		bpf.SocketPlanStatSTAT_EVENTS:          &s.Events,
		bpf.SocketPlanStatSTAT_EVENT_CONNS:     &s.EventConns,
		bpf.SocketPlanStatSTAT_LOST_RING:       &s.LostRing,
		bpf.SocketPlanStatSTAT_LOST_EVENTS:     &s.LostEvents,
		bpf.SocketPlanStatSTAT_LOST_UNKNOWN:    &s.LostUnknown,
		bpf.SocketPlanStatSTAT_LOST_TABLE:      &s.LostTable,
		bpf.SocketPlanStatSTAT_LOST_ACCEPT:     &s.LostAccept,
		bpf.SocketPlanStatSTAT_LOST_CALLER:     &s.LostCaller,
		bpf.SocketPlanStatSTAT_LOST_THREAD:     &s.LostThread,
		bpf.SocketPlanStatSTAT_RESTED:          &s.Rested,
		bpf.SocketPlanStatSTAT_CALLS:           &s.Calls,
		bpf.SocketPlanStatSTAT_LOST_CALLS:      &s.LostCalls,
		bpf.SocketPlanStatSTAT_MISSED_QUEUED:   &s.MissedQueued,
		bpf.SocketPlanStatSTAT_MISSED_PROGRESS: &s.MissedProgress,
	} {
		var perCPU []uint64
		if err := p.stats.Lookup(uint32(what), &perCPU); err != nil {
			return s, fmt.Errorf("read the probes' counts: %w", err)
		}
		for _, n := range perCPU {
			*to += n
		}
	}
	s.Malformed = p.malformed.Load()
	var err error
	s.Skipped, err = p.skipped()
	return s, err
}

// skipped counts the runs of all programs that the kernel skipped.
func (p *Probe) skipped() (uint64, error) {
	var sum uint64
	for name, prog := range p.coll.Programs {
		stats, err := prog.Stats()
		if err != nil {
			return sum, fmt.Errorf("read how often %s was skipped: %w", name, err)
		}
		sum += stats.RecursionMisses
	}
	return sum, nil
}
