// Package nonblock has the connections of event-driven servers. Each is a small
// state machine that reads a request as it arrives, passes it on to be served,
// and writes the response as fast as the client receives it. It never blocks
// the loop.
//
// A descriptor is registered once, edge-triggered, for both directions, so a
// request needs no epoll_ctl.
package nonblock
