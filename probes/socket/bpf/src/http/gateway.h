/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The protocols that front ends speak to application servers, as far as the kernel side
 * needs them: it only decides whether the first bytes of a connection may belong to one
 * of them. If so, user space gets each read and write, and makes the final decision. Some
 * servers read a length by itself first. These connections have to wait for the next
 * read; nothing is handed out meanwhile. A connection that speaks HTTP never comes here. */
#ifndef LAPWING_GATEWAY_H
#define LAPWING_GATEWAY_H

#include "http/events.h"
#include "http/head.h"
#include "work/worker.h"

#define GUESS_BYTES 24

enum guess { GUESS_NO, GUESS_MORE, GUESS_YES };

/* The first bytes of a connection. Bytes after the n known ones are zero. */
struct opening {
	__u64 w[3];
	__u64 n;
};

static __always_inline __u8 opening_byte(const struct opening *o, __u32 i)
{
	return o->w[i / 8] >> i % 8 * 8;
}

static __always_inline bool capital(__u8 c)
{
	return c >= 'A' && c <= 'Z';
}

/* name_at reports whether the name of a variable may start at byte i. It looks at three
 * bytes. */
static __always_inline enum guess name_at(const struct opening *o, __u32 i)
{
	if (o->n < i + 3)
		return GUESS_MORE;
	return capital(opening_byte(o, i)) && capital(opening_byte(o, i + 1)) && capital(opening_byte(o, i + 2)) ?
		       GUESS_YES :
		       GUESS_NO;
}

/* fastcgi_begins checks for a record that starts a request: version 1, type 1, number of
 * the request, length 8. */
static __always_inline enum guess fastcgi_begins(__u64 w, __u64 n)
{
	__u64 known = n < 8 ? (1ULL << n * 8) - 1 : ~0ULL;

	if ((w ^ 0x0000080000000101ULL) & 0xff00ffff0000ffffULL & known)
		return GUESS_NO;
	return n < 8 ? GUESS_MORE : GUESS_YES;
}

/* fastcgi_asks checks for a record about the server itself, which may come first. */
static __always_inline bool fastcgi_asks(const struct opening *o)
{
	return o->n >= 8 && (__u32)o->w[0] == 0x00000901;
}

/* scgi_begins checks for digits, a colon, CONTENT_LENGTH. */
static __always_inline enum guess scgi_begins(const struct opening *o)
{
	for (__u32 i = 0; i < 8; i++) {
		__u8 c = opening_byte(o, i);

		if (i >= o->n)
			return i ? GUESS_MORE : GUESS_NO;
		if (c == ':' && i)
			return name_at(o, i + 1);
		if (c < '0' || c > '9')
			return GUESS_NO;
	}
	return GUESS_NO;
}

/* uwsgi_begins checks for a modifier, a length in two bytes, a modifier, the length of a
 * name. */
static __always_inline enum guess uwsgi_begins(const struct opening *o)
{
	__u64 w = o->w[0];

	if (o->n < 4 || (w >> 8 & 0xffff) < 8 || (__u8)(w >> 24))
		return GUESS_NO;
	if (o->n < 6)
		return GUESS_MORE;
	__u32 name = w >> 32 & 0xffff;
	return name && name <= 64 ? name_at(o, 6) : GUESS_NO;
}

/* passenger_begins checks for a length in four bytes. */
static __always_inline enum guess passenger_begins(const struct opening *o)
{
	__u32 len = __builtin_bswap32((__u32)o->w[0]);

	return o->n < 4 || len < 8 || len > 1 << 20 ? GUESS_NO : name_at(o, 4);
}

/* modwsgi_begins checks for the length and the number of strings, in eight bytes each. */
static __always_inline enum guess modwsgi_begins(const struct opening *o)
{
	__u64 len = o->w[0], strings = o->w[1];

	if (o->n < 8 || len < 16 || len > 1 << 20)
		return GUESS_NO;
	if (o->n < 16)
		return GUESS_MORE;
	return strings && strings < len ? name_at(o, 16) : GUESS_NO;
}

/* gateway_guess returns the most certain guess of all protocols. */
__noinline int gateway_guess(const struct opening *o)
{
	if (!o)
		return GUESS_NO;
	int best = fastcgi_begins(o->w[0], o->n), guess;

	if (fastcgi_asks(o))
		return GUESS_YES;
	if ((guess = scgi_begins(o)) > best)
		best = guess;
	if ((guess = uwsgi_begins(o)) > best)
		best = guess;
	if ((guess = passenger_begins(o)) > best)
		best = guess;
	if ((guess = modwsgi_begins(o)) > best)
		best = guess;
	return best;
}

/* opening_of takes the first n bytes that were captured of a connection. */
static __always_inline void opening_of(struct opening *o, struct record *r, __u32 n)
{
	__u32 at = r->name_len;

	barrier_var(at);
	if (at > NAME_MAX)
		return;
	o->n = n;
	for (__u32 i = 0; i < 3; i++) {
		__u32 have = n > i * 8 ? n - i * 8 : 0;

		o->w[i] = *(__u64 *)&r->bytes[at + i * 8];
		if (have < 8)
			o->w[i] &= (1ULL << have * 8) - 1;
	}
}

/* gateway_give_up runs when the connection ended, or went on differently, before its
 * first bytes showed the protocol. */
static __noinline int gateway_give_up(struct conn *c)
{
	if (!c)
		return 0;
	c->stage = STAGE_IGNORED;
	c->rec.error = REASON_BYTES;
	if (!record_write(c, KIND_UNKNOWN, 0))
		count(STAT_LOST_UNKNOWN);
	return 0;
}

/* gateway_wait keeps what is known of a read until the next one shows more. */
static __always_inline void gateway_wait(struct conn *c, const struct in *in, __u32 took)
{
	struct record *r = &c->rec;

	if (c->stage == STAGE_FRESH) {
		c->stage = STAGE_GUESS;
		r->seq++;
		r->request_bytes = 0;
		r->marks |= MARK_GUESS;
		r->arrived = in->arrived;
		r->read_first = in->now;
		note_worker(r);
	}
	r->req_len += took;
	r->request_bytes += in->n;
	r->arrived_last = in->arrived_last;
	r->read_last = in->now;
}

/* gateway_read takes a read on a connection that does not start with HTTP. */
static __noinline int gateway_read(struct conn *c, const struct vec *v, const struct in *in)
{
	if (!c || !v || !in)
		return 0;
	struct record *r = &c->rec;
	bool first = c->stage == STAGE_FRESH;
	struct opening o = {};

	if (first)
		r->req_len = r->resp_len = 0;
	__u32 had = r->req_len;
	__u64 n = shown(v, in->n);
	if (n > GUESS_BYTES - had)
		n = GUESS_BYTES - had;
	__u32 took = had < GUESS_BYTES ? capture_at(r, r->name_len + had, had, v->base, n) : 0;
	opening_of(&o, r, had + took);
	int guess = took ? gateway_guess(&o) : GUESS_NO;

	if (guess == GUESS_NO && !first && is_request(o.w[0], o.n))
		guess = GUESS_YES; /* the digits belong to a method */
	if (guess == GUESS_YES) {
		events_begin(c, !first);
		events_read(c, v, in);
		process_serves();
		worker_reads(c);
	} else if (guess == GUESS_MORE && took == in->n) {
		gateway_wait(c, in, took);
	} else if (first) {
		connection_ignore(c, v, in->n, v->base ? REASON_BYTES : REASON_NO_BYTES);
	} else {
		gateway_give_up(c);
	}
	return 0;
}

#endif
