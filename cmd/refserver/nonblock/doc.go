// Package nonblock is the connections of event-driven servers: each is a small
// state machine that reads a request as it comes, has it served, and writes
// the response as the client takes it, without ever blocking the loop.
//
// A descriptor is registered once, edge-triggered, for both directions: a
// request costs no epoll_ctl.
package nonblock
