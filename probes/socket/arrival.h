/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What the network brought, and when: arrivals of bytes, and of segments that
 * only acknowledge. */
#ifndef LAPWING_ARRIVAL_H
#define LAPWING_ARRIVAL_H

#include "handout.h"

/* forget_read makes room for an arrival where only the newest mark is of bytes
 * that were not read yet. A server that always leaves some bytes unread never
 * has its queue seen empty. */
static __always_inline void forget_read(struct conn *c, __u32 unread)
{
	const struct mark_in *newest = &c->marks_in[MARKS_IN - 1];

	if ((__s32)(newest->seq - unread) > 0)
		return;
	c->in_before = c->in_first;
	c->in_first = newest->at;
	c->in_seq = newest->seq;
	c->marks = 0;
}

/* mark_arrival notes an arrival behind bytes that were not read yet. */
static __noinline int mark_arrival(struct conn *c, __u64 at, __u32 seq, __u32 unread)
{
	if (!c)
		return 0;
	if (unlikely(c->marks == MARKS_IN))
		forget_read(c, unread);
	__u32 i = c->marks;
	if (i < MARKS_IN) {
		c->marks_in[i].at = at;
		c->marks_in[i].seq = seq;
	}
	if (i <= MARKS_IN)
		c->marks = i + 1;
	return 0;
}

/* What came with an arrival: the numbers of its first byte, of the byte after
 * its last, and of the first byte that was not read yet. */
struct arrival {
	__u32 seq;
	__u32 end;
	__u32 unread;
	bool empty; /* all before it was read */
};

/* on_arrival: bytes were queued on the socket. The caller sets in_end at the
 * end: what it covers is known then. */
static __always_inline void on_arrival(struct conn *c, __u64 now, const struct arrival *a)
{
	/* The kernel passes a program over that it interrupted in a run. */
	bool missed = (__s32)(a->seq - c->in_end) > 0;
	__u32 from = c->in_end;

	c->in_last = now;
	if (a->empty || !c->in_first) {
		c->in_before = missed ? 0 : c->in_first;
		c->in_first = now;
		c->in_seq = a->seq;
		c->marks = 0;
		return;
	}
	if (unlikely(missed))
		mark_arrival(c, 0, from, a->unread);
	mark_arrival(c, now, a->seq, a->unread);
}

/* arrival_at returns when the byte with number seq arrived, 0 if not known. */
static __always_inline __u64 arrival_at(struct conn *c, __u32 seq, __u32 known)
{
	__u64 at = c->in_first;

	if ((__s32)(seq - known) >= 0)
		return 0;
	/* The newest arrival may be of bytes behind those that were read. */
	if (at && (__s32)(c->in_seq - seq) > 0)
		return c->in_before;
	for (int i = 0; i < MARKS_IN; i++) {
		if (i >= c->marks || (__s32)(c->marks_in[i].seq - seq) > 0)
			return at;
		at = c->marks_in[i].at;
	}
	return c->marks > MARKS_IN ? 0 : at;
}

/* arrivals finds when the bytes that were just read arrived: those before
 * number end. */
static __always_inline void arrivals(struct conn *c, struct in *in, __u32 end)
{
	__u32 known = *(volatile __u32 *)&c->in_end;

	barrier();
	if (!c->marks && (__s32)(c->in_seq - end) < 0 && (__s32)(end - known) <= 0) {
		in->arrived = c->in_first;
		in->arrived_last = c->in_last;
		return;
	}
	in->arrived = arrival_at(c, end - in->n, known);
	in->arrived_last = arrival_at(c, end - 1, known);
}

/* on_ack: a segment without bytes arrived. Whether it acknowledges a response
 * is found out by settle_ack, where the response's end is known. */
static __always_inline void on_ack(struct conn *c, __u64 now, __u32 ack_seq)
{
	/* The first with this number: later ones only open the window. */
	if (c->ack_only && c->ack_seq == ack_seq)
		return;
	c->ack_only = now;
	c->ack_seq = ack_seq;
}

#endif
