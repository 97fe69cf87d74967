// Package servers tests the agent with web servers from the distribution, one
// table row per server.
//
// All servers run at the same time. For each probe plan, one agent watches them
// while the rows are played one after the other. What the agent printed is
// compared request by request with three other accounts, all on the kernel's
// monotonic clock: the client's (when it sent and received), the application's
// (when it was called and when it was done) and, if the server has one, the
// server's own (status and time in its access log).
//
// The run writes build/servers.json. With -args -update it also updates the
// table in docs/servers.md.
package servers
