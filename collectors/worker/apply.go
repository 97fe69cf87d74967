package worker

import (
	"bytes"
	"cmp"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/wire"
)

// apply updates the state of the pools with the result of a look.
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
		c.unread = found.unread
	}
	for _, p := range c.pools {
		p.catchUp(c.connsAt)
	}
}

// reset clears the result of the last look. A request that was in flight at the
// agent's start and is over now will never be reported, so its time is added here.
func (c *Collector) reset() {
	for _, w := range c.workers {
		if w.now.earlier && w.now.inFlight > 0 && c.seen > max(w.now.from, w.until) {
			w.busy += w.counted.add(max(w.now.from, w.until), c.seen)
			w.until = c.seen
		}
		w.now = doing{}
	}
	for _, p := range c.pools {
		p.inFlight, p.dispatch, p.ahead, p.threadless = 0, 0, 0, p.threadless[:0]
		p.earlierBefore, p.earlier = p.earlier, nil
		p.active.reset()
	}
}

// conn takes one connection that is in use.
func (c *Collector) conn(s *snapshot.Conn, found *finder) {
	c.hz.note(s.Jiffies, s.Now)
	switch work := s.Work(); {
	case work == snapshot.WorkEarlier:
		c.earlier(s, found)
	case work == snapshot.WorkNone, work == snapshot.WorkResponding && c.opts.Ended(s.Record),
		work == snapshot.WorkAnswering && c.opts.Outstanding(s.Record.Conn) == 0:
		c.idle(s, found)
	default:
		c.inProgress(s, work)
	}
}

var phaseOf = map[snapshot.Work]string{
	snapshot.WorkReading:    request.Parse.String(),
	snapshot.WorkComputing:  request.App.String(),
	snapshot.WorkResponding: request.WriteBack.String(),
	snapshot.WorkAnswering:  request.WriteBack.String(),
}

// inProgress takes a request that is being worked on.
func (c *Collector) inProgress(s *snapshot.Conn, work snapshot.Work) {
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
	if w := c.worker(p, r.Pid, tid, comm(r), now.since); w != nil {
		w.now.takes(now)
		w.multiplexes = w.multiplexes || s.Multiplexed() && tid == r.Tid
	}
}

// idle takes a connection without a request in progress. If it has unread bytes,
// these are a request in dispatch. If a thread is blocked while it reads the
// connection, the thread is held.
func (c *Collector) idle(s *snapshot.Conn, found *finder) {
	r := s.Record
	if s.Unread > 0 {
		if p := found.at(r.Pid, comm(r), r.LocalPort, path(r)); p != nil {
			p.dispatch++
			if s.Earlier() {
				p.sawEarlier(r.Conn)
				found.leavesUnread(r.Sk)
			}
		}
		return
	}
	pid, tid, blocked := s.Blocked()
	if !blocked {
		return
	}
	// A process that listens on the address where one of its threads is held is a
	// server, whatever its protocol is.
	p := c.poolOf(pid, "", r.LocalPort, found.listens(pid, r.LocalPort, path(r)))
	if p == nil {
		return
	}
	p.serves(r.LocalPort, path(r))
	if w := c.worker(p, pid, tid, "", 0); w != nil {
		w.now.held = true
	}
}

// earlier takes a request that was in flight when the agent started. Only its
// socket is known, so the process that has the socket open must be found.
func (c *Collector) earlier(s *snapshot.Conn, found *finder) {
	r := s.Record
	pid := cmp.Or(r.Pid, found.holder(r.Sk))
	if pid == 0 {
		found.missing = true
		if p := found.at(0, "", r.LocalPort, path(r)); p != nil {
			p.sawEarlier(r.Conn)
		}
		return
	}
	known := c.poolOf(pid, "", r.LocalPort, false)
	if known == nil && !found.listens(pid, r.LocalPort, path(r)) {
		return // the process need not be a server at all
	}
	p := c.poolOf(pid, "", r.LocalPort, true)
	if p == nil {
		return
	}
	p.serves(r.LocalPort, path(r))
	p.inFlight++
	p.active.began(snapshot.WorkEarlier, nil)
	again := p.sawEarlier(r.Conn)
	now := doing{from: c.started, earlier: true, since: c.hz.ago(s)}
	now.from = max(now.from, now.since)
	if w := c.onlyWorker(p, pid); w != nil {
		if again { // the worker has had the request since then
			w.since = min(w.since, max(c.started, now.from))
		}
		w.now.takes(now)
		return
	}
	if again { // some worker was busy with it the whole time since the last look
		p.gone.busy += time.Duration(c.connsAt - c.seen)
		p.gone.alive += time.Duration(c.connsAt - c.seen)
	}
	p.threadless = append(p.threadless, threadlessRequest{pid, now})
}

// onlyWorker returns the worker of a process that can have no other.
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
	if !c.alone[pid] {
		return nil
	}
	return c.worker(p, pid, pid, "", 0)
}

// listeners takes the listening sockets of the pools.
func (c *Collector) listeners(found *finder) {
	for _, p := range c.pools {
		for _, l := range p.listeners {
			l.open = false
		}
	}
	for i := range c.snap.Listeners {
		l := &c.snap.Listeners[i]
		if p := found.owner(l); p != nil {
			p.sawListener(l, c.drops.of(l))
		}
	}
	for _, p := range c.pools {
		p.forgetListeners()
	}
	c.stuck(found)
}

// stuck makes a pool for a process if connections wait at its listener and no
// thread waits for them. This must be seen in two looks, because one look may find
// a server that is only busy.
func (c *Collector) stuck(found *finder) {
	attended := make(map[uint64]bool, len(c.snap.Waiters))
	for _, w := range c.snap.Waiters {
		attended[w.Socket] = true
	}
	for i := range c.snap.Listeners {
		l := &c.snap.Listeners[i]
		known := c.drops.of(l)
		if known == nil || attended[l.Socket] || l.Len == 0 {
			continue
		}
		if known.neglected(l.Socket, c.connsAt) {
			c.listens(l, known)
		}
	}
}

// listens makes the pool of a listener known.
func (c *Collector) listens(l *snapshot.Listener, known *account) *pool {
	var port uint16
	var path []byte
	if l.IsUnix() {
		path = unixPath(l.Unix)
	} else {
		port = l.Address.Port()
	}
	p := c.poolOf(l.PID, "", port, true)
	if p != nil {
		p.serves(port, path)
		p.sawListener(l, known)
	}
	return p
}

// waiters takes the threads that wait for a connection. They are available, unless
// they are known to accept for other threads.
func (c *Collector) waiters(found *finder) {
	for _, w := range c.snap.Waiters {
		l := found.sockets[w.Socket]
		p := c.poolOf(w.PID, "", found.port(w.Socket), false)
		if l != nil && p == nil && c.opts.Chosen {
			p = c.listens(&snapshot.Listener{PID: w.PID, Socket: l.Socket, NetNS: l.NetNS, Address: l.Address, Unix: l.Unix}, c.drops.of(l))
		}
		if l == nil || p == nil || p.listeners[addressOf(l)] == nil || p.others[w.TID] {
			continue
		}
		if found.unread[w.PID] && c.unread[w.PID] {
			c.other(p, w.TID) // it accepts for threads that are all busy
			continue
		}
		c.worker(p, w.PID, w.TID, "", 0)
	}
}

// poolOf returns the pool of a process, if its service is of interest.
func (c *Collector) poolOf(pid uint32, comm string, port uint16, create bool) *pool {
	if pid == 0 {
		return nil // no process: each pool has one
	}
	name, ok := c.opts.Service(pid, comm, port)
	if !ok {
		return nil
	}
	if !create {
		return c.pools[name]
	}
	return c.pool(name)
}

// worker returns a worker that a look found, and makes it known if it is new. It
// returns nil if the worker has ended since the look, or if there are too many.
func (c *Collector) worker(p *pool, pid, tid uint32, comm string, since request.Stamp) *worker {
	if w := c.workers[tid]; w != nil && w.pool == p {
		return w
	}
	if c.endedWorkers.at(p, tid, c.connsAt) != nil {
		return nil
	}
	return c.admit(p, pid, tid, comm, since)
}

// other notes that a thread is not a worker, and removes it if it was taken for
// one.
func (c *Collector) other(p *pool, tid uint32) {
	if !p.isOther(tid) {
		return
	}
	if w := p.workers[tid]; w != nil {
		delete(p.workers, tid)
		delete(c.workers, tid)
	}
}

func comm(r wire.Record) string { return unix.ByteSliceToString(r.Command()[:]) }

// path returns the path to which a unix socket is bound, in the form that requests
// show.
func path(r wire.Record) []byte {
	if !r.IsUnix() {
		return nil
	}
	return unixPath(r.Name())
}

// unixPath cuts a path at its end. An abstract name starts with a zero byte.
func unixPath(name []byte) []byte {
	if len(name) > 1 && name[0] == 0 {
		return append([]byte{'@'}, name[1:]...)
	}
	if end := bytes.IndexByte(name, 0); end >= 0 {
		return name[:end]
	}
	return name
}

// ticker finds the length of a jiffy, which the kernel does not report.
type ticker struct {
	jiffies, at uint64 // the first values that were seen
	hz          uint64 // jiffies per second; 0 while not known
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

// nearestHZ returns the nearest frequency with which kernels are built.
func nearestHZ(measured float64) uint64 {
	best := uint64(100)
	for _, hz := range []uint64{100, 250, 300, 1000} {
		if math.Abs(float64(hz)-measured) < math.Abs(float64(best)-measured) {
			best = hz
		}
	}
	return best
}

// ago returns when the last bytes arrived on a connection, or 0 if it is not known.
func (t *ticker) ago(s *snapshot.Conn) request.Stamp {
	if t.hz == 0 || s.Record.IsUnix() {
		return 0
	}
	passed := uint64(uint32(s.Jiffies)-s.ReceivedAt) * (uint64(time.Second) / t.hz)
	if passed >= s.Now {
		return 0
	}
	return request.Stamp(s.Now - passed)
}
