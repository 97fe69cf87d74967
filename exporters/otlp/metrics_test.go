package otlp

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

// metricsReceiver keeps the last metrics of each service.
type metricsReceiver struct {
	colmetricspb.UnimplementedMetricsServiceServer
	mu        sync.Mutex
	misbehave http.HandlerFunc // answers instead of the receiver
	services  map[string]map[string]*metricspb.Metric
	res       map[string]map[string]any
	uploads   int
}

func (r *metricsReceiver) take(req *colmetricspb.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.services == nil {
		r.services, r.res = map[string]map[string]*metricspb.Metric{}, map[string]map[string]any{}
	}
	r.uploads++
	for _, rm := range req.ResourceMetrics {
		res := plain(rm.Resource.Attributes)
		service := res["service.name"].(string)
		r.res[service], r.services[service] = res, map[string]*metricspb.Metric{}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			r.services[service][m.Name] = m
		}
	}
}

func (r *metricsReceiver) metric(service, name string) *metricspb.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.services[service][name]
}

// count returns the number of requests of a service that the receiver knows.
func (r *metricsReceiver) count(service string) (n uint64) {
	for _, p := range r.metric(service, "http.server.request.duration").GetHistogram().GetDataPoints() {
		n += p.Count
	}
	return n
}

func (r *metricsReceiver) set(misbehave http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.misbehave = misbehave
}

func (r *metricsReceiver) Export(_ context.Context, req *colmetricspb.ExportMetricsServiceRequest) (*colmetricspb.ExportMetricsServiceResponse, error) {
	r.take(req)
	return new(colmetricspb.ExportMetricsServiceResponse), nil
}

func (r *metricsReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	misbehave := r.misbehave
	r.mu.Unlock()
	if misbehave != nil {
		misbehave(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	message := new(colmetricspb.ExportMetricsServiceRequest)
	if err != nil || req.URL.Path != "/v1/metrics" || proto.Unmarshal(body, message) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.take(message)
}

func (r *metricsReceiver) start(t *testing.T, protocol string) Config {
	t.Helper()
	clearEnv(t)
	c := DefaultConfig()
	c.Protocol, c.Metrics.Interval, c.Timeout = protocol, 10*time.Millisecond, 200*time.Millisecond
	if protocol != ProtocolGRPC {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		c.Endpoint = server.URL
		return c
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	colmetricspb.RegisterMetricsServiceServer(server, r)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	c.Endpoint = "http://" + listener.Addr().String()
	return c
}

func someHealth() health.Health {
	return health.Health{
		health.Requests: health.Of(10), health.Incomplete: health.Of(2), health.Tunnels: health.Of(1),
		health.Lost:    health.By(map[string]uint64{"ring_full": 3}),
		health.Dropped: health.ByBoth(map[string]map[string]uint64{"otlp": {"queue_full": 6, "gave_up": 7}}),
	}
}

// counted returns an aggregator that has seen n requests of each service, all
// of which became traces.
func counted(n int, services ...string) *metrics.Aggregator {
	a := metrics.New(metrics.DefaultConfig())
	a.AddSource(metrics.Health(someHealth))
	for _, service := range services {
		for range n {
			r := sample()
			r.Service, r.TraceID, r.SpanID = service, [16]byte{1}, [8]byte{2}
			a.Export(r)
			a.Remember(r)
		}
	}
	return a
}

func pushTo(t *testing.T, c Config, a *metrics.Aggregator, l *logs) *Metrics {
	t.Helper()
	m, err := NewMetrics(c, a.Read, request.NewClock(), l.logger(), WithVersion("1.2.3"))
	require.NoError(t, err)
	return m
}

func TestMetricsArriveByService(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			r := new(metricsReceiver)
			c := r.start(t, protocol)
			c.Metrics.Interval = time.Hour
			require.NoError(t, pushTo(t, c, counted(3, "shop", "search"), new(logs)).Shutdown(context.Background()))

			assert.EqualValues(t, 3, r.count("shop"))
			assert.EqualValues(t, 3, r.count("search"))
			assert.Equal(t, "1.2.3", r.res["shop"]["telemetry.sdk.version"])
			assert.NotNil(t, r.res["lapwing"]["process.pid"])

			duration := r.metric("shop", "http.server.request.duration")
			assert.Equal(t, "s", duration.Unit)
			h := duration.GetHistogram()
			assert.Equal(t, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, h.AggregationTemporality)
			p := h.DataPoints[0]
			assert.Len(t, p.BucketCounts, len(p.ExplicitBounds)+1)
			require.Len(t, p.Exemplars, 1)
			assert.Equal(t, "01000000000000000000000000000000", hex.EncodeToString(p.Exemplars[0].TraceId))
			assert.NotZero(t, p.StartTimeUnixNano)

			sum := 0.0
			for _, p := range r.metric("shop", "lapwing.request.phase.duration").GetHistogram().DataPoints {
				sum += *p.Sum
			}
			assert.InDelta(t, *p.Sum, sum, *p.Sum*1e-12, "the phases add up to the duration")

			lost := r.metric("lapwing", "lapwing.agent.requests.lost").GetSum()
			assert.True(t, lost.IsMonotonic)
			assert.EqualValues(t, 3, lost.DataPoints[0].GetAsInt())
			assert.Equal(t, map[string]any{"cause": "ring_full"}, plain(lost.DataPoints[0].Attributes))
		})
	}
}

func TestExponentialHistograms(t *testing.T) {
	r := new(metricsReceiver)
	c := r.start(t, ProtocolHTTPProtobuf)
	t.Setenv(histogramsVariable, "base2_exponential_bucket_histogram")
	require.NoError(t, pushTo(t, c, counted(3, "shop"), new(logs)).Shutdown(context.Background()))
	p := r.metric("shop", "http.server.request.duration").GetExponentialHistogram().DataPoints[0]
	assert.EqualValues(t, 3, p.Count)
	assert.EqualValues(t, metrics.Scale, p.Scale)
	var sum uint64
	for _, n := range p.Positive.BucketCounts {
		sum += n
	}
	assert.EqualValues(t, 3, sum+p.ZeroCount)
}

func TestMetricsEnvironment(t *testing.T) {
	for variable, value := range map[string]string{intervalVariable: "1m", histogramsVariable: "round"} {
		t.Run(variable, func(t *testing.T) {
			c := new(metricsReceiver).start(t, ProtocolHTTPProtobuf)
			c.Metrics.Interval = 0
			t.Setenv(variable, value)
			_, err := NewMetrics(c, counted(0).Read, request.NewClock(), new(logs).logger())
			assert.ErrorContains(t, err, variable+` "`+value+`"`)
		})
	}
}

// TestMetricsSurviveOutages has receivers that misbehave in all ways. Nothing
// is lost once they are back, and the outage is logged exactly twice.
func TestMetricsSurviveOutages(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, misbehave := range map[string]http.HandlerFunc{
		"refusing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"busy":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"hanging":  hang,
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			_, _ = w.Write([]byte("\xff\xff\xff no protobuf"))
		},
		"closing": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, l := new(metricsReceiver), new(logs)
			var attempts sync.WaitGroup
			attempts.Add(3)
			var left = 3
			r.set(func(w http.ResponseWriter, req *http.Request) {
				r.mu.Lock()
				if left > 0 {
					left--
					attempts.Done()
				}
				r.mu.Unlock()
				_, _ = io.Copy(io.Discard, req.Body)
				misbehave(w, req)
			})
			a := counted(3, "shop")
			m := pushTo(t, r.start(t, ProtocolHTTPProtobuf), a, l)
			attempts.Wait()
			for range 4 {
				request := sample()
				request.Service = "shop"
				a.Export(request)
			}
			r.set(nil)
			eventually(t, "the counts", func() bool { return r.count("shop") == 7 })
			eventually(t, "the recovery", func() bool { return l.count("works again") == 1 })
			assert.Equal(t, 1, l.count("fails"), "the log hears of an outage once")
			require.NoError(t, m.Shutdown(context.Background()))
		})
	}
}

// TestRefusedServiceDoesNotKeepOthersBack has a receiver that refuses one
// service.
func TestRefusedServiceDoesNotKeepOthersBack(t *testing.T) {
	r := new(metricsReceiver)
	r.set(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		message := new(colmetricspb.ExportMetricsServiceRequest)
		_ = proto.Unmarshal(body, message)
		if plain(message.ResourceMetrics[0].Resource.Attributes)["service.name"] == "cursed" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.take(message)
	})
	m := pushTo(t, r.start(t, ProtocolHTTPProtobuf), counted(1, "any", "cursed", "shop"), new(logs))
	assert.Error(t, m.Shutdown(context.Background()))
	assert.EqualValues(t, 1, r.count("any"))
	assert.EqualValues(t, 1, r.count("shop"))
}

func TestMetricsShutdownIsBounded(t *testing.T) {
	r := new(metricsReceiver)
	r.set(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // only then the server notices that the client left
		<-req.Context().Done()
	})
	c := r.start(t, ProtocolHTTPProtobuf)
	c.Timeout = time.Minute
	m := pushTo(t, c, counted(1, "shop"), new(logs))
	time.Sleep(30 * time.Millisecond) // a push is in progress
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	assert.Error(t, m.Shutdown(ctx))
	assert.Less(t, time.Since(begin), 5*time.Second)
}
