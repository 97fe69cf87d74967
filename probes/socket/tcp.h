/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The hooks of TCP that both probe plans use: a connection's begin and end, and
 * what segments bring. The plan defines how it finds and makes the connection of
 * a socket:
 *
 *   tcp_of(sk), tcp_find(sk), tcp_create(sk), tcp_forget(addr)
 */
#ifndef LAPWING_TCP_H
#define LAPWING_TCP_H

#include "call.h"

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

static __always_inline void tcp_established(struct sock *sk)
{
	if (!port_wanted(sk->__sk_common.skc_num))
		return;
	struct conn *c = tcp_create(sk);
	if (!c) {
		count(STAT_LOST_TABLE);
		return;
	}
	connection_begin(c, (__u64)sk, sk->__sk_common.skc_family);
	inet_addresses(c, sk);
	c->rec.established = bpf_ktime_get_ns();
	if (callers)
		caller_of(c, sk);
}

/* tcp_call: the calling thread begins to connect. */
static __noinline int tcp_call(struct sock *sk)
{
	if (!process_opens())
		return 0;
	struct conn *c = tcp_create(sk);
	if (c)
		call_opened(c, (__u64)sk, sk->__sk_common.skc_family);
	else
		count(STAT_LOST_TABLE);
	return 0;
}

/* tcp_call_established: the client's end is, the server's is about to be. */
static __noinline int tcp_call_established(struct sock *sk)
{
	struct conn *c = tcp_find(sk);
	struct ends e;

	if (!c || c->mode != MODE_CLIENT)
		return 0;
	inet_addresses(c, sk);
	c->rec.established = bpf_ktime_get_ns();
	ends_of(&e, &c->rec, sk, true);
	__u64 number = c->rec.conn;
	bpf_map_update_elem(&clients, &e, &number, BPF_ANY);
	return 0;
}

/* tcp_call_closing: both ends find each other only while it is open. */
static __always_inline void tcp_call_closing(struct conn *c, const struct sock *sk, int state, int error)
{
	struct ends e;

	if (!c->rec.established)
		inet_addresses(c, sk);
	call_closed(c, state == TCP_CLOSE, error);
	if (state != TCP_CLOSE)
		return;
	ends_of(&e, &c->rec, sk, true);
	bpf_map_delete_elem(&clients, &e);
	tcp_forget((__u64)sk);
}

static __always_inline void tcp_closing(struct sock *sk, int state)
{
	struct conn *c = tcp_find(sk);
	__u64 now = bpf_ktime_get_ns();
	bool final = state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSING;
	int error = sk->sk_err;

	if (!c)
		return;
	if (c->mode == MODE_CLIENT) {
		tcp_call_closing(c, sk, state, error);
		return;
	}
	if (final && !error)
		settle_ack(c, now); /* our FIN was acknowledged, and all before it */
	on_close(c, now, final, error);
	if (state == TCP_CLOSE && !c->gone)
		tcp_forget((__u64)sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED)
		tcp_established(sk);
	else if (after == TCP_SYN_SENT)
		tcp_call(sk);
	else if (before == TCP_SYN_SENT && after == TCP_ESTABLISHED)
		tcp_call_established(sk);
	else if (after >= TCP_FIN_WAIT1 && after != TCP_CLOSE_WAIT && after <= TCP_CLOSING && after != TCP_LISTEN)
		tcp_closing(sk, after);
	return 0;
}

/* More than a receive queue can hold, less than half of the numbers. */
#define BEHIND_HOLE (1U << 30)

/* tcp_probe runs for each segment that reaches an established socket, before
 * it is queued. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_segment, struct sock *sk, const struct sk_buff *skb)
{
	struct conn *c = tcp_find(sk);
	struct segment s;

	if (!c || c->mode >= MODE_IGNORED)
		return 0;
	const struct tcp_sock *tp = tcp_of(sk);
	if (!tp)
		return 0;
	segment_of(skb, &s);
	__u64 now = bpf_ktime_get_ns();
	if (!s.payload) {
		on_ack(c, now, s.ack_seq);
		return 0;
	}
	struct arrival a = { .seq = tp->rcv_nxt, .end = s.seq + s.payload, .unread = tp->copied_seq };
	/* Old bytes again, or bytes behind a hole: nothing the server could read. */
	if ((__s32)(a.end - a.seq) <= 0 || (__s32)(s.seq - a.seq) > 0)
		return 0;
	/* It may fill a hole: those behind it become readable with it. Without
	 * prediction only, else there is none. */
	if (unlikely(!tp->pred_flags && tp->out_of_order_queue.rb_node))
		a.end += BEHIND_HOLE;
	a.empty = a.seq == a.unread;
	/* Bytes that no segment after the handshake brought came with its end. */
	if (!a.empty && !c->in_first) {
		c->in_first = c->rec.established;
		c->in_seq = a.unread;
		c->in_end = a.seq;
	}
	on_arrival(c, now, &a);
	return 0;
}

#endif
