package service

// formerLimit is how many processes are remembered by the name that they had
// before: what they did then reaches the agent later.
const formerLimit = 1024

// ticks is how many nanoseconds the unit of a start time in /proc has.
const ticks = 1e9 / 100

// formerly is who a process id stood for until some time.
type formerly struct {
	id    *Identity
	until uint64 // nanoseconds of the monotonic clock
}

// LookupAt says who process pid was at a time, in nanoseconds of the monotonic
// clock, as far as it was told of changes since. It waits like Lookup.
func (r *Resolver) LookupAt(pid uint32, comm string, at uint64) *Identity {
	if id, ok := r.Find(pid, comm, at); ok {
		return id
	}
	return r.Lookup(pid, comm)
}

// Executed takes the notice that a process executes another program since a time.
// Its name is read anew when it is next asked for.
func (r *Resolver) Executed(pid uint32, at uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.renew(pid, at)
	if l := r.looks[pid]; l != nil && l.until == 0 {
		l.until = at
	}
}

// Serves takes the notice that a process, which was started `born` nanoseconds
// after the host, serves requests since a time: another process may have had its
// id before.
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
