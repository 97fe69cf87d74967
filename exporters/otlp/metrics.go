package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
)

const (
	intervalVariable   = "OTEL_METRIC_EXPORT_INTERVAL"
	histogramsVariable = envPrefix + "METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	defaultInterval    = time.Minute
)

// Metrics pushes snapshots of all metrics at an interval. They are cumulative:
// the next upload delivers what a failed one did not.
type Metrics struct {
	read     func(*metrics.Snapshot)
	snapshot metrics.Snapshot
	builder  *metricBuilder
	exporter sdkmetric.Exporter
	timeout  time.Duration
	retry    time.Duration // pause after a failure, if it is shorter than the interval
	outage   outage
	from     int // the service that an upload starts with
	tooLarge atomic.Uint64

	running context.Context // ends when Shutdown starts
	stop    context.CancelFunc
	done    chan struct{}
}

// NewMetrics starts to push the snapshots of read. The clock dates exemplars.
// Each outage is logged once to log. Without an endpoint the error is
// ErrNoEndpoint.
func NewMetrics(c Config, read func(*metrics.Snapshot), clock *request.Clock, log *slog.Logger, opts ...Option) (*Metrics, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	to, err := c.target(metricsSignal)
	if err != nil {
		return nil, err
	}
	interval, err := c.Metrics.interval()
	if err != nil {
		return nil, err
	}
	exponential, err := c.Metrics.exponential()
	if err != nil {
		return nil, err
	}
	res, err := newResources(context.Background(), opts...)
	if err != nil {
		return nil, err
	}
	exporter, err := newMetricExporter(c, to)
	if err != nil {
		return nil, fmt.Errorf("preparing the export to %s: %w", to, err)
	}
	m := &Metrics{
		read:     read,
		builder:  newMetricBuilder(clock, res, exponential),
		exporter: exporter,
		timeout:  to.timeout,
		retry:    c.Retry.MaxInterval,
		outage:   outage{log: log.With("endpoint", to.String()), what: "metrics"},
		done:     make(chan struct{}),
	}
	m.snapshot.Exponential = exponential
	m.running, m.stop = context.WithCancel(context.Background())
	go m.run(interval)
	return m, nil
}

// Dropped returns the number of values that were not sent, by cause. It is safe
// for concurrent use.
func (m *Metrics) Dropped() map[string]uint64 {
	return map[string]uint64{causeNames[causeTooLarge]: m.tooLarge.Load()}
}

// Shutdown pushes the last values, within ctx.
func (m *Metrics) Shutdown(ctx context.Context) error {
	m.stop()
	<-m.done
	err := m.push(ctx)
	if end := m.exporter.Shutdown(ctx); err == nil && end != nil {
		err = end
	}
	if err != nil {
		return fmt.Errorf("sending the last metrics: %w", err)
	}
	return nil
}

// run is the worker.
func (m *Metrics) run(interval time.Duration) {
	defer close(m.done)
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-m.running.Done():
			return
		case <-timer.C:
		}
		next := interval
		if m.push(m.running) != nil {
			next = min(interval, m.retry)
		}
		timer.Reset(next)
	}
}

// push uploads one snapshot, one service at a time: each is a resource of its
// own. A service that is refused does not hold the others back, unless the
// receiver does not answer at all.
func (m *Metrics) push(ctx context.Context) error {
	m.read(&m.snapshot)
	batch := m.builder.build(&m.snapshot)
	var failure error
	for i := range batch {
		at := (m.from + i) % len(batch)
		err := m.upload(ctx, batch[at])
		if err == nil {
			continue
		}
		if failure == nil {
			failure = err
		}
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			m.from = at + 1 // next time, start with the others
			break
		}
	}
	m.report(ctx, failure)
	return failure
}

// report logs a change. A push that was cut short is not reported.
func (m *Metrics) report(ctx context.Context, failure error) {
	switch {
	case failure == nil:
		m.outage.end()
	case ctx.Err() == nil:
		m.outage.begin(failure)
	}
}

// interval returns the configured interval, or that of the environment.
func (c MetricsConfig) interval() (time.Duration, error) {
	value := strings.TrimSpace(os.Getenv(intervalVariable))
	switch {
	case c.Interval > 0:
		return c.Interval, nil
	case value == "":
		return defaultInterval, nil
	}
	ms, err := strconv.Atoi(value)
	if err != nil || ms <= 0 {
		return 0, fmt.Errorf("%s %q: use a positive number of milliseconds", intervalVariable, value)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// exponential reports whether to send exponential histograms.
func (c MetricsConfig) exponential() (bool, error) {
	if c.Histograms != "" {
		return c.Histograms == HistogramsExponential, nil
	}
	switch value := strings.ToLower(strings.TrimSpace(os.Getenv(histogramsVariable))); value {
	case "", "explicit_bucket_histogram":
		return false, nil
	case "base2_exponential_bucket_histogram":
		return true, nil
	default:
		return false, fmt.Errorf("%s %q: use explicit_bucket_histogram or base2_exponential_bucket_histogram", histogramsVariable, value)
	}
}
