// Package console shows requests to a person at a terminal, or to a program
// that reads a pipe: Trace writes a line per request, Aggregator and RunTop
// show a table per service.
//
// Neither ever makes the agent wait. Trace holds a bounded queue in front of
// its writer and counts what a slow reader made it drop; Aggregator only
// counts, and RunTop reads the counts from a goroutine of its own.
package console
