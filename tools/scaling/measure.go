package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"lapwing/collectors/request"
	"lapwing/collectors/worker"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
	"lapwing/exporters/prometheus"
)

var quiet = slog.New(slog.DiscardHandler)

// receiver counts what arrives.
type receiver struct {
	*httptest.Server
	mu           sync.Mutex // guards the fields below
	bytes, spans int
}

func newReceiver() *receiver {
	r := new(receiver)
	r.Server = httptest.NewServer(r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	spans := 0
	if strings.HasSuffix(in.URL.Path, "/traces") {
		spans = countSpans(body, in.Header.Get("Content-Encoding") == "gzip")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += len(body)
	r.spans += spans
}

func countSpans(body []byte, zipped bool) (n int) {
	if zipped {
		z, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			return 0
		}
		body, _ = io.ReadAll(z)
	}
	var upload collector.ExportTraceServiceRequest
	if proto.Unmarshal(body, &upload) != nil {
		return 0
	}
	for _, resource := range upload.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			n += len(scope.Spans)
		}
	}
	return n
}

// heads makes requests whose body sizes are known, as those of HTTP are.
type heads struct{}

func (heads) HeadSizes() (request, response int) { return 600, 300 }
func (heads) Clone() request.Detail              { return heads{} }

// made returns a request like those of a web application behind a proxy.
func made(i int) *request.Request {
	start := request.Now() - request.Stamp(time.Minute) + request.Stamp(i*1_234_567)
	after := func(us int) request.Stamp { return start + request.Stamp(us*1000+i%997) }
	return &request.Request{
		Stamps: request.Stamps{
			Accepted: after(50), Arrived: start, ReadFirst: after(300 + i%200), ReadLast: after(600 + i%200),
			WriteFirst: after(20_000 + i%5000), WriteLast: after(26_000 + i%5000), Acked: after(27_000 + i%5000),
		},
		Seq: uint32(i%20 + 1), RequestBytes: 640, ResponseBytes: 18_000, PID: 4000 + uint32(i%8), TID: 4000 + uint32(i%8),
		WriterTID: 4000 + uint32(i%8), AcceptorTID: 4000 + uint32(i%8), Comm: "gunicorn",
		Local:   request.Endpoint{Addr: netip.MustParseAddrPort("10.1.2.3:8080")},
		Peer:    request.Endpoint{Addr: netip.AddrPortFrom(netip.MustParseAddr("10.1.7.9"), uint16(20_000+i%40_000))},
		Service: "checkout", Protocol: "http/1.1", Method: "GET", Path: fmt.Appendf(nil, "/shop/orders/%d/items", 100_000+i*37),
		Route: "/shop/orders/{id}/items", Detail: heads{}, Status: 200, Host: []byte("shop.example.com"),
	}
}

// perTrace sends requests as traces and returns the spans and bytes per trace.
func perTrace(compression string) (spans, bytes float64, err error) {
	const n = 2560
	r := newReceiver()
	defer r.Close()
	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol, c.Compression = r.URL, otlp.ProtocolHTTPProtobuf, compression
	e, err := otlp.New(c, request.NewClock(), quiet)
	if err != nil {
		return 0, 0, err
	}
	for i := range n {
		r := made(i)
		request.AssignIDs(r)
		e.Trace(r)
	}
	if err := e.Shutdown(context.Background()); err != nil {
		return 0, 0, err
	}
	return float64(r.spans) / n, float64(r.bytes) / n, nil
}

// host describes a host as far as the number of series depends on it.
type host struct{ services, sets, workers int }

// size is the size of the metrics of a host.
type size struct {
	series             int // samples of one scrape
	text, push, pushGz int // bytes of a scrape and of an upload
}

// metricsOf counts the metrics of a host with at most this number of series.
func metricsOf(h host, most int) (s size, err error) {
	a := metrics.New(metrics.Config{MaxLabelSets: metrics.MaxLabelSets, MaxSeries: most})
	a.AddSource(metrics.Health(func() health.Health { return health.Health{} }))
	a.AddSource(metrics.Self())
	a.AddSource(metrics.WorkerPools(func() []worker.Snapshot { return h.pools() }))
	for i := range h.services * h.sets * 50 {
		r := made(i)
		r.Service = fmt.Sprint("service", i%h.services)
		r.Route = fmt.Sprintf("/route%d/{id}", i/h.services%h.sets)
		r.Seq = 1 // the first request of its connection has all parts
		a.Export(r)
	}
	if s.series, s.text, err = scrape(a); err != nil {
		return s, err
	}
	if s.push, err = push(a, ""); err != nil {
		return s, err
	}
	s.pushGz, err = push(a, "gzip")
	return s, err
}

// shares are the numbers of series that each thing on a host adds.
type shares struct{ set, worker, service, agent int }

// sum returns the number of series of a host.
func (s shares) sum(h host) int {
	return s.agent + h.services*(s.service+h.sets*s.set+h.workers*s.worker)
}

// perEach measures the shares: what one more of each thing adds to a host
// without a limit.
func perEach() (s shares, err error) {
	series := func(h host) int {
		found, failed := metricsOf(h, metrics.MaxSeries)
		err = errors.Join(err, failed)
		return found.series
	}
	one := host{services: 1, sets: 1, workers: 1}
	base := series(one)
	s.set = series(host{1, 2, 1}) - base
	s.worker = series(host{1, 1, 2}) - base
	s.service = series(host{2, 1, 1}) - base - s.set - s.worker
	s.agent = base - s.sum(one)
	return s, err
}

// pools returns the pools that the agent keeps, at most as many as its
// collector.
func (h host) pools() (pools []worker.Snapshot) {
	for i := range min(h.services, worker.DefaultServices) {
		p := worker.Snapshot{Service: fmt.Sprint("service", i), Workers: h.workers, Available: h.workers, Active: map[string]int{"GET": 0}, HTTP: true,
			Listeners: []worker.Listener{{Address: fmt.Sprintf("0.0.0.0:%d", 8000+i), Limit: 511}}}
		for w := range h.workers {
			p.PerWorker = append(p.PerWorker, worker.Worker{PID: uint32(4000 + w), TID: uint32(4000 + w), State: worker.Available,
				Process: &worker.Process{CPUTime: time.Second, RSS: 1 << 26, Descriptors: 12, Threads: 1}})
		}
		pools = append(pools, p)
	}
	return pools
}

func scrape(a *metrics.Aggregator) (series, bytes int, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	address := l.Addr().String()
	_ = l.Close()
	server, err := prometheus.Listen(prometheus.Config{Listen: address}, a.Read, request.NewClock(), quiet)
	if err != nil {
		return 0, 0, err
	}
	defer server.Shutdown(context.Background())
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		bytes += len(lines.Bytes()) + 1
		if !strings.HasPrefix(lines.Text(), "#") {
			series++
		}
	}
	return series, bytes, lines.Err()
}

func push(a *metrics.Aggregator, compression string) (bytes int, err error) {
	r := newReceiver()
	defer r.Close()
	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol, c.Compression = r.URL, otlp.ProtocolHTTPProtobuf, compression
	m, err := otlp.NewMetrics(c, a.Read, request.NewClock(), quiet)
	if err != nil {
		return 0, err
	}
	if err := m.Shutdown(context.Background()); err != nil {
		return 0, err
	}
	return r.bytes, nil
}
