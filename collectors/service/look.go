package service

import (
	"cmp"
	"strings"
	"time"

	"lapwing/collectors/patience"
)

// maxLooks bounds the processes that are looked at at the same time.
const maxLooks = 1024

// maxGone bounds how many processes that ended one after the other is gone back,
// to one that tells what they were.
const maxGone = 8

// look is one process that is being looked at, by a goroutine that waits for no
// process longer than the pool does.
type look struct {
	resolver *Resolver
	pid      uint32
	comm     string

	// Of the goroutine: somebody does not tell a command line, or something else
	// is not known that would be.
	silent, unsure bool

	// Guarded by the resolver's lock.
	stale    bool   // what it finds may hold no more
	until    uint64 // when the process executed another program; 0: it did not
	born     uint64 // start time of the process that serves since servesAt
	servesAt uint64

	done chan struct{} // closed when id is there
	id   *Identity
}

// Find says who process pid was at a time, 0 for now, if that is in memory. It
// makes no system call, waits for nobody and does not allocate: it is for who
// reads the kernel's records. Who is not known has to be asked for by Ask.
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

// nobody serves where no process is known.
var nobody = &Identity{Name: unknown, Instance: unknown, Source: FromComm}

// Ask begins to look at a process, unless that is going on, and returns at once.
// Find knows it a moment later: after the patience of the pool at the latest,
// where the process does not answer. False says that too many are being looked at.
func (r *Resolver) Ask(pid uint32, comm string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begin(pid, comm) != nil
}

// Lookup says who process pid is. The first call for a process reads /proc and
// waits for that, but never long; later ones find the answer in memory and do
// not allocate. comm, the command name that a probe saw, names a process that is
// gone.
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

// Await looks at processes, given with their command names where those are known,
// all at the same time, and returns once that is done, or the time is over: then the
// looks go on alone.
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

// ByComm is the identity of a process of which only the command name is known.
func (r *Resolver) ByComm(comm string) *Identity {
	name := nameOf(cmp.Or(titleProgram(strings.Clone(comm)), unknown))
	return &Identity{Name: name, Instance: r.instance(name), Source: FromComm}
}

// begin starts a look, or finds the one that goes on; nil when there are too
// many. The lock is held.
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

// run looks at the process, and at what may be gone of its service.
func (l *look) run() {
	e := l.resolve(l.pid, l.comm, maxGone)
	l.resolver.clearFamily(e.id)
	l.end(e)
}

// end makes what was found known. What the kernel told of the process meanwhile
// says since when it holds no more.
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

// keep makes an entry known. One that says no more than is known changes nothing.
func (r *Resolver) keep(pid uint32, e *entry) {
	if known, ok := r.known.Peek(pid); ok && e.id.Unsure && known.start == e.start && known.exe == e.exe {
		return
	}
	r.known.Add(pid, e)
}

// resolve reads /proc and applies the rules of the package documentation. back
// is how many processes that are gone it may go back.
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

// former is who the process is, or was, that another one was forked from.
func (l *look) former(pid uint32, back int) *Identity {
	if id, ok := l.resolver.Find(pid, "", 0); ok {
		return id
	}
	return l.resolve(pid, "", back).id
}

// read reads the facts about a process: those that need nothing of it first.
func (l *look) read(pid int) (process, error) {
	r := l.resolver
	p, err := ask(r.pool, uint32(pid), "state", func() (process, error) { return readProcess(r.proc, pid) })
	if err != nil || p.ended {
		return p, err
	}
	p.args, err = l.args(p)
	p.mute = err != nil
	l.silent, l.unsure = l.silent || p.mute, l.unsure || p.mute
	if len(p.args) == 0 && !p.mute { // it may have ended before it could tell
		now, err := ask(r.pool, uint32(pid), "state", func() (process, error) { return readProcess(r.proc, pid) })
		p.ended = p.ended || err == nil && now.ended || err != nil && !patience.NotAsked(err)
	}
	return p, nil
}

// args reads the command line of a process. It lies in the process's memory, so
// that the process may hold up who reads it. After one that did, a look waits
// for no other.
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

// again looks at a process anew, of which a better name may be known now.
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

// askMore asks for what a name is better with. It is asked for again if there is
// no answer now.
func askMore[T any](l *look, pid int, what string, f func() (T, error)) T {
	q := patience.Question{PID: uint32(pid), Owner: patience.NoOwner, What: what, Late: func() { l.resolver.again(l.pid, l.comm) }}
	found, err := patience.Ask(l.resolver.pool, q, f)
	l.unsure = l.unsure || patience.NotAsked(err)
	return found
}

// ask asks for what no process can hold up, as far as is known.
func ask[T any](pool *patience.Pool, pid uint32, what string, f func() (T, error)) (T, error) {
	return patience.Ask(pool, patience.Question{PID: pid, Owner: patience.NoOwner, What: what}, f)
}
