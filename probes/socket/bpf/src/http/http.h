/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Whether an HTTP/1 request or response may start with given bytes. Bytes are handled
 * eight at a time, in little-endian words. What starts like a request is one once its
 * request line is complete, see framing.h, or once it is answered like one. */
#ifndef LAPWING_HTTP_H
#define LAPWING_HTTP_H

#include "http/buffers.h"
#include "http/framing.h"

/* token_byte reports whether c may be in a method: it must be a token character of RFC
 * 9110. */
static __always_inline bool token_byte(__u8 c)
{
	__u64 set = c < 64 ? 0x3ff6cfa00000000ULL : 0x57ffffffc7fffffeULL;

	return c < 128 && set >> (c & 63) & 1;
}

static __always_inline bool capital_byte(__u8 c)
{
	return c == '-' || (c >= 'A' && c <= 'Z');
}

/* method_begins reports whether the n bytes in w can be a method and the space after it.
 * Blank lines before it are allowed. */
static __always_inline bool method_begins(__u64 w, __u64 n, bool capitals)
{
	if (n > 8)
		n = 8;
	for (int i = 0; i < 4; i++)
		if (n && ((__u8)w == '\r' || (__u8)w == '\n')) {
			w >>= 8;
			n--;
		}
	for (__u32 i = 0; i < 8; i++, w >>= 8) {
		__u8 c = w;

		if (i >= n)
			return true; /* the rest is not there yet */
		if (c == ' ')
			return i >= (capitals ? 3 : 1);
		if (capitals ? !capital_byte(c) : !token_byte(c))
			return false;
	}
	return true;
}

/* is_request reports whether n bytes, up to eight of them in w, can start an HTTP/1
 * request: a token, then a space. */
__noinline int is_request(__u64 w, __u64 n)
{
	__u32 four = (__u32)w;

	if (n >= 4 && (four == 0x20544547 /* "GET " */ || four == 0x54534f50 /* "POST" */))
		return true;
	if (n >= 4 && four == 0x20495250) /* "PRI ": the preface of HTTP/2 */
		return false;
	return method_begins(w, n, false);
}

/* in_capitals reports whether bytes that is_request accepts start like a registered
 * method, in capitals. */
__noinline int in_capitals(__u64 w, __u64 n)
{
	return method_begins(w, n, true);
}

/* is_response reports whether n bytes can start an HTTP/1 response. */
static __always_inline bool is_response(__u64 w, __u64 n)
{
	const __u64 want = 0x2e312f50545448ULL; /* "HTTP/1." */

	if (n >= 7)
		return (w & 0x00ffffffffffffffULL) == want;
	__u64 mask = (1ULL << (n * 8)) - 1;
	return (w & mask) == (want & mask);
}

/* shown returns how many of a call's n bytes are in the first segment. */
static __always_inline __u64 shown(const struct vec *v, __u64 n)
{
	__u64 least = n < v->len ? n : v->len;

	barrier_var(least); /* the verifier need not distinguish the two cases */
	return least;
}

/* first_word reads the first eight of a call's n bytes, or as many as are shown. */
static __always_inline __u64 first_word(const struct vec *v, __u64 n)
{
	__u64 w = 0, visible = shown(v, n);
	__u32 len = visible > 8 ? 8 : visible;

	if (v->base)
		bpf_probe_read_user(&w, len, v->base);
	return w;
}

/* line_end_at is line_end for a byte about which the caller knows nothing. */
__noinline __u32 line_end_at(const struct block *b, __u32 i)
{
	barrier_var(i);
	return b && i < SCAN_BLOCK ? line_end(b, i) : LINE_BLOCK;
}

/* line_at_hand reports whether n bytes start with a complete request line. It looks only
 * at lines that end within one block. */
__noinline int line_at_hand(const struct vec *v, __u64 n)
{
	__u32 zero = 0, i = 0, at;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (n > SCAN_BLOCK)
		n = SCAN_BLOCK;
	barrier_var(n);
	if (!v || !s || n > SCAN_BLOCK || bpf_probe_read_user(s->data, n, v->base))
		return false;
	const struct block *b = (struct block *)s->data;
	for (int k = 0; k < SCAN_BLOCK / LINE_BLOCK + 4; k++) {
		at = line_end_at(b, i);
		i += at;
		if (i >= n)
			return false;
		if (at == LINE_BLOCK)
			continue;
		if (i >= 4)
			return ends_in_version(b, i);
		i++; /* a blank line before it */
	}
	return false;
}

/* begins_request reports whether a call's n bytes start an HTTP/1 request if they can
 * also be something else: the rest of a body, or part of a session that is older than the
 * agent. Many of those start with a token. If the token is not in capitals, the complete
 * request line must be there. */
static __always_inline bool begins_request(const struct vec *v, __u64 n)
{
	__u64 w = first_word(v, n), visible = shown(v, n);

	return is_request(w, visible) && (in_capitals(w, visible) || line_at_hand(v, visible));
}

#endif
