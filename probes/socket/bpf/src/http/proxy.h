/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The PROXY protocol: a header in which a balancer describes its client, before the
 * client's first byte. It is not part of any request. If there is room (NAME_MAX), its
 * bytes are appended to the socket's name in the record, so that user space can read the
 * client's address. */
#ifndef LAPWING_PROXY_H
#define LAPWING_PROXY_H

#include "http/head.h"

#define PROXY_MAX 107 /* longest header in text, with its line break */
#define PROXY_FIXED 16 /* bytes of a binary header before those that its length counts */
#define ALL_TAKEN (~0ULL)

enum proxy { PROXY_NONE, PROXY_COLLECTING, PROXY_OVER };

/* proxy_begins reports whether the first bytes of a connection are of such a header:
 * "PROXY ", or the signature of the binary form. */
static __always_inline bool proxy_begins(__u64 w, __u64 n)
{
	return (n >= 6 && (w & 0xffffffffffffULL) == 0x2059584f5250ULL) || (n >= 8 && w == 0x510a0d000a0d0a0dULL);
}

/* proxy_end returns the length of the header of which n bytes are available, or 0 if
 * these do not show it. */
__noinline __u32 proxy_end(const struct block *b, __u32 n)
{
	if (!b)
		return 0;
	if (b->bytes[0] != 'P')
		return n < PROXY_FIXED ? 0 : PROXY_FIXED + (b->bytes[14] << 8 | b->bytes[15]);
	for (__u32 i = 0; i < PROXY_MAX; i++) {
		barrier_var(n); /* Linux 6.1 must see the loop's own bound */
		if (i >= n)
			break;
		if (b->bytes[i] == '\n')
			return i + 1;
	}
	return 0;
}

/* proxy_keep adds a header, of which `have` bytes are available, to the name. */
static __always_inline void proxy_keep(struct record *r, __u32 have)
{
	if (r->name_len + have > NAME_MAX)
		return;
	r->name_len += have;
	r->marks |= MARK_PROXIED;
}

/* proxy_read takes the header's bytes of a read. It returns their number, or ALL_TAKEN if
 * the read has no others. */
static __noinline __u64 proxy_read(struct conn *c, const struct vec *v, const struct in *in)
{
	struct record *r = &c->rec;
	__u32 name = r->name_len, had = r->req_len, end = c->proxy_left + had;
	__u64 take = shown(v, in->n);

	if (!c->proxy_left) {
		__u32 at = name + had;

		if (take > PROXY_MAX - had)
			take = PROXY_MAX - had;
		barrier_var(take);
		barrier_var(at);
		barrier_var(name);
		if (take > PROXY_MAX || at > NAME_MAX + PROXY_MAX || name > NAME_MAX ||
		    bpf_probe_read_user(&r->bytes[at], take, v->base))
			return ALL_TAKEN;
		end = proxy_end((struct block *)&r->bytes[name], had + take);
		if (!end) {
			r->req_len = had + take;
			c->proxy = had + take < PROXY_MAX ? PROXY_COLLECTING : PROXY_OVER;
			return ALL_TAKEN;
		}
		proxy_keep(r, had + take < end ? had + take : end);
	}
	r->req_len = 0;
	c->proxy = PROXY_OVER;
	__u64 here = end - had;

	c->proxy_left = here > in->n ? here - in->n : 0;
	return here < in->n ? here : ALL_TAKEN;
}

/* proxy_skip returns how many bytes of a read belong to such a header. The connection has
 * had no request so far. */
static __always_inline __u64 proxy_skip(struct conn *c, const struct vec *v, const struct in *in)
{
	if (c->proxy_left || c->proxy == PROXY_COLLECTING)
		return proxy_read(c, v, in);
	if (c->proxy == PROXY_OVER || !v->base || likely(!proxy_begins(first_word(v, in->n), shown(v, in->n))))
		return 0;
	return proxy_read(c, v, in);
}

#endif
