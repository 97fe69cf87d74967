package main

import (
	"context"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters"
)

// selection hands on the slow requests, up to a number of them. The agent
// exports from one goroutine, so it needs no lock.
type selection struct {
	next exporters.Exporter // set before the first request
	slow time.Duration      // least duration; 0 takes all
	left uint64             // how many more to take; counts only if limited
	done context.CancelFunc // called when none is left; nil without a limit
}

var _ exporters.Tracer = (*selection)(nil)

// Export hands on r if it is to be shown.
func (s *selection) Export(r *request.Request) {
	if s.slow > 0 && elapsed(r) < s.slow {
		return
	}
	if s.done == nil {
		s.next.Export(r)
		return
	}
	if s.left == 0 {
		return
	}
	s.next.Export(r)
	if s.left--; s.left == 0 {
		s.done()
	}
}

// ShowsTrace implements exporters.Tracer.
func (s *selection) ShowsTrace() {}

// Shutdown ends the exporter behind the selection, if it was ever started.
func (s *selection) Shutdown(ctx context.Context) error {
	if s.next == nil {
		return nil
	}
	return s.next.Shutdown(ctx)
}

// Dropped counts, per cause, what the exporter behind could not take.
func (s *selection) Dropped() map[string]uint64 {
	if d, ok := s.next.(interface{ Dropped() map[string]uint64 }); ok {
		return d.Dropped()
	}
	return nil
}

// elapsed is a request's duration; for one that never was answered, how long
// it was seen to take.
func elapsed(r *request.Request) time.Duration {
	if d, ok := r.Duration(); ok {
		return d
	}
	if !r.Arrived.Seen() {
		return 0
	}
	return time.Duration(r.End() - r.Arrived)
}
