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

// Tracer takes requests to one destination once their place in a trace is known,
// which for those that have to do with others on this host is up to some seconds
// after their end. An Exporter gets every request at once, without its place.
type Tracer interface {
	// Trace is like Export, for a request that has its place and the identifiers of
	// its span. It reports whether the request goes on as a trace that can be looked
	// up: such a one may be an example of its figures.
	Trace(r *request.Request) (kept bool)

	// Shutdown delivers what is queued, within ctx, and releases everything.
	Shutdown(ctx context.Context) error
}
