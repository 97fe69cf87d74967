/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a read does to its connection. The hooks only find out what happened
 * and call in here, so both probe plans give the same records. */
#ifndef LAPWING_REQUEST_H
#define LAPWING_REQUEST_H

#include "gateway.h"

/* request_begin forgets the last request and starts one with a read. */
static __always_inline void request_begin(struct conn *c)
{
	struct record *r = &c->rec;

	r->seq++;
	r->marks = 0;
	r->error = 0;
	r->write_first = r->write_last = r->closed = r->marker = 0;
	r->client_wait = r->blocked = r->produce = 0;
	r->request_bytes = r->response_bytes = 0;
	r->req_len = r->resp_len = r->tail_len = 0;
	r->writer_tid = 0;
	c->expect = NEVER_ENDS;
	c->head_end = 0;
	c->last_byte = 0;
	c->short_write = c->await_ack = c->told = c->sealed = c->rest = 0;
	c->acked = 0;
	c->phase = PHASE_READING;
	c->pending = 1;
}

static __always_inline void hand_to_user(struct conn *c, const struct vec *v, const struct in *in, bool open)
{
	careful_begin(c, open);
	careful_read(c, v, in);
}

/* read_request takes n bytes into a request that is being read. */
static __always_inline void read_request(struct conn *c, const struct vec *v, const struct in *in, bool first)
{
	struct record *r = &c->rec;

	/* The end of the head is known from its last but one byte. */
	if (!c->head_end || unlikely(r->request_bytes < c->head_end)) {
		__u32 took = capture(c, SEAL_REQUEST, r->req_len, v, in->n);

		r->req_len += took;
		head_progress(c, v, in->n, took);
		/* More than one request in this read: user space takes it apart,
		 * from the state before the read. */
		if (unlikely(r->request_bytes + in->n > c->expect)) {
			r->req_len -= took;
			if (first) {
				r->seq--;
				c->pending = 0;
			}
			hand_to_user(c, v, in, !first);
			return;
		}
	} else if (r->request_bytes + in->n > c->expect) {
		hand_to_user(c, v, in, true);
		return;
	}
	r->request_bytes += in->n;
	marker_read(r, first, r->request_bytes >= c->expect);
	if (!first && !r->marker)
		r->client_wait += empty_since(r->read_last, in);
	r->read_last = in->now;
	r->arrived_last = in->arrived_last;
}

/* first_request tells whether an HTTP request begins with this read, the first
 * of the connection. If not, the connection is not this side's from here on. */
static __always_inline bool first_request(struct conn *c, const struct vec *v, const struct in *in)
{
	if (c->mode == MODE_FRESH && v->base && begins_request(v, in->n))
		return true;
	gateway_read(c, v, in);
	return false;
}

/* existing_read decides what the first reads on a connection that is older
 * than the agent mean. It returns true when a request begins. */
static __always_inline bool existing_read(struct conn *c, const struct vec *v, __u64 n)
{
	__u64 w = first_word(v, n);
	bool http = v->base && is_request(w, shown(v, n));
	bool gateway = v->base && fastcgi_begins(w, shown(v, n)) == GUESS_YES;

	switch (c->existing) {
	case EXISTING_QUIET:
	case EXISTING_ANSWERED:
		if (http || gateway) {
			c->mode = http ? MODE_HTTP : MODE_FRESH;
			process_serves();
			return true;
		}
		if (c->existing == EXISTING_ANSWERED)
			return false;
		count(STAT_MISSED_PROGRESS);
		break;
	case EXISTING_QUEUED:
		count(STAT_MISSED_QUEUED);
		break;
	}
	c->existing = EXISTING_MISSED;
	return false;
}

/* next_begins tells whether a read while a response is being written begins
 * the next request. Otherwise it is more of the body that the server answered
 * before it had read it. */
static __always_inline bool next_begins(struct conn *c, const struct vec *v, __u64 n)
{
	if (c->expect != NEVER_ENDS)
		return c->rec.request_bytes >= c->expect;
	return begins_request(v, n);
}

/* park sets the current request aside for the write that answers it. */
static __always_inline bool park(struct conn *c)
{
	__u64 key = c->rec.sk;

	if (bpf_map_update_elem(&parked, &key, c, BPF_ANY))
		return false;
	c->parked = 1;
	c->counted = 0; /* by the one that is parked */
	return true;
}

static __always_inline void read_by(struct conn *c, const struct in *in)
{
	struct record *r = &c->rec;
	bool first = false;
	struct vec v;

	if (unlikely(c->mode == MODE_IGNORED || c->shut))
		return;
	user_vec(&v);
	if (unlikely(c->mode == MODE_CAREFUL)) {
		careful_read(c, &v, in);
		worker_reads(c);
		return;
	}
	if (unlikely(c->mode == MODE_EXISTING) && !existing_read(c, &v, in->n))
		return;
	if (unlikely(c->mode <= MODE_GUESS)) {
		if (!first_request(c, &v, in))
			return;
		c->mode = MODE_HTTP;
		process_serves();
	}
	/* A write in progress on another thread has begun the response. */
	if (c->phase == PHASE_RESPONDING || (c->phase == PHASE_READING && c->write_enter)) {
		if (unlikely(!next_begins(c, &v, in->n))) {
			r->request_bytes += in->n;
			r->marks |= MARK_EARLY;
			return;
		}
		if (in->arrived > c->last_enter)
			settle_ack(c, in->arrived);
		if (likely(!c->write_enter) || !park(c))
			hand_out(c, KIND_FINAL);
		c->phase = PHASE_IDLE;
	}
	if (c->phase == PHASE_IDLE) {
		__u64 last_enter = c->last_enter;

		first = true;
		request_begin(c);
		if (in->arrived && in->arrived < last_enter)
			r->marks |= MARK_PIPELINED;
		r->arrived = in->arrived;
		r->read_first = in->now;
		note_worker(r);
	}
	read_request(c, &v, in, first);
	if (unlikely(c->callers != callers))
		worker_reads(c);
}

/* on_read: a read returned bytes. */
static __always_inline void on_read(struct conn *c, const struct in *in)
{
	bool writing = c->write_enter;

	if (unlikely(writing))
		lock_conn(c);
	read_by(c, in);
	if (unlikely(writing))
		unlock_conn(c);
}

#endif
