/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The last bytes of a response, which tell whether a chunked one is over. With
 * a Content-Length they are not needed. To look for it in every head would cost
 * as much as reading them, but a server puts it at the same place of one head
 * after the other. */
#ifndef LAPWING_TAIL_H
#define LAPWING_TAIL_H

#include "handout.h"

#define METHOD_HEAD 0x44414548 /* "HEAD" */
#define LENGTH_NOWHERE 1 /* in conn.length_at: there was none */

static __always_inline bool is_length(const __u8 *p)
{
	const __u64 fold = 0x2020202020202020ULL;

	return p[0] == '\n' && (*(__u64 *)(p + 1) | fold) == 0x2d746e65746e6f63ULL &&
	       (*(__u64 *)(p + 8) | fold) == 0x3a6874676e656c2dULL;
}

static __always_inline bool is_head(struct record *r)
{
	__u32 name = r->name_len;

	barrier_var(name);
	return name <= NAME_MAX && *(__u32 *)&r->bytes[name] == METHOD_HEAD;
}

/* has_length tells that the response is a 200, to something else than HEAD,
 * with a Content-Length where the connection's second response had one. */
static __always_inline bool has_length(struct conn *c)
{
	struct record *r = &c->rec;
	__u32 at = r->name_len + r->req_len, where = c->length_at;

	if (r->seq < 2 || where == LENGTH_NOWHERE || r->resp_len < 12 || is_head(r))
		return false;
	barrier_var(at);
	if (at > NAME_MAX + head_bytes)
		return false;
	const __u8 *head = &r->bytes[at];
	if (*(__u32 *)(head + 8) != 0x30303220) /* " 200" */
		return false;
	if (!where) {
		where = length_header((struct block *)head, r->resp_len);
		c->length_at = where ? where : LENGTH_NOWHERE;
	}
	if (where > r->resp_len)
		return false;
	where -= 16;
	barrier_var(where);
	return where < SCAN_BLOCK - 16 && is_length(head + where);
}

/* note_tail keeps the last bytes of a write, which end a chunked response,
 * unless the captured head has or tells them. */
static __always_inline void note_tail(struct conn *c, const struct vec *v, __u64 n)
{
	struct record *r = &c->rec;
	__u32 len = n > 8 ? 8 : n;

	r->tail_len = 0;
	if (r->resp_len == r->response_bytes || !v->end || v->want != n || has_length(c))
		return;
	if (!bpf_probe_read_user(r->tail, len, v->end - len))
		r->tail_len = len;
}

#endif
