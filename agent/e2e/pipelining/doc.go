// Package pipelining tests the stamps of requests that are in flight together
// on one connection, byte by byte. Clients and servers write random pieces, and
// record when each of their system calls was made and what it carried.
package pipelining
