/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The connections in use at one moment, when user space asks for them. Nothing here runs
 * for a request. */
#ifndef LAPWING_SNAPSHOT_H
#define LAPWING_SNAPSHOT_H

#include "snapshot/listeners.h"

/* After this much silence a response whose end cannot be found is not shown. */
#define SILENT_NS 60000000000ULL

/* How many more connections may be shown in this snapshot. */
__u32 snap_left = 0;
__u32 snap_cut = 0; /* how many were left out */

const enum stage *mention_stage __attribute__((unused));
const enum framer *mention_framer __attribute__((unused));
const enum phase *mention_phase __attribute__((unused));

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inet_connection_sock___times {
	struct {
		__u32 lrcvtime;
	} icsk_ack;
};

struct tcp_sock___times {
	struct inet_connection_sock___times inet_conn;
	__u64 bytes_received;
	__u64 bytes_sent;
	__u32 lsndtime;
};

#pragma clang attribute pop

static __always_inline __u32 unread_of(const struct conn *c, const void *sk)
{
	const struct tcp_sock *tp = sk;

	if (c->rec.family == AF_UNIX)
		return BPF_CORE_READ((const struct sock *)sk, sk_receive_queue.qlen);
	__u32 unread = BPF_CORE_READ(tp, rcv_nxt) - BPF_CORE_READ(tp, copied_seq);
	/* The peer's FIN takes one sequence number. */
	if (unread && BPF_CORE_READ((const struct sock *)sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		unread--;
	return unread;
}

static __always_inline void tcp_facts(struct snap_conn *s, const void *sk)
{
	const struct tcp_sock___times *t = sk;

	s->received = BPF_CORE_READ(t, bytes_received);
	s->sent = BPF_CORE_READ(t, bytes_sent);
	s->received_at = BPF_CORE_READ(t, inet_conn.icsk_ack.lrcvtime);
	s->sent_at = BPF_CORE_READ(t, lsndtime);
}

static __always_inline bool responding(const struct conn *c, __u64 now)
{
	__u8 place = c->rec.out.place;

	return place != PLACE_END && (place != PLACE_LOST || now - c->write_exit < SILENT_NS);
}

/* in_use reports whether a connection is worth showing, as far as the kernel side knows.
 * User space finds out whether a response is complete. */
static __noinline bool in_use(struct conn *c, const struct snap_conn *s)
{
	if (!c || !s)
		return false;
	if (s->unread || s->waiter_tid)
		return true;
	if (is_framed_here(c))
		return c->phase == PHASE_READING ||
		       (c->phase == PHASE_RESPONDING && !c->shut && (c->write_enter || responding(c, s->now)));
	if (is_framed_by_user(c))
		/* User space knows whether what was written is a complete response. */
		return c->rec.read_last > c->write_exit || s->now - c->write_exit < SILENT_NS;
	if (c->stage != STAGE_EXISTING || c->existing == EXISTING_ANSWERED)
		return false;
	/* A request came and nothing was sent since. Of unix sockets it is only known that no
	 * thread waits for a request. */
	if (c->rec.family == AF_UNIX)
		return !s->waiter_how;
	return s->received && (!s->sent || (__s32)(s->received_at - s->sent_at) > 0);
}

static __always_inline int see_conn(struct seq_file *seq, struct conn *c)
{
	const struct sock *sk = (const void *)c->rec.sk;
	struct snap_conn s = { SNAP_CONN };
	struct waiter w = {};

	/* A connection that accept has not returned is in a backlog, and counts in its
	 * length. */
	if (!is_served(c) || !BPF_CORE_READ(sk, sk_socket))
		return 0;
	s.unread = unread_of(c, sk);
	s.now = bpf_ktime_get_ns();
	/* Most connections of a host are idle, and few reads show that one is. */
	if (c->stage != STAGE_EXISTING && !has_waiters(wait_queue_of((__u64)sk)) && !in_use(c, &s))
		return 0;
	if (c->rec.family != AF_UNIX)
		tcp_facts(&s, sk);
	blocked_in(&w, (__u64)sk);
	s.waiter_pid = w.pid;
	s.waiter_tid = w.tid;
	s.waiter_how = w.how;
	if (!in_use(c, &s))
		return 0;
	if (!snap_left) {
		snap_cut++;
		return 0;
	}
	snap_left--;
	s.jiffies = bpf_jiffies64();
	s.write_enter = c->write_enter;
	s.write_exit = c->write_exit;
	s.stage = c->stage;
	s.framer = c->framer;
	s.phase = c->phase;
	s.shut = c->shut;
	__u32 heads = heads_end(&c->rec);
	barrier_var(heads);
	if (heads > NAME_MAX + TRACE_MAX + 2 * head_bytes)
		heads = NAME_MAX + TRACE_MAX + 2 * head_bytes;
	__u32 size = (sizeof(c->rec) + heads + 7) & ~7U; /* so that the next message is aligned */
	s.size = sizeof(s) + size;
	bpf_seq_write(seq, &s, sizeof(s));
	bpf_seq_write(seq, &c->rec, size);
	return 0;
}

#endif
