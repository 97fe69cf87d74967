// Package httpio reads and writes HTTP/1 on plain byte slices. It does not use
// sockets, so that blocking and event-driven servers share it.
//
// It is deliberately separate from the agent's parser: if the ground truth
// shared code with the agent, it would share its mistakes.
package httpio
