package exporters

import (
	"context"

	"lapwing/collectors/request"
)

// Exporter takes finished requests to one destination.
type Exporter interface {
	// Export hands over one request. It is called from a single goroutine,
	// must not block and must not keep r, or anything r points to, after it
	// returned (use r.Clone). What it cannot take it drops and counts.
	Export(r *request.Request)

	// Shutdown delivers what is queued, within ctx, and releases everything.
	Shutdown(ctx context.Context) error
}

// Tracer is an Exporter that shows a request's place in its trace. It gets
// requests once that is known, which for those that have to do with others on
// this host is up to some seconds after their end. All other exporters get
// every request at once, without its place.
type Tracer interface {
	Exporter
	ShowsTrace()
}
