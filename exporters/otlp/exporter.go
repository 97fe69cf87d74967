package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"

	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/otlp/sampling"
)

var _ exporters.Tracer = (*Exporter)(nil)

// cause is the reason why a sampled request did not reach the receiver.
type cause int

const (
	causeQueueFull  cause = iota // the receiver is slower than the requests arrive
	causeRejected                // the receiver refused the batch permanently
	causeGaveUp                  // the retries lasted longer than retry.max_elapsed
	causePartial                 // the receiver took the batch, but not all of its spans
	causeShutdown                // the agent ended first
	causeUntimed                 // no probe saw any stamp of the request
	causeOverBudget              // more requests were kept at once than sampling.max_spans_per_second allows
	causeTooLarge                // the request alone is larger than the limit of an upload
	numCauses
)

var causeNames = [numCauses]string{"queue_full", "rejected", "gave_up", "partial_success", "shutdown", "untimed", "over_budget", "too_large"}

// Exporter sends requests as traces to one OTLP receiver.
type Exporter struct {
	batchSize int
	sampler   atomic.Pointer[sampling.Sampler]
	queue     *queue
	builder   *builder // used by the worker, as is batch
	batch     []*item
	uploader  uploader
	client    otlptrace.Client
	outage    outage
	dropped   [numCauses]atomic.Uint64

	full    chan struct{}   // a whole batch is waiting
	running context.Context // ends when Shutdown starts
	stop    context.CancelCauseFunc
	abort   context.Context // ends when the time of Shutdown is over
	cut     context.CancelFunc
	done    chan struct{}
	once    sync.Once
}

// New starts an exporter. It does not connect: the receiver may start later.
// The clock turns stamps into wall time. Each outage is logged once to log.
// Without an endpoint the error is ErrNoEndpoint.
func New(c Config, clock *request.Clock, log *slog.Logger, opts ...Option) (*Exporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	to, err := c.target(tracesSignal)
	if err != nil {
		return nil, err
	}
	res, err := newResources(context.Background(), opts...)
	if err != nil {
		return nil, err
	}
	client := newTraceClient(c, to)
	if err := client.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("preparing the export to %s: %w", to, err)
	}
	e := &Exporter{
		batchSize: c.BatchSize,
		queue:     newQueue(c.QueueSize),
		builder:   newBuilder(clock, c.URLQuery, res),
		client:    client,
		outage:    outage{log: log.With("endpoint", to.String()), what: "traces"},
		full:      make(chan struct{}, 1),
		done:      make(chan struct{}),
	}
	e.SetSampling(c.Sampling)
	e.uploader = uploader{client: client, timeout: to.timeout, retry: c.Retry, failing: e.outage.begin}
	e.running, e.stop = context.WithCancelCause(context.Background())
	e.abort, e.cut = context.WithCancel(context.Background())
	go e.run(c.BatchDelay)
	return e, nil
}

// SetSampling changes which requests become traces, starting with the next one.
func (e *Exporter) SetSampling(c sampling.Config) { e.sampler.Store(sampling.New(c)) }

// Trace implements exporters.Tracer: it queues r if it is sampled. It does not
// allocate for a request that is not sampled.
func (e *Exporter) Trace(r *request.Request) (kept bool) {
	v := e.sampler.Load().Decide(r)
	if v.OverBudget() {
		e.drop(causeOverBudget, 1)
	}
	if !v.Kept() {
		return false
	}
	if !r.End().Seen() {
		e.drop(causeUntimed, 1)
		return false
	}
	switch e.queue.push(r, v, e.batchSize) {
	case pushedFull:
		e.drop(causeQueueFull, 1)
		return false
	case pushedClosed:
		e.drop(causeShutdown, 1)
		return false
	case pushedBatch:
		select {
		case e.full <- struct{}{}:
		default: // the worker is already notified
		}
	}
	return true
}

// Dropped returns the number of sampled requests that did not reach the
// receiver, by cause. For partial_success it counts every request of a batch
// that may have lost a span: the receiver reports how many, but not which. It
// is safe for concurrent use.
func (e *Exporter) Dropped() map[string]uint64 {
	counts := make(map[string]uint64)
	for c := range e.dropped {
		if n := e.dropped[c].Load(); n > 0 {
			counts[causeNames[c]] = n
		}
	}
	return counts
}

func (e *Exporter) drop(c cause, n int) { e.dropped[c].Add(uint64(n)) }

// Shutdown uploads what is queued, within ctx, and ends the worker. A batch
// that fails now is not retried, and later batches are not sent.
func (e *Exporter) Shutdown(ctx context.Context) error {
	var err error
	e.once.Do(func() { err = e.shutdown(ctx) })
	return err
}

func (e *Exporter) shutdown(ctx context.Context) error {
	before := e.dropped[causeShutdown].Load()
	e.queue.close()
	e.stop(errStopping)
	release := context.AfterFunc(ctx, e.cut)
	<-e.done
	release()
	e.cut()
	// No upload is running any more, so stopping the client does not wait.
	if err := e.client.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("closing the connection to the receiver: %w", err)
	}
	if lost := e.dropped[causeShutdown].Load() - before; lost > 0 {
		return fmt.Errorf("%d requests were not delivered before the agent stopped; the log says why", lost)
	}
	return nil
}

// run is the worker.
func (e *Exporter) run(delay time.Duration) {
	defer close(e.done)
	tick := time.NewTicker(delay)
	defer tick.Stop()
	for delivering := true; delivering; {
		select {
		case <-e.full:
			delivering = e.flush(e.batchSize)
		case <-tick.C:
			delivering = e.flush(1)
		case <-e.running.Done():
			e.flush(1)
			delivering = false
		}
	}
	e.discard()
}

// flush uploads batches while at least atLeast requests wait. It returns false
// after a failure during the shutdown of the exporter. Then nothing more is
// tried.
func (e *Exporter) flush(atLeast int) bool {
	for {
		e.batch = e.queue.take(e.batch[:0], atLeast, e.batchSize)
		if len(e.batch) == 0 {
			return true
		}
		delivering := e.send(e.batch)
		e.queue.release(e.batch)
		if !delivering {
			return false
		}
	}
}

// send uploads requests, in as many parts as the size limit of an upload
// requires. Like flush it returns false after a failure during the shutdown,
// and has then counted all of the requests.
func (e *Exporter) send(items []*item) bool {
	batch, spans := e.builder.build(items)
	r, err := e.uploader.upload(e.running, e.abort, batch)
	if errors.Is(err, errTooLarge) {
		return e.divide(items)
	}
	e.settle(len(items), spans, r, err)
	return err == nil || errors.Is(err, errRejected) || e.running.Err() == nil
}

// divide sends requests in two halves if they are too large together. It drops
// a single request that is too large.
func (e *Exporter) divide(items []*item) bool {
	half := len(items) / 2
	if half == 0 {
		e.drop(causeTooLarge, 1)
		return true
	}
	if !e.send(items[:half]) {
		e.drop(causeShutdown, len(items)-half)
		return false
	}
	return e.send(items[half:])
}

// settle counts and reports the result of a batch.
func (e *Exporter) settle(requests, spans int, r *reply, err error) {
	switch {
	case err == nil:
		e.outage.end()
		e.settlePartial(requests, spans, r)
	case errors.Is(err, errRejected):
		e.drop(causeRejected, requests)
		e.outage.begin(err)
	case e.running.Err() != nil:
		e.drop(causeShutdown, requests)
		e.outage.begin(err)
	default:
		e.drop(causeGaveUp, requests)
		e.outage.begin(err)
	}
}

func (e *Exporter) settlePartial(requests, spans int, r *reply) {
	if r.rejected <= 0 {
		e.outage.complain("")
		return
	}
	e.drop(causePartial, int(min(r.rejected, int64(requests))))
	e.outage.complain(fmt.Sprintf("%d of %d spans rejected: %s", r.rejected, spans, shorten(r.complaint)))
}

// discard drops the requests that a failed last flush left.
func (e *Exporter) discard() {
	e.drop(causeShutdown, e.queue.length())
}
