/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Bytes that no hook saw: spliced from socket to socket, mapped, or moved by io_uring. */
#ifndef LAPWING_UNSEEN_H
#define LAPWING_UNSEEN_H

#include "conn/handout.h"

/* Set when the agent ends: its programs are detached one after the other. From then on a
 * missing event proves nothing. */
__u32 ending;

/* taken_unseen runs when bytes were moved that no hook saw, or that framing would have
 * had to see. Anything that was reported of the connection from here on would be
 * incomplete. A request that ended before is complete. */
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

/* spliced reports whether the system call of this thread moves bytes between a socket and
 * a pipe. */
static __always_inline bool spliced(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return SYSCALL_NR(regs) == NR_splice;
}

/* is_empty reports whether the receive queue of a socket is empty. */
static __always_inline bool is_empty(const struct conn *c)
{
	const struct sock *sk = (const struct sock *)c->rec.sk;

	return !BPF_CORE_READ(sk, sk_receive_queue.qlen);
}

/* unix_taken checks whether all bytes that came on a unix socket before the server's
 * first write were read without being seen. */
static __noinline int unix_taken(struct conn *c)
{
	if (c && c->rec.family == AF_UNIX && !c->read_total && c->in_total && is_empty(c))
		taken_unseen(c);
	return 0;
}

#endif
