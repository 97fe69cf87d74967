package metrics

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"

	"lapwing/collectors/worker"
)

func TestWorkerPools(t *testing.T) {
	pool := worker.Snapshot{
		Service: "shop", Workers: 4, Busy: 2, Held: 1, Available: 1, InFlight: 3, Active: map[string]int{"GET": 3}, HTTP: true, Dispatch: 5, MaxBusy: 4,
		BusyTime: time.Second, WorkerTime: 4 * time.Second, CPUTime: time.Millisecond, Served: 7, Starts: 3, Exits: 2, Recycled: 1,
		Listeners: []worker.Listener{{Address: "127.0.0.1:80", Len: 6, Limit: 128, Overflows: 9}},
		PerWorker: []worker.Worker{
			{PID: 10, TID: 10, State: worker.Busy, Process: &worker.Process{CPUTime: time.Second, RSS: 1 << 20, Descriptors: 8, Threads: 2}},
			{PID: 10, TID: 11, State: worker.Held, Process: &worker.Process{CPUTime: time.Second}},
			{PID: 12, State: worker.Busy},
		},
	}
	a := aggregator(1)
	a.AddSource(WorkerPools(func() []worker.Snapshot { return []worker.Snapshot{pool} }))
	s := read(a)
	value := func(f *Family) float64 {
		points := s.of(f)
		require.Len(t, points, 1, f.Name)
		assert.Equal(t, "shop", points[0].Service)
		return points[0].Value
	}
	for f, want := range map[*Family]float64{
		ActiveRequests: 3, DispatchLength: 5, WorkersMaxBusy: 4, WorkerBusy: 1, WorkerTime: 4, WorkerCPU: .001,
		WorkerRequests: 7, WorkerStarted: 3, WorkerEnded: 2, WorkerRecycled: 1,
		BacklogLength: 6, BacklogLimit: 128, BacklogDropped: 9,
		ProcessCPU: 1, ProcessMemory: 1 << 20, ProcessThreads: 2, ProcessDescriptors: 8,
	} {
		assert.InDelta(t, want, value(f), 1e-12, f.Name)
	}
	// These are the attributes that the conventions require.
	var required httpconv.ServerActiveRequestsObservable
	assert.Equal(t, attribute.NewSet(required.AttrRequestMethod(httpconv.RequestMethodGet), required.AttrURLScheme("http")), s.of(ActiveRequests)[0].Attrs)
	states := map[string]float64{}
	for _, p := range s.of(Workers) {
		states[attrs(p)["state"]] = p.Value
	}
	assert.Equal(t, map[string]float64{"busy": 2, "held": 1, "available": 1}, states)
	threads := map[string]float64{}
	for _, p := range s.of(WorkerState) {
		threads[attrs(p)["thread.id"]] = p.Value
	}
	assert.Equal(t, map[string]float64{"10": 1, "11": 2}, threads)
	assert.Equal(t, "127.0.0.1:80", attrs(s.of(BacklogLength)[0])["address"])
}

func TestSelf(t *testing.T) {
	a := aggregator(1)
	a.AddSource(Self())
	s := read(a)
	require.Len(t, s.of(ProcessMemory), 1)
	p := s.of(ProcessMemory)[0]
	assert.Equal(t, AgentService, p.Service)
	assert.Equal(t, strconv.Itoa(os.Getpid()), attrs(p)["process.pid"])
	assert.Greater(t, p.Value, 1e6)
	assert.NotEmpty(t, s.of(ProcessCPU))
	assert.NotEmpty(t, s.of(ProcessThreads))
	assert.NotEmpty(t, s.of(ProcessDescriptors))
}
