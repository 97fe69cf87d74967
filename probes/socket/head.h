/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The head of a request: what is kept of it, and where it ends. */
#ifndef LAPWING_HEAD_H
#define LAPWING_HEAD_H

#include "handout.h"

/* capture appends up to n bytes of user memory to the heads and returns how
 * many it took; have is what the head it belongs to has so far. */
static __always_inline __u32 capture(struct record *r, __u32 have, const void *from, __u64 n)
{
	__u32 at = r->name_len + r->req_len + r->resp_len;

	if (have >= head_bytes || !from)
		return 0;
	__u32 room = head_bytes - have;
	__u32 take = n > room ? room : n;
	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + 2 * head_bytes)
		return 0;
	if (bpf_probe_read_user(&r->bytes[at], take, from))
		return 0;
	return take;
}

/* captured_end looks for the end of a head in what was captured of this read:
 * the last `took` bytes of the captured request head. */
static __always_inline __u32 captured_end(struct conn *c, __u32 took)
{
	struct record *r = &c->rec;
	__u32 at = r->name_len + r->req_len - took;

	for (__u32 block = 0; block < MAX_HEAD / SCAN_BLOCK; block++, at += SCAN_BLOCK) {
		barrier_var(at);
		if (!took || at > NAME_MAX + head_bytes)
			break;
		__u32 n = took > SCAN_BLOCK ? SCAN_BLOCK : took;
		__u32 end = blank_line((struct block *)&r->bytes[at], n, c->last_byte);
		if (end)
			return block * SCAN_BLOCK + end;
		__u32 last = at + n - 1;
		barrier_var(last);
		if (last < NAME_MAX + 2 * head_bytes)
			c->last_byte = r->bytes[last];
		took -= n;
	}
	return 0;
}

/* head_progress takes n more bytes of a request's head into account, of which
 * the first `took` were captured. */
static __always_inline void head_progress(struct conn *c, const struct vec *v, __u64 n, __u32 took)
{
	struct record *r = &c->rec;
	__u32 name = r->name_len;
	__u32 end = captured_end(c, took);
	__u64 visible = n < v->len ? n : v->len;

	if (unlikely(!end && visible > took) && v->base) {
		end = scan_rest((__u64)v->base + took, visible - took, c->last_byte);
		if (end)
			end += took;
		else
			bpf_probe_read_user(&c->last_byte, 1, v->base + visible - 1);
	}
	if (!end)
		return;
	c->head_end = r->request_bytes + end;
	c->expect = c->head_end;
	barrier_var(name);
	if (name > NAME_MAX || r->bytes[name] != 'P') /* POST, PUT, PATCH, PROPFIND, … */
		return;
	c->expect = content_length((struct block *)&r->bytes[name], r->req_len);
	if (c->expect != NEVER_ENDS)
		c->expect += c->head_end;
}

#endif
