/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Where an HTTP/1 message ends. A head is read once: byte by byte in fields that matter,
 * eight bytes at a time elsewhere. struct framing holds what was read so far, so a head
 * or a chunk may be cut anywhere. */
#ifndef LAPWING_FRAMING_H
#define LAPWING_FRAMING_H

#include "count.h"

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define FOLD 0x2020202020202020ULL /* makes letters lower case */
#define SCAN_BLOCK 256
#define SCAN_LINES 6  /* per step */
#define SCAN_STEPS 96 /* the lines of a block, and a traceparent byte by byte */
#define LINE_BLOCK 40 /* how much of a line is looked at once */
#define LINE_BREAK 0x0a0d
#define LENGTH_NAME 15 /* "content-length:" */
#define SIZE_BLOCK 32 /* how much of a chunk's line is looked at once */
#define LENGTH_MAX 100000000000000000ULL /* no real length is that large: not a number */
#define SIZE_DIGITS 15
#define STATUS_END 12 /* "HTTP/1.1 200" */
#define TRACEPARENT 55
#define VERSION_WORD 0x002e312f50545448ULL /* "HTTP/1." */
#define VERSION_MASK 0x00ffffffffffffffULL
#define LINE_VERSION 0x2e312f5054544820ULL /* " HTTP/1." */
#define LINE_TAIL 10 /* the end of a request line: LINE_VERSION, a digit, a carriage return */

/* The bytes after SCAN_BLOCK are never looked at, only loaded. */
struct block {
	__u8 bytes[SCAN_BLOCK + LINE_BLOCK];
};

/* The value of a request's traceparent. */
struct trace_value {
	__u8 bytes[TRACE_MAX];
};

enum field { FIELD_NONE, FIELD_LENGTH, FIELD_CODING, FIELD_EXPECT, FIELD_TRACE };

/* After the first letters, which fields can have in common, a name is compared byte by
 * byte. */
static const char names[8][32] = {
	[FIELD_LENGTH] = "content-length:",
	[FIELD_CODING] = "transfer-encoding:",
	[FIELD_EXPECT] = "expect:",
	[FIELD_TRACE] = "traceparent:",
};

static const char chunked[8] = "chunked";
static const char version[8] = "HTTP/1.";
static const char line_tail[16] = " HTTP/1.1\r";

static __always_inline bool is_digit(__u8 c)
{
	return c >= '0' && c <= '9';
}

static __always_inline __u64 word_at(const struct block *b, __u32 i)
{
	return *(const __u64 *)(b->bytes + i);
}

/* line_feeds marks the first byte of w that is a line feed, and maybe later ones. */
static __always_inline __u64 line_feeds(__u64 w)
{
	w ^= ONES * '\n';
	return (w - ONES) & ~w & HIGHS;
}

/* first_mark returns the number of the first byte that is marked. */
static __always_inline __u32 first_mark(__u64 marks)
{
	marks = (marks & -marks) >> 7; /* bit 0 of that byte: below it are all earlier bytes */
	return (((marks - 1) & ONES) * ONES) >> 56;
}

static __always_inline void line_begins(struct framing *f)
{
	f->place = PLACE_NAME;
	f->at = 0;
}

/* take_length runs at the end of a value of Content-Length, or of one of several values. */
static __always_inline void take_length(struct framing *f)
{
	if (!f->at || (f->flags & SAID_LENGTH && f->left != f->value))
		f->flags |= SAID_BAD;
	f->flags |= SAID_LENGTH;
	f->left = f->value;
	f->value = 0;
	f->at = 0;
}

/* length_byte: at is 0 before the digits of a number, 1 in them and 2 after them. */
static __always_inline void length_byte(struct framing *f, __u8 c)
{
	if (is_digit(c) && f->at < 2 && f->value < LENGTH_MAX) {
		f->value = f->value * 10 + (c - '0');
		f->at = 1;
	} else if (c == ' ' || c == '\t' || c == '\r') {
		f->at *= 2;
		if (f->at > 2)
			f->at = 2;
	} else if (c == ',' || c == '\n') {
		take_length(f);
	} else {
		f->flags |= SAID_BAD;
	}
}

/* coding_byte: at is how many bytes of "chunked" matched in the last coding so far. */
static __always_inline void coding_byte(struct framing *f, __u8 c)
{
	__u8 at = f->at;

	if (c == '\n') {
		f->flags &= ~SAID_CHUNKED;
		f->flags |= at == 7 ? SAID_CODING | SAID_CHUNKED : SAID_CODING;
	} else if (c == ',') {
		f->at = 0;
	} else if (c != ' ' && c != '\t' && c != '\r') {
		f->at = at < 7 && (c | 0x20) == chunked[at & 7] ? at + 1 : 255;
	}
}

/* trace_byte: at is how many bytes of the value were kept. */
static __always_inline void trace_byte(struct framing *f, struct trace_value *t, __u8 c)
{
	__u32 at = f->at;

	if (!t || c == '\r' || c == '\n' || c == ' ' || c == '\t')
		return;
	if (at < TRACEPARENT)
		t->bytes[at & (TRACE_MAX - 1)] = c;
	if (at < TRACE_MAX)
		f->at = at + 1;
}

static __always_inline void value_byte(struct framing *f, struct trace_value *t, __u8 c)
{
	switch (f->field) {
	case FIELD_LENGTH:
		length_byte(f, c);
		break;
	case FIELD_CODING:
		coding_byte(f, c);
		break;
	default:
		trace_byte(f, t, c);
	}
	if (c != '\n')
		return;
	if (f->field == FIELD_TRACE && t && f->at == TRACEPARENT)
		f->flags |= SAID_TRACE;
	line_begins(f);
}

/* name_byte compares one more byte of a field's name. It returns how many bytes it took:
 * none if the line is of no interest. */
static __always_inline __u32 name_byte(struct framing *f, __u8 c)
{
	__u8 lower = c | 0x20, at = f->at;

	if (f->field == FIELD_CODING && at == 3 && lower == 'c') /* "tra" */
		f->field = FIELD_TRACE;
	if (lower != names[f->field & 7][at & 31]) {
		f->field = FIELD_NONE;
		f->place = PLACE_SKIP;
		return 0;
	}
	f->at = at + 1;
	if (c != ':')
		return 1;
	f->at = 0;
	f->value = 0;
	f->place = PLACE_VALUE;
	if (f->field == FIELD_EXPECT) {
		f->flags |= SAID_EXPECT;
		f->place = PLACE_SKIP;
	}
	return 1;
}

/* line_end returns the offset of the first line feed from byte i on, or LINE_BLOCK. */
static __always_inline __u32 line_end(const struct block *b, __u32 i)
{
	__u64 wanted = ONES * '\n', less = -ONES, highs = HIGHS;
	const __u8 *p = b->bytes + i;

	barrier_var(p);
	barrier_var(wanted); /* otherwise they are loaded again for each word */
	barrier_var(less);
	barrier_var(highs);
#pragma unroll
	for (int k = 0; k < LINE_BLOCK; k += 8) {
		__u64 w = *(const __u64 *)(p + k) ^ wanted;
		__u64 marks = (w + less) & highs; /* also of bytes that are not ASCII */

		if (likely(!marks))
			continue;
		marks &= ~w;
		if (marks)
			return k + first_mark(marks);
	}
	return LINE_BLOCK;
}

/* length_value reads the value of a Content-Length whose name starts at byte i, if it has
 * the usual form: a space, up to six digits and the end of the line. It then returns the
 * length of name and value, otherwise the length of the name alone. */
static __always_inline __u32 length_value(struct framing *f, const struct block *b, __u32 i, __u32 n)
{
	__u64 w = word_at(b, i + LENGTH_NAME + 1), value = 0;
	__u32 digits = 0;

	f->field = FIELD_LENGTH;
#pragma unroll
	for (; digits < 7; digits++, w >>= 8) {
		__u64 digit = (w & 0xff) - '0';

		if (digit > 9)
			break;
		value = value * 10 + digit;
	}
	f->value = value;
	if (b->bytes[i + LENGTH_NAME] == ' ' && digits && (__u16)w == LINE_BREAK && i + LENGTH_NAME + 3 + digits <= n) {
		f->at = 1;
		take_length(f);
		return LENGTH_NAME + 3 + digits; /* the next line starts */
	}
	f->value = 0;
	f->place = PLACE_VALUE;
	return LENGTH_NAME;
}

/* line_cut looks at the first byte of a line whose first four bytes are not all
 * available. */
static __always_inline __u32 line_cut(struct framing *f, __u8 lower)
{
	f->at = 1;
	if (lower == 'c')
		f->field = FIELD_LENGTH;
	else if (lower == 't')
		f->field = FIELD_CODING;
	else if (lower == 'e')
		f->field = FIELD_EXPECT;
	else
		f->place = PLACE_SKIP;
	return 1;
}

/* line_blank looks at a line that starts with a line break or a blank, c. */
static __always_inline __u32 line_blank(struct framing *f, __u8 c)
{
	if (c == '\n') {
		f->place = PLACE_BODY;
		return 1;
	}
	if (c == '\r') {
		f->field = FIELD_NONE;
		return 1;
	}
	/* the previous line continues */
	if (f->field == FIELD_LENGTH || f->field == FIELD_CODING)
		f->flags |= SAID_BAD;
	f->place = PLACE_SKIP;
	return 0;
}

#define OTHER_LINE 255

/* line_start looks at the start of a line: byte i of the n bytes of a block. It returns
 * how many bytes it took, or OTHER_LINE if the line is of no interest, as most are. */
static __always_inline __u32 line_start(struct framing *f, const struct block *b, __u32 i, __u32 n)
{
	__u64 w = word_at(b, i);
	__u32 four = (__u32)w | (__u32)FOLD;
	__u8 c = w;

	if ((__u16)w == LINE_BREAK && i + 2 <= n) {
		f->place = PLACE_BODY;
		return 2;
	}
	if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
		return line_blank(f, c);
	f->field = FIELD_NONE;
	if (i + 4 > n)
		return line_cut(f, c | 0x20);
	if (four == 0x746e6f63) { /* "cont" */
		if (i + 16 > n)
			return line_cut(f, 'c');
		if ((w | FOLD) == 0x2d746e65746e6f63ULL &&
		    ((word_at(b, i + 8) | FOLD) & VERSION_MASK) == 0x003a6874676e656cULL)
			return length_value(f, b, i, n); /* "content-" "length:" */
		return OTHER_LINE;
	}
	if (four == 0x6e617274 || four == 0x63617274) /* "tran", "trac" */
		f->field = FIELD_CODING;
	else if (four == 0x65707865) /* "expe" */
		f->field = FIELD_EXPECT;
	else
		return OTHER_LINE;
	f->at = 3;
	return 3;
}

/* status_byte reads a status line up to its status. */
static __always_inline void status_byte(struct framing *f, __u8 c)
{
	__u8 at = f->at;

	f->at = at + 1;
	if (at < 7 ? c != version[at & 7] : at > 8 && !is_digit(c)) {
		f->place = PLACE_LOST;
		return;
	}
	if (at > 8)
		f->value = f->value * 10 + (c - '0');
	if (at + 1 < STATUS_END)
		return;
	f->status = f->value;
	f->place = PLACE_SKIP;
}

/* status_word does the same as status_byte for the whole status line at once, at the
 * start of a block. */
static __always_inline bool status_word(struct framing *f, const struct block *b, __u32 n)
{
	__u32 four = word_at(b, 8); /* " 200" */
	__u8 x = four >> 8, y = four >> 16, z = four >> 24;

	if (n < 16 || (word_at(b, 0) & VERSION_MASK) != VERSION_WORD)
		return false;
	if (!is_digit(x) || !is_digit(y) || !is_digit(z))
		return false;
	f->status = (x - '0') * 100 + (y - '0') * 10 + (z - '0');
	f->place = PLACE_SKIP;
	return true;
}

/* tail_byte returns how much of the end of a request line was seen including c. `at`
 * bytes of it came before c. */
static __always_inline __u32 tail_byte(__u32 at, __u8 c)
{
	if (at == LINE_TAIL - 2 ? is_digit(c) : at < LINE_TAIL && c == line_tail[at & 15])
		return at + 1;
	return c == ' ';
}

/* tail_bytes does the same for a range of bytes of a block, which is at most LINE_TAIL
 * long. */
__noinline __u32 tail_bytes(const struct block *b, __u32 from, __u32 to, __u32 at)
{
	if (!b)
		return 0;
	for (int k = 0; k < LINE_TAIL; k++, from++) {
		barrier_var(from); /* Linux 6.1 must see the comparison as it is */
		if (from >= to || from >= SCAN_BLOCK)
			break;
		at = tail_byte(at, b->bytes[from]);
	}
	return at;
}

/* line_is_cut runs when a request line continues after the n bytes of a block. */
static __always_inline void line_is_cut(struct framing *f, const struct block *b, __u32 n)
{
	if (n > LINE_TAIL)
		f->at = tail_bytes(b, n - LINE_TAIL, n, 0);
	else
		f->at = tail_bytes(b, 0, n, f->at);
}

/* ends_in_version reports whether the line that ends with a line feed at byte i of a
 * block ends like a request line of HTTP/1. It reports false if the block holds less of
 * the line than that ending. */
static __always_inline bool ends_in_version(const struct block *b, __u32 i)
{
	i -= LINE_TAIL;
	barrier_var(i); /* Linux 6.1 must see the comparison as it is */
	if (i >= SCAN_BLOCK)
		return false;
	const __u8 *end = b->bytes + i;
	return *(const __u64 *)end == LINE_VERSION || *(const __u64 *)(end + 1) == LINE_VERSION;
}

/* ends_request_line does the same for a line that may have started before the block.
 * f->at is how much of its end was seen so far. */
static __always_inline bool ends_request_line(const struct framing *f, const struct block *b, __u32 i)
{
	if (likely(i >= LINE_TAIL))
		return ends_in_version(b, i);
	return tail_bytes(b, 0, i, f->at) >= LINE_TAIL - 1;
}

/* line_goes_on looks for the end of a line from byte i on, which is not the start of the
 * line. It returns the position after what it took. */
static __always_inline __u32 line_goes_on(struct framing *f, const struct block *b, __u32 i, __u32 n)
{
	__u32 at = line_end(b, i);

	if (at == LINE_BLOCK || i + at >= n)
		return i + at;
	if (f->place == PLACE_LINE && !ends_request_line(f, b, i + at))
		f->flags |= SAID_OTHER;
	line_begins(f);
	return i + at + 1;
}

/* scan_lines reads lines from byte i on, where a line starts, up to a line of interest.
 * It returns the position after what it took. */
static __always_inline __u32 scan_lines(struct framing *f, const struct block *b, __u32 i, __u32 n)
{
	for (int k = 0; k < SCAN_LINES; k++) {
		barrier_var(i);
		i &= 2 * SCAN_BLOCK - 1; /* the verifier need not know which line end it was */
		if (i >= n || i >= SCAN_BLOCK)
			break;
		__u32 took = line_start(f, b, i, n);

		if (took != OTHER_LINE)
			return i + took;
		__u32 at = line_end(b, i);

		if (at == LINE_BLOCK || i + at >= n) {
			f->place = PLACE_SKIP;
			return i + at;
		}
		i += at + 1;
	}
	return i;
}

/* scan_byte takes bytes where each byte matters, and returns how many it took. */
static __always_inline __u32 scan_byte(struct framing *f, struct trace_value *t, __u8 c)
{
	switch (f->place) {
	case PLACE_NAME:
		return name_byte(f, c);
	case PLACE_VALUE:
		value_byte(f, t, c);
		return 1;
	}
	status_byte(f, c);
	return 1;
}

/* in_line reports whether the bytes up to the end of the line need not be looked at one
 * by one. */
static __always_inline bool in_line(const struct framing *f, const struct trace_value *t)
{
	__u8 place = f->place;

	return (place == PLACE_NAME && !f->at) || place == PLACE_SKIP || (place == PLACE_LINE && t);
}

/* scan_step continues reading. It returns false if there is nothing more to read, or
 * nothing more of the head. The verifier checks non-static functions once, by themselves,
 * and not again for each path to a call. A loop over this code would be more than it can
 * follow. */
__noinline int scan_step(const struct block *b, __u32 n, struct framing *f, struct trace_value *t)
{
	if (!b || !f)
		return false;
	__u32 i = f->pos;

	if (i >= n || i >= SCAN_BLOCK || f->place > PLACE_VALUE)
		return false;
	if (unlikely(!in_line(f, t))) {
		f->pos = i + scan_byte(f, t, b->bytes[i]);
		return true;
	}
	if (f->place != PLACE_NAME)
		i = line_goes_on(f, b, i, n);
	if (f->place == PLACE_NAME)
		i = scan_lines(f, b, i, n);
	f->pos = i;
	return f->place <= PLACE_VALUE;
}

/* message_starts looks at the start of a head, or at the rest of its first line, and
 * returns how many bytes it took. */
static __always_inline __u32 message_starts(const struct block *b, __u32 n, struct framing *f,
					    const struct trace_value *t)
{
	if (f->place == PLACE_START)
		f->at = 0;
	f->place = PLACE_LINE;
	return !t && !f->at && status_word(f, b, n) ? STATUS_END : 0;
}

/* scan_head reads the n bytes of a block as the head of a message, at most up to its end,
 * and returns how many it took. t receives the value of a traceparent; it is NULL for
 * responses. */
__noinline __u32 scan_head(const struct block *b, __u32 n, struct framing *f, struct trace_value *t)
{
	if (!b || !f || !n || n > SCAN_BLOCK)
		return 0;
	f->pos = f->place <= PLACE_LINE ? message_starts(b, n, f, t) : 0;
	for (int k = 0; k < SCAN_STEPS; k++)
		if (!scan_step(b, n, f, t))
			break;
	if (unlikely(f->place == PLACE_LINE && t))
		line_is_cut(f, b, n);
	return f->pos < n ? f->pos : n;
}

static __always_inline __u8 hex_digit(__u8 c)
{
	__u8 lower = c | 0x20;

	if (is_digit(c))
		return c - '0';
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

static __always_inline void size_ends(struct framing *f)
{
	f->place = f->left ? PLACE_CHUNK : PLACE_TRAILER;
	f->at = 0;
}

static __always_inline void size_byte(struct framing *f, __u8 c)
{
	__u8 digit = hex_digit(c);

	if (digit < 16 && f->at < SIZE_DIGITS) {
		f->left = f->left << 4 | digit;
		f->at++;
	} else if (!f->at) {
		f->place = PLACE_LOST;
	} else if (c == '\n') {
		size_ends(f);
	} else {
		f->place = c == '\r' || c == ';' || c == ' ' || c == '\t' ? PLACE_SIZE_REST : PLACE_LOST;
	}
}

static __always_inline void size_begins(struct framing *f)
{
	f->place = PLACE_SIZE;
	f->left = 0;
	f->at = 0;
}

static __always_inline void chunk_byte(struct framing *f, __u8 c)
{
	switch (f->place) {
	case PLACE_SIZE:
		size_byte(f, c);
		break;
	case PLACE_SIZE_REST:
		if (c == '\n')
			size_ends(f);
		break;
	case PLACE_CHUNK_END:
		if (c == '\n')
			size_begins(f);
		else if (c != '\r')
			f->place = PLACE_LOST;
		break;
	case PLACE_TRAILER:
		if (c == '\n')
			f->place = PLACE_END;
		else if (c != '\r')
			f->place = PLACE_TRAILER_LINE;
		break;
	case PLACE_TRAILER_LINE:
		if (c == '\n')
			f->place = PLACE_TRAILER;
		break;
	}
}

/* in_chunk_line reports whether what comes next is between chunks, not inside one. */
static __always_inline bool in_chunk_line(__u8 place)
{
	return place >= PLACE_SIZE && place <= PLACE_TRAILER_LINE && place != PLACE_CHUNK;
}

/* scan_chunks reads the n bytes of a block as what is between chunks, and returns how
 * many it took. */
__noinline __u32 scan_chunks(const struct block *b, __u32 n, struct framing *f)
{
	__u32 i = 0;

	if (!b || !f)
		return 0;
	for (; i < SIZE_BLOCK; i++) {
		if (i >= n || !in_chunk_line(f->place))
			break;
		chunk_byte(f, b->bytes[i]);
	}
	return i;
}

/* framing_begins resets f for a new message. */
static __always_inline void framing_begins(struct framing *f)
{
	__builtin_memset(f, 0, sizeof(*f));
}

static __always_inline void body_begins(struct framing *f)
{
	f->place = f->left ? PLACE_LENGTH : PLACE_END;
}

/* request_body runs at the end of a request's head. Chunks take precedence over a length. */
static __always_inline void request_body(struct framing *f)
{
	if (likely(!f->flags))
		f->place = PLACE_END;
	else if (f->flags & SAID_CHUNKED)
		size_begins(f);
	else if (f->flags & (SAID_BAD | SAID_CODING))
		f->place = PLACE_LOST;
	else
		body_begins(f);
}

/* response_body does the same for a response. no_body means that the request asked for no
 * body. */
static __always_inline void response_body(struct framing *f, bool no_body)
{
	if (no_body || f->status < 200 || f->status == 204 || f->status == 304)
		f->place = PLACE_END;
	else if (f->flags & SAID_CHUNKED)
		size_begins(f);
	else if (f->flags & SAID_BAD)
		f->place = f->flags & SAID_CODING ? PLACE_CLOSE : PLACE_LOST;
	else if (f->flags & SAID_CODING || !(f->flags & SAID_LENGTH))
		f->place = PLACE_CLOSE;
	else
		body_begins(f);
}

/* body_bytes takes up to n bytes of a body or chunk, wherever they are. */
static __always_inline __u64 body_bytes(struct framing *f, __u64 n)
{
	if (n < f->left) {
		f->left -= n;
		return n;
	}
	n = f->left;
	f->left = 0;
	f->place = f->place == PLACE_CHUNK ? PLACE_CHUNK_END : PLACE_END;
	return n;
}

#endif
