/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The head of a request or response: what is kept of it, and where it ends. */
#ifndef LAPWING_HEAD_H
#define LAPWING_HEAD_H

#include "conn/handout.h"

/* heads_end returns where the heads that a record has so far end. */
static __always_inline __u32 heads_end(const struct record *r)
{
	return r->name_len + r->req_len + r->trace_len + r->resp_len;
}

/* capture_at appends up to n bytes of user memory to a head that has `have` bytes, and
 * returns how many it took. */
static __always_inline __u32 capture_at(struct record *r, __u32 at, __u32 have, const void *from, __u64 n)
{
	if (have >= head_bytes || !from)
		return 0;
	__u64 room = head_bytes - have;
	__u64 take = n > room ? room : n; /* Linux 6.1 must see all 64 bits compared */

	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + TRACE_MAX + 2 * head_bytes)
		return 0;
	if (bpf_probe_read_user(&r->bytes[at], take, from))
		return 0;
	return take;
}

/* keep_trace puts the traceparent after the captured part of the request's head, if the
 * captured part may not contain it. */
static __always_inline void keep_trace(struct conn *c)
{
	struct record *r = &c->rec;
	__u32 at = heads_end(r);

	if (!(r->in.flags & SAID_TRACE) || r->in.place <= PLACE_VALUE)
		return;
	barrier_var(at);
	if (r->in_head <= r->req_len || r->resp_len || r->trace_len || at > NAME_MAX + head_bytes)
		return;
	bpf_probe_read_kernel(&r->bytes[at], TRACEPARENT, c->trace);
	r->trace_len = TRACEPARENT;
}

/* method_of returns the first four letters of the request. */
static __always_inline __u32 method_of(const struct record *r)
{
	__u32 name = r->name_len;

	barrier_var(name);
	return name <= NAME_MAX ? *(const __u32 *)&r->bytes[name] : 0;
}

/* interim_ends runs at the end of an interim response: what was written so far was not
 * the response. */
static __always_inline void interim_ends(struct conn *c, struct framing *f)
{
	struct record *r = &c->rec;

	if (f->status == 100)
		r->marks |= MARK_CONTINUED;
	r->resp_len = 0;
	r->out_head = 0;
	framing_begins(f);
	if (unlikely(is_call(c))) {
		r->read_first = r->read_last = 0;
		return;
	}
	r->write_first = r->write_last = 0;
	r->blocked = r->produce = 0;
}

/* response_head_ends runs when the head of a response is complete. Its bytes are not
 * needed any more. */
static __always_inline void response_head_ends(struct conn *c, struct framing *f, __u32 method)
{
	bool tunnel = f->status == 101 || (f->status / 100 == 2 && method == METHOD_CONNECT);

	c->rec.resp_len = 0;
	if (f->status < 200 && !tunnel) {
		interim_ends(c, f);
		return;
	}
	if (tunnel)
		c->rec.marks |= MARK_UPGRADED;
	response_body(f, tunnel || method == METHOD_HEAD);
}

#endif
