package main

import (
	"context"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
)

// selection passes the slow requests on, up to a number of them. The agent
// calls Trace from one goroutine, so it needs no lock.
type selection struct {
	next exporters.Tracer   // set before the first request
	slow time.Duration      // the shortest duration; 0 selects all
	left uint64             // how many more to take; counts only if limited
	done context.CancelFunc // called when none is left; nil without a limit
}

var _ exporters.Tracer = (*selection)(nil)

// Trace passes r on if it is selected.
func (s *selection) Trace(r *request.Request) (kept bool) {
	if s.slow > 0 && elapsed(r) < s.slow {
		return false
	}
	if s.done == nil {
		return s.next.Trace(r)
	}
	if s.left == 0 {
		return false
	}
	kept = s.next.Trace(r)
	if s.left--; s.left == 0 {
		s.done()
	}
	return kept
}

// Shutdown ends the exporter after the selection, if it was ever started.
func (s *selection) Shutdown(ctx context.Context) error {
	if s.next == nil {
		return nil
	}
	return s.next.Shutdown(ctx)
}

// Dropped counts what the exporter after the selection could not take, by
// cause.
func (s *selection) Dropped() map[string]uint64 {
	if d, ok := s.next.(interface{ Dropped() map[string]uint64 }); ok {
		return d.Dropped()
	}
	return nil
}

// elapsed returns the duration of a request. For a request without a response
// it returns how long the request was seen.
func elapsed(r *request.Request) time.Duration {
	if d, ok := r.Duration(); ok {
		return d
	}
	if !r.Arrived.Seen() {
		return 0
	}
	return time.Duration(r.End() - r.Arrived)
}
