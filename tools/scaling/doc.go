// Command scaling measures what one request, one set of labels and one worker
// take on the way to the backends, by sending made-up ones through the agent's
// own exporters, and multiplies that by a number of hosts. docs/scaling.md
// explains the table.
//
// Usage:
//
//	scaling [-hosts 1000] [-requests 500] [-ratio 0.01] [-services 5] [-sets 20] [-workers 16] [-max-series 100000]
package main
