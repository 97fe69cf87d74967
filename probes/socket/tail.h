/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The last bytes of a response, which tell whether a chunked one is over. With
 * a Content-Length they are not needed. To look for it in every head would cost
 * as much as reading them, but a server puts it at the same place of one head
 * after the other. */
#ifndef LAPWING_TAIL_H
#define LAPWING_TAIL_H

#include "handout.h"

#define LENGTH_NOWHERE 1 /* in conn.length_at: there was none */

static __always_inline bool is_length(const __u8 *p)
{
	const __u64 fold = 0x2020202020202020ULL;

	return p[0] == '\n' && (*(__u64 *)(p + 1) | fold) == 0x2d746e65746e6f63ULL &&
	       (*(__u64 *)(p + 8) | fold) == 0x3a6874676e656c2dULL;
}

/* has_length tells that the response is a 200, to something else than HEAD,
 * with a Content-Length where the connection's second response had one. */
static __always_inline bool has_length(struct conn *c)
{
	struct record *r = &c->rec;
	__u32 name = r->name_len, at = name + r->req_len, where = c->length_at;

	if (r->seq < 2 || where == LENGTH_NOWHERE || r->resp_len < 12)
		return false;
	barrier_var(name);
	barrier_var(at);
	if (name > NAME_MAX || at > NAME_MAX + head_bytes || r->bytes[name] == 'H')
		return false;
	const __u8 *head = &r->bytes[at];
	if (*(__u32 *)(head + 8) != 0x30303220) /* " 200" */
		return false;
	if (!where) {
		where = length_header((struct block *)head, r->resp_len);
		c->length_at = where ? where : LENGTH_NOWHERE;
	}
	barrier_var(where);
	return where >= 16 && where < SCAN_BLOCK && where <= r->resp_len && is_length(head + where - 16);
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
