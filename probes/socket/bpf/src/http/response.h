/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a write does to its connection. */
#ifndef LAPWING_RESPONSE_H
#define LAPWING_RESPONSE_H

#include "http/write_buffer.h"
#include "http/request.h"

static __always_inline void on_write_enter(struct conn *c, __u64 now)
{
	c->write_enter = now;
	c->sleeps_before = bpf_get_current_task_btf()->nvcsw;
}

/* half_answered reports whether an incomplete head gets an answer that is not HTTP: the
 * two sides speak another protocol. Bytes that were not visible prove nothing. */
static __always_inline bool half_answered(const struct record *r)
{
	return r->in.place <= PLACE_VALUE && r->out.place == PLACE_LOST && r->out_head && !r->out.status;
}

/* response_begins runs when what is being written is the response, not an interim one. It
 * returns false if it answers no request. */
static __always_inline bool response_begins(struct conn *c)
{
	struct record *r = &c->rec;

	if (r->in.place != PLACE_END && r->in.place != PLACE_LOST) {
		if (half_answered(r)) {
			request_foreign(c);
			return false;
		}
		r->marks |= MARK_EARLY;
	}
	r->writer_tid = bpf_get_current_task_btf()->pid;
	r->marks |= MARK_RESPONDING;
	c->sealed = 1;
	marker_answer(r);
	c->phase = PHASE_RESPONDING;
	if (unlikely(c->callers != callers))
		worker_answers(c);
	return true;
}

/* response_foreign runs when what is written first is no response. It returns false if it
 * answers no request, or if user space has to find out which request it answers. */
static __noinline int response_foreign(struct conn *c, const struct out *out)
{
	struct record *r = &c->rec;
	struct vec v;

	user_vec(&v);
	if (v.file && spliced()) {
		taken_unseen(c);
		return false;
	}
	if (c->existing == EXISTING_TAKEN && r->seq == 1) {
		c->pending = 0; /* a line of a session that looks like a request */
		connection_ignore(c, &v, out->n, REASON_BYTES);
		return false;
	}
	if (r->seq == 1 && r->in.place <= PLACE_VALUE && !v.file) {
		request_foreign(c);
		return false;
	}
	r->write_first = out->enter;
	r->out.place = PLACE_LOST;
	if (r->seq == 1)
		return true;
	/* The previous response goes on, although the next request was read already. */
	r->write_first = 0;
	framing_begins(&r->out);
	events_begin(c, true);
	events_write(c, &v, out);
	return false;
}

/* response_scanned frames a response from the first `took` of the n bytes of a call. */
static __always_inline void response_scanned(struct conn *c, const __u8 *head, __u32 took, __u64 n, __u64 enter)
{
	struct record *r = &c->rec;
	struct framing *f = &r->out;
	__u32 used = 0;

	if (likely(took))
		used = scan_head((struct block *)head, took, f, NULL);
	r->out_head = used;
	if (unlikely(f->place != PLACE_BODY))
		r->resp_len = used;
	else
		response_head_ends(c, f, method_of(r));
	if (likely(f->place == PLACE_LENGTH))
		body_bytes(f, n - used);
	else if (used != n && f->place != PLACE_END && f->place != PLACE_CLOSE)
		walk_out(c, n, used, enter);
}

/* response_captured frames a response from what is captured of its first write. */
static __always_inline bool response_captured(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u32 at = heads_end(r);
	__u64 n = out->n, visible = shown(v, n);
	__u32 took = capture_at(r, at, 0, v->base, visible > SCAN_BLOCK ? SCAN_BLOCK : visible);

	barrier_var(at);
	if (at > NAME_MAX + TRACE_MAX + head_bytes)
		return false;
	const __u8 *head = &r->bytes[at];
	if (unlikely(v->file || (took && !is_response(*(__u64 *)head, took))))
		return response_foreign(c, out);
	r->write_first = out->enter;
	response_scanned(c, head, took, n, out->enter);
	return true;
}

/* waited adds the time since the last write to the response. */
static __always_inline void waited(struct conn *c, const struct out *out)
{
	struct record *r = &c->rec;

	if (out->enter <= c->write_exit || !r->write_first)
		return;
	__u64 gap = out->enter - c->write_exit;

	if (c->short_write)
		r->blocked += gap;
	else
		r->produce += gap;
}

/* response_takes adds a write to the response. It returns false if the write is not part
 * of it. */
static __always_inline bool response_takes(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	struct framing *f = &r->out;

	if (likely(f->place == PLACE_START)) {
		if (!response_captured(c, v, out))
			return false;
	} else if (unlikely(f->place == PLACE_END)) {
		return false; /* it answers no request */
	} else {
		waited(c, out);
		if (f->place == PLACE_LENGTH)
			body_bytes(f, out->n);
		else if (f->place != PLACE_CLOSE && f->place != PLACE_LOST)
			walk_out(c, out->n, 0, out->enter);
	}
	if (c->phase == PHASE_READING && (f->status >= 200 || f->status == 101 || f->place == PLACE_LOST))
		return response_begins(c);
	return true;
}

/* existing_write takes the first write on a connection that is older than the agent. It
 * answers a request that was in flight when the agent started. */
static __always_inline void existing_write(struct conn *c)
{
	if (c->existing < EXISTING_MISSED)
		count(c->existing == EXISTING_QUEUED ? STAT_MISSED_QUEUED : STAT_MISSED_PROGRESS);
	if (c->existing <= EXISTING_MISSED)
		c->existing = EXISTING_ANSWERED;
	else if (c->existing == EXISTING_AGAIN)
		c->existing = EXISTING_TWICE;
}

/* response_written adds bytes that were written to the response. */
static __always_inline void response_written(struct conn *c, const struct out *out)
{
	struct record *r = &c->rec;

	r->response_bytes += out->n;
	if (unlikely(!r->write_first)) /* only an interim response so far */
		return;
	r->write_last = out->now;
	r->blocked += slept(c, out->enter, out->now);
	c->last_enter = out->enter;
	c->end_seq = out->end_seq;
	c->await_ack = out->acked_seq != out->end_seq;
	c->acked = !c->await_ack && r->family != AF_UNIX ? out->now : 0;
}

static __always_inline int write_to(struct conn *c, const struct out *out)
{
	struct vec v;

	if (unlikely(c->stage == STAGE_EXISTING)) {
		existing_write(c);
		return 0;
	}
	write_vec(c, &v);
	if (unlikely(is_framed_by_user(c))) {
		user_vec(&v);
		events_write(c, &v, out);
		return 0;
	}
	if (unlikely(c->stage == STAGE_FRESH && out->n)) {
		unix_taken(c);
		if (c->stage == STAGE_FRESH && !ending)
			connection_ignore(c, &v, out->n, REASON_SERVER_FIRST);
	}
	if (!is_framed_here(c) || c->phase == PHASE_IDLE)
		return 0;
	if (out->n) {
		if (!response_takes(c, &v, out))
			return 0;
		response_written(c, out);
	} else if (out->error == EPIPE || out->error == ECONNRESET) {
		c->rec.error = out->error;
		if (c->phase == PHASE_READING)
			marker_answer(&c->rec); /* the client is gone */
	}
	c->short_write = out->error == EAGAIN || (!out->error && asked_more(&v, out->n));
	c->write_exit = out->now;
	c->reported = 0;
	if (unlikely(c->rec.marks & MARK_UPGRADED && c->rec.out.place == PLACE_END)) {
		hand_out(c);
		c->stage = STAGE_IGNORED;
	}
	return 0;
}

/* note_room runs when a write has returned after which the server may have more to write. */
static __always_inline void note_room(struct conn *c, struct sock *sk, bool tcp)
{
	if (likely(is_framed_here(c) && c->rec.out.place == PLACE_END))
		return;
	if (!has_room(sk, tcp))
		c->short_write = 1;
}

/* closed_meanwhile ends a connection that was closed while a write was in progress. */
static __noinline int closed_meanwhile(struct conn *c)
{
	if (!c)
		return 0;
	if (is_framed_by_user(c)) {
		events_close(c, c->rec.closed, c->rec.error);
	} else if (is_framed_here(c)) {
		hand_out(c);
		c->stage = STAGE_IGNORED;
	}
	return 0;
}

/* on_write runs when a write returned. The write belongs to the parked request if there
 * is one and the write was entered before the next request was read. */
static __always_inline void on_write(struct conn *c, const struct out *out)
{
	struct conn *to = c;
	__u64 key = c->rec.sk;

	lock_conn(c);
	if (unlikely(c->parked)) {
		c->parked = 0;
		to = bpf_map_lookup_elem(&parked, &key);
	}
	if (likely(to))
		write_to(to, out);
	c->out_want = 0;
	*(volatile __u64 *)&c->write_enter = 0;
	unlock_conn(c);
	if (unlikely(*(volatile __u8 *)&c->gone))
		closed_meanwhile(c);
	if (to == c || unlikely(!to))
		return;
	hand_out(to);
	/* The client did not wait for the end of the response: user space separates the
	 * two responses. */
	if (unlikely(to->rec.out.place != PLACE_END && unfinished(&to->rec) && is_framed_here(c) && c->pending))
		events_begin(c, true);
	c->last_enter = out->enter;
	bpf_map_delete_elem(&parked, &key);
}

#endif
