/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What the network brought, and when: arrivals of bytes, and of segments that only
 * acknowledge. */
#ifndef LAPWING_ARRIVAL_H
#define LAPWING_ARRIVAL_H

#include "conn/handout.h"

/* forget_read makes room for an arrival if only the newest mark is of bytes that were not
 * read yet. A server that always leaves some bytes unread never has an empty queue. */
static __always_inline void forget_read(struct conn *c, __u32 unread)
{
	const struct mark_in *newest = &c->marks_in[MARKS_IN - 1];

	if ((__s32)(newest->seq - unread) > 0)
		return;
	c->in_before = c->in_first;
	c->before_end = c->marks_in[0].seq;
	c->in_first = newest->at;
	c->in_seq = newest->seq;
	c->marks = 0;
}

/* mark_arrival notes an arrival that follows unread bytes. */
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

/* What came with an arrival: the number of its first byte, of the byte after its last,
 * and of the first unread byte. */
struct arrival {
	__u32 seq;
	__u32 end;
	__u32 unread;
	bool empty; /* all bytes before it were read */
};

/* The server's side reads the arrivals while the network's side changes them, without a
 * lock. The version shows the reader that they changed meanwhile. (On unix sockets
 * several threads may change them at once: the last one to finish makes the version
 * even.) */
#ifdef __TARGET_ARCH_x86
#define set_version(c, v) \
	do { \
		barrier(); \
		(c)->in_version = (v); \
		barrier(); \
	} while (0) /* stores keep their order */
#else
#define set_version(c, v) __sync_lock_test_and_set(&(c)->in_version, (v))
#endif

/* on_arrival runs when bytes were queued on the socket. */
static __always_inline void on_arrival(struct conn *c, __u64 now, const struct arrival *a)
{
	/* The kernel skips a run that interrupts another run of the same program. */
	bool missed = (__s32)(a->seq - c->in_end) > 0;
	__u32 from = c->in_end;

	set_version(c, c->in_version | 1);
	c->in_last = now;
	c->in_end = a->end;
	if (a->empty || !c->in_first) {
		c->in_before = c->in_first;
		c->before_end = c->marks ? c->marks_in[0].seq : from;
		c->in_first = now;
		c->in_seq = a->seq;
		c->marks = 0;
	} else {
		if (unlikely(missed))
			mark_arrival(c, 0, from, a->unread);
		mark_arrival(c, now, a->seq, a->unread);
	}
	set_version(c, (c->in_version | 1) + 1);
}

/* arrival_at returns when the byte with number seq arrived, or 0 if that is not known. */
static __always_inline __u64 arrival_at(const struct inbound *b, __u32 seq)
{
	__u64 at = b->in_first;

	if ((__s32)(seq - b->in_end) >= 0)
		return 0;
	/* The newest arrival may be of bytes after those that were read. */
	if (at && (__s32)(b->in_seq - seq) > 0)
		return (__s32)(b->before_end - seq) > 0 ? b->in_before : 0;
	for (int i = 0; i < MARKS_IN; i++) {
		if (i >= b->marks || (__s32)(b->marks_in[i].seq - seq) > 0)
			return at;
		at = b->marks_in[i].at;
	}
	return b->marks > MARKS_IN ? 0 : at;
}

static __always_inline __u32 version_of(const struct inbound *b)
{
	barrier();
	return *(volatile const __u32 *)&b->in_version;
}

/* arrivals_apart finds when the bytes that were read arrived. It is for bytes that did
 * not arrive all at once, and for arrivals that change at this moment. */
__noinline int arrivals_apart(const struct inbound *b, struct in *in, __u32 end)
{
	if (!b || !in)
		return 0;
	for (int i = 0; i < 4; i++) {
		__u32 version = version_of(b);

		barrier();
		in->arrived = arrival_at(b, end - in->wire);
		in->arrived_last = arrival_at(b, end - 1);
		if (!(version & 1) && version_of(b) == version)
			return 0;
	}
	in->arrived = in->arrived_last = 0;
	return 0;
}

/* note_piece notes an arrival of bytes between start and end. */
static __always_inline void note_piece(struct event *e, __u32 start, __u32 end, __u32 seq, __u64 at)
{
	__u32 i = e->pieces_len;

	if ((__s32)(seq - start) <= 0 || (__s32)(seq - end) >= 0)
		return;
	barrier_var(i);
	if (i >= PIECES)
		return;
	e->pieces[i].at = at;
	e->pieces[i].offset = seq - start;
	e->pieces[i].pad = 0;
	e->pieces_len = i + 1;
}

/* arrival_pieces adds to the event in the scratch memory which of the bytes from start to
 * end did not arrive with the first. */
__noinline int arrival_pieces(const struct inbound *b, __u32 start, __u32 end)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s || !b)
		return 0;
	struct event *e = &s->event;
	__u32 version = version_of(b);

	barrier();
	e->pieces_len = 0;
	note_piece(e, start, end, b->before_end, 0);
	note_piece(e, start, end, b->in_seq, b->in_first);
	for (int i = 0; i < MARKS_IN; i++)
		if (i < b->marks)
			note_piece(e, start, end, b->marks_in[i].seq, b->marks_in[i].at);
	note_piece(e, start, end, b->in_end, 0);
	if (b->marks > MARKS_IN || version & 1 || version_of(b) != version)
		e->pieces_len = PIECES_UNKNOWN;
	return 0;
}

/* arrivals finds when the bytes that were just read arrived. They are the bytes before
 * number end. */
static __always_inline void arrivals(struct conn *c, struct in *in, __u32 end)
{
	const struct inbound *b = (struct inbound *)c;
	__u32 version = version_of(b);

	barrier();
	if (likely(!b->marks && (__s32)(b->in_seq - end) < 0 && (__s32)(end - b->in_end) <= 0)) {
		in->arrived = b->in_first;
		in->arrived_last = b->in_last;
		if (likely(!(version & 1) && version_of(b) == version))
			return;
	}
	arrivals_apart(b, in, end);
}

/* on_ack runs when a segment without bytes arrived. settle_ack finds out whether it
 * acknowledges a response, once the end of the response is known. */
static __always_inline void on_ack(struct conn *c, __u64 now, __u32 ack_seq)
{
	/* Keep the first with this number: later ones only open the window. */
	if (c->ack_only && c->ack_seq == ack_seq)
		return;
	c->ack_only = now;
	c->ack_seq = ack_seq;
}

#endif
