package service

import (
	"cmp"
	"strings"
	"time"

	"lapwing/collectors/patience"
)

// maxLooks limits the looks that run at the same time.
const maxLooks = 1024

// maxGone limits how many ended processes are followed back, from a process to the
// one that it was forked from, to find an identity.
const maxGone = 8

// look is the examination of one process, by a goroutine of its own. It waits for
// no process longer than the pool does.
type look struct {
	resolver *Resolver
	pid      uint32
	comm     string

	// Only the goroutine uses these. silent: a process did not let its command line
	// be read. unsure: a fact is missing that may be known later.
	silent, unsure bool

	// Guarded by the resolver's lock.
	stale    bool   // its result may be outdated
	until    uint64 // when the process executed another program; 0 if it did not
	born     uint64 // start time of the process that serves since servesAt, in ticks
	servesAt uint64

	done chan struct{} // closed when id is set
	id   *Identity
}

// Find returns the identity that process pid had at a time, in nanoseconds of the
// monotonic clock; 0 means now. It only looks in memory: it makes no system call,
// does not wait and does not allocate, because the goroutine that reads the
// kernel's records calls it. If ok is false, use Ask.
func (r *Resolver) Find(pid uint32, comm string, at uint64) (id *Identity, ok bool) {
	if pid == 0 {
		return nobody, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.former.Get(pid); ok && at != 0 && at < was.until {
		return was.id, true
	}
	e, ok := r.known.Get(pid)
	if !ok || e.nameless && comm != "" {
		return nil, false
	}
	return e.id, true
}

// nobody is the identity if no process is known.
var nobody = &Identity{Name: unknown, Instance: unknown, Source: FromComm}

// Ask starts a look at a process, unless one is running, and returns immediately.
// Find knows the result soon: if the process does not answer, after the patience of
// the pool at the latest. Ask returns false if too many looks are running.
func (r *Resolver) Ask(pid uint32, comm string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begin(pid, comm) != nil
}

// Lookup returns the identity of process pid. The first call for a process reads
// /proc and waits for the result, but only for a limited time. Later calls find it
// in memory and do not allocate. comm, the command name that a probe saw, names a
// process that is gone.
func (r *Resolver) Lookup(pid uint32, comm string) *Identity {
	if id, ok := r.Find(pid, comm, 0); ok {
		return id
	}
	r.mu.Lock()
	l := r.begin(pid, comm)
	r.mu.Unlock()
	if l == nil {
		return r.ByComm(comm)
	}
	<-l.done
	return l.id
}

// Await looks at processes, all at the same time. pids holds their command names,
// if known. Await returns when all looks are done, or when the limit is reached;
// the looks then continue.
func (r *Resolver) Await(pids map[uint32]string, limit time.Duration) {
	var going []*look
	r.mu.Lock()
	for pid, comm := range pids {
		if e, ok := r.known.Peek(pid); ok && (!e.nameless || comm == "") {
			continue
		}
		if l := r.begin(pid, comm); l != nil {
			going = append(going, l)
		}
	}
	r.mu.Unlock()
	over := time.NewTimer(limit)
	defer over.Stop()
	for _, l := range going {
		select {
		case <-l.done:
		case <-over.C:
			return
		}
	}
}

// ByComm returns the identity of a process of which only the command name is known.
func (r *Resolver) ByComm(comm string) *Identity {
	name := r.unclaimed(nameOf(cmp.Or(titleProgram(strings.Clone(comm)), unknown)))
	return &Identity{Name: name, Instance: r.instance(name), Source: FromComm}
}

// begin starts a look, or returns the one that is running. It returns nil if there
// are too many. The caller must hold the lock.
func (r *Resolver) begin(pid uint32, comm string) *look {
	if l := r.looks[pid]; l != nil {
		return l
	}
	if len(r.looks) >= maxLooks {
		return nil
	}
	l := &look{resolver: r, pid: pid, comm: comm, done: make(chan struct{})}
	r.looks[pid] = l
	go l.run()
	return l
}

// run looks at the process, and at the groups of its service that may be gone.
func (l *look) run() {
	e := l.resolve(l.pid, l.comm, maxGone)
	l.resolver.clearFamily(e.id)
	l.end(e)
}

// end stores the result. What the kernel reported about the process meanwhile says
// until when the result was valid.
func (l *look) end(e *entry) {
	r := l.resolver
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.looks, l.pid)
	l.id, e.comm = e.id, l.comm
	until := l.until
	if l.servesAt != 0 && e.start != l.born {
		until = cmp.Or(until, l.servesAt)
	}
	switch {
	case l.stale:
	case until != 0:
		r.former.Add(l.pid, formerly{e.id, until})
	default:
		r.keep(l.pid, e)
	}
	close(l.done)
}

// keep stores an entry. An unsure entry does not replace one of the same process
// and program.
func (r *Resolver) keep(pid uint32, e *entry) {
	if known, ok := r.known.Peek(pid); ok && e.id.Unsure && known.start == e.start && known.exe == e.exe {
		return
	}
	r.known.Add(pid, e)
}

// resolve reads /proc and applies the rules of the package documentation. back is
// how many ended processes it may follow back.
func (l *look) resolve(pid uint32, comm string, back int) *entry {
	r := l.resolver
	p, err := l.read(int(pid))
	if err == nil && !p.ended {
		return &entry{id: l.identify(l.reader(p, comm)), start: p.start, exe: p.exe}
	}
	if patience.NotAsked(err) {
		id := r.ByComm(comm)
		id.Unsure = true
		return &entry{id: id, nameless: comm == ""}
	}
	if parent := r.parentOf(pid); parent != 0 && parent != pid && back > 0 {
		if id := l.former(parent, back-1); id.Source != FromComm {
			return &entry{id: id}
		}
	}
	return &entry{id: r.ByComm(comm), nameless: comm == ""}
}

// former returns the identity of the process from which another one was forked.
func (l *look) former(pid uint32, back int) *Identity {
	if id, ok := l.resolver.Find(pid, "", 0); ok {
		return id
	}
	return l.resolve(pid, "", back).id
}

// read reads the facts about a process. It starts with those that the process
// cannot hold up.
func (l *look) read(pid int) (process, error) {
	r := l.resolver
	p, err := ask(r.pool, uint32(pid), "state", func() (process, error) { return readProcess(r.proc, pid) })
	if err != nil || p.ended {
		return p, err
	}
	p.args, err = l.args(p)
	p.mute = err != nil
	l.silent, l.unsure = l.silent || p.mute, l.unsure || p.mute
	if len(p.args) == 0 && !p.mute { // it may have ended before the command line was read
		now, err := ask(r.pool, uint32(pid), "state", func() (process, error) { return readProcess(r.proc, pid) })
		p.ended = p.ended || err == nil && now.ended || err != nil && !patience.NotAsked(err)
	}
	return p, nil
}

// args reads the command line of a process. The command line is in the process's
// memory, so the process can hold up a reader. After one process did so, a look
// waits for no other.
func (l *look) args(p process) ([]string, error) {
	r := l.resolver
	if l.silent {
		return nil, patience.ErrSilent
	}
	q := patience.Question{PID: uint32(p.pid), Start: p.start, Owner: p.uid, What: "command line", Late: func() { r.again(l.pid, l.comm) }}
	args, err := patience.Ask(r.pool, q, func() ([]string, error) { return readArgs(r.root, p.pid) })
	if err != nil && !patience.NotAsked(err) {
		return nil, nil // it is hidden, or the process has just ended
	}
	return args, err
}

// again starts another look at a process, for which a better name may be known now.
func (r *Resolver) again(pid uint32, comm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.known.Peek(pid); ok && e.id.Unsure {
		r.begin(pid, comm)
	}
}

// parent reads the parent of p, if it can be seen.
func (l *look) parent(p process) (process, bool) {
	if p.ppid <= 0 || p.ppid == p.pid {
		return process{}, false
	}
	up, err := l.read(p.ppid)
	return up, err == nil
}

// askMore asks for a fact that improves a name. If there is no answer now, another
// look follows when the answer comes.
func askMore[T any](l *look, pid int, what string, f func() (T, error)) T {
	q := patience.Question{PID: uint32(pid), Owner: patience.NoOwner, What: what, Late: func() { l.resolver.again(l.pid, l.comm) }}
	found, err := patience.Ask(l.resolver.pool, q, f)
	l.unsure = l.unsure || patience.NotAsked(err)
	return found
}

// ask asks for a fact that, as far as is known, no process can hold up.
func ask[T any](pool *patience.Pool, pid uint32, what string, f func() (T, error)) (T, error) {
	return patience.Ask(pool, patience.Question{PID: pid, Owner: patience.NoOwner, What: what}, f)
}
