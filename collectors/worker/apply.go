package worker

import (
	"bytes"
	"cmp"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

// apply makes what a look found the state of the pools.
func (c *Collector) apply() {
	c.reset()
	c.cut = uint64(c.snap.Cut)
	found := newFinder(c)
	for i := range c.snap.Conns {
		c.conn(&c.snap.Conns[i], found)
	}
	c.wantHolders = found.missing
	if c.freshFiles {
		c.listeners(found)
		c.waiters(found)
	}
}

// reset forgets the last look. A request from before the agent's start that is
// over now is never handed out: its time is added here.
func (c *Collector) reset() {
	for _, w := range c.workers {
		if w.now.earlier && w.now.inFlight > 0 && c.seen > max(w.now.from, w.until) {
			w.busy += w.counted.add(max(w.now.from, w.until), c.seen)
			w.until = c.seen
		}
		w.now = doing{}
	}
	for _, p := range c.pools {
		p.inFlight, p.dispatch, p.ahead, p.strays = 0, 0, 0, p.strays[:0]
		p.active.reset()
	}
}

// conn takes one connection that is in use into account.
func (c *Collector) conn(s *socket.ConnSight, found *finder) {
	c.hz.note(s.Jiffies, s.Now)
	switch work := s.Work(); {
	case work == socket.WorkEarlier:
		c.earlier(s, found)
	case work == socket.WorkNone, work == socket.WorkResponding && c.opts.Ended(s.Record):
		c.idle(s, found)
	default:
		c.inProgress(s, work)
	}
}

var phaseOf = map[socket.Work]string{
	socket.WorkReading:    request.Parse.String(),
	socket.WorkComputing:  request.App.String(),
	socket.WorkResponding: request.WriteBack.String(),
}

// inProgress takes a request that is being worked on.
func (c *Collector) inProgress(s *socket.ConnSight, work socket.Work) {
	r := s.Record
	p := c.poolOf(r.Pid, comm(r), r.LocalPort, true)
	if p == nil {
		return
	}
	p.confirmed = true
	p.serves(r.LocalPort, path(r))
	p.inFlight++
	p.active.began(work, r.RequestHead())
	tid := cmp.Or(r.WriterTid, r.Tid)
	if r.AcceptorTid != tid {
		c.other(p, r.AcceptorTid)
	}
	if p.handsOver && r.WriterTid == 0 {
		p.ahead++
		return
	}
	now := doing{since: request.Stamp(r.ReadFirst), from: request.Stamp(r.ReadFirst), phase: phaseOf[work]}
	if r.Arrived != 0 && r.ReadFirst > r.Arrived {
		now.queue = time.Duration(r.ReadFirst - r.Arrived)
	}
	if w := c.worker(p, r.Pid, tid, comm(r)); w != nil {
		w.now.takes(now)
	}
}

// idle takes a connection without a request in progress: bytes that nobody has
// read yet wait in dispatch, and a thread that is blocked in reading is held.
func (c *Collector) idle(s *socket.ConnSight, found *finder) {
	r := s.Record
	if s.Unread > 0 {
		if p := found.at(r.Pid, comm(r), r.LocalPort, path(r)); p != nil {
			p.dispatch++
		}
		return
	}
	pid, tid, blocked := s.Blocked()
	if !blocked {
		return
	}
	if p := c.poolOf(pid, "", r.LocalPort, false); p != nil {
		if w := c.worker(p, pid, tid, ""); w != nil {
			w.now.held = true
		}
	}
}

// earlier takes a request that was in flight when the agent started. All that
// is known is the socket: who has it open has to be found.
func (c *Collector) earlier(s *socket.ConnSight, found *finder) {
	r := s.Record
	pid := cmp.Or(r.Pid, found.holder(r.Sk))
	if pid == 0 {
		found.missing = true
		return
	}
	known := c.poolOf(pid, "", r.LocalPort, false)
	if known == nil && !found.listens(pid, r.LocalPort, path(r)) {
		return // a connection of something that need not serve at all
	}
	p := c.poolOf(pid, "", r.LocalPort, true)
	if p == nil {
		return
	}
	p.serves(r.LocalPort, path(r))
	p.inFlight++
	p.active.began(socket.WorkEarlier, nil)
	now := doing{from: c.started, earlier: true, since: c.hz.ago(s)}
	now.from = max(now.from, now.since)
	if w := c.onlyWorker(p, pid); w != nil {
		w.now.takes(now)
		return
	}
	p.strays = append(p.strays, stray{pid, now})
}

// onlyWorker is the worker of a process that can have no other.
func (c *Collector) onlyWorker(p *pool, pid uint32) *worker {
	var only *worker
	for _, w := range p.workers {
		if w.pid == pid {
			if only != nil {
				return nil
			}
			only = w
		}
	}
	if only != nil {
		return only
	}
	if u, err := c.opts.Usage(pid); err != nil || u.Threads != 1 {
		return nil
	}
	return c.worker(p, pid, pid, "")
}

// listeners takes the listening sockets of the pools.
func (c *Collector) listeners(found *finder) {
	for _, p := range c.pools {
		for _, l := range p.listeners {
			l.open = false
		}
	}
	for _, l := range c.snap.Listeners {
		if p := found.owner(l); p != nil {
			p.sawListener(l)
		}
	}
	for _, p := range c.pools {
		p.forgetListeners()
	}
}

// waiters takes the threads that wait for a connection. They are available,
// unless they are known to accept for others.
func (c *Collector) waiters(found *finder) {
	for _, w := range c.snap.Waiters {
		p := c.poolOf(w.PID, "", found.port(w.Socket), false)
		if p == nil || p.listeners[w.Socket] == nil || p.others[w.TID] {
			continue
		}
		c.worker(p, w.PID, w.TID, "")
	}
}

// poolOf finds the pool of a process that is of interest.
func (c *Collector) poolOf(pid uint32, comm string, port uint16, create bool) *pool {
	name, ok := c.opts.Service(pid, comm, port)
	if !ok {
		return nil
	}
	if !create {
		return c.pools[name]
	}
	return c.pool(name)
}

// worker finds a worker that a look showed or makes it known; nil when it has
// ended since the look, or there are too many.
func (c *Collector) worker(p *pool, pid, tid uint32, comm string) *worker {
	if w := c.workers[tid]; w != nil && w.pool == p {
		return w
	}
	if c.formers.at(p, tid, c.connsAt) != nil {
		return nil
	}
	return c.admit(p, pid, tid, comm)
}

// other notes a thread that is no worker, and lets go of it if it was taken
// for one.
func (c *Collector) other(p *pool, tid uint32) {
	if !p.isOther(tid) {
		return
	}
	if w := p.workers[tid]; w != nil {
		delete(p.workers, tid)
		delete(c.workers, tid)
	}
}

func comm(r socket.Record) string { return unix.ByteSliceToString(r.Command()[:]) }

// path is what a unix socket is bound to, as requests show it.
func path(r socket.Record) []byte {
	if !r.IsUnix() {
		return nil
	}
	return unixPath(r.Name())
}

// unixPath cuts a path at its end; an abstract name begins with a zero byte.
func unixPath(name []byte) []byte {
	if len(name) > 1 && name[0] == 0 {
		return append([]byte{'@'}, name[1:]...)
	}
	if end := bytes.IndexByte(name, 0); end >= 0 {
		return name[:end]
	}
	return name
}

// ticker finds out how long a jiffy is, which the kernel does not tell.
type ticker struct {
	jiffies, at uint64 // the first that were seen
	hz          uint64 // 0 until it is known
}

func (t *ticker) note(jiffies, at uint64) {
	const enough = uint64(500 * time.Millisecond)
	switch {
	case t.hz != 0 || jiffies == 0:
	case t.at == 0:
		t.jiffies, t.at = jiffies, at
	case at-t.at >= enough:
		t.hz = nearestHZ(float64(jiffies-t.jiffies) / (float64(at-t.at) / float64(time.Second)))
	}
}

// nearestHZ is the frequency that kernels are built with which is nearest.
func nearestHZ(measured float64) uint64 {
	best := uint64(100)
	for _, hz := range []uint64{100, 250, 300, 1000} {
		if math.Abs(float64(hz)-measured) < math.Abs(float64(best)-measured) {
			best = hz
		}
	}
	return best
}

// ago is when the last bytes arrived on a connection, 0 when it is not known.
func (t *ticker) ago(s *socket.ConnSight) request.Stamp {
	if t.hz == 0 || s.Record.IsUnix() {
		return 0
	}
	passed := uint64(uint32(s.Jiffies)-s.ReceivedAt) * (uint64(time.Second) / t.hz)
	if passed >= s.Now {
		return 0
	}
	return request.Stamp(s.Now - passed)
}
