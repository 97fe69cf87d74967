package worker

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"lapwing/collectors/patience"
	"lapwing/collectors/process"
	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// How often Run takes looks, and the minimum time between two looks at the
// connections, however often Snapshot is called.
const (
	newcomersEvery = 100 * time.Millisecond
	lookEvery      = time.Second
	lookSoon       = 300 * time.Millisecond
	firstLooks     = request.Stamp(2 * time.Second)
	usageEvery     = 5 * time.Second
	leastBetween   = request.Stamp(250 * time.Millisecond)
)

// settleAfter is how long it takes until every request that was in progress at a
// moment is known: it is in a snapshot, or was reported.
const settleAfter = request.Stamp(time.Second)

// Watch takes a first look, to see what existed before the measurement started.
func (c *Collector) Watch(source Source) {
	c.begin()
	c.setSource(source)
	c.lookAround()
	c.noteWaiters()
}

// begin sets the moment from which the collector counts to now.
func (c *Collector) begin() {
	host, err := readHost()
	if err != nil {
		c.opts.Log.Warn("the host's counts of dropped connections are not known", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.booted, c.host = c.opts.Now(), process.SinceBoot(), host
	for _, p := range c.pools {
		p.observed = observed{at: c.started}
	}
}

// Run takes looks until ctx ends. If Watch was not called before, workers are known
// only by their finished requests.
func (c *Collector) Run(ctx context.Context) {
	newcomers := time.NewTicker(newcomersEvery)
	defer newcomers.Stop()
	looked, used := time.Now(), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-newcomers.C:
			c.meet()
			if now.Sub(looked) < c.every() {
				continue
			}
			looked = now
			c.Refresh()
			if now.Sub(used) >= usageEvery {
				used = now
				c.sample()
			}
		}
	}
}

func (c *Collector) setSource(s Source) {
	c.look.Lock()
	defer c.look.Unlock()
	c.source, c.wantHolders = s, true
}

// Unwatch ends the use of the source and waits for a look in progress. The last
// results can still be read.
func (c *Collector) Unwatch() { c.setSource(nil) }

// End says that all requests were delivered, so that the figures up to the last
// look are complete.
func (c *Collector) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// noteWaiters remembers which threads wait for connections at the start. Later it
// shows what they are, and if one of them ends soon, it is known that it existed
// before.
func (c *Collector) noteWaiters() {
	c.look.Lock()
	defer c.look.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.snap.Waiters[:min(len(c.snap.Waiters), c.opts.Total)] {
		c.before[w.TID] = true
	}
}

// Refresh looks at the connections, the listeners and the threads.
func (c *Collector) Refresh() {
	c.lookAround()
	c.visit()
	c.lookAtSiblings(false, forAll)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opts.Now()
	for _, p := range c.pools {
		c.settle(p, now)
		p.remember(now, c.settled(now))
	}
}

// settled returns the moment up to which everything is known. Finished requests
// become known a little after their end, and requests in progress are known as of
// the last look.
func (c *Collector) settled(now request.Stamp) request.Stamp {
	switch {
	case c.ended:
	case now > settleAfter:
		now -= settleAfter
	}
	if c.seen.Seen() {
		now = min(now, c.seen)
	}
	return now
}

// every returns the interval between looks. It is shorter at the start, to see when
// the requests that were in flight then are over.
func (c *Collector) every() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.opts.Now(); now-c.started < firstLooks {
		return lookSoon
	}
	for _, p := range c.pools {
		if !p.observed.fixed {
			return lookSoon
		}
	}
	return lookEvery
}

// settle updates the maximums. After End no more requests come.
func (c *Collector) settle(p *pool, now request.Stamp) {
	var live []span
	for _, w := range p.workers {
		if from := max(w.now.from, w.until); w.now.inFlight > 0 && !w.loop() {
			live = append(live, span{from, max(from, c.seen), uint64(w.tid)})
		}
	}
	until := now
	if !c.ended && now > settleAfter {
		until -= settleAfter
	}
	p.needed.settle(until, live)
	p.waiting.settle(until, nil)
}

// meet reads /proc for the new workers.
func (c *Collector) meet() {
	c.mu.Lock()
	newcomers := c.newcomers
	c.newcomers = nil
	c.mu.Unlock()
	c.ask(newcomers, forAll)
}

// visit reads /proc for all workers.
func (c *Collector) visit() {
	c.visitThose(func(*pool) bool { return true }, forAll)
}

// visitChanging reads /proc for the workers of pools whose workers change often. If
// each worker serves only one request, most known workers have already ended.
func (c *Collector) visitChanging() {
	now := c.opts.Now()
	c.visitThose(func(p *pool) bool { return now-p.changed < changingFor }, forSome)
}

// changingFor is how long after a start or an exit more of them are expected.
const changingFor = request.Stamp(10 * time.Second)

// How long one visit may take. A caller waits for Snapshot, so the rest is left to
// the next look.
const (
	forAll  = time.Minute
	forSome = 50 * time.Millisecond
)

func (c *Collector) visitThose(wanted func(*pool) bool, most time.Duration) {
	c.mu.Lock()
	var all []*worker
	for _, p := range c.pools {
		if wanted(p) {
			all = slices.AppendSeq(all, maps.Values(p.workers))
		}
	}
	c.newcomers = slices.DeleteFunc(c.newcomers, func(w *worker) bool { return wanted(w.pool) })
	c.mu.Unlock()
	c.ask(all, most)
}

// answer is what /proc said about a worker.
type answer struct {
	*worker
	process.Thread
	gone bool
}

// ask finds for each worker what it used and whether it has ended. It does not hold
// the lock while it reads /proc. Workers that are gone are handled first, because a
// new worker may have the same id. Nothing is concluded about a worker that does
// not answer.
func (c *Collector) ask(all []*worker, most time.Duration) {
	answers := make([]answer, 0, len(all))
	began := time.Now()
	for _, w := range all {
		if time.Since(began) > most {
			break
		}
		c.mu.Lock()
		pid, tid := w.pid, w.tid
		c.mu.Unlock()
		t, err := c.opts.Thread(pid, tid)
		if !patience.NotAsked(err) {
			answers = append(answers, answer{w, t, err != nil})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	answers = slices.DeleteFunc(answers, func(a answer) bool { return c.workers[a.tid] != a.worker })
	for _, a := range answers {
		if a.gone || !a.isStill(a.Thread) {
			c.end(a.worker)
		}
	}
	for _, a := range answers {
		if c.workers[a.tid] == a.worker {
			c.learn(a.worker, a.Thread)
		}
	}
}

func (c *Collector) learn(w *worker, t process.Thread) {
	isNew := w.born == 0
	w.learn(t)
	if isNew {
		c.date(w)
	}
}

func (c *Collector) end(w *worker) {
	now := c.opts.Now()
	if w.born == 0 && !c.before[w.tid] { // it started and ended between two looks
		w.pool.started(now)
	}
	delete(c.before, w.tid)
	c.bury(w, now)
}

// knownLate is how long after its pool a worker can become known and still count as
// one that existed and was free the whole time.
const knownLate = request.Stamp(10 * time.Second)

// date sets the time since when the worker exists.
func (c *Collector) date(w *worker) {
	if w.born < c.booted {
		// All requests since observed.at were seen, and the worker served none of
		// them.
		if p := w.pool; c.opts.Now()-p.observed.at < knownLate {
			w.since = min(w.since, p.observed.at)
		}
		return
	}
	w.since = c.started + request.Stamp(w.born-c.booted)
	w.pool.started(c.opts.Now())
}

// sample reads what the workers' processes use, once for each process.
func (c *Collector) sample() {
	c.mu.Lock()
	processes := map[uint32]*Process{}
	for _, w := range c.workers {
		processes[w.pid] = nil
	}
	c.mu.Unlock()
	for pid := range processes {
		if u, err := c.opts.Usage(pid); err == nil {
			p := Process(u)
			processes[pid] = &p
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.workers {
		if u := processes[w.pid]; u != nil {
			w.usage = u
		}
	}
}

// lookAround takes snapshots, unless the last ones are recent.
func (c *Collector) lookAround() {
	c.look.Lock()
	defer c.look.Unlock()
	if c.source == nil {
		return
	}
	now := c.opts.Now()
	if c.connsAt.Seen() && (now-c.connsAt < leastBetween || !c.worthIt(now)) {
		return
	}
	c.connsAt = now
	err := errors.Join(c.lookAtFiles(), c.conns.Measure(func() error { return c.source.SnapConns(&c.snap) }))
	if err != nil {
		if !c.failed {
			c.opts.Log.Warn("the state of the worker pools cannot be read", "error", err)
		}
		c.failed = true
		return
	}
	c.failed = false
	c.countThreads()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply()
	c.seen = c.connsAt
}

// countThreads finds the processes with a single thread, among those with a request
// that was in flight at the agent's start. It reads /proc before the lock is taken,
// because finished requests wait for that lock.
func (c *Collector) countThreads() {
	c.alone = nil
	found := newFinder(c)
	for i := range c.snap.Conns {
		s := &c.snap.Conns[i]
		pid := cmp.Or(s.Record.Pid, found.holder(s.Record.Sk))
		if _, known := c.alone[pid]; known || pid == 0 || s.Work() != snapshot.WorkEarlier {
			continue
		}
		if c.alone == nil {
			c.alone = map[uint32]bool{}
		}
		u, err := c.opts.Usage(pid)
		c.alone[pid] = err == nil && u.Threads == 1
	}
}

// A look reads all connections and all descriptors of the host, even idle ones. So
// the pauses grow with the cost of a look: they are that many times longer than it.
const (
	filesShare = 400
	connsShare = 200
	idleShare  = 1000 // if no connection was in use
)

// longestPause is the maximum delay until a thread is seen that waits for an idle
// connection.
const longestPause = 10 * time.Second

// worthIt reports whether to look at the connections again. If no connection was in
// use, no request has started or ended.
func (c *Collector) worthIt(now request.Stamp) bool {
	pause := time.Duration(now - c.connsAt)
	return c.conns.Worth(pause, idleShare) || c.conns.Worth(pause, connsShare) && (pause >= longestPause || c.source.Touched())
}

// lookAtFiles reads the descriptors of all processes.
func (c *Collector) lookAtFiles() error {
	c.freshFiles = false
	now := c.opts.Now()
	if c.filesAt.Seen() && !c.files.Worth(time.Duration(now-c.filesAt), filesShare) {
		return nil
	}
	c.filesAt = now
	counts := c.drops.count()
	err := c.files.Measure(func() error { return c.source.SnapFiles(&c.snap, c.wantHolders) })
	if err == nil {
		c.drops.look(c.snap.Listeners, counts)
	}
	c.freshFiles = err == nil
	return err
}
