package assemble

import (
	"maps"
	"sync"
	"sync/atomic"

	"lapwing/collectors/protocol/detect"
	"lapwing/probes/socket/wire"
)

// counters are written by the Assembler's goroutine. Any goroutine may read them.
type counters struct {
	requests   atomic.Uint64
	incomplete atomic.Uint64
	tunnels    atomic.Uint64
	lostEvents atomic.Uint64
	desynced   atomic.Uint64
	overflowed atomic.Uint64
	inFlight   atomic.Uint64
	undecided  atomic.Uint64
	headsCut   atomic.Uint64
	unpaired   atomic.Uint64

	mu        sync.Mutex
	unknown   map[string]uint64
	abandoned map[string]map[string]uint64
}

func (c *counters) abandonedAdd(listener, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned == nil {
		c.abandoned = make(map[string]map[string]uint64)
	}
	if c.abandoned[listener] == nil && len(c.abandoned) >= maxListeners {
		listener = otherListeners
	}
	if c.abandoned[listener] == nil {
		c.abandoned[listener] = make(map[string]uint64)
	}
	c.abandoned[listener][reason]++
}

func (c *counters) abandonedClone() map[string]map[string]uint64 {
	all := make(map[string]map[string]uint64, len(c.abandoned))
	for listener, reasons := range c.abandoned {
		all[listener] = maps.Clone(reasons)
	}
	return all
}

func (c *counters) unknownAdd(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unknown == nil {
		c.unknown = make(map[string]uint64)
	}
	c.unknown[reason]++
}

// Counts are the totals of an Assembler since its start.
type Counts struct {
	Requests   uint64            // requests passed on
	Incomplete uint64            // of those, requests without a complete response
	Tunnels    uint64            // connections that became tunnels
	LostEvents uint64            // events missing on connections that are framed by the agent
	Desynced   uint64            // times the framing of a connection was lost
	Overflowed uint64            // requests dropped because too many were outstanding
	InFlight   uint64            // requests without an end when the agent ended
	Undecided  uint64            // requests dropped, because the filter needs facts that the process did not reveal
	HeadsCut   uint64            // requests passed on with only a part of their request line
	Unpaired   uint64            // messages without a counterpart on connections that are framed by the agent
	Unknown    map[string]uint64 // connections of no known protocol, per reason
	// Abandoned counts, by listener and reason, connections that ended before the
	// server read what had arrived.
	Abandoned map[string]map[string]uint64
}

// Counts returns the totals. It is safe for concurrent use.
func (a *Assembler) Counts() Counts {
	c := &a.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	return Counts{
		Requests:   c.requests.Load(),
		Incomplete: c.incomplete.Load(),
		Tunnels:    c.tunnels.Load(),
		LostEvents: c.lostEvents.Load(),
		Desynced:   c.desynced.Load(),
		Overflowed: c.overflowed.Load(),
		InFlight:   c.inFlight.Load(),
		Undecided:  c.undecided.Load(),
		HeadsCut:   c.headsCut.Load(),
		Unpaired:   c.unpaired.Load(),
		Unknown:    maps.Clone(c.unknown),
		Abandoned:  c.abandonedClone(),
	}
}

// reasonOf returns the reason why the kernel ignores a connection.
func reasonOf(r wire.Record) string {
	switch wire.Reason(r.Error) {
	case wire.ReasonServerFirst:
		return "server_spoke_first"
	case wire.ReasonNoBytes:
		return "bytes_not_visible"
	}
	return detect.Reason(r.RequestHead())
}
