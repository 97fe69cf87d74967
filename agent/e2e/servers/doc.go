// Package servers holds the agent against web servers as distributions ship
// them, one table row per server.
//
// All servers stand side by side; for each probe plan one agent watches them
// while the rows are played one after the other. What the agent printed is
// compared request by request with three accounts of the same requests, all on
// the kernel's monotonic clock: the client's (when it sent and received), the
// application's (when it was called and when it was done) and, where the
// server keeps one, the server's own (status and time in its access log).
//
// The run writes build/servers.json; with -args -update it also renews the
// table in docs/servers.md.
package servers
