package metrics

import (
	"time"
)

// Source adds what it knows to a snapshot: the state of something else than
// requests. It is asked each time, from different goroutines.
type Source interface{ Collect(s *Snapshot) }

// SourceFunc is a function as a Source.
type SourceFunc func(s *Snapshot)

// Collect calls f.
func (f SourceFunc) Collect(s *Snapshot) { f(s) }

// AddSource adds a source. It is to be called before the first Read.
func (a *Aggregator) AddSource(s Source) { a.sources = append(a.sources, s) }

// began is the start of all counters of the agent's own.
var began = time.Now()

// readSelf adds what the aggregator knows of itself.
func (a *Aggregator) readSelf(s *Snapshot) {
	s.Add(AgentLabelSets, "", time.Time{}, float64(a.labelSets()))
	s.Add(AgentOverflow, "", began, float64(a.overflowed.Load()))
	s.Add(AgentUntimed, "", began, float64(a.untimed.Load()))
	s.Add(AgentUnsplit, "", began, float64(a.unsplit.Load()))
}
