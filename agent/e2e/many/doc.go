// Package many runs the agent beside a server with very many connections: idle
// ones, and such that come and go as fast as the machine can. The server is this
// package's test binary.
package many
