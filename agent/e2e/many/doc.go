// Package many runs the agent next to a server with very many connections: idle
// ones, and ones that come and go as fast as the machine can. The server is
// this package's test binary.
package many
