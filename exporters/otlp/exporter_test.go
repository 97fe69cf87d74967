package otlp

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// logs is what an exporter logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), what)
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// newExporter starts an exporter that is shut down at the end of the test.
func newExporter(t testing.TB, c Config) (*Exporter, *logs) {
	t.Helper()
	l := new(logs)
	e, err := New(c, request.NewClock(), l.logger())
	require.NoError(t, err)
	t.Cleanup(func() { _ = shutdownNow(e) })
	return e, l
}

// shutdownNow shuts down without time to deliver anything.
func shutdownNow(e *Exporter) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return e.Shutdown(ctx)
}

func shutdown(t *testing.T, e *Exporter) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return e.Shutdown(ctx)
}

func wantDropped(t *testing.T, e *Exporter, want map[string]uint64) {
	t.Helper()
	assert.Equal(t, want, e.Dropped(), "dropped")
}

func TestDelivery(t *testing.T) {
	forBoth(t, accept, func(t *testing.T, r *receiver, c Config) {
		c.BatchSize = 7 // the 20 requests need several batches
		e, _ := newExporter(t, c)
		for range 20 {
			e.Trace(sample())
		}
		require.NoError(t, shutdown(t, e))
		assert.Equal(t, 20*5, r.spans())
		e.Trace(sample())
		wantDropped(t, e, map[string]uint64{"shutdown": 1})
	})
}

func TestExportKeepsNothingOfTheRequest(t *testing.T) {
	clearEnv(t)
	r := startReceiver(t, ProtocolGRPC, "127.0.0.1:0", nil, accept)
	e, _ := newExporter(t, r.config(ProtocolGRPC))
	s := sample()
	e.Trace(s)
	trace, path := s.TraceID, s.Path
	copy(path, "XXXXXXXXXXXX")
	*s = request.Request{}
	eventually(t, "delivery", func() bool { return r.spans() == 5 })
	span := r.taken[0].ResourceSpans[0].ScopeSpans[0].Spans[0]
	assert.Equal(t, trace[:], span.TraceId, "the span changed with the request: %v", span)
	assert.Equal(t, "/users/42", plain(span.Attributes)["url.path"], "the span changed with the request: %v", span)
}

func TestRetryAfterFailuresThatPass(t *testing.T) {
	script := func(attempt int) answer {
		return answer{status: []int{503, 503, 503, 200}[min(attempt, 4)-1]}
	}
	forBoth(t, script, func(t *testing.T, r *receiver, c Config) {
		e, l := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "delivery", func() bool { return r.spans() == 5 })
		eventually(t, "the log of the recovery", func() bool { return l.count("works again") == 1 })
		assert.Equal(t, 4, r.attempts(), "attempts")
		assert.Equal(t, 1, l.count("fails"), "warnings")
		wantDropped(t, e, map[string]uint64{})
	})
}

func TestRetryHonoursTheReceiversPause(t *testing.T) {
	script := func(attempt int) answer {
		if attempt == 1 {
			return answer{status: http.StatusTooManyRequests, retryAfter: 1}
		}
		return answer{}
	}
	forBoth(t, script, func(t *testing.T, r *receiver, c Config) {
		e, _ := newExporter(t, c)
		start := time.Now()
		e.Trace(sample())
		eventually(t, "delivery", func() bool { return r.spans() == 5 })
		assert.GreaterOrEqual(t, time.Since(start), time.Second, "the receiver asked for a pause of 1s")
	})
}

func TestGiveUp(t *testing.T) {
	down := func(int) answer { return answer{status: 503} }
	forBoth(t, down, func(t *testing.T, r *receiver, c Config) {
		c.Retry.MaxElapsed = 30 * time.Millisecond
		e, l := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "giving up", func() bool { return e.Dropped()["gave_up"] == 1 })
		e.Trace(sample())
		eventually(t, "giving up again", func() bool { return e.Dropped()["gave_up"] == 2 })
		assert.Equal(t, 1, l.count("fails"))
	})
}

func TestRejected(t *testing.T) {
	bad := func(int) answer { return answer{status: http.StatusBadRequest} }
	forBoth(t, bad, func(t *testing.T, r *receiver, c Config) {
		e, l := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "the drop", func() bool { return e.Dropped()["rejected"] == 1 })
		eventually(t, "the log", func() bool { return l.count("rejected the batch") > 0 })
		assert.Equal(t, 1, r.attempts(), "attempts")
		assert.Equal(t, 1, l.count("rejected the batch"), "log lines")
	})
}

func TestPartialSuccess(t *testing.T) {
	partly := func(int) answer { return answer{rejected: 1} }
	forBoth(t, partly, func(t *testing.T, r *receiver, c Config) {
		e, l := newExporter(t, c)
		for n := range uint64(2) {
			e.Trace(sample())
			eventually(t, "the count", func() bool { return e.Dropped()["partial_success"] == n+1 })
		}
		assert.Equal(t, 2, r.attempts())
		eventually(t, "the log", func() bool { return l.count("too old") > 0 })
		assert.Equal(t, 1, l.count("too old"))
	})
}

func TestGarbageAnswers(t *testing.T) {
	clearEnv(t)
	for name, a := range map[string]answer{
		"not protobuf":   {body: []byte("<html>ok</html>")},
		"endless":        {body: bytes.Repeat([]byte{0xff}, 5<<20)},
		"nothing at all": {body: []byte{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReceiver(t, ProtocolHTTPProtobuf, "127.0.0.1:0", nil, func(int) answer { return a })
			e, _ := newExporter(t, r.config(ProtocolHTTPProtobuf))
			e.Trace(sample())
			assert.NoError(t, shutdown(t, e))
			assert.Equal(t, 1, r.attempts(), "attempts: status 200 is a delivery")
			assert.Equal(t, 5, r.spans(), "spans: status 200 is a delivery")
			wantDropped(t, e, map[string]uint64{})
		})
	}
}

func TestReceiverThatIsAwayAtFirst(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			clearEnv(t)
			address := freeAddress(t)
			e, l := newExporter(t, (&receiver{url: "http://" + address}).config(protocol))
			e.Trace(sample())
			eventually(t, "the failure", func() bool { return l.count("fails") == 1 })
			r := startReceiver(t, protocol, address, nil, accept)
			eventually(t, "delivery", func() bool { return r.spans() == 5 })
			wantDropped(t, e, map[string]uint64{})
		})
	}
}

func TestSlowReceiverNeverBlocks(t *testing.T) {
	release := make(chan struct{})
	slow := func(int) answer { return answer{after: release} }
	forBoth(t, slow, func(t *testing.T, r *receiver, c Config) {
		c.QueueSize, c.BatchSize = 8, 4
		e, _ := newExporter(t, c)
		const requests = 1000
		for range requests {
			e.Trace(sample()) // would hang here
		}
		// At most the queue and one batch on its way are held.
		dropped := e.Dropped()["queue_full"]
		assert.GreaterOrEqual(t, dropped, uint64(requests-12), "dropped of %d", requests)
		assert.LessOrEqual(t, dropped, uint64(requests-8), "dropped of %d", requests)
		assert.LessOrEqual(t, len(e.queue.free)+e.queue.length(), 8, "items that are kept for a queue of 8")
	})
	close(release)
}

func TestTimeoutBoundsAnAttempt(t *testing.T) {
	first := make(chan struct{})
	t.Cleanup(func() { close(first) })
	script := func(attempt int) answer {
		if attempt == 1 {
			return answer{after: first}
		}
		return answer{}
	}
	forBoth(t, script, func(t *testing.T, r *receiver, c Config) {
		c.Timeout = 50 * time.Millisecond
		e, _ := newExporter(t, c)
		e.Trace(sample())
		eventually(t, "a second attempt", func() bool { return r.attempts() >= 2 })
		eventually(t, "delivery", func() bool { return r.spans() >= 5 })
		wantDropped(t, e, map[string]uint64{})
	})
}

func TestShutdownEndsPausesAndAttempts(t *testing.T) {
	t.Run("in a pause", func(t *testing.T) {
		down := func(int) answer { return answer{status: 503} }
		forBoth(t, down, func(t *testing.T, r *receiver, c Config) {
			c.Retry.InitialInterval, c.Retry.MaxInterval, c.Retry.MaxElapsed = time.Hour, time.Hour, 24*time.Hour
			c.BatchSize = 2
			e, l := newExporter(t, c)
			for range 5 {
				e.Trace(sample())
			}
			eventually(t, "the failure", func() bool { return l.count("fails") == 1 })
			assert.ErrorContains(t, shutdown(t, e), "5 requests")
			assert.Equal(t, 2, r.attempts())
			wantDropped(t, e, map[string]uint64{"shutdown": 5})
		})
	})
	t.Run("in an attempt", func(t *testing.T) {
		never := func(int) answer { return answer{after: make(chan struct{})} }
		forBoth(t, never, func(t *testing.T, r *receiver, c Config) {
			e, _ := newExporter(t, c)
			e.Trace(sample())
			eventually(t, "the attempt", func() bool { return r.attempts() == 1 })
			assert.Error(t, shutdownNow(e), "a request was lost without an error")
			wantDropped(t, e, map[string]uint64{"shutdown": 1})
		})
	})
}

func TestRequestThatNobodySaw(t *testing.T) {
	clearEnv(t)
	e, _ := newExporter(t, (&receiver{url: "http://127.0.0.1:1"}).config(ProtocolHTTPProtobuf))
	e.Trace(&request.Request{Service: "shop"})
	wantDropped(t, e, map[string]uint64{"untimed": 1})
}

func TestNewWithoutEndpoint(t *testing.T) {
	clearEnv(t)
	_, err := New(DefaultConfig(), request.NewClock(), slog.Default())
	assert.ErrorIs(t, err, ErrNoEndpoint)
}
