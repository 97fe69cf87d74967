package request

import "time"

// Part identifies a part of a phase, or drain.
type Part int

// The parts, in the contract's order.
const (
	PartBacklog Part = iota
	PartDispatch
	PartClientWait
	PartBlocked
	PartProduce
	PartDrain
	NumParts
)

var partNames = [NumParts]string{"backlog", "dispatch", "client_wait", "blocked", "produce", "drain"}

func (p Part) String() string { return partNames[p] }

var partPhases = [NumParts]Phase{
	PartBacklog: Queue, PartDispatch: Queue, PartClientWait: Parse,
	PartBlocked: WriteBack, PartProduce: WriteBack, PartDrain: NumPhases,
}

// Phase returns the phase that p is a part of. It returns NumPhases for a part that
// comes after all phases.
func (p Part) Phase() Phase { return partPhases[p] }

// PartDuration is a part with its measured duration.
type PartDuration struct {
	Part     Part
	Duration time.Duration
}

// Parts returns the measured parts in the contract's order.
func (r *Request) Parts() []PartDuration {
	return r.AppendParts(make([]PartDuration, 0, NumParts))
}

// AppendParts appends the measured parts to parts, in the contract's order. It
// allocates only if parts has no room for them.
func (r *Request) AppendParts(parts []PartDuration) []PartDuration {
	add := func(p Part, d time.Duration, ok bool) {
		if ok {
			parts = append(parts, PartDuration{p, d})
		}
	}
	d, ok := r.Backlog()
	add(PartBacklog, d, ok)
	d, ok = r.Dispatch()
	add(PartDispatch, d, ok)
	add(PartClientWait, r.ClientWait, r.ReadLast.Seen())
	add(PartBlocked, r.Blocked, r.WriteLast.Seen())
	add(PartProduce, r.Produce, r.WriteLast.Seen())
	d, ok = r.Drain()
	add(PartDrain, d, ok)
	return parts
}
