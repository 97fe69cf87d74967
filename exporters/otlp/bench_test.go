package otlp

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/request"
	"lapwing/exporters/otlp/sampling"
)

// exporterAt starts an exporter with a ratio and a receiver that accepts
// everything.
func exporterAt(t testing.TB, ratio float64) *Exporter {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	c := DefaultConfig()
	c.Endpoint, c.Protocol = server.URL, ProtocolHTTPProtobuf
	c.Sampling = sampling.Config{Ratio: ratio, KeepFailed: true, Services: []sampling.ServiceConfig{{Service: "other", Ratio: new(1.0)}}}
	e, _ := newExporter(t, c)
	return e
}

func TestExportDoesNotAllocateWhenSampledOut(t *testing.T) {
	clearEnv(t)
	e, r := exporterAt(t, 1e-15), sample()
	r.TraceState = []byte("a=b,ot=th:8;rv:00000000000001")
	assert.Zero(t, testing.AllocsPerRun(1000, func() { e.Trace(r) }), "allocations per request")
}

func TestExportReusesItsItems(t *testing.T) {
	q, r := newQueue(64), sample()
	v := sampling.New(sampling.Config{Ratio: 1}).Decide(r)
	cycle := func() {
		q.push(r, v, 64)
		q.release(q.take(make([]*item, 0, 64), 1, 64))
	}
	cycle()
	// The strings of sample's Detail are a cost of the test, not of the queue.
	r.Detail = nil
	assert.Zero(t, testing.AllocsPerRun(1000, cycle), "allocations per request")
}

func BenchmarkExportSampledOut(b *testing.B) {
	e, r := exporterAt(b, 1e-15), sample()
	b.ReportAllocs()
	for b.Loop() {
		r.TraceID, r.SpanID = [16]byte{}, [8]byte{}
		e.Trace(r)
	}
}

// BenchmarkExportKept measures the cost to the caller. There is no worker: the
// benchmark empties the queue itself, which costs almost nothing.
func BenchmarkExportKept(b *testing.B) {
	e := &Exporter{batchSize: 256, queue: newQueue(4096), full: make(chan struct{}, 1)}
	e.SetSampling(sampling.Config{Ratio: 1})
	r, taken := sample(), make([]*item, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		r.TraceID, r.SpanID = [16]byte{}, [8]byte{}
		e.Trace(r)
		taken = e.queue.take(taken[:0], 256, 256)
		e.queue.release(taken)
	}
	assert.Empty(b, e.Dropped())
}

// BenchmarkBuild measures the cost to the worker per request, without the
// upload.
func BenchmarkBuild(b *testing.B) {
	builder := newTestBuilder(b, false)
	requests := make([]*request.Request, 256)
	for i := range requests {
		requests[i] = sample()
	}
	batch := items(requests...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(batch) == 0 {
			builder.build(batch)
		}
	}
}
