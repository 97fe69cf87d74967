/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a read does to its connection. The hooks only find out what happened and call
 * functions of this file, so both probe plans produce the same records. */
#ifndef LAPWING_REQUEST_H
#define LAPWING_REQUEST_H

#include "http/gateway.h"
#include "http/proxy.h"
#include "conn/unseen.h"
#include "http/walk.h"

/* request_begin forgets the last request and starts a new one with a read. */
static __always_inline void request_begin(struct conn *c)
{
	struct record *r = &c->rec;

	r->seq++;
	r->marks &= MARK_PROXIED;
	r->error = 0;
	r->write_first = r->write_last = r->closed = r->marker = 0;
	r->client_wait = r->blocked = r->produce = 0;
	r->request_bytes = r->response_bytes = 0;
	r->req_len = r->resp_len = r->trace_len = 0;
	r->writer_tid = 0;
	framing_begins(&r->in);
	framing_begins(&r->out);
	r->in_head = r->out_head = 0;
	c->short_write = c->await_ack = c->reported = c->sealed = 0;
	c->acked = 0;
	c->phase = PHASE_READING;
	barrier(); /* last: from here on a sweep takes the request */
	*(volatile __u32 *)&c->pending = pending_of(r->seq, PENDING_ALL);
}

/* request_withdrawn runs when what was read is no request, or when user space frames it. */
static __always_inline void request_withdrawn(struct conn *c)
{
	c->rec.seq--;
	c->pending = 0;
	c->phase = PHASE_IDLE;
}

/* first_doubted runs on a connection that is older than the agent. What started like a
 * request did not go on like one. It can be lines of another protocol's session; the next
 * turns show that. */
static __noinline int first_doubted(struct conn *c)
{
	if (!c)
		return 0;
	uncount(c);
	count(STAT_MISSED_PROGRESS);
	c->pending = 0;
	c->rec.seq = 0;
	c->phase = PHASE_IDLE;
	c->stage = STAGE_EXISTING;
	c->existing = EXISTING_AGAIN;
	return 0;
}

static __always_inline void hand_to_user(struct conn *c, const struct vec *v, const struct in *in, bool open)
{
	if (unlikely(!v->base)) {
		taken_unseen(c);
		return;
	}
	if (unlikely(c->existing == EXISTING_TAKEN && c->rec.seq <= 1)) {
		first_doubted(c);
		return;
	}
	events_begin(c, open);
	events_read(c, v, in);
	worker_reads(c);
}

/* request_read adds n bytes, which framing has seen, to the request. unread means that
 * its head was not complete before. */
static __always_inline void request_read(struct conn *c, const struct in *in, __u64 n, bool first, bool unread)
{
	struct record *r = &c->rec;

	r->request_bytes += n;
	marker_read(r, first, unread, r->in.place == PLACE_END);
	if (!first && !r->marker)
		r->client_wait += empty_since(r->read_last, in);
	r->read_last = in->now;
	r->arrived_last = in->arrived_last;
	if (unlikely(c->callers != callers))
		worker_reads(c);
}

/* blank_start returns how many of a read's first bytes are line breaks. w holds eight of
 * these bytes. */
static __always_inline __u32 blank_start(__u64 w)
{
	__u32 n = 0;

	for (; n < 8; n++, w >>= 8)
		if ((__u8)w != '\r' && (__u8)w != '\n')
			break;
	return n;
}

/* arrives_after finds when the bytes after the first `skip` bytes of a read arrived. */
static __always_inline void arrives_after(struct conn *c, struct in *in, __u64 skip)
{
	in->n -= skip;
	in->wire -= skip;
	arrivals(c, in, in->end);
	if (in->arrived > in->now)
		in->arrived = in->now;
}

#define ODD_START (~0ULL)

/* request_captured frames a request from what is captured of its first read. It returns
 * how many bytes are left after its end, or ODD_START. */
static __always_inline __u64 request_captured(struct conn *c, const struct vec *v, __u64 n)
{
	struct record *r = &c->rec;
	struct framing *f = &r->in;
	__u32 name = r->name_len;
	__u64 visible = shown(v, n);
	__u32 took = capture_at(r, name, 0, v->base, visible > SCAN_BLOCK ? SCAN_BLOCK : visible);

	barrier_var(name);
	if (name > NAME_MAX)
		return 0;
	const struct block *b = (struct block *)&r->bytes[name];
	if (unlikely(took ? b->bytes[0] < '!' || !is_request(word_at(b, 0), took) : !v->base))
		return ODD_START;
	__u32 used = scan_head(b, took, f, (struct trace_value *)c->trace);
	r->req_len = used;
	r->in_head = used;
	if (likely(f->place == PLACE_BODY))
		request_body(f);
	if (likely(used == n))
		return 0;
	if (f->place == PLACE_LENGTH)
		return n - used - body_bytes(f, n - used);
	return walk_in(c, n, used);
}

/* request_odd handles a first read that does not start with a request, but with line
 * breaks or anything else. It returns false if no request starts in it. */
static __noinline int request_odd(struct conn *c, const struct vec *v, struct in *in, __u64 skip)
{
	__u64 w = first_word(v, in->n), blank = skip ? skip : blank_start(w);

	if (!v->base) {
		request_withdrawn(c);
		taken_unseen(c);
		return false;
	}
	if (!blank) {
		request_withdrawn(c);
		connection_ignore(c, v, in->n, REASON_BYTES);
		return false;
	}
	if (blank >= in->n) {
		request_withdrawn(c);
		return false;
	}
	arrives_after(c, in, blank);
	return true;
}

/* request_new starts a request with a read, after the first `skip` bytes. */
static __always_inline void request_new(struct conn *c, const struct vec *v, struct in *in, __u64 skip)
{
	struct record *r = &c->rec;
	__u64 last_enter = c->last_enter, all = in->n, excess = ODD_START;

	request_begin(c);
	if (likely(!skip))
		excess = request_captured(c, v, all);
	if (unlikely(excess == ODD_START)) {
		if (!request_odd(c, v, in, skip))
			return;
		excess = walk_in(c, all, all - in->n);
	}
	if (in->arrived && in->arrived < last_enter)
		r->marks |= MARK_PIPELINED;
	r->arrived = in->arrived;
	r->read_first = in->now;
	note_worker(r);
	if (unlikely(r->in.flags & SAID_OTHER)) {
		request_withdrawn(c);
		connection_ignore(c, v, all, REASON_BYTES);
		return;
	}
	/* More than one request in this read: user space takes it apart, from the state
	 * before the read. */
	if (unlikely(excess)) {
		request_withdrawn(c);
		hand_to_user(c, v, in, false);
		return;
	}
	request_read(c, in, all - skip, true, true);
}

/* request_walks continues a request with bytes that are not only those of a body of known
 * length. */
static __noinline int request_walks(struct conn *c, const struct vec *v, const struct in *in)
{
	struct record *r = &c->rec;
	struct framing was = r->in;
	__u32 had = r->req_len, head = r->in_head;

	__u64 excess = walk_in(c, in->n, 0);

	if (r->in.flags & SAID_OTHER) {
		request_foreign(c);
	} else if (excess) {
		r->in = was;
		r->req_len = had;
		r->in_head = head;
		hand_to_user(c, v, in, true);
	} else {
		request_read(c, in, in->n, false, was.place <= PLACE_VALUE);
	}
	return 0;
}

/* request_more continues a request. */
static __always_inline void request_more(struct conn *c, const struct vec *v, const struct in *in)
{
	struct framing *f = &c->rec.in;

	if (unlikely(f->place != PLACE_LENGTH || in->n > f->left)) {
		request_walks(c, v, in);
		return;
	}
	body_bytes(f, in->n);
	request_read(c, in, in->n, false, false);
}

/* all_digits reports whether the n bytes of w are digits, and no more than the length
 * that SCGI starts with can have. Servers read this length by itself. */
static __always_inline bool all_digits(__u64 w, __u64 n)
{
	for (__u32 i = 0; i < 8; i++, w >>= 8) {
		if (i >= n)
			return true;
		if (!is_digit(w))
			return false;
	}
	return false;
}

/* first_request reports whether an HTTP request starts with this read, the first of the
 * connection. If not, the connection does not belong to this side from here on. */
static __always_inline bool first_request(struct conn *c, const struct vec *v, const struct in *in)
{
	if (c->stage == STAGE_FRESH && v->base) {
		__u64 w = first_word(v, in->n), n = shown(v, in->n);

		if (is_request(w, n) && (likely((__u8)w > '9') || !all_digits(w, n)))
			return true;
	}
	gateway_read(c, v, in);
	return false;
}

/* existing_read decides what the first reads mean on a connection that is older than the
 * agent. It returns true when a request starts. */
static __always_inline bool existing_read(struct conn *c, const struct vec *v, __u64 n)
{
	__u64 w = first_word(v, n);
	bool http = v->base && begins_request(v, n);
	bool gateway = v->base && fastcgi_begins(w, shown(v, n)) == GUESS_YES;

	switch (c->existing) {
	case EXISTING_QUIET:
	case EXISTING_ANSWERED:
	case EXISTING_TWICE:
		if (http || gateway) {
			c->stage = http ? STAGE_KNOWN : STAGE_FRESH;
			c->existing = EXISTING_TAKEN;
			process_serves();
			return true;
		}
		if (c->existing == EXISTING_QUIET)
			count(STAT_MISSED_PROGRESS);
		break;
	case EXISTING_QUEUED:
		count(STAT_MISSED_QUEUED);
		break;
	default:
		return false;
	}
	/* The rest of a body can follow an answer. A third turn that starts no request
	 * belongs to another protocol. */
	if (c->existing == EXISTING_TWICE)
		connection_ignore(c, v, n, v->base ? REASON_BYTES : REASON_NO_BYTES);
	c->existing = c->existing == EXISTING_ANSWERED ? EXISTING_AGAIN : EXISTING_MISSED;
	return false;
}

static __always_inline bool unfinished(const struct record *r)
{
	return r->out.place != PLACE_END && r->out.place != PLACE_LOST;
}

/* asks_anew reports whether a client sends its next request after it was refused instead
 * of being allowed to send a body. */
static __always_inline bool asks_anew(struct conn *c, const struct vec *v, const struct in *in)
{
	struct record *r = &c->rec;

	return r->in.flags & SAID_EXPECT && !(r->marks & MARK_CONTINUED) && r->out.place == PLACE_END &&
	       r->request_bytes == r->in_head && in->arrived > c->last_enter && begins_request(v, in->n);
}

/* rest_of_request takes what a server reads of a request after it started to answer. It
 * returns how many bytes that is, or ALL_TAKEN. */
static __always_inline __u64 rest_of_request(struct conn *c, const struct vec *v, const struct in *in)
{
	struct record *r = &c->rec;
	struct framing was = r->in;
	__u64 excess = 0;

	if (asks_anew(c, v, in))
		return 0;
	if (was.place != PLACE_LOST)
		excess = walk_in(c, in->n, 0);
	else if (r->out.place == PLACE_END && begins_request(v, in->n))
		return 0;
	if (excess && unfinished(r) && !c->write_enter) {
		r->in = was;
		hand_to_user(c, v, in, true);
		return ALL_TAKEN;
	}
	r->request_bytes += in->n - excess;
	r->marks |= MARK_EARLY;
	return excess ? in->n - excess : ALL_TAKEN;
}

/* read_meanwhile takes a read while the previous request is not finished. It returns
 * after how many bytes the next request starts, or ALL_TAKEN. */
static __noinline __u64 read_meanwhile(struct conn *c, const struct vec *v, const struct in *in)
{
	struct record *r = &c->rec;

	if (r->in.place != PLACE_END)
		return rest_of_request(c, v, in);
	/* If a response ends with the connection, what the client sends during it is no
	 * request: the two sides speak a protocol of their own. */
	if (r->out.place == PLACE_CLOSE)
		return ALL_TAKEN;
	if (c->phase == PHASE_RESPONDING && unfinished(r) && !c->write_enter) {
		if (blank_start(first_word(v, in->n)) < in->n)
			hand_to_user(c, v, in, true);
		return ALL_TAKEN;
	}
	return 0;
}

/* park sets the current request aside for the write that answers it. There is room for
 * one request of each connection. */
static __always_inline bool park(struct conn *c)
{
	__u64 key = c->rec.sk;

	if (c->parked || bpf_map_update_elem(&parked, &key, c, BPF_ANY))
		return false;
	c->parked = 1;
	c->counted = 0; /* the parked one is the one that counts */
	return true;
}

/* lose_track runs when there is no room to set the current request aside. What is written
 * from here on could belong to it or to the next one. */
static __noinline int lose_track(struct conn *c)
{
	if (!c)
		return 0;
	__u64 key = c->rec.sk;
	bpf_map_delete_elem(&parked, &key);
	uncount(c);
	__sync_lock_test_and_set(&c->pending, 0);
	c->stage = STAGE_IGNORED;
	count(STAT_LOST_TABLE);
	return 0;
}

/* over_with ends the previous request because the next one starts. It returns whether the
 * connection is still measured. */
static __always_inline bool over_with(struct conn *c, const struct in *in)
{
	if (in->arrived > c->last_enter)
		settle_ack(c, in->arrived);
	if (likely(!c->write_enter)) {
		hand_out(c);
	} else if (!park(c)) {
		lose_track(c);
		return false;
	}
	c->phase = PHASE_IDLE;
	return true;
}

static __always_inline void read_by(struct conn *c, struct in *in)
{
	struct record *r = &c->rec;
	__u64 skip = 0;
	struct vec v;

	if (unlikely(c->stage == STAGE_IGNORED || c->shut))
		return;
	user_vec(&v);
	if (unlikely(is_framed_by_user(c))) {
		events_read(c, &v, in);
		worker_reads(c);
		return;
	}
	if (unlikely(c->stage == STAGE_FRESH)) {
		skip = proxy_skip(c, &v, in);
		if (skip == ALL_TAKEN)
			return;
		if (skip) {
			v.base += skip;
			v.len -= skip;
			c->ahead = skip;
			arrives_after(c, in, skip);
			skip = 0;
		}
	}
	if (unlikely(c->stage == STAGE_EXISTING) && !existing_read(c, &v, in->n))
		return;
	if (unlikely(c->stage == STAGE_FRESH || c->stage == STAGE_GUESS)) {
		if (!first_request(c, &v, in))
			return;
		c->stage = STAGE_KNOWN;
		process_serves();
	}
	/* A write in progress on another thread has started the response. */
	if (c->phase == PHASE_RESPONDING || (c->phase == PHASE_READING && c->write_enter)) {
		if (unlikely(r->in.place != PLACE_END || r->out.place != PLACE_END))
			skip = read_meanwhile(c, &v, in);
		if (unlikely(skip == ALL_TAKEN))
			return;
		if (!over_with(c, in))
			return;
	}
	if (c->phase == PHASE_IDLE)
		request_new(c, &v, in, skip);
	else
		request_more(c, &v, in);
}

/* on_read runs when a read returned bytes. */
static __always_inline void on_read(struct conn *c, struct in *in)
{
	bool writing = c->write_enter;

	if (unlikely(writing))
		lock_conn(c);
	read_by(c, in);
	if (unlikely(c->ahead))
		c->ahead = 0;
	if (unlikely(writing))
		unlock_conn(c);
}

#endif
