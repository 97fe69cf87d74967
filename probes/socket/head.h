/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The head of a request: what is kept of it, and where it ends. */
#ifndef LAPWING_HEAD_H
#define LAPWING_HEAD_H

#include "handout.h"

/* A head is kept without holes: where bytes in the middle could not be seen,
 * what comes behind them is not appended. */
#define SEAL_REQUEST 1
#define SEAL_RESPONSE 2

#define BLANK_LINE 0x0a0d0a0d

/* capture_at appends up to n bytes of user memory to a head that has `have`
 * bytes, and returns how many it took. */
static __always_inline __u32 capture_at(struct record *r, __u32 at, __u32 have, const void *from, __u64 n)
{
	if (have >= head_bytes || !from)
		return 0;
	__u64 room = head_bytes - have;
	__u64 take = n > room ? room : n; /* 6.1 must see all 64 bits compared */

	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + 2 * head_bytes)
		return 0;
	if (bpf_probe_read_user(&r->bytes[at], take, from))
		return 0;
	return take;
}

/* gather copies to the scratch memory what a call read or wrote, of n bytes
 * those behind the first `skip`, up to so many. They are in a vector whose
 * first segment that is not empty has `skip` bytes. */
__noinline __u32 gather(__u64 n, __u32 skip, __u32 most)
{
	__u32 zero = 0, done = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct iovec seg;
	__u64 passed = 0;
	struct vec v;

	user_vec(&v);
	if (!s || !v.iov || most > MAX_HEAD)
		return 0;
	for (int i = 0; i < VEC_SEGMENTS; i++) {
		if (i >= v.segments || passed >= n || bpf_probe_read_user(&seg, sizeof(seg), &v.iov[i]))
			break;
		__u64 len = n - passed < seg.iov_len ? n - passed : seg.iov_len;

		passed += len;
		if (passed <= skip)
			continue;
		if (len > most - done)
			len = most - done;
		barrier_var(done);
		if (done > MAX_HEAD || len > MAX_HEAD || bpf_probe_read_user(s->data + done, len, seg.iov_base))
			break;
		done += len;
	}
	return done;
}

/* capture appends what a call read or wrote to a head that has `have` bytes,
 * and returns how many it took: of a vector the first segment's. */
static __always_inline __u32 capture(struct conn *c, __u8 seal, __u32 have, const struct vec *v, __u64 n)
{
	struct record *r = &c->rec;

	if (unlikely(c->sealed & seal))
		return 0;
	__u32 took = capture_at(r, r->name_len + r->req_len + r->resp_len, have, v->base, shown(v, n));
	__u8 rest = took != n ? seal : 0;

	barrier_var(rest);
	c->rest = rest;
	c->rest_at = took;
	return took;
}

/* capture_rest goes on behind the first segment, when all else that the call
 * means is known. A head that is whole needs no more. */
static __noinline int capture_rest(struct conn *c, __u64 n)
{
	__u32 zero = 0;

	if (!c)
		return 0;
	struct record *r = &c->rec;
	__u8 seal = c->rest;
	__u16 *len = seal == SEAL_REQUEST ? &r->req_len : &r->resp_len;
	__u32 at = r->name_len + r->req_len + r->resp_len, last = at - 4, took = c->rest_at;

	c->sealed |= seal;
	c->rest = 0;
	barrier_var(last);
	if (!took || *len >= head_bytes || (took >= 4 && last <= NAME_MAX + 2 * head_bytes && *(__u32 *)&r->bytes[last] == BLANK_LINE))
		return 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 0;
	__u64 take = gather(n, took, head_bytes - *len);
	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + 2 * head_bytes || bpf_probe_read_kernel(&r->bytes[at], take, s->data))
		return 0;
	*len += take;
	if (took + take == n)
		c->sealed &= ~seal; /* nothing is missing */
	return 0;
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
	__u64 visible = shown(v, n);

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
