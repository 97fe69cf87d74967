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

// Source provides snapshots of the kernel's state: the probes.
type Source interface {
	SnapConns(*snapshot.Snapshot) error
	SnapFiles(s *snapshot.Snapshot, holders bool) error
	// Touched reports whether connections were in use since SnapConns.
	Touched() bool
}

// Options are the parameters of a Collector. The limits have defaults. So do
// Thread, Usage, Sleeps, Counts and Now, which exist for tests.
type Options struct {
	// Service returns the name of the service of a process that serves on a local
	// port (0 for a unix socket), and whether it is of interest. It must not block,
	// because finished requests wait for it.
	Service func(pid uint32, comm string, port uint16) (string, bool)
	// Ended reports whether the response in a record is complete.
	Ended func(wire.Record) bool
	// Chosen says that only some services are of interest. Then a service is shown
	// even before it has had a request.
	Chosen bool
	// Outstanding returns how many requests of a connection wait for their response
	// to end, if the agent frames the connection.
	Outstanding func(conn uint64) int
	Log         *slog.Logger

	Services, Workers, Total int // limits of what is tracked

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

// Collector keeps the worker pools of all services. It takes each finished request
// by Export, takes looks while Run runs, and returns the pools by Snapshot. All
// methods are safe for concurrent use.
type Collector struct {
	opts Options

	look        sync.Mutex // allows one look at a time; taken before mu; guards these fields
	source      Source     // if nil, only finished requests are known
	snap        snapshot.Snapshot
	alone       map[uint32]bool // of the processes with a request in flight at the agent's start, those with one thread
	connsAt     request.Stamp
	filesAt     request.Stamp
	conns       socket.Cost // of a look at the connections
	files       socket.Cost
	drops       *drops
	freshFiles  bool // the listeners in snap are new
	wantHolders bool // a process that has a connection open must be found
	hz          ticker
	failed      bool // the last look failed, which was logged

	mu           sync.Mutex // guards the fields below
	started      request.Stamp
	booted       time.Duration // started as the time since boot
	host         Host          // the counts at started
	pools        map[string]*pool
	workers      map[uint32]*worker
	newcomers    []*worker       // workers whose start is not known yet
	unread       map[uint32]bool // processes that left connections unread at the last look
	before       map[uint32]bool // threads that waited for connections at the start
	endedWorkers endedWorkers
	full         uint64        // requests of services beyond the limit
	seen         request.Stamp // start of the last look
	ended        bool          // End was called
	cut          uint64        // connections that did not fit into a snapshot
}

// New returns a collector. Its times count from Watch on, or from New if Watch is
// not called.
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

// Export takes a finished request.
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

// Shutdown does nothing. The figures can still be read.
func (c *Collector) Shutdown(context.Context) error { return nil }

// count adds a request to the figures of its pool. A thread that accepts or reads
// for others, as the request shows, may have been taken for a worker while it
// waited.
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

// pool returns the pool of a service, and adds it if it is new. It returns nil if
// there are too many.
func (c *Collector) pool(service string) *pool {
	p := c.pools[service]
	if p == nil && len(c.pools) < c.opts.Services {
		p = newPool(service, c.started)
		c.pools[service] = p
	}
	return p
}

// evidence returns the earliest moment at which a request shows that its worker
// exists.
func evidence(r *request.Request, handed bool) request.Stamp {
	if handed {
		return handedAt(r, handed)
	}
	return r.ReadFirst
}

// admit makes a worker known that existed at since, or now if since is not known.
// It returns nil if there are too many. A worker that had the same id before has
// ended.
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
