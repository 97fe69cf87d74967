/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Kept-alive TCP connections that were idle for long. Their state is reduced to what the
 * next request needs. Two walks do that, long after each other: the first only marks the
 * connection. A hook that finds the mark takes it off. So at the second walk no hook can
 * be in the middle of using the state. */
#ifndef LAPWING_REST_H
#define LAPWING_REST_H

#include "conn/existing.h"
#include "snapshot/waiters.h"

/* The number of the walk that lets connections rest, above RESTING_GONE; 0 in other walks.
 * One walk can visit a connection several times, so the mark is the walk's number. */
__u32 rest_now = 0;
__u64 rest_ns = 10000000000ULL; /* after this much time without a request */

/* Set once a connection rests: then a socket without state can have a short one. */
__u32 rested;

#define RESTING_GONE 1 /* the state is being removed: not to be used any more */

/* may_rest reports whether nothing happens on a connection, and nothing is left to be
 * reported. If a thread waits in a read of it, it holds a worker, and is shown. */
static __noinline bool may_rest(struct conn *c, __u64 now)
{
	const struct tcp_sock *tp = (const void *)c->rec.sk;

	/* A segment without bytes ends a rest as well: then there is no request. */
	bool idle = c->phase == PHASE_IDLE && !c->pending && !c->write_enter;

	if (!is_framed_here(c) || !(idle || (c->reported && is_complete(c))) || now < c->write_exit + rest_ns)
		return false;
	if (c->rec.family == AF_UNIX || c->gone || c->shut || c->parked || c->multipath || c->proxy_left ||
	    c->rec.name_len || c->rec.marks & MARK_UPGRADED)
		return false;
	if (BPF_CORE_READ((const struct sock *)tp, __sk_common.skc_state) != TCP_ESTABLISHED ||
	    BPF_CORE_READ(tp, rcv_nxt) != BPF_CORE_READ(tp, copied_seq))
		return false;
	return !has_waiters(wait_queue_of((__u64)tp));
}

/* ready_to_rest reports whether a connection was marked by an earlier walk and is still
 * idle. If it was not marked, it is now. */
static __noinline bool ready_to_rest(struct conn *c)
{
	if (!c)
		return false;
	__u32 mark = c->resting;
	bool may = may_rest(c, bpf_ktime_get_ns());

	if (mark == RESTING_GONE || (may && mark == rest_now))
		return false;
	if (may && mark)
		return true;
	__sync_val_compare_and_swap(&c->resting, mark, may ? rest_now : 0);
	return false;
}

/* rest_takes notes in r what the next request needs of c. It hands out the last request
 * for good. */
static __noinline int rest_takes(struct rest *r, struct conn *c)
{
	if (!r || !c)
		return 0;
	r->conn = c->rec.conn;
	r->established = c->rec.established;
	r->accepted = c->rec.accepted;
	r->caller = c->rec.caller;
	r->acceptor_tid = c->rec.acceptor_tid;
	r->seq = c->rec.seq;
	r->read_seq = c->read_seq;
	r->handled_seq = c->handled_seq;
	r->existing = c->existing;
	r->proxy = c->proxy;
	r->taken = 0;
	hand_out(c);
	return 0;
}

/* rest_ends reports whether the state can be removed: no hook has met the connection. */
static __always_inline bool rest_ends(struct conn *c)
{
	__u32 mark = c->resting;

	rested = 1;
	if (mark <= RESTING_GONE || __sync_val_compare_and_swap(&c->resting, mark, RESTING_GONE) != mark)
		return false;
	count(STAT_RESTED);
	return true;
}

/* rest_over takes off the mark. It returns NULL if the state is being removed. */
static __always_inline struct conn *rest_over(struct conn *c)
{
	__u32 mark = c->resting;

	if (mark == RESTING_GONE || __sync_val_compare_and_swap(&c->resting, mark, 0) == RESTING_GONE)
		return NULL;
	return c;
}

/* rest_gives fills in the state of a connection that rested, once. */
static __noinline int rest_gives(struct conn *c, struct rest *r, __u64 sk)
{
	if (!c || !r || __sync_lock_test_and_set(&r->taken, 1))
		return 0;
	c->rec.conn = r->conn;
	c->rec.sk = sk;
	c->rec.family = BPF_CORE_READ((const struct sock *)sk, __sk_common.skc_family);
	inet_addresses_at(c, sk);
	c->rec.established = r->established;
	c->rec.accepted = r->accepted;
	c->rec.caller = r->caller;
	c->rec.acceptor_tid = r->acceptor_tid;
	c->rec.seq = r->seq;
	c->rec.in.place = c->rec.out.place = PLACE_END;
	c->read_seq = r->read_seq;
	c->handled_seq = r->handled_seq;
	c->existing = r->existing;
	c->proxy = r->proxy;
	c->phase = PHASE_IDLE;
	c->state = STATE(STAGE_KNOWN, ROLE_SERVER, FRAMER_KERNEL);
	note_tcp_use(); /* so that it can rest again, also without a request */
	return 0;
}

/* idle_at looks at a connection in a map by address. */
static __noinline int idle_at(struct conn *c)
{
	if (!c)
		return 0;
	if (rest_now)
		return rest_at(c);
	if (unlikely(c->gone)) {
		gone_unread(c);
		return 0;
	}
	if (c->phase != PHASE_RESPONDING && idle_ns)
		return 0;
	on_quiet(c, bpf_ktime_get_ns());
	if (waits_for_quiet(c)) {
		unix_used = 1;
		note_tcp_use();
	}
	return 0;
}

static __always_inline int gone_at(struct conn *c)
{
	if (c && c->rec.family == AF_UNIX && gone(c))
		unix_left(c->rec.sk);
	return 0;
}

#endif
