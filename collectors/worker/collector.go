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
)

// The defaults of Options.
const (
	DefaultServices = 128
	DefaultWorkers  = 2048 // of one service
	DefaultTotal    = 16384
)

// Source is where snapshots of the kernel's state come from: the probes.
type Source interface {
	SnapConns(*socket.Snapshot) error
	SnapFiles(s *socket.Snapshot, holders bool) error
}

// Options say what a Collector works with. The limits have defaults, and so
// have Thread, Usage and Now; they are there for tests.
type Options struct {
	// Service names the service of a process that serves on a local port, 0
	// for a unix socket, and says whether it is of interest.
	Service func(pid uint32, comm string, port uint16) (string, bool)
	// Ended reports whether the response in a record is complete.
	Ended func(socket.Record) bool
	Log   *slog.Logger

	Services, Workers, Total int // how many are tracked at most

	Thread func(pid, tid uint32) (process.Thread, error)
	Usage  func(pid uint32) (process.Usage, error)
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
	if o.Now == nil {
		o.Now = request.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Collector keeps the worker pools of all services. It takes every finished
// request by Export, looks around by itself while Run runs, and shows what it
// knows by Snapshot. All methods are safe for concurrent use.
type Collector struct {
	opts    Options
	started request.Stamp
	booted  time.Duration // the same moment, since boot
	host    Host          // the counts at that moment

	look        sync.Mutex // one look at a time; taken before mu; guards these
	source      Source     // nil: finished requests are all there is
	snap        socket.Snapshot
	connsAt     request.Stamp
	files       pace
	freshFiles  bool // the listeners in snap are new
	wantHolders bool // somebody has to be found who has a connection open
	hz          ticker
	failed      bool // the last look failed, which was logged

	mu        sync.Mutex // guards what follows
	pools     map[string]*pool
	workers   map[uint32]*worker
	newcomers []*worker       // whose start is not known yet
	before    map[uint32]bool // threads that waited for connections at the start
	formers   formers
	full      uint64        // requests of services beyond the limit
	seen      request.Stamp // when the last look began
	ended     bool          // Unwatch was called
	cut       uint64        // connections that did not fit a snapshot
}

// New returns a collector.
func New(o Options) *Collector {
	o.setDefaults()
	host, err := readHost()
	if err != nil {
		o.Log.Warn("the host's counts of dropped connections are not known", "error", err)
	}
	return &Collector{
		opts:    o,
		started: o.Now(),
		host:    host,
		booted:  process.SinceBoot(),
		pools:   map[string]*pool{},
		workers: map[uint32]*worker{},
		before:  map[uint32]bool{},
		formers: newFormers(),
	}
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
		if gone := c.formers.at(p, tid, r.End()); gone != nil {
			p.count(r)
			p.late(gone, r, tid != r.TID)
			return
		}
		w = c.admit(p, r.PID, tid, r.Comm)
		if w == nil {
			p.count(r)
			p.untracked++
			return
		}
	}
	w.pool.count(r)
	w.finish(r, tid != r.TID)
}

// Shutdown ends nothing: the figures stay readable.
func (c *Collector) Shutdown(context.Context) error { return nil }

// count takes what a request says about its whole pool.
func (p *pool) count(r *request.Request) {
	p.served++
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
		p.isOther(r.TID)
	}
	if r.AcceptorTID != worker && r.AcceptorTID != r.TID {
		p.isOther(r.AcceptorTID)
	}
}

// pool finds or makes the pool of a service; nil when there are too many.
func (c *Collector) pool(service string) *pool {
	p := c.pools[service]
	if p == nil && len(c.pools) < c.opts.Services {
		p = newPool(service)
		c.pools[service] = p
	}
	return p
}

// admit makes a worker known; nil when there are too many. One that had the
// same id before has ended.
func (c *Collector) admit(p *pool, pid, tid uint32, comm string) *worker {
	now := c.opts.Now()
	if old := c.workers[tid]; old != nil {
		c.bury(old, now)
	}
	if len(p.workers) >= c.opts.Workers || len(c.workers) >= c.opts.Total {
		return nil
	}
	w := &worker{pool: p, pid: pid, tid: tid, comm: comm, since: now}
	p.workers[tid], c.workers[tid] = w, w
	delete(p.others, tid)
	c.newcomers = append(c.newcomers, w)
	return w
}

func (c *Collector) bury(w *worker, now request.Stamp) {
	w.pool.bury(w, now)
	delete(c.workers, w.tid)
	c.formers.put(w, now)
}
