/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* How the state of a TCP connection is created. Normally its handshake creates it. If the
 * handshake was not seen, the first hook that meets the connection creates it, and what
 * is not known is absent. */
#ifndef LAPWING_BEGIN_H
#define LAPWING_BEGIN_H

#include "work/call.h"
#include "plan.h"

/* Set once there is a connection that hooks other than the handshake's must look for: one
 * without state, or one on MPTCP. Until then a socket without state costs one comparison. */
__u32 strange;

/* More than a receive queue can hold, and less than half of the sequence numbers. */
#define BEHIND_HOLE (1U << 30)

static __always_inline bool is_subflow(const struct tcp_sock *tp)
{
	return bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp;
}

static __always_inline void inet_addresses(struct conn *c, const struct sock *sk)
{
	struct record *r = &c->rec;

	r->local_port = sk->__sk_common.skc_num;
	r->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET) {
		*(__u32 *)r->local = sk->__sk_common.skc_rcv_saddr;
		*(__u32 *)r->peer = sk->__sk_common.skc_daddr;
		return;
	}
	BPF_CORE_READ_INTO(&r->local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&r->peer, sk, __sk_common.skc_v6_daddr);
}

/* inet_addresses_at does the same for a socket of which only the address is known. */
static __noinline int inet_addresses_at(struct conn *c, __u64 addr)
{
	const struct sock *sk = (const struct sock *)addr;

	if (!c)
		return 0;
	struct record *r = &c->rec;
	r->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	r->peer_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		*(__u32 *)r->local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)r->peer = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		return 0;
	}
	BPF_CORE_READ_INTO(&r->local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&r->peer, sk, __sk_common.skc_v6_daddr);
	return 0;
}

/* tcp_make creates the state of a server's end. */
static __always_inline struct conn *tcp_make(struct sock *sk, bool multipath)
{
	struct conn *c = multipath ? mptcp_create((__u64)sk) : tcp_create(sk);

	if (!c) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	connection_begin(c, (__u64)sk, sk->__sk_common.skc_family);
	c->multipath = multipath;
	return c;
}

/* tcp_begins runs when a server's end was created. With Fast Open it is in the backlog
 * from now on, and requests can be read and answered before the handshake is over. */
static __noinline int tcp_begins(struct sock *sk)
{
	if (!port_wanted(sk->__sk_common.skc_num))
		return 0;
	struct conn *c = tcp_make(sk, false);
	if (c)
		c->rec.established = bpf_ktime_get_ns();
	return 0;
}

/* brought_early notes unread bytes that came with the SYN. It returns whether the
 * connection was in use before the end of its handshake. */
static __always_inline bool brought_early(struct conn *c, const struct tcp_sock *tp)
{
	__u32 unread = tp->copied_seq, end = tp->rcv_nxt;

	if (c->in_first || c->rec.accepted || c->stage != STAGE_FRESH)
		return true;
	reads_from(c, unread);
	c->handled_seq = unread;
	if (likely(unread == end))
		return false;
	c->in_first = c->in_last = c->rec.established;
	c->in_seq = unread;
	c->in_end = end;
	return true;
}

static __noinline int tcp_established(struct sock *sk)
{
	if (!port_wanted(sk->__sk_common.skc_num))
		return 0;
	struct conn *c = tcp_find(sk);
	if (!c)
		c = tcp_make(sk, false);
	const struct tcp_sock *tp = tcp_of(sk);
	if (!c || !tp)
		return 0;
	inet_addresses(c, sk);
	if (unlikely(is_subflow(tp))) {
		c->stage = STAGE_IGNORED; /* see mptcp.h */
		return 0;
	}
	if (!brought_early(c, tp))
		c->rec.established = bpf_ktime_get_ns();
	if (callers)
		caller_of(c, sk);
	return 0;
}

/* addressed fills in the addresses if the handshake did not. */
static __always_inline void addressed(struct conn *c)
{
	if (unlikely(!c->rec.peer_port))
		inet_addresses_at(c, c->rec.sk);
}

#endif
