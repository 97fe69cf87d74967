// Package stitch tests that the hops of a request on one host become one trace.
//
// Each chain of servers gets many requests, 50 at a time, each with a number
// of its own in its path, which the agent's joins do not look at. Whether a
// hop's parent is the right one is told by that number.
//
//	LAPWING_STITCH_REQUESTS   requests per chain and plan, default 300
//	LAPWING_STITCH_CONNECTIONS   clients at a time, default 50
package stitch
