package worker

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"lapwing/collectors/process"
	"lapwing/collectors/request"
	"lapwing/probes/socket"
	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/wire"
)

// The defaults of Options.
const (
	DefaultServices = 128
	DefaultWorkers  = 2048 // of one service
	DefaultTotal    = 16384
)

// Source is where snapshots of the kernel's state come from: the probes.
type Source interface {
	SnapConns(*snapshot.Snapshot) error
	SnapFiles(s *snapshot.Snapshot, holders bool) error
	// Touched reports whether connections were in use since SnapConns.
	Touched() bool
}

// Options say what a Collector works with. The limits have defaults, and so
// have Thread, Usage, Sleeps, Counts and Now; they are there for tests.
type Options struct {
	// Service names the service of a process that serves on a local port, 0
	// for a unix socket, and says whether it is of interest. It waits for
	// nobody: finished requests wait meanwhile.
	Service func(pid uint32, comm string, port uint16) (string, bool)
	// Ended reports whether the response in a record is complete.
	Ended func(wire.Record) bool
	// Chosen says that only some services are of interest: then those that have
	// nothing to do yet are shown as well.
	Chosen bool
	// Outstanding is how many requests of a connection that user space frames
	// wait for their response to end.
	Outstanding func(conn uint64) int
	Log         *slog.Logger

	Services, Workers, Total int // how many are tracked at most

	Thread func(pid, tid uint32) (process.Thread, error)
	Usage  func(pid uint32) (process.Usage, error)
	Sleeps func(pid uint32) (map[uint32]uint64, error)
	Counts func(pid, netns uint32) (ListenCounts, error)
	Now    func() request.Stamp
}

func (o *Options) setDefaults() {
	o.Services = cmp.Or(o.Services, DefaultServices)
	o.Workers = cmp.Or(o.Workers, DefaultWorkers)
	o.Total = cmp.Or(o.Total, DefaultTotal)
	if o.Thread == nil {
		o.Thread = process.ReadThread
	}
	if o.Usage == nil {
		o.Usage = process.Sample
	}
	if o.Sleeps == nil {
		o.Sleeps = process.Sleeps
	}
	if o.Counts == nil {
		o.Counts = ReadListenCounts
	}
	if o.Now == nil {
		o.Now = request.Now
	}
	if o.Outstanding == nil {
		o.Outstanding = func(uint64) int { return 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Collector keeps the worker pools of all services. It takes every finished
// request by Export, looks around by itself while Run runs, and shows what it
// knows by Snapshot. All methods are safe for concurrent use.
type Collector struct {
	opts Options

	look        sync.Mutex // one look at a time; taken before mu; guards these
	source      Source     // nil: finished requests are all there is
	snap        snapshot.Snapshot
	alone       map[uint32]bool // processes with one thread, of those with requests from before the start
	connsAt     request.Stamp
	filesAt     request.Stamp
	conns       socket.Cost // of a look at them
	files       socket.Cost
	drops       *drops
	freshFiles  bool // the listeners in snap are new
	wantHolders bool // somebody has to be found who has a connection open
	hz          ticker
	failed      bool // the last look failed, which was logged

	mu           sync.Mutex // guards what follows
	started      request.Stamp
	booted       time.Duration // the same moment, since boot
	host         Host          // the counts at that moment
	pools        map[string]*pool
	workers      map[uint32]*worker
	newcomers    []*worker       // whose start is not known yet
	unread       map[uint32]bool // processes that left connections unread at the last look
	before       map[uint32]bool // threads that waited for connections at the start
	endedWorkers endedWorkers
	full         uint64        // requests of services beyond the limit
	seen         request.Stamp // when the last look began
	ended        bool          // Unwatch was called
	cut          uint64        // connections that did not fit a snapshot
}

// New returns a collector. What it says of times counts from Watch on, or from
// here where nobody calls that.
func New(o Options) *Collector {
	o.setDefaults()
	c := &Collector{
		opts:         o,
		drops:        newDrops(o.Counts),
		pools:        map[string]*pool{},
		workers:      map[uint32]*worker{},
		before:       map[uint32]bool{},
		endedWorkers: newEndedWorkers(),
	}
	c.begin()
	return c
}

// Export takes a finished request into account.
func (c *Collector) Export(r *request.Request) {
	tid := cmp.Or(r.WriterTID, r.TID)
	if tid == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.workers[tid]
	if w == nil || w.pool.name != r.Service || (tid == r.TID && w.pid != r.PID) {
		p := c.pool(r.Service)
		if p == nil {
			c.full++
			return
		}
		if gone := c.endedWorkers.at(p, tid, r.End()); gone != nil {
			c.count(p, r)
			p.late(gone, r, tid != r.TID)
			return
		}
		w = c.admit(p, r.PID, tid, r.Comm, evidence(r, tid != r.TID))
		if w == nil {
			c.count(p, r)
			p.untracked++
			return
		}
	}
	c.count(w.pool, r)
	w.finish(r, tid != r.TID)
}

// Shutdown ends nothing: the figures stay readable.
func (c *Collector) Shutdown(context.Context) error { return nil }

// count takes what a request says about its whole pool. A thread that turns out
// to accept or read for others may have been taken for a worker while it waited.
func (c *Collector) count(p *pool, r *request.Request) {
	p.served++
	p.ends.add(r.End())
	p.confirmed = true
	p.active.ended(r)
	p.serves(r.Local.Addr.Port(), r.Local.Unix)
	if end := r.End(); r.ReadFirst.Seen() && end > r.ReadFirst {
		p.longest = max(p.longest, time.Duration(end-r.ReadFirst))
	}
	if r.Seq == 1 && r.Accepted.Seen() && r.Established.Seen() && r.Accepted > r.Established {
		p.waiting.add(span{r.Established, r.Accepted, r.Conn})
	}
	worker := cmp.Or(r.WriterTID, r.TID)
	if r.TID != worker {
		p.handsOver = true
		c.other(p, r.TID)
	}
	if r.AcceptorTID != worker && r.AcceptorTID != r.TID {
		c.other(p, r.AcceptorTID)
	}
}

// pool finds or makes the pool of a service; nil when there are too many.
func (c *Collector) pool(service string) *pool {
	p := c.pools[service]
	if p == nil && len(c.pools) < c.opts.Services {
		p = newPool(service, c.started)
		c.pools[service] = p
	}
	return p
}

// evidence is since when a request shows its worker to be there.
func evidence(r *request.Request, handed bool) request.Stamp {
	if handed {
		return handedAt(r, handed)
	}
	return r.ReadFirst
}

// admit makes a worker known, which was there at the moment since if that is
// known; nil when there are too many. One that had the same id before has ended.
func (c *Collector) admit(p *pool, pid, tid uint32, comm string, since request.Stamp) *worker {
	now := c.opts.Now()
	if old := c.workers[tid]; old != nil {
		c.bury(old, now)
	}
	if len(p.workers) >= c.opts.Workers || len(c.workers) >= c.opts.Total {
		return nil
	}
	if !since.Seen() || since > now {
		since = now
	}
	w := &worker{pool: p, pid: pid, tid: tid, comm: comm, since: max(since, c.started)}
	p.workers[tid], c.workers[tid] = w, w
	delete(p.others, tid)
	c.newcomers = append(c.newcomers, w)
	return w
}

func (c *Collector) bury(w *worker, now request.Stamp) {
	w.pool.bury(w, now)
	delete(c.workers, w.tid)
	c.endedWorkers.put(w, now)
}
