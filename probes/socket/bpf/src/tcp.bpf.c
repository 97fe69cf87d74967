//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The programs that see the start and the end of TCP connections, and their segments. */
#include "conn/tcp.h"

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int before, int after)
{
	struct changed *here = changed_here();

	if (!here || !begins_or_ends(sk, before, after))
		return 0;
	*(volatile __u32 *)&here->busy = 1;
	here->sk = (__u64)sk;
	here->after = after;
	state_changed(sk, before, after);
	*(volatile __u32 *)&here->busy = 0;
	return 0;
}

/* tcp_state_skipped makes up for skipped runs of tcp_state. The kernel skips a run that
 * interrupts another run of the same program on the same CPU. So tcp_state misses a
 * connection that starts or ends in a network interrupt while it runs for the close of
 * another. This program runs after tcp_state for each change: while one of the two is
 * interrupted, the other is not. It may repeat what was done already. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_skipped, struct sock *sk, int before, int after)
{
	struct changed *here = changed_here();

	if (!here || likely(!*(volatile __u32 *)&here->busy && here->sk == (__u64)sk && here->after == after))
		return 0;
	if (begins_or_ends(sk, before, after))
		state_changed(sk, before, after);
	return 0;
}

/* tcp_segment runs, through tcp_probe, for each segment that reaches an established
 * socket, before it is queued. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_segment, struct sock *sk, const struct sk_buff *skb)
{
	struct conn *c = tcp_find(sk);
	struct segment s;

	if (!c || !is_served(c)) {
		if (likely(!strange && (c || sk->sk_socket)))
			return 0;
		c = other_segment(sk, skb, c);
		if (!c)
			return 0;
	}
	const struct tcp_sock *tp = tcp_of(sk);
	if (!tp)
		return 0;
	segment_of(skb, &s);
	__u64 now = bpf_ktime_get_ns();
	if (!s.payload) {
		on_ack(c, now, s.ack_seq);
		return 0;
	}
	note_tcp_use();
	struct arrival a = { .seq = tp->rcv_nxt, .end = s.seq + s.payload, .unread = tp->copied_seq };
	/* Old bytes again, or bytes after a hole: the server can read nothing new. */
	if ((__s32)(a.end - a.seq) <= 0 || (__s32)(s.seq - a.seq) > 0)
		return 0;
	/* The segment may fill a hole: the bytes after the hole become readable with it.
	 * There can be a hole only without header prediction. */
	if (unlikely(!tp->pred_flags && tp->out_of_order_queue.rb_node))
		a.end += BEHIND_HOLE;
	a.empty = a.seq == a.unread;
	/* Bytes that no segment after the handshake brought came with its end. */
	if (!a.empty && !c->in_first && c->stage == STAGE_FRESH) {
		c->in_first = c->rec.established;
		c->in_seq = a.unread;
		c->in_end = a.seq;
	}
	on_arrival(c, now, &a);
	return 0;
}

/* mptcp_sends runs when bytes go from a connection to a subflow, usually in the write
 * that brought them. The first of them show its entry. */
SEC("tp_btf/mptcp_sendmsg_frag")
int BPF_PROG(mptcp_sends)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	if (!strange || !is_write(SYSCALL_NR(regs)))
		return 0;
	struct conn *c = mptcp_find((__u64)sock_of_file(file_of_fd((__s32)SYSCALL_ARG0(regs))));
	if (c && c->multipath && !c->write_enter)
		on_write_enter(c, bpf_ktime_get_ns());
	return 0;
}
