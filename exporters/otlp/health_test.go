package otlp

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"lapwing/exporters"
)

// metricsReceiver keeps the last value of each point, named metric{key=value}.
type metricsReceiver struct {
	colmetricspb.UnimplementedMetricsServiceServer
	mu     sync.Mutex
	fail   bool
	values map[string]int64
	res    map[string]any
	units  map[string]string
}

func (r *metricsReceiver) take(req *colmetricspb.ExportMetricsServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values, r.units = make(map[string]int64), make(map[string]string)
	for _, rm := range req.ResourceMetrics {
		r.res = plain(rm.Resource.Attributes)
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				r.units[m.Name] = m.Unit
				for _, p := range m.GetSum().GetDataPoints() {
					name := m.Name
					for _, key := range []string{"exporter", "cause", "reason"} {
						if v, ok := plain(p.Attributes)[key]; ok {
							name += "{" + key + "=" + v.(string) + "}"
						}
					}
					r.values[name] = p.GetAsInt()
				}
			}
		}
	}
}

func (r *metricsReceiver) snapshot() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values
}

func (r *metricsReceiver) setFail(fail bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

func (r *metricsReceiver) Export(_ context.Context, req *colmetricspb.ExportMetricsServiceRequest) (*colmetricspb.ExportMetricsServiceResponse, error) {
	r.take(req)
	return new(colmetricspb.ExportMetricsServiceResponse), nil
}

func (r *metricsReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	fail := r.fail
	r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	message := new(colmetricspb.ExportMetricsServiceRequest)
	if fail || err != nil || req.URL.Path != "/v1/metrics" || proto.Unmarshal(body, message) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.take(message)
}

func (r *metricsReceiver) start(t *testing.T, protocol string) Config {
	t.Helper()
	clearEnv(t)
	c := DefaultConfig()
	c.Protocol, c.Health.Interval = protocol, 10*time.Millisecond
	if protocol != ProtocolGRPC {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		c.Endpoint = server.URL
		return c
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	colmetricspb.RegisterMetricsServiceServer(server, r)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	t.Cleanup(server.Stop)
	c.Endpoint = "http://" + listener.Addr().String()
	return c
}

func someHealth() exporters.Health {
	return exporters.Health{
		Requests: 10, Incomplete: 2, Tunnels: 1,
		Lost:        map[string]uint64{"ring_full": 3},
		MissedStart: map[string]uint64{"in_flight": 4},
		Unknown:     map[string]uint64{"tls": 5},
		Dropped:     map[string]map[string]uint64{"otlp": {"queue_full": 6, "gave_up": 7}},
	}
}

func TestHealthMetrics(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			r := new(metricsReceiver)
			h, err := NewHealth(r.start(t, protocol), someHealth, new(logs).logger(), WithVersion("1.2.3"))
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			want := map[string]int64{
				"lapwing.agent.requests": 10, "lapwing.agent.requests.incomplete": 2, "lapwing.agent.connections.tunnels": 1,
				"lapwing.agent.requests.lost{cause=ring_full}":                    3,
				"lapwing.agent.requests.missed_start{cause=in_flight}":            4,
				"lapwing.agent.connections.unknown{reason=tls}":                   5,
				"lapwing.agent.exporter.dropped{exporter=otlp}{cause=queue_full}": 6,
				"lapwing.agent.exporter.dropped{exporter=otlp}{cause=gave_up}":    7,
			}
			if got := r.snapshot(); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if r.res["service.name"] != "lapwing" || r.res["process.pid"] == nil || r.res["telemetry.sdk.version"] != "1.2.3" || r.units["lapwing.agent.requests"] != "{request}" {
				t.Errorf("resource %v, units %v", r.res, r.units)
			}
		})
	}
}

func TestHealthOutageIsLoggedOnce(t *testing.T) {
	r, l := &metricsReceiver{fail: true}, new(logs)
	var snapshots atomic.Int64
	health := func() exporters.Health {
		snapshots.Add(1)
		return someHealth()
	}
	h, err := NewHealth(r.start(t, ProtocolHTTPProtobuf), health, l.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Shutdown(context.Background())
	eventually(t, "several failures", func() bool { return snapshots.Load() >= 4 })
	if l.count("fails") != 1 {
		t.Errorf("logged %d times", l.count("fails"))
	}
	r.setFail(false)
	eventually(t, "the recovery", func() bool { return l.count("works again") == 1 && len(r.snapshot()) > 0 })
}
