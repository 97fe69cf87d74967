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
