package metrics

import (
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"

	"lapwing/exporters/health"
)

// Kind is how the values of a metric behave.
type Kind uint8

// Counters only increase, gauges go up and down, histograms are distributions.
const (
	KindCounter Kind = iota
	KindGauge
	KindHistogram
)

func (k Kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// Family describes one metric. Name and unit are OpenTelemetry's.
type Family struct {
	Name, Unit, Description string
	Kind                    Kind
	// Bounds are the upper bounds of the classic buckets, in Unit. The last
	// bucket has no upper bound and is not listed.
	Bounds []float64
}

// described is an instrument of the package of semantic conventions.
type described interface {
	Name() string
	Unit() string
	Description() string
}

// standard creates a family from the description of an instrument in the
// conventions.
func standard(i described, kind Kind, bounds ...float64) *Family {
	return &Family{Name: i.Name(), Unit: i.Unit(), Description: i.Description(), Kind: kind, Bounds: bounds}
}

// requestBounds are the buckets that the conventions recommend, in seconds.
var requestBounds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// phaseBounds start lower: a phase often takes a fraction of a millisecond. In
// seconds.
var phaseBounds = []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

// sizeBounds are in bytes. Each is four times the previous one.
var sizeBounds = []float64{0, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20}

// The metrics of requests.
var (
	RequestDuration  = standard(httpconv.ServerRequestDuration{}, KindHistogram, requestBounds...)
	RequestBodySize  = standard(httpconv.ServerRequestBodySize{}, KindHistogram, sizeBounds...)
	ResponseBodySize = standard(httpconv.ServerResponseBodySize{}, KindHistogram, sizeBounds...)
	ActiveRequests   = standard(httpconv.ServerActiveRequests{}, KindGauge)

	PhaseDuration = &Family{"lapwing.request.phase.duration", "s",
		"Duration of each of the four phases of a request; they add up to http.server.request.duration.", KindHistogram, phaseBounds}
	PartDuration = &Family{"lapwing.request.part.duration", "s",
		"Duration of the parts of the phases of a request, and of drain.", KindHistogram, phaseBounds}
)

// The metrics of the workers of a service.
var (
	Workers = &Family{Name: "lapwing.workers", Unit: "{worker}", Kind: KindGauge,
		Description: "Workers of the service, by state."}
	WorkersMaxBusy = &Family{Name: "lapwing.workers.max_busy", Unit: "{worker}", Kind: KindGauge,
		Description: "Highest number of workers of the service seen busy at once."}
	WorkersNeeded = &Family{Name: "lapwing.workers.needed", Unit: "{worker}", Kind: KindGauge,
		Description: "Workers of the service that would be busy if no request waited: arrivals per second times the time that a worker takes for one request."}
	WorkerState = &Family{Name: "lapwing.worker.state", Unit: "{state}", Kind: KindGauge,
		Description: "State of each worker: 0 available, 1 busy, 2 held by an idle connection, 3 unknown."}
	WorkerTime = &Family{Name: "lapwing.worker.time", Unit: "s", Kind: KindCounter,
		Description: "Total time that the workers of the service existed."}
	WorkerBusy = &Family{Name: "lapwing.worker.busy.time", Unit: "s", Kind: KindCounter,
		Description: "Total time that the workers of the service spent on requests."}
	WorkerCPU = &Family{Name: "lapwing.worker.cpu.time", Unit: "s", Kind: KindCounter,
		Description: "Total CPU time of the worker threads of the service."}
	WorkerRequests = &Family{Name: "lapwing.worker.requests", Unit: "{request}", Kind: KindCounter,
		Description: "Requests finished by the workers of the service."}
	WorkerStarted = &Family{Name: "lapwing.worker.started", Unit: "{worker}", Kind: KindCounter,
		Description: "Workers that joined the pool of the service."}
	WorkerEnded = &Family{Name: "lapwing.worker.ended", Unit: "{worker}", Kind: KindCounter,
		Description: "Workers that left the pool of the service."}
	WorkerRecycled = &Family{Name: "lapwing.worker.recycled", Unit: "{worker}", Kind: KindCounter,
		Description: "Workers that started in place of a worker that ended."}
)

// The metrics of what waits for workers.
var (
	DispatchLength = &Family{Name: "lapwing.dispatch.length", Unit: "{request}", Kind: KindGauge,
		Description: "Requests on accepted connections that no worker has read yet."}
	BacklogLength = &Family{Name: "lapwing.backlog.length", Unit: "{connection}", Kind: KindGauge,
		Description: "Connections in the listen backlog that wait for accept."}
	BacklogLimit = &Family{Name: "lapwing.backlog.limit", Unit: "{connection}", Kind: KindGauge,
		Description: "Limit of connections in the listen backlog."}
	BacklogDropped = &Family{Name: "lapwing.backlog.dropped", Unit: "{connection}", Kind: KindCounter,
		Description: "Connection attempts that the kernel dropped at the listener, including retries of clients."}
)

// The metrics of processes: of the workers and of the agent itself.
var (
	ProcessCPU         = standard(processconv.CPUTime{}, KindCounter)
	ProcessMemory      = standard(processconv.MemoryUsage{}, KindGauge)
	ProcessThreads     = standard(processconv.ThreadCount{}, KindGauge)
	ProcessDescriptors = standard(processconv.UnixFileDescriptorCount{}, KindGauge)
)

// What the metrics themselves left out. The rest of the agent's account of
// itself is in health.Table.
var (
	AgentUntimed = &Family{Name: "lapwing.agent.requests.untimed", Unit: "{request}", Kind: KindCounter,
		Description: "Requests whose start or end was not seen. They are in no duration metric."}
	AgentUnsplit = &Family{Name: "lapwing.agent.requests.unsplit", Unit: "{request}", Kind: KindCounter,
		Description: "Requests with a duration whose phases could not be measured. They are in no phase metric."}
	AgentLabelSets = &Family{Name: "lapwing.agent.metrics.label_sets", Unit: "{set}", Kind: KindGauge,
		Description: "Attribute sets that the request metrics use."}
	AgentOverflow = &Family{Name: "lapwing.agent.metrics.overflow", Unit: "{request}", Kind: KindCounter,
		Description: "Requests counted without their attributes because the limit of label sets was reached."}
	AgentLeftOut = &Family{Name: "lapwing.agent.scrape.left_out", Unit: "{value}", Kind: KindCounter,
		Description: "Values left out of scrapes because the page would have exceeded its size limit."}
)

// Families lists all metrics, in the order of snapshots.
func Families() []*Family {
	all := []*Family{
		RequestDuration, RequestBodySize, ResponseBodySize, ActiveRequests, PhaseDuration, PartDuration,
		Workers, WorkersMaxBusy, WorkersNeeded, WorkerState, WorkerTime, WorkerBusy, WorkerCPU, WorkerRequests,
		WorkerStarted, WorkerEnded, WorkerRecycled,
		DispatchLength, BacklogLength, BacklogLimit, BacklogDropped,
		ProcessCPU, ProcessMemory, ProcessThreads, ProcessDescriptors,
	}
	for _, c := range health.Table {
		if f := Of(c); f != nil {
			all = append(all, f)
		}
	}
	return append(all, AgentUntimed, AgentUnsplit, AgentLabelSets, AgentOverflow, AgentLeftOut)
}
