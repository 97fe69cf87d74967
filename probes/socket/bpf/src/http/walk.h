/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Framing the bytes of a call one after the other. This is needed when they are cut into
 * segments, when a head is longer than what is captured of it or comes in pieces, and
 * when a body comes in chunks. An ordinary request or response is framed from what is
 * captured, see head.h, and never comes here. */
#ifndef LAPWING_WALK_H
#define LAPWING_WALK_H

#include "http/head.h"

/* Limit of steps in one call. If it is not enough, the end of the message is not known. A
 * chunk takes two steps, a segment one. */
#define WALK_STEPS 4096
#define WALK_STEPS_OLD 24 /* for kernels without loops of any length */
#define VEC_MOST 1024     /* the kernel takes at most this many segments */
#define VEC_MOST_OLD 32
#define OPENING 64 /* how much is kept of what is not HTTP: it shows the protocol */

/* The state of a walk. What the steps count is in the scratch memory: the verifier
 * remembers nothing about values in a map, so all steps look alike to it. */
struct walker {
	struct conn *c;
	struct walk *w;
};

/* walk_block copies the next bytes of the payload, at most `most` and at most 256, to the
 * scratch memory. */
static __always_inline struct block *walk_block(struct payload *p, __u64 most, __u32 *len)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	__u64 n = payload_here(p);

	if (!s || !p->base)
		return NULL;
	barrier_var(n);
	if (n > most)
		n = most;
	if (n > SCAN_BLOCK || bpf_probe_read_user(s->data, n, (void *)p->base))
		return NULL;
	*len = n;
	return (struct block *)s->data;
}

/* walk_lost runs when the bytes that framing needs are not visible. */
static __always_inline long walk_lost(struct framing *f)
{
	f->place = PLACE_LOST;
	return 1;
}

/* walk_body takes what framing need not look at. It returns false if the next bytes have
 * to be read. */
static __always_inline bool walk_body(struct payload *p, struct framing *f)
{
	if (f->place == PLACE_LENGTH || f->place == PLACE_CHUNK)
		payload_skip(p, body_bytes(f, payload_here(p)));
	else if (f->place == PLACE_CLOSE || f->place == PLACE_LOST)
		payload_skip(p, payload_here(p));
	else
		return false;
	return true;
}

/* walk_pre does what is the same for both directions. It returns 2 if the next bytes have
 * to be read, otherwise what the step returns. */
static __always_inline long walk_pre(struct walk *w, struct framing *f)
{
	struct payload *p = &w->p;

	if (!p->left)
		return 1;
	if (!p->len) {
		payload_segment(p);
		return 0;
	}
	if (w->skip) {
		__u64 n = payload_here(p);

		if (n > w->skip)
			n = w->skip;
		payload_skip(p, n);
		w->skip -= n;
		return 0;
	}
	return walk_body(p, f) ? 0 : 2;
}

/* walk_chunks reads what is between chunks. */
static __always_inline long walk_chunks(struct payload *p, struct framing *f)
{
	__u32 len = 0;
	struct block *b = walk_block(p, SIZE_BLOCK, &len);

	if (!b)
		return walk_lost(f);
	payload_skip(p, scan_chunks(b, len, f));
	return 0;
}

/* walk_blank skips line breaks between requests. It returns 1 at anything else. */
static __always_inline long walk_blank(struct walk *w, struct framing *f)
{
	struct payload *p = &w->p;
	__u8 c = 0;

	if (!p->base || bpf_probe_read_user(&c, 1, (void *)p->base))
		return f->place == PLACE_START ? walk_lost(f) : 1;
	if (c != '\r' && c != '\n')
		return 1;
	payload_skip(p, 1);
	return 0;
}

/* walk_keep keeps the n bytes of a block that belong to a head. */
static __always_inline void walk_keep(struct walk *w, const struct block *b, __u32 n)
{
	__u32 kept = w->kept;

	barrier_var(kept);
	barrier_var(n);
	if (kept >= MAX_HEAD || n > SCAN_BLOCK || bpf_probe_read_kernel(&w->head[kept], n, b))
		return;
	w->kept = kept + n;
}

static long walk_request(__u32 i, struct walker *by)
{
	struct conn *c = by->c;
	struct walk *w = by->w;
	struct framing *f = &c->rec.in;
	long pre = walk_pre(w, f);
	__u32 len = 0, used;

	if (pre != 2)
		return pre;
	if (f->place == PLACE_END)
		return walk_blank(w, f);
	if (f->place == PLACE_START && (!walk_blank(w, f) || f->place == PLACE_LOST))
		return f->place == PLACE_LOST;
	if (in_chunk_line(f->place))
		return walk_chunks(&w->p, f);
	struct block *b = walk_block(&w->p, SCAN_BLOCK, &len);
	if (!b)
		return walk_lost(f);
	used = scan_head(b, len, f, (struct trace_value *)c->trace);
	walk_keep(w, b, used);
	c->rec.in_head += used;
	payload_skip(&w->p, used);
	if (f->place == PLACE_BODY)
		request_body(f);
	return 0;
}

static long walk_response(__u32 i, struct walker *by)
{
	struct conn *c = by->c;
	struct walk *w = by->w;
	struct framing *f = &c->rec.out;
	long pre = walk_pre(w, f);
	__u32 len = 0, used;

	if (pre != 2)
		return pre;
	if (f->place == PLACE_END)
		return 1;
	if (in_chunk_line(f->place))
		return walk_chunks(&w->p, f);
	if (f->place == PLACE_START && !is_call(c))
		c->rec.write_first = w->enter;
	struct block *b = walk_block(&w->p, SCAN_BLOCK, &len);
	if (!b)
		return walk_lost(f);
	used = scan_head(b, len, f, NULL);
	walk_keep(w, b, used);
	c->rec.out_head += used;
	payload_skip(&w->p, used);
	if (f->place == PLACE_BODY) {
		response_head_ends(c, f, w->method);
		w->kept = 0;
	}
	return 0;
}

/* walk_begin takes the n bytes of the call that runs on this thread, without the first
 * `skip`. */
static __always_inline struct walk *walk_begin(__u64 n, __u64 skip)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct vec v;

	if (!s)
		return NULL;
	user_vec(&v);
	payload_of(&s->walk.p, &v, n);
	s->walk.skip = skip;
	s->walk.sum = 0;
	s->walk.kept = 0;
	return &s->walk;
}

/* walk_in_bytes frames n bytes of a read, without the first `skip`, and returns how many
 * are left after the end of the request. */
__noinline __u64 walk_in_bytes(struct conn *c, __u64 n, __u64 skip)
{
	if (!c)
		return 0;
	struct walker by = { c, walk_begin(n + c->ahead, skip + c->ahead) };

	if (!by.w)
		return 0;
	REPEAT(WALK_STEPS, WALK_STEPS_OLD, walk_request, &by);
	if (!by.w->p.left || c->rec.in.place == PLACE_END)
		return by.w->p.left;
	c->rec.in.place = PLACE_LOST;
	return 0;
}

/* walk_out_bytes does the same for a write. Bytes after the end of a response belong to
 * no message. */
__noinline int walk_out_bytes(struct conn *c, __u64 n, __u64 skip, __u64 enter, __u32 method)
{
	struct walker by = { c, walk_begin(n, skip) };

	if (!c || !by.w)
		return 0;
	by.w->enter = enter;
	by.w->method = method;
	REPEAT(WALK_STEPS, WALK_STEPS_OLD, walk_response, &by);
	if (by.w->p.left && c->rec.out.place != PLACE_END)
		c->rec.out.place = PLACE_LOST;
	return 0;
}

/* keep_walked appends what a walk kept of a head to that head, which is *len bytes long. */
static __always_inline void keep_walked(struct conn *c, __u16 *len)
{
	struct record *r = &c->rec;
	__u32 at = heads_end(r), zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s || !s->walk.kept || *len >= head_bytes)
		return;
	__u64 take = head_bytes - *len, kept = s->walk.kept;

	if (take > kept)
		take = kept;
	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + TRACE_MAX + head_bytes ||
	    bpf_probe_read_kernel(&r->bytes[at], take, s->walk.head))
		return;
	*len += take;
}

static __noinline int keep_walked_in(struct conn *c)
{
	if (!c->sealed)
		keep_walked(c, &c->rec.req_len);
	keep_trace(c);
	return 0;
}

static __noinline int keep_walked_out(struct conn *c)
{
	keep_walked(c, &c->rec.resp_len);
	return 0;
}

/* walk_in and walk_out are inline because nested calls share little stack. */
static __always_inline __u64 walk_in(struct conn *c, __u64 n, __u64 skip)
{
	bool head = c->rec.in.place <= PLACE_VALUE;
	__u64 excess = walk_in_bytes(c, n, skip);

	if (head)
		keep_walked_in(c);
	return excess;
}

static __always_inline void walk_out(struct conn *c, __u64 n, __u64 skip, __u64 enter)
{
	bool head = c->rec.out.place <= PLACE_VALUE;

	walk_out_bytes(c, n, skip, enter, method_of(&c->rec));
	if (head)
		keep_walked_out(c);
}

static long keep_step(__u32 i, struct walker *by)
{
	struct payload *p = &by->w->p;
	__u32 len = 0;

	if (!p->left || by->w->kept >= OPENING)
		return 1;
	if (!p->len)
		return payload_segment(p) ? 0 : 1;
	struct block *b = walk_block(p, OPENING, &len);
	if (!b)
		return 1;
	walk_keep(by->w, b, len);
	payload_skip(p, len);
	return 0;
}

/* walk_opening looks at the first of n bytes that do not start HTTP. */
__noinline int walk_opening(__u64 n)
{
	struct walker by = { NULL, walk_begin(n, 0) };

	if (by.w)
		REPEAT(VEC_MOST, VEC_MOST_OLD, keep_step, &by);
	return 0;
}

static long vec_step(__u32 i, struct walker *by)
{
	struct payload *p = &by->w->p;

	if (!p->iov || !payload_segment(p))
		return 1;
	by->w->sum += p->len;
	return 0;
}

/* asked_for returns how many bytes the vector of the call on this thread has. */
__noinline __u64 asked_for(void)
{
	struct walker by = { NULL, walk_begin(0, 0) };

	if (!by.w)
		return 0;
	REPEAT(VEC_MOST, VEC_MOST_OLD, vec_step, &by);
	return by.w->sum;
}

/* asked_more reports whether a call that wrote n bytes was asked to write more. */
static __always_inline bool asked_more(const struct vec *v, __u64 n)
{
	if (likely(v->want))
		return v->want > n;
	return v->iov && asked_for() > n;
}

#endif
