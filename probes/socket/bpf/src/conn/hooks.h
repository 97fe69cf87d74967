/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What both probe plans do for connections of any kind when a read or an accept returns. */
#ifndef LAPWING_HOOKS_H
#define LAPWING_HOOKS_H

#include "conn/failed.h"
#include "conn/tcp.h"
#include "conn/unix.h"

/* find_arrivals finds when the bytes that were just read arrived. For TCP copied_seq is
 * the sequence number up to which the receive queue has been read. */
static __always_inline void find_arrivals(struct conn *c, struct in *in, bool tcp, __u32 copied_seq)
{
	__u32 end = copied_seq;

	if (!tcp) {
		end = c->rec.family == AF_UNIX ? unix_read(c, in->wire) : mptcp_read(c, in->wire);
	} else if (!c->in_first && c->stage == STAGE_FRESH) {
		/* They came with the end of the handshake, see tcp_segment. */
		c->in_first = c->in_last = c->rec.established;
		c->in_seq = copied_seq - in->wire;
		c->in_end = copied_seq;
	}
	in->end = end;
	arrivals(c, in, end);
	if (!tcp && c->rec.family == AF_UNIX)
		unix_settle(c, in);
}

static __noinline int accept_returned(long fd)
{
	struct sock *sk = sock_of_file(file_of_fd(fd));
	__u64 now = bpf_ktime_get_ns();
	__u32 tid = bpf_get_current_pid_tgid();

	if (!sk)
		return 0;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_INET || family == AF_INET6) {
		tcp_accepted((__u64)sk, now, tid);
		return 0;
	}
	if (family != AF_UNIX || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	struct conn *c = unix_find(sk);
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	if (c && is_call(c)) {
		unix_left((__u64)sk);
		c = NULL;
	}
	if (!c && addr)
		c = unix_create((__u64)sk, addr);
	if (c) {
		c->rec.accepted = now;
		c->rec.acceptor_tid = tid;
	}
	return 0;
}

#endif
