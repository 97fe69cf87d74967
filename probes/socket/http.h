/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* As much of HTTP/1 as the kernel side needs: does a request begin here, does
 * a response, where does a head end, how long is the body. What these cannot
 * tell cheaply is left to user space. Bytes are handled eight at a time, in
 * little-endian words. */
#ifndef LAPWING_HTTP_H
#define LAPWING_HTTP_H

#include "buffers.h"
#include "state.h"

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define SCAN_BLOCK 256
#define SCAN_BLOCKS 32

/* The functions that are not static are checked by the verifier once, by
 * themselves, and not again for each way that leads to their call: those that
 * loop have to be. */

struct block {
	__u8 bytes[SCAN_BLOCK + 8];
};

/* is_request tells whether n bytes, up to eight of them in w, can begin an
 * HTTP/1 request: a method in capitals, then a space. */
__noinline int is_request(__u64 w, __u64 n)
{
	__u32 four = (__u32)w;

	if (n >= 4 && (four == 0x20544547 /* "GET " */ || four == 0x54534f50 /* "POST" */))
		return true;
	if (n >= 4 && four == 0x20495250) /* "PRI ": the preface of HTTP/2 */
		return false;
	if (n < 8)
		w |= ~0ULL << (n * 8); /* 0xff: not there yet */
	for (int i = 0; i < 4; i++) /* blank lines in front are let pass */
		if ((__u8)w == '\r' || (__u8)w == '\n')
			w = w >> 8 | 0xffULL << 56;
	for (int i = 0; i < 8; i++, w >>= 8) {
		__u8 c = w;

		if (c == 0xff)
			return true;
		if (c == ' ')
			return i >= 3;
		if (c != '-' && (c < 'A' || c > 'Z'))
			return false;
	}
	return true;
}

/* is_response tells whether n bytes can begin an HTTP/1 response. */
static __always_inline bool is_response(__u64 w, __u64 n)
{
	const __u64 want = 0x2e312f50545448ULL; /* "HTTP/1." */

	if (n >= 7)
		return (w & 0x00ffffffffffffffULL) == want;
	__u64 mask = (1ULL << (n * 8)) - 1;
	return (w & mask) == (want & mask);
}

/* blank_line looks for the "\n\r" that ends a head in the first n bytes of a
 * block. It returns the number of bytes up to and with the line feed that
 * follows, or 0. before is the byte before the block. */
__noinline __u32 blank_line(const struct block *block, __u32 n, __u8 before)
{
	__u64 carry = before, z = 0;
	__u32 at = 0;

	if (!block)
		return 0;
	for (at = 0; at < SCAN_BLOCK; at += 8) {
		__u64 w = *(const __u64 *)(block->bytes + at);
		__u64 cr = w ^ (ONES * '\r');
		__u64 lf = ((w << 8) | carry) ^ (ONES * '\n');

		z = cr | lf;
		z = (z - ONES) & ~z & HIGHS;
		if (z || at + 8 >= n)
			break;
		carry = w >> 56;
	}
	if (!z)
		return 0;
	for (int k = 0; k < 7; k++, z >>= 8, at++)
		if (z & 0x80)
			break;
	return at < n ? at + 2 : 0;
}

/* length_header looks for the Content-Length header in the first n bytes of a
 * head, which begin in block, and returns where its value begins, or 0. */
__noinline __u32 length_header(const struct block *block, __u32 n)
{
	const __u64 fold = 0x2020202020202020ULL;

	if (!block)
		return 0;
	for (__u32 i = 0; i + 16 < SCAN_BLOCK; i++) {
		const __u8 *p = block->bytes + i;

		if (i + 16 >= n)
			return 0;
		/* "\ncontent-length:" in two words, letters folded to lower case */
		if (p[0] == '\n' && (*(__u64 *)(p + 1) | fold) == 0x2d746e65746e6f63ULL &&
		    (*(__u64 *)(p + 8) | fold) == 0x3a6874676e656c2dULL)
			return i + 16;
	}
	return 0;
}

/* number_at reads the number that begins at byte `at` of the first n bytes of
 * a head. It returns NEVER_ENDS where there is none, or where it may go on
 * beyond what was captured. */
__noinline __u64 number_at(const struct block *block, __u32 n, __u32 at)
{
	bool digits = false;
	__u64 value = 0;

	if (!block)
		return NEVER_ENDS;
	for (__u32 k = 0; k < 20; k++, at++) {
		if (at >= n || at >= SCAN_BLOCK)
			return NEVER_ENDS;
		barrier_var(at);
		__u8 c = block->bytes[at % SCAN_BLOCK];

		if (c >= '0' && c <= '9') {
			value = value * 10 + (c - '0');
			digits = true;
		} else if (digits || (c != ' ' && c != '\t')) {
			break;
		}
	}
	return digits ? value : NEVER_ENDS;
}

/* content_length is what the head in block says of its body's length, or
 * NEVER_ENDS. */
static __always_inline __u64 content_length(const struct block *block, __u32 n)
{
	__u32 at = length_header(block, n);

	return at ? number_at(block, n, at) : NEVER_ENDS;
}

/* shown is how many of a call's n bytes are in the first segment. */
static __always_inline __u64 shown(const struct vec *v, __u64 n)
{
	__u64 least = n < v->len ? n : v->len;

	barrier_var(least); /* the verifier need not tell the two cases apart */
	return least;
}

/* first_word reads the first eight of a call's n bytes, if so many are shown. */
static __always_inline __u64 first_word(const struct vec *v, __u64 n)
{
	__u64 w = 0, visible = shown(v, n);
	__u32 len = visible > 8 ? 8 : visible;

	if (v->base)
		bpf_probe_read_user(&w, len, v->base);
	return w;
}

/* begins_request tells whether a call's n bytes can begin an HTTP/1 request. */
static __always_inline bool begins_request(const struct vec *v, __u64 n)
{
	return is_request(first_word(v, n), shown(v, n));
}

/* scan_rest looks for the end of a head in n bytes of user memory. It returns
 * the number of bytes up to the end, or 0. before is the byte before them. */
__noinline __u32 scan_rest(__u64 base, __u64 n, __u8 before)
{
	__u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return 0;
	for (__u32 at = 0; at < SCAN_BLOCKS * SCAN_BLOCK && at < n; at += SCAN_BLOCK) {
		__u64 len = n - at;

		barrier_var(len);
		if (len > SCAN_BLOCK)
			len = SCAN_BLOCK;
		if (bpf_probe_read_user(s->data, len, (void *)base + at))
			return 0;
		__u32 end = blank_line((struct block *)s->data, len, before);
		if (end)
			return at + end;
		before = s->data[SCAN_BLOCK - 1];
	}
	return 0;
}

#endif
