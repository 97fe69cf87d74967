package e2e

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
	"lapwing/collectors/worker"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
	"lapwing/exporters/prometheus"
)

// beset serves the metrics of an agent with all the problems that do not occur
// with healthy servers: a full pool, a backlog that overflows, losses of every
// kind. The numbers are made up, but the agent's own code serves them.
type beset struct {
	address  string
	metrics  *metrics.Aggregator
	requests atomic.Uint64 // every third of them is lost
}

const besetService = "full"

func startBeset(t *testing.T) *beset {
	t.Helper()
	s := &beset{address: harness.FreeAddress(t), metrics: metrics.New(metrics.Config{MaxLabelSets: 1})}
	s.metrics.AddSource(metrics.Health(s.health))
	s.metrics.AddSource(metrics.WorkerPools(s.pools))
	s.trouble(3)
	server, err := prometheus.Listen(prometheus.Config{Listen: s.address}, s.metrics.Read, request.NewClock(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Shutdown(t.Context()) })
	return s
}

// trouble adds requests, two in three of which are counted.
func (s *beset) trouble(n int) {
	for i := range n - n/3 {
		s.metrics.Export(waited(i))
	}
	s.requests.Add(uint64(n))
}

// waited returns a request whose queue phase took ten times as long as the
// rest. There are more methods than the limit of label sets allows.
func waited(i int) *request.Request {
	start := request.Now()
	after := func(d time.Duration) request.Stamp { return start + request.Stamp(d) }
	return &request.Request{
		Service: besetService, Protocol: "http/1.1", Method: []string{"GET", "PUT"}[i%2], Status: 200,
		Stamps: request.Stamps{
			Arrived: start, ReadFirst: after(100 * time.Millisecond), ReadLast: after(101 * time.Millisecond),
			WriteFirst: after(110 * time.Millisecond), WriteLast: after(111 * time.Millisecond),
		},
	}
}

func (s *beset) health() health.Health {
	lost := s.requests.Load() / 3
	return health.Health{
		health.Requests: health.Of(s.requests.Load() - lost), health.Lost: health.By(map[string]uint64{"ring_full": lost}),
		health.MissedStart: health.By(map[string]uint64{"queued": 2}), health.Unknown: health.By(map[string]uint64{"tls": lost}), health.Tunnels: health.Of(1),
		health.Dropped: health.ByBoth(map[string]map[string]uint64{"otlp": {"queue_full": lost}}),
	}
}

func (s *beset) pools() []worker.Snapshot {
	return []worker.Snapshot{{
		Service: besetService, Workers: 4, Busy: 3, Held: 1, InFlight: 3, Active: map[string]int{"GET": 3}, HTTP: true, Dispatch: 5, MaxBusy: 4,
		Listeners: []worker.Listener{{Address: "127.0.0.1:80", Len: 128, Limit: 128, Overflows: s.requests.Load()}},
	}}
}
