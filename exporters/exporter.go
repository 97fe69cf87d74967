package exporters

import (
	"context"

	"lapwing/collectors/request"
)

// Exporter sends finished requests to one destination.
type Exporter interface {
	// Export hands over one request. It is called from a single goroutine. It
	// must not block, and must not keep r, or anything r points to, after it
	// returned (use r.Clone). What it cannot take is dropped and counted.
	Export(r *request.Request)

	// Shutdown delivers what is queued, within ctx, and releases everything.
	Shutdown(ctx context.Context) error
}

// Tracer sends requests to one destination once their place in a trace is
// known. For requests that are related to others on this host, this is up to
// some seconds after their end. An Exporter gets every request at once, without
// its place.
type Tracer interface {
	// Trace is like Export, for a request that has its place in a trace and the
	// identifiers of its span. It reports whether the request is sent on as a
	// trace that can be looked up. Such a request can serve as an exemplar.
	Trace(r *request.Request) (kept bool)

	// Shutdown delivers what is queued, within ctx, and releases everything.
	Shutdown(ctx context.Context) error
}
