package service

// formerLimit is how many processes are remembered under their former identity:
// records of what they did then reach the agent later.
const formerLimit = 1024

// ticks is the unit of start times in /proc, in nanoseconds.
const ticks = 1e9 / 100

// formerly is the identity that a process id had until some time.
type formerly struct {
	id    *Identity
	until uint64 // nanoseconds of the monotonic clock
}

// LookupAt returns the identity that process pid had at a time, in nanoseconds of
// the monotonic clock, according to the changes that were reported. It waits like
// Lookup.
func (r *Resolver) LookupAt(pid uint32, comm string, at uint64) *Identity {
	if id, ok := r.Find(pid, comm, at); ok {
		return id
	}
	return r.Lookup(pid, comm)
}

// Executed records that a process executes another program since a time, in
// nanoseconds of the monotonic clock. Its identity is read again when it is next
// asked for.
func (r *Resolver) Executed(pid uint32, at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renew(pid, at)
	if l := r.looks[pid]; l != nil && l.until == 0 {
		l.until = at
	}
}

// Serves records that a process serves requests since a time, in nanoseconds of the
// monotonic clock. born is when the process started, in nanoseconds since boot:
// another process may have had the same id before.
func (r *Resolver) Serves(pid uint32, born, at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.known.Peek(pid); ok && e.start != born/ticks {
		r.renew(pid, at)
	}
	if l := r.looks[pid]; l != nil {
		l.born, l.servesAt = born/ticks, at
	}
}

func (r *Resolver) renew(pid uint32, at uint64) {
	e, ok := r.known.Peek(pid)
	if !ok {
		return
	}
	r.former.Add(pid, formerly{e.id, at})
	r.known.Remove(pid)
}
