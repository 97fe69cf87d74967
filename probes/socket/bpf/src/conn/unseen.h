/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Bytes that went past every look: spliced from socket to socket, mapped, or
 * moved by io_uring. */
#ifndef LAPWING_UNSEEN_H
#define LAPWING_UNSEEN_H

#include "conn/handout.h"

/* The agent ends: its programs are taken off their hooks one after the other, and
 * what is not seen from here on says nothing. */
__u32 ending;

/* taken_unseen: bytes were moved that no hook saw, or that framing would have had
 * to see. What would be said of the connection would be said of half of it. A
 * request that was over before is whole. */
static __noinline int taken_unseen(struct conn *c)
{
	struct vec none = {};

	if (!c || ending)
		return 0;
	if (c->rec.in.place == PLACE_END && c->rec.out.place == PLACE_END)
		hand_out(c);
	c->pending = 0;
	connection_ignore(c, &none, 0, REASON_NO_BYTES);
	return 0;
}

/* spliced tells whether the call that runs on this thread moves bytes between a
 * socket and a pipe. */
static __always_inline bool spliced(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return SYSCALL_NR(regs) == NR_splice;
}

/* is_empty tells whether nothing is in a socket's receive queue. */
static __always_inline bool is_empty(const struct conn *c)
{
	const struct sock *sk = (const struct sock *)c->rec.sk;

	return !BPF_CORE_READ(sk, sk_receive_queue.qlen);
}

/* unix_taken looks whether all that came on a unix socket before the server's
 * first word was read without a sign. */
static __noinline int unix_taken(struct conn *c)
{
	if (c && c->rec.family == AF_UNIX && !c->read_total && c->in_total && is_empty(c))
		taken_unseen(c);
	return 0;
}

#endif
