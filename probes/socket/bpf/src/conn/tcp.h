/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The TCP hooks that both probe plans use: the start and the end of a connection, and
 * what segments bring. */
#ifndef LAPWING_TCP_H
#define LAPWING_TCP_H

#include "conn/abandoned.h"
#include "plan.h"
#include "conn/mptcp.h"
#include "conn/failed.h"

/* tcp_call runs when the calling thread starts to connect. */
static __noinline int tcp_call(struct sock *sk)
{
	if (!process_opens())
		return 0;
	/* From here on the connection reports its own end. */
	struct thread *t = this_thread();
	if (t)
		t->connects = 0;
	struct conn *c = tcp_create(sk);
	if (c)
		call_opened(c, (__u64)sk, sk->__sk_common.skc_family);
	else
		count(STAT_LOST_TABLE);
	return 0;
}

/* is_clients reports whether connect chose the port of a socket: accepted sockets have
 * the port of their listener. */
static __always_inline bool is_clients(struct sock *sk)
{
	struct inet_bind_bucket *port = BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_bind_hash);

	return port && BPF_CORE_READ(port, fastreuse) < 0;
}

/* call_adopt runs when a thread of a process that may be a server starts to write on a
 * socket that nothing is known about. */
static __noinline int call_adopt(struct sock *sk)
{
	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED || !is_clients(sk) || !process_opens())
		return 0;
	struct conn *c = tcp_create(sk);
	if (!c) {
		count(STAT_LOST_TABLE);
		return 0;
	}
	call_adopted(c, (__u64)sk, BPF_CORE_READ(sk, __sk_common.skc_family));
	inet_addresses_at(c, (__u64)sk);
	client_opened(c, sk);
	return 0;
}

/* tcp_call_established runs when the client's end is established. The server's end is
 * about to be. */
static __noinline int tcp_call_established(struct sock *sk)
{
	struct conn *c = tcp_find(sk);

	if (!c || !is_call(c))
		return 0;
	inet_addresses(c, sk);
	c->rec.established = bpf_ktime_get_ns();
	client_opened(c, sk);
	return 0;
}

/* tcp_call_closing ends a call. Each end can find the other only while it is open. */
static __always_inline void tcp_call_closing(struct conn *c, const struct sock *sk, int state, int error)
{
	if (!c->rec.established)
		inet_addresses(c, sk);
	call_closed(c, state == TCP_CLOSE, error);
	if (state != TCP_CLOSE)
		return;
	client_gone(c, sk);
	tcp_forget((__u64)sk);
}

static __always_inline void tcp_closing(struct sock *sk, int before, int state)
{
	bool multipath = sk->sk_protocol == IPPROTO_MPTCP;
	struct conn *c = multipath ? mptcp_find((__u64)sk) : tcp_find(sk);
	__u64 now = bpf_ktime_get_ns();
	bool final = state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSING;
	int error = sk->sk_err;

	if (!c)
		return;
	if (is_call(c)) {
		tcp_call_closing(c, sk, state, error);
		return;
	}
	if (state == TCP_CLOSE && !multipath && left_to_reader(c, sk, now))
		return;
	tcp_taken(c, sk);
	bool request = state == TCP_CLOSE && may_hold_request(c) &&
		       (before == TCP_ESTABLISHED || before == TCP_CLOSE_WAIT || before == TCP_SYN_RECV);
	if (final && !error)
		settle_ack(c, now); /* our FIN was acknowledged, and all bytes before it */
	on_close(c, now, final, error);
	if (state != TCP_CLOSE)
		return;
	if (request && !c->gone)
		tcp_abandoned(c, sk, now, before, error);
	if (c->gone)
		return;
	if (multipath)
		mptcp_forget((__u64)sk);
	else
		tcp_forget((__u64)sk);
}

/* begins_or_ends reports whether a change of state is one of those that matter. */
static __always_inline bool begins_or_ends(const struct sock *sk, int before, int after)
{
	switch (after) {
	case TCP_ESTABLISHED:
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_TIME_WAIT:
	case TCP_CLOSE:
	case TCP_LAST_ACK:
	case TCP_CLOSING:
		return sk->sk_protocol == IPPROTO_TCP || sk->sk_protocol == IPPROTO_MPTCP;
	}
	return false;
}

static __noinline int state_changed(struct sock *sk, int before, int after)
{
	bool multipath = sk->sk_protocol == IPPROTO_MPTCP;

	switch (after) {
	case TCP_SYN_RECV:
		return before == TCP_LISTEN && !multipath ? tcp_begins(sk) : 0;
	case TCP_SYN_SENT:
		return multipath ? 0 : tcp_call(sk);
	case TCP_ESTABLISHED:
		if (multipath)
			return before == TCP_SYN_SENT ? 0 : mptcp_established(sk);
		if (before == TCP_SYN_RECV)
			return tcp_established(sk);
		return before == TCP_SYN_SENT ? tcp_call_established(sk) : 0;
	}
	tcp_closing(sk, before, after);
	return 0;
}

static __always_inline struct changed *changed_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&changed, &zero);
}

/* other_segment takes a segment of a socket that has no state, or whose state is kept
 * under another socket. A connection that accept has not returned yet is a server's. */
static __noinline struct conn *other_segment(struct sock *sk, const struct sk_buff *skb, struct conn *c)
{
	const struct tcp_sock *tp = tcp_of(sk);

	if (tp && is_subflow(tp)) {
		mptcp_arrived(sk, skb);
		return NULL;
	}
	if (c || !port_wanted(sk->__sk_common.skc_num))
		return NULL;
	if (sk->sk_socket)
		return tcp_adopt(sk);
	c = tcp_make(sk, false);
	if (c)
		inet_addresses(c, sk);
	return c;
}

#endif
