// Package naming tests the names of real servers: two servers of one program
// must be told apart, in traces and in worker pools, and requests that a script
// answers must belong to the server that read them.
package naming
