package metrics

import (
	"time"
)

// Source adds its values to a snapshot: the state of something other than
// requests. Collect is called for each snapshot, from different goroutines.
type Source interface{ Collect(s *Snapshot) }

// SourceFunc is a function that is a Source.
type SourceFunc func(s *Snapshot)

// Collect calls f.
func (f SourceFunc) Collect(s *Snapshot) { f(s) }

// AddSource adds a source. It must be called before the first Read.
func (a *Aggregator) AddSource(s Source) { a.sources = append(a.sources, s) }

// began is the start time of the agent's own counters.
var began = time.Now()

// readSelf adds the aggregator's values about itself.
func (a *Aggregator) readSelf(s *Snapshot) {
	s.Add(AgentLabelSets, "", time.Time{}, float64(a.labelSets()))
	s.Add(AgentOverflow, "", began, float64(a.overflowed.Load()))
	s.Add(AgentUntimed, "", began, float64(a.untimed.Load()))
	s.Add(AgentUnsplit, "", began, float64(a.unsplit.Load()))
}
