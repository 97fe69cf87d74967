// Package console shows requests on a terminal, or to a program that reads a
// pipe: Trace writes a line per request, Aggregator and RunTop show a table per
// service.
//
// Neither of them makes the agent wait. Trace has a bounded queue before its
// writer and counts the lines that it drops because the reader is slow.
// Aggregator only counts, and RunTop reads the counts in a goroutine of its
// own.
package console
