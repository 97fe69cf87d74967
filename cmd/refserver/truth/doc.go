// Package truth is the ground truth of a reference server: what happened to
// each request and when, as the server itself saw it. Measurements from outside
// are compared with it.
//
// A stamp costs one clock read. Serving threads put finished records into a
// ring of their own, and a helper writes them to the file in batches.
package truth
