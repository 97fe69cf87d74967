// Package httpio reads and writes HTTP/1 on plain byte slices: it knows
// nothing of sockets, so that blocking and event-driven servers share it.
//
// It is written apart from the agent's own parser on purpose: ground truth
// that shared code with what it judges would share its mistakes.
package httpio
