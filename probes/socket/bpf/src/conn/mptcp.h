/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Multipath TCP. Programs accept, read, write and close a socket of a kind of its own;
 * the state is kept under that socket. Segments reach the TCP connections below it, its
 * subflows. Usually there is one subflow. Once a second one brings bytes, the arrivals of
 * the connection are not known. */
#ifndef LAPWING_MPTCP_H
#define LAPWING_MPTCP_H

#include "conn/begin.h"
#include "conn/descriptor.h"

#define SEVERAL_SUBFLOWS 1 /* in conn.in_total, in place of the subflow's address */

static __noinline int mptcp_established(struct sock *sk)
{
	if (!port_wanted(sk->__sk_common.skc_num))
		return 0;
	struct conn *c = tcp_make(sk, true); /* it has no addresses yet */
	if (!c)
		return 0;
	c->rec.established = bpf_ktime_get_ns();
	strange = 1;
	return 0;
}

/* above returns the address of the connection above a subflow. */
static __always_inline __u64 above(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct mptcp_subflow_context *subflow = BPF_CORE_READ(icsk, icsk_ulp_data);

	return (__u64)BPF_CORE_READ(subflow, conn);
}

/* is_numbered_by reports whether the bytes of the connection are numbered by this
 * subflow. */
static __always_inline bool is_numbered_by(struct conn *c, struct sock *sk)
{
	if (c->in_total == (__u64)sk)
		return true;
	if (c->in_total) {
		c->in_total = SEVERAL_SUBFLOWS;
		set_version(c, c->in_version | 1); /* no arrival is known from here on */
		return false;
	}
	const struct inet_connection_sock *icsk = (const void *)sk;
	const struct mptcp_subflow_context *subflow = BPF_CORE_READ(icsk, icsk_ulp_data);

	c->in_total = (__u64)sk;
	c->read_total += BPF_CORE_READ(subflow, ssn_offset) + 1;
	return true;
}

/* mptcp_arrived runs when a segment with bytes reached a subflow. */
static __noinline int mptcp_arrived(struct sock *sk, const struct sk_buff *skb)
{
	struct conn *c = mptcp_find(above(sk));
	const struct tcp_sock *tp = tcp_of(sk);
	struct segment s;

	if (!c || !tp || !is_served(c))
		return 0;
	segment_of(skb, &s);
	if (!s.payload || !is_numbered_by(c, sk))
		return 0;
	struct arrival a = { .seq = tp->rcv_nxt, .end = s.seq + s.payload, .unread = c->read_total };
	if ((__s32)(a.end - a.seq) <= 0 || (__s32)(s.seq - a.seq) > 0)
		return 0;
	if (tp->out_of_order_queue.rb_node)
		a.end += BEHIND_HOLE;
	a.empty = a.seq == a.unread;
	on_arrival(c, bpf_ktime_get_ns(), &a);
	return 0;
}

/* mptcp_read counts n bytes that were read. */
static __always_inline __u32 mptcp_read(struct conn *c, __u64 n)
{
	c->read_total += n;
	return c->read_total;
}

/* is_write reports whether the calling thread is in a system call that writes to the
 * socket in its first argument. */
static __always_inline bool is_write(long nr)
{
	switch (nr) {
	case NR_write:
	case NR_writev:
	case NR_pwritev2:
	case NR_sendto:
	case NR_sendmsg:
	case NR_sendmmsg:
	case NR_sendfile:
		return true;
	}
	return false;
}

#endif
