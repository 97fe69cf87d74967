/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The bytes that a call read or wrote, in order, wherever they lie in user memory. What
 * the network carried is a different thing: see struct in and struct out. */
#ifndef LAPWING_PAYLOAD_H
#define LAPWING_PAYLOAD_H

#include "http/buffers.h"

#define MAX_HEAD 1024 /* the most that head_bytes can be */

struct payload {
	const struct iovec *iov; /* user memory; NULL for a plain buffer */
	__u64 segments;
	__u64 next; /* number of the next segment */
	__u64 base; /* start of the rest of the current segment; 0 if it is not visible */
	__u64 len;
	__u64 left; /* in all segments */
	bool file;
	__u8 pad[7];
};

/* payload_of starts with the first of the n bytes that a call moved. */
static __always_inline void payload_of(struct payload *p, const struct vec *v, __u64 n)
{
	p->iov = v->iov;
	p->segments = v->segments;
	p->next = 0;
	p->base = 0;
	p->len = 0;
	p->left = n;
	p->file = v->file;
	if (v->iov)
		return;
	p->base = (__u64)v->base;
	p->len = v->base ? v->len : n;
}

/* payload_segment goes on to the next segment. It returns false if there is none: what is
 * left is not visible. */
static __always_inline bool payload_segment(struct payload *p)
{
	struct iovec seg;

	if (!p->iov || p->next >= p->segments || bpf_probe_read_user(&seg, sizeof(seg), &p->iov[p->next])) {
		p->iov = NULL;
		p->base = 0;
		p->len = p->left;
		return false;
	}
	p->next++;
	p->base = (__u64)seg.iov_base;
	p->len = seg.iov_len;
	return true;
}

/* payload_here returns how many contiguous bytes there are at base. */
static __always_inline __u64 payload_here(const struct payload *p)
{
	return p->len < p->left ? p->len : p->left;
}

static __always_inline void payload_skip(struct payload *p, __u64 n)
{
	if (p->base)
		p->base += n;
	p->len -= n;
	p->left -= n;
}

/* A walk over the bytes of a call, see walk.h. */
struct walk {
	struct payload p;
	__u64 skip;  /* bytes at the front that do not belong to the message */
	__u64 enter; /* when the write was entered */
	__u64 sum;   /* length of all segments */
	__u32 method; /* of the request that is answered */
	__u32 kept;   /* bytes of the head */
	__u8 head[MAX_HEAD + 256];
};

#endif
