package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"lapwing/collectors/process"
	"lapwing/collectors/request"
)

// How often things are looked at while Run runs, and the least time between
// two looks at the connections however often Snapshot is called.
const (
	newcomersEvery = 100 * time.Millisecond
	lookEvery      = time.Second
	usageEvery     = 5 * time.Second
	leastBetween   = request.Stamp(250 * time.Millisecond)
)

// settleAfter is how long it takes until every request that was in progress
// at a moment is known: it shows in a snapshot, or was handed out.
const settleAfter = request.Stamp(time.Second)

// Watch takes a first look, at what is there before anything is measured.
func (c *Collector) Watch(source Source) {
	c.setSource(source)
	c.lookAround()
	c.noteWaiters()
}

// Run looks around until ctx ends. Without Watch before it, workers are known
// by their finished requests only.
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
			if now.Sub(looked) < lookEvery {
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
	c.source = s
}

// Unwatch ends the use of the source, and waits for a look in progress. What
// was seen last stays readable.
func (c *Collector) Unwatch() {
	c.setSource(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// noteWaiters remembers which threads wait for connections at the start: what
// they are will show, and one that ends soon was there before.
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
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opts.Now()
	for _, p := range c.pools {
		c.settle(p, now)
		p.remember(now, c.seen)
	}
}

// settle brings the highest numbers up to date. After Unwatch nothing more is
// to come.
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

// meet asks /proc about the workers that are new.
func (c *Collector) meet() {
	c.mu.Lock()
	newcomers := c.newcomers
	c.newcomers = nil
	c.mu.Unlock()
	c.ask(newcomers)
}

// visit asks /proc about all workers.
func (c *Collector) visit() {
	c.mu.Lock()
	all := make([]*worker, 0, len(c.workers))
	for _, w := range c.workers {
		all = append(all, w)
	}
	c.newcomers = nil
	c.mu.Unlock()
	c.ask(all)
}

// answer is what /proc said about a worker.
type answer struct {
	*worker
	process.Thread
	gone bool
}

// ask learns of each worker what it used, and that it has ended. The lock is
// not held while /proc is read. Who has gone comes first: who is new may be
// there instead.
func (c *Collector) ask(all []*worker) {
	answers := make([]answer, 0, len(all))
	for _, w := range all {
		c.mu.Lock()
		pid, tid := w.pid, w.tid
		c.mu.Unlock()
		t, err := c.opts.Thread(pid, tid)
		answers = append(answers, answer{w, t, err != nil})
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
	if w.born == 0 && !c.before[w.tid] { // it came and went between two looks
		w.pool.started(now)
	}
	delete(c.before, w.tid)
	c.bury(w, now)
}

// date sets since when the worker is there.
func (c *Collector) date(w *worker) {
	if w.born < c.booted {
		w.since = c.started
		return
	}
	w.since = c.started + request.Stamp(w.born-c.booted)
	w.pool.started(c.opts.Now())
}

// sample reads what the workers' processes use, each process once.
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

// lookAround takes snapshots, unless the last ones are fresh.
func (c *Collector) lookAround() {
	c.look.Lock()
	defer c.look.Unlock()
	if c.source == nil {
		return
	}
	now := c.opts.Now()
	if c.connsAt.Seen() && now-c.connsAt < leastBetween {
		return
	}
	c.connsAt = now
	err := errors.Join(c.lookAtFiles(), c.source.SnapConns(&c.snap))
	if err != nil {
		if !c.failed {
			c.opts.Log.Warn("the state of the worker pools cannot be read", "error", err)
		}
		c.failed = true
		return
	}
	c.failed = false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply()
	c.seen = c.connsAt
}

// lookAtFiles walks the descriptors of all processes. On a host with very many
// that takes long, so it takes at most a fiftieth of the time.
func (c *Collector) lookAtFiles() error {
	began := c.opts.Now()
	c.freshFiles = false
	if !c.files.due(began) {
		return nil
	}
	err := c.source.SnapFiles(&c.snap, c.wantHolders)
	c.files.done(began, c.opts.Now())
	c.freshFiles = err == nil
	return err
}

// pace spaces looks by how long they take.
type pace struct{ next request.Stamp }

// share is how many times longer than a look the pause after it is.
const share = 50

func (p *pace) due(now request.Stamp) bool { return now >= p.next }

func (p *pace) done(began, ended request.Stamp) { p.next = ended + share*(ended-began) }
