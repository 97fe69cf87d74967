/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a write does to its connection. */
#ifndef LAPWING_RESPONSE_H
#define LAPWING_RESPONSE_H

#include "noted.h"
#include "request.h"
#include "tail.h"

static __always_inline void on_write_enter(struct conn *c, __u64 now)
{
	c->write_enter = now;
	c->sleeps_before = bpf_get_current_task_btf()->nvcsw;
}

static __always_inline bool begin_response(struct conn *c, const struct out *out, __u32 took)
{
	struct record *r = &c->rec;

	r->resp_len = took;
	r->write_first = out->enter;
	r->writer_tid = bpf_get_current_task_btf()->pid;
	r->marks |= MARK_RESPONDING;
	if (r->request_bytes < c->expect && c->expect != NEVER_ENDS)
		r->marks |= MARK_EARLY;
	marker_answer(r);
	c->phase = PHASE_RESPONDING;
	if (unlikely(c->callers != callers))
		worker_answers(c);
	return true;
}

static __always_inline bool is_connect(struct record *r)
{
	__u32 name = r->name_len;

	barrier_var(name);
	return name <= NAME_MAX && *(__u32 *)&r->bytes[name] == METHOD_CONNECT;
}

/* response_begin looks at the first write after a request was read. It returns
 * false when this is not the response. */
static __always_inline bool response_begin(struct conn *c, struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u64 n = out->n;
	__u32 at = r->name_len + r->req_len;
	__u32 took = capture(c, SEAL_RESPONSE, 0, v, n);

	barrier_var(at);
	if (at > NAME_MAX + head_bytes)
		return false;
	const __u8 *head = &r->bytes[at];
	if (unlikely(v->file || (took && !is_response(*(__u64 *)head, took)))) {
		if (r->seq == 1)
			return begin_response(c, out, took);
		/* The response before this one goes on, although the next request
		 * was read already. */
		careful_begin(c, true);
		user_vec(v);
		careful_write(c, v, out);
		return false;
	}
	if (unlikely(took >= 12 && head[9] == '1')) {
		if (head[11] == '1') {
			r->marks |= MARK_UPGRADED;
			return begin_response(c, out, took);
		}
		/* 100, 102, 103: an interim response, unless the final one is in the
		 * same write. */
		__u32 end = blank_line((struct block *)head, took, 0);

		if (!end || end >= n) {
			r->marks |= MARK_CONTINUED;
			c->rest = 0;
			return false;
		}
	}
	if (took >= 12 && head[9] == '2' && is_connect(r))
		r->marks |= MARK_UPGRADED;
	return begin_response(c, out, took);
}

/* response_more looks at a further write. It returns false when user space has
 * to tell whose response it is. */
static __always_inline bool response_more(struct conn *c, struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u64 n = out->n;

	if (c->expect == NEVER_ENDS && v->base && shown(v, n) >= 8 && is_response(first_word(v, n), 8)) {
		careful_begin(c, true);
		user_vec(v);
		careful_write(c, v, out);
		return false;
	}
	if (out->enter > c->write_exit) {
		__u64 gap = out->enter - c->write_exit;

		if (c->short_write)
			r->blocked += gap;
		else
			r->produce += gap;
	}
	r->resp_len += capture(c, SEAL_RESPONSE, r->resp_len, v, n);
	return true;
}

/* existing_write: the first write on a connection that is older than the agent
 * answers a request that was in flight when the agent started. */
static __always_inline void existing_write(struct conn *c)
{
	if (c->existing < EXISTING_MISSED)
		count(c->existing == EXISTING_QUEUED ? STAT_MISSED_QUEUED : STAT_MISSED_PROGRESS);
	c->existing = EXISTING_ANSWERED;
}

/* response_written takes bytes that were written into the response. */
static __always_inline void response_written(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;

	r->response_bytes += out->n;
	r->write_last = out->now;
	r->blocked += slept(c, out->enter, out->now);
	note_tail(c, v, out->n);
	c->last_enter = out->enter;
	c->end_seq = out->end_seq;
	c->await_ack = out->acked_seq != out->end_seq;
	c->acked = !c->await_ack && r->family != AF_UNIX ? out->now : 0;
}

static __always_inline int write_to(struct conn *c, const struct out *out)
{
	struct vec v;

	if (unlikely(c->mode == MODE_EXISTING)) {
		existing_write(c);
		return 0;
	}
	write_vec(c, &v);
	if (unlikely(c->mode == MODE_CAREFUL)) {
		user_vec(&v);
		careful_write(c, &v, out);
		return 0;
	}
	if (unlikely(c->mode == MODE_FRESH && out->n))
		connection_ignore(c, &v, out->n, REASON_SERVER_FIRST);
	if (c->mode != MODE_HTTP || c->phase == PHASE_IDLE)
		return 0;
	if (out->n) {
		bool ours = c->phase == PHASE_READING ? response_begin(c, &v, out) : response_more(c, &v, out);

		if (!ours)
			return 0;
		response_written(c, &v, out);
	} else if (out->error == EPIPE || out->error == ECONNRESET) {
		c->rec.error = out->error;
		if (c->phase == PHASE_READING)
			marker_answer(&c->rec); /* nobody is there to hear it */
	}
	c->short_write = out->error == EAGAIN || (!out->error && v.want > out->n);
	c->write_exit = out->now;
	c->told = 0;
	if (unlikely(c->rec.marks & MARK_UPGRADED)) {
		hand_out(c, KIND_FINAL);
		c->mode = MODE_IGNORED;
	}
	return 0;
}

/* closed_meanwhile: the connection was closed while a write was in progress. */
static __noinline int closed_meanwhile(struct conn *c)
{
	if (!c)
		return 0;
	if (c->mode == MODE_CAREFUL) {
		careful_close(c, c->rec.closed, c->rec.error);
	} else if (c->mode == MODE_HTTP) {
		hand_out(c, KIND_FINAL);
		c->mode = MODE_IGNORED;
	}
	return 0;
}

/* on_write: a write returned. It belongs to the request that is parked, if
 * one is and the write was entered before the next request was read. */
static __always_inline void on_write(struct conn *c, const struct out *out)
{
	struct conn *to = c;
	__u64 key = c->rec.sk;

	lock_conn(c);
	if (unlikely(c->parked)) {
		c->parked = 0;
		to = bpf_map_lookup_elem(&parked, &key);
		if (!to)
			to = c; /* evicted: it shows as a response to nothing */
	}
	write_to(to, out);
	c->out_want = 0;
	*(volatile __u64 *)&c->write_enter = 0;
	unlock_conn(c);
	if (unlikely(*(volatile __u8 *)&c->gone))
		closed_meanwhile(c);
	if (to == c)
		return;
	hand_out(to, KIND_FINAL);
	c->last_enter = out->enter;
	bpf_map_delete_elem(&parked, &key);
}

#endif
