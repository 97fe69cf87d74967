// Package framing tests how the end of a message is found: by its length, by
// its chunks or by the close of the connection, and never by a pause.
//
// Each row is a connection of its own, over TCP and over a unix socket. Its
// ends play scripts (see package peer), whose stamps are the truth. All rows
// run at the same time while one agent per probe plan watches them. Then follow
// real servers with the same behaviour, which are compared with their own logs
// and their clients.
package framing
