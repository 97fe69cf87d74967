// Command scaling measures how much one request, one set of labels and one
// worker add to what is sent to the backends. It sends synthetic ones through
// the agent's own exporters, and multiplies the results by a number of hosts.
// docs/scaling.md explains the table.
//
// Usage:
//
//	scaling [-hosts 1000] [-requests 500] [-ratio 0.01] [-services 5] [-sets 20] [-workers 16] [-max-series 100000]
package main
