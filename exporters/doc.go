// Package exporters says what a destination of requests is. Each destination
// is a package below this one and knows nothing of the others.
package exporters
