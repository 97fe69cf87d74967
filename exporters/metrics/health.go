package metrics

import (
	"maps"
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"lapwing/exporters"
)

// Health is the agent's account of itself as a source.
func Health(health exporters.HealthFunc) Source {
	return SourceFunc(func(s *Snapshot) {
		h := health()
		s.Add(AgentRequests, "", began, float64(h.Requests))
		s.Add(AgentIncomplete, "", began, float64(h.Incomplete))
		s.Add(AgentSkipped, "", began, float64(h.SkippedRuns))
		s.Add(AgentTunnels, "", began, float64(h.Tunnels))
		s.Add(AgentJoined, "", began, float64(h.Joined))
		s.Add(AgentCallsJoined, "", began, float64(h.CallsJoined))
		s.addBy(AgentUnjoined, KeyReason, h.Unjoined)
		s.addBy(AgentCallsUnjoined, KeyReason, h.CallsUnjoined)
		s.addBy(AgentLost, KeyCause, h.Lost)
		s.addBy(AgentMissed, KeyCause, h.MissedStart)
		s.addBy(AgentUnknown, KeyReason, h.Unknown)
		for _, exporter := range slices.Sorted(maps.Keys(h.Dropped)) {
			s.addBy(AgentDropped, KeyCause, h.Dropped[exporter], KeyExporter.String(exporter))
		}
	})
}

// addBy adds one value per key of counts, as the attribute name.
func (s *Snapshot) addBy(f *Family, name attribute.Key, counts map[string]uint64, more ...attribute.KeyValue) {
	for _, value := range slices.Sorted(maps.Keys(counts)) {
		s.Add(f, "", began, float64(counts[value]), with(more, name.String(value))...)
	}
}
