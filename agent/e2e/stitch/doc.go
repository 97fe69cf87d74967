// Package stitch tests that the hops of a request on one host become one trace.
//
// Each chain of servers gets many requests, 50 at a time. Each has a number of
// its own in its path, which the agent does not use for joins. The number shows
// whether the parent of a hop is the right one.
//
//	LAPWING_STITCH_REQUESTS   requests per chain and plan, default 300
//	LAPWING_STITCH_CONNECTIONS   clients at a time, default 50
package stitch
