// Package framing tests how the end of a message is found: by its length, by
// its chunks, by the close of the connection, and never by a pause.
//
// Each row is a connection of its own, on TCP and on a unix socket. Its ends
// play scripts (see package peer), whose stamps are the truth. All rows run
// beside each other while one agent per probe plan watches them. Real servers
// with the same habits follow, held against their own logs and their clients.
package framing
