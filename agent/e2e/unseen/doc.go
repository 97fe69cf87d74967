// Package unseen tests connections that the agent cannot see completely, or not
// from the start: bytes that are spliced past every read, requests that come
// with the handshake, sessions that are older than the agent, processes that
// change their program. What is reported must be true, and what is not reported
// must be counted.
package unseen
