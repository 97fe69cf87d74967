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

/* on_arrival: bytes were queued on the socket; empty tells that none were
 * there before, seq numbers the first of them, unread the first that was not
 * read yet. */
static __always_inline void on_arrival(struct conn *c, __u64 now, bool empty, __u32 seq, __u32 unread)
{
	c->in_last = now;
	if (empty || !c->in_first) {
		c->in_before = c->in_first;
		c->in_first = now;
		c->in_seq = seq;
		c->marks = 0;
		return;
	}
	if (unlikely(c->marks == MARKS_IN))
		forget_read(c, unread);
	__u32 at = c->marks;
	if (at < MARKS_IN) {
		c->marks_in[at].at = now;
		c->marks_in[at].seq = seq;
	}
	if (at <= MARKS_IN)
		c->marks = at + 1;
}

/* arrival_at returns when the byte with number seq arrived, 0 if not known. */
static __always_inline __u64 arrival_at(struct conn *c, __u32 seq)
{
	__u64 at = c->in_first;

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
	if (!c->marks && (__s32)(c->in_seq - end) < 0) {
		in->arrived = c->in_first;
		in->arrived_last = c->in_last;
		return;
	}
	in->arrived = arrival_at(c, end - in->n);
	in->arrived_last = arrival_at(c, end - 1);
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
