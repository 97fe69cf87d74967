// Package unseen tests connections of which the agent cannot see all, or not from
// the beginning: bytes that are spliced past every read, requests that come with
// the handshake, sessions that are older than the agent, processes that change
// their program. What is reported must be true, and what is not must be counted.
package unseen
