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
		c.unread = found.unread
	}
	for _, p := range c.pools {
		p.catchUp(c.connsAt)
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
		p.inFlight, p.dispatch, p.ahead, p.threadless = 0, 0, 0, p.threadless[:0]
		p.earlierBefore, p.earlier = p.earlier, nil
		p.active.reset()
	}
}

// conn takes one connection that is in use into account.
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

// idle takes a connection without a request in progress: bytes that nobody has
// read yet wait in dispatch, and a thread that is blocked in reading is held.
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
	// A process that listens where it is held is a server, whatever it speaks.
	p := c.poolOf(pid, "", r.LocalPort, found.listens(pid, r.LocalPort, path(r)))
	if p == nil {
		return
	}
	p.serves(r.LocalPort, path(r))
	if w := c.worker(p, pid, tid, "", 0); w != nil {
		w.now.held = true
	}
}

// earlier takes a request that was in flight when the agent started. All that
// is known is the socket: who has it open has to be found.
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
		return // a connection of something that need not serve at all
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
		if again { // it is this worker's since then
			w.since = min(w.since, max(c.started, now.from))
		}
		w.now.takes(now)
		return
	}
	if again { // somebody was busy with it all the time since the last look
		p.gone.busy += time.Duration(c.connsAt - c.seen)
		p.gone.alive += time.Duration(c.connsAt - c.seen)
	}
	p.threadless = append(p.threadless, threadlessRequest{pid, now})
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

// stuck makes a pool of a process whose listener nobody attends to while
// connections wait there. One look may find a server that is just at work.
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

// listens makes the pool known of which a listener is.
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

// waiters takes the threads that wait for a connection. They are available,
// unless they are known to accept for others.
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
			c.other(p, w.TID) // it accepts for threads that have no time
			continue
		}
		c.worker(p, w.PID, w.TID, "", 0)
	}
}

// poolOf finds the pool of a process that is of interest.
func (c *Collector) poolOf(pid uint32, comm string, port uint16, create bool) *pool {
	if pid == 0 {
		return nil // nobody: no pool is without a process
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

// worker finds a worker that a look showed or makes it known; nil when it has
// ended since the look, or there are too many.
func (c *Collector) worker(p *pool, pid, tid uint32, comm string, since request.Stamp) *worker {
	if w := c.workers[tid]; w != nil && w.pool == p {
		return w
	}
	if c.endedWorkers.at(p, tid, c.connsAt) != nil {
		return nil
	}
	return c.admit(p, pid, tid, comm, since)
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

func comm(r wire.Record) string { return unix.ByteSliceToString(r.Command()[:]) }

// path is what a unix socket is bound to, as requests show it.
func path(r wire.Record) []byte {
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
