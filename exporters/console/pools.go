package console

import (
	"context"
	"fmt"
	"time"

	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// PoolSource is the source of the worker pools for RunPools: a
// worker.Collector.
type PoolSource interface {
	Snapshot() []worker.Snapshot
	Host() (worker.Host, error)
	// Since returns the time at which the collector started to watch them.
	Since() time.Time
	// Losses counts what the pools leave out, by cause, since the start.
	Losses() map[string]uint64
}

// RunPools shows the worker pools every interval until ctx ends, the user
// quits, or the reader of the output goes away. If it is not interactive, it
// ends with the figures since the start.
func RunPools(ctx context.Context, pools PoolSource, account health.Func, opts TopOptions) error {
	if err := CheckFormat(opts.Format); err != nil {
		return err
	}
	opts = opts.withDefaults()
	if opts.Interactive {
		return runProgram(ctx, newPoolsModel(pools, account, opts), opts)
	}
	var out poolsReport = &poolsText{w: opts.Out, width: opts.Width}
	if opts.Format == FormatJSON {
		out = &poolsJSON{w: opts.Out}
	}
	if err := runPoolReports(ctx, pools, account, opts, out); err != nil && !readerLeft(err) {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// poolsReport writes the pools in one format, instead of painting them.
type poolsReport interface {
	write(t poolTable, h health.Health) error
}

func runPoolReports(ctx context.Context, pools PoolSource, account health.Func, opts TopOptions, out poolsReport) error {
	start := newPoolWindow(pools)
	window := newPoolWindow(pools)
	ticker := time.NewTicker(opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := out.write(window.next(), account()); err != nil {
				return err
			}
		case <-ctx.Done():
			ended := time.Now() // everything that is still delivered happened before this time
			if opts.Drained != nil {
				<-opts.Drained
			}
			t := start.until(ended)
			t.Final = true
			return out.write(t, account())
		}
	}
}

// poolTable holds the pools at the end of a span of time, and the figures of
// that span.
type poolTable struct {
	At      time.Time
	Elapsed time.Duration
	Final   bool
	Pools   []poolView
	Host    worker.Host
	LeftOut map[string]uint64 // what the pools do not show, by cause, since the start
}

// poolView is a pool with its figures for a span of time.
type poolView struct {
	worker.Snapshot
	Requests    uint64
	Rate        *float64 // requests per second; nil if unknown
	Utilisation *float64 // 0 to 1; nil if unknown
	Drops       uint64
	Views       []workerView // as PerWorker, in the same order
}

// workerView is a worker with its figures for a span of time.
type workerView struct {
	worker.Worker
	Requests uint64
	Busy     float64 // share of the time, 0 to 1
	CPU      float64
}

// poolWindow returns the figures of the pools span by span.
type poolWindow struct {
	from    PoolSource
	ends    time.Time
	earlier map[string]poolPast
}

// poolPast is the state of a pool at the end of the last span.
type poolPast struct {
	pool    worker.Snapshot
	workers map[workerID]worker.Worker
}

// workerID identifies a worker even if the kernel used its id again.
type workerID struct {
	tid   uint32
	since int64 // seconds
}

func idOf(w *worker.Worker) workerID { return workerID{w.TID, w.Since.Round(time.Second).Unix()} }

func newPoolWindow(from PoolSource) *poolWindow {
	return &poolWindow{from: from, ends: time.Now(), earlier: map[string]poolPast{}}
}

// next ends the span now and returns its figures.
func (w *poolWindow) next() poolTable { return w.until(time.Now()) }

// until returns the figures of the span that ended at the given time.
func (w *poolWindow) until(at time.Time) poolTable {
	if since := w.from.Since(); since.After(w.ends) {
		w.ends = since // nothing was seen before this
	}
	t := poolTable{At: at, Elapsed: at.Sub(w.ends)}
	began := w.ends
	w.ends = at
	now := map[string]poolPast{}
	for _, p := range w.from.Snapshot() {
		past := w.earlier[p.Service]
		t.Pools = append(t.Pools, viewOf(p, past, began))
		now[p.Service] = pastOf(p)
	}
	w.earlier = now
	// A failed read was logged at the start. The value stays zero.
	t.Host, _ = w.from.Host()
	t.LeftOut = w.from.Losses()
	return t
}

func pastOf(p worker.Snapshot) poolPast {
	past := poolPast{pool: p, workers: make(map[workerID]worker.Worker, len(p.PerWorker))}
	for _, w := range p.PerWorker {
		past.workers[idOf(&w)] = w
	}
	return past
}

func viewOf(p worker.Snapshot, past poolPast, began time.Time) poolView {
	v := poolView{
		Snapshot: p,
		Requests: p.Served - past.pool.Served,
		Drops:    p.Overflows - past.pool.Overflows,
	}
	elapsed := p.Settled.Sub(past.pool.Settled)
	if past.pool.Settled.IsZero() {
		elapsed = p.Settled.Sub(began)
	}
	v.Utilisation, v.Rate = figures(&p, &past.pool)
	for _, w := range p.PerWorker {
		before := past.workers[idOf(&w)]
		v.Views = append(v.Views, workerView{
			Worker:   w,
			Requests: w.Served - before.Served,
			Busy:     share(w.BusyTime-before.BusyTime, min(elapsed, p.Settled.Sub(w.Since))),
			CPU:      share(w.CPUTime-before.CPUTime, min(elapsed, p.Settled.Sub(w.Since))),
		})
	}
	return v
}

// figures returns the utilisation and the number of requests that ended per
// second, over the part of a span in which everything was seen. They are nil if
// that part is too short.
func figures(p, past *worker.Snapshot) (utilisation, rate *float64) {
	from, least := worker.Observed{Settled: past.Settled, Ended: past.Ended, BusyTime: past.BusyTime, WorkerTime: past.WorkerTime}, time.Duration(1)
	if o := p.Observed; o.Settled.IsZero() {
		return nil, nil
	} else if o.Settled.After(from.Settled) {
		from, least = o, leastSpan
	}
	span := p.Settled.Sub(from.Settled)
	if span < least {
		return nil, nil
	}
	perSecond := float64(p.Ended-min(p.Ended, from.Ended)) / span.Seconds()
	// A worker can become known together with work that it did long before.
	most := time.Duration(max(p.Workers, past.Workers)) * span
	if whole := min(p.WorkerTime-from.WorkerTime, most); whole > 0 && !p.Hidden {
		part := share(p.BusyTime-from.BusyTime, whole)
		utilisation = &part
	}
	return utilisation, &perSecond
}

// leastSpan is the shortest time over which a rate is shown, unless the user
// chose the interval.
const leastSpan = time.Second

// share returns part as a share of whole, at most 1.
func share(part, whole time.Duration) float64 {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}
