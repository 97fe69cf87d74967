// Package pipelining tests the stamps of requests that are under way together
// on one connection, byte by byte: clients and servers with random pieces write
// down when each of their system calls was, and what it carried.
package pipelining
