// Package exporters defines what a destination of requests is. Each destination
// is a package below this one and knows nothing about the others.
package exporters
