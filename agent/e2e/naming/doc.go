// Package naming holds tests of what real servers are called: that two servers
// of one program are told apart, in traces and in worker pools, and that
// requests which a script answers belong to the server that read them.
package naming
