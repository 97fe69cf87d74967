package dashboards

import (
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
	"lapwing/exporters/prometheus"
)

// The series that the panels query, by their names in Prometheus.
var (
	requestCount   = prometheus.Name(metrics.RequestDuration) + "_count"
	requestBuckets = prometheus.Name(metrics.RequestDuration) + "_bucket"
	phaseSum       = prometheus.Name(metrics.PhaseDuration) + "_sum"
	phaseCount     = prometheus.Name(metrics.PhaseDuration) + "_count"
	phaseBuckets   = prometheus.Name(metrics.PhaseDuration) + "_bucket"
	partSum        = prometheus.Name(metrics.PartDuration) + "_sum"

	activeRequests = prometheus.Name(metrics.ActiveRequests)
	workers        = prometheus.Name(metrics.Workers)
	workersMaxBusy = prometheus.Name(metrics.WorkersMaxBusy)
	workerState    = prometheus.Name(metrics.WorkerState)
	workerTime     = prometheus.Name(metrics.WorkerTime)
	workerBusy     = prometheus.Name(metrics.WorkerBusy)
	workerCPU      = prometheus.Name(metrics.WorkerCPU)
	workerRequests = prometheus.Name(metrics.WorkerRequests)
	workerStarted  = prometheus.Name(metrics.WorkerStarted)
	workerEnded    = prometheus.Name(metrics.WorkerEnded)
	workerRecycled = prometheus.Name(metrics.WorkerRecycled)

	dispatchLength = prometheus.Name(metrics.DispatchLength)
	backlogLength  = prometheus.Name(metrics.BacklogLength)
	backlogLimit   = prometheus.Name(metrics.BacklogLimit)
	backlogDropped = prometheus.Name(metrics.BacklogDropped)

	processCPU    = prometheus.Name(metrics.ProcessCPU)
	processMemory = prometheus.Name(metrics.ProcessMemory)

	agentRequests   = prometheus.Name(metrics.Of(health.Requests))
	agentIncomplete = prometheus.Name(metrics.Of(health.Incomplete))
	agentLost       = prometheus.Name(metrics.Of(health.Lost))
	agentMissed     = prometheus.Name(metrics.Of(health.MissedStart))
	agentUntimed    = prometheus.Name(metrics.AgentUntimed)
	agentUnsplit    = prometheus.Name(metrics.AgentUnsplit)
	agentUnknown    = prometheus.Name(metrics.Of(health.Unknown))
	agentTunnels    = prometheus.Name(metrics.Of(health.Tunnels))
	agentDropped    = prometheus.Name(metrics.Of(health.Dropped))
	agentLabelSets  = prometheus.Name(metrics.AgentLabelSets)
	agentOverflow   = prometheus.Name(metrics.AgentOverflow)
)
