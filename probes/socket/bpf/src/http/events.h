/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Connections whose requests the kernel side cannot separate: each read and write becomes
 * one event with its bytes, and user space does the framing. An ordinary connection never
 * comes here. */
#ifndef LAPWING_EVENTS_H
#define LAPWING_EVENTS_H

#include "conn/arrival.h"
#include "conn/lock.h"
#include "work/marker.h"

/* At most this many segments of a vector are copied. If several responses go out in one
 * call, each has a few segments: Apache writes up to 16 at once. */
#define EVENT_SEGMENTS 16

__noinline int events_close(struct conn *c, __u64 now, __u16 error);

/* events_begin switches a connection to framing in user space. open means that a request
 * is in progress; its state goes along. */
static __noinline int events_begin(struct conn *c, bool open)
{
	if (!c)
		return 0;
	debug("connection %llu is framed by user space from request %u on", c->rec.conn, c->rec.seq);
	uncount(c);
	c->state = STATE(STAGE_KNOWN, ROLE_SERVER, FRAMER_USER);
	count(STAT_EVENT_CONNS);
	if (!open)
		c->rec.request_bytes = 0;
	if (!record_write(c, KIND_OPEN, __sync_lock_test_and_set(&c->pending, 0)))
		count(STAT_LOST_EVENTS);
	/* A close on another CPU may not have seen the change yet. */
	if (is_over(c->rec.sk))
		events_close(c, bpf_ktime_get_ns(), 0);
	return 0;
}

static __always_inline struct scratch *event_begin(struct conn *c, __u16 kind, __u64 now)
{
	__u32 which = kind == KIND_CLOSE;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &which);
	__u64 id = bpf_get_current_pid_tgid();

	if (!s)
		return NULL;
	struct event *e = &s->event;
	e->kind = kind;
	e->error = 0;
	e->number = ++c->events;
	e->conn = c->rec.conn;
	e->enter = e->marker = e->arrived = e->arrived_last = e->wait = e->blocked = e->count = 0;
	e->exit = now;
	e->pid = id >> 32;
	e->tid = (__u32)id;
	e->data_len = e->pieces_len = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	return s;
}

/* event_data copies what a call read or wrote. The segments follow each other without a
 * gap. After the first segment, what does not fit in half the room is left out, because
 * the verifier cannot relate an offset to a length. */
static __always_inline void event_data(struct scratch *s, const struct vec *v, __u64 n)
{
	const __u32 half = EVENT_DATA_MAX / 2;
	struct iovec seg = { (void *)v->base, v->len };
	__u32 done = 0;

	for (int i = 0; i < EVENT_SEGMENTS; i++) {
		if (v->iov && (i >= v->segments || bpf_probe_read_user(&seg, sizeof(seg), &v->iov[i])))
			break;
		__u64 take = n < seg.iov_len ? n : seg.iov_len;
		__u32 room = done ? half : EVENT_DATA_MAX;

		if (take > room)
			take = room;
		barrier_var(done);
		if (done > half)
			break;
		if (!done && !bpf_probe_read_user(s->data, take, seg.iov_base))
			done = take;
		else if (done && take <= half && !bpf_probe_read_user(s->data + done, take, seg.iov_base))
			done += take;
		else
			break;
		n -= take;
		if (!v->iov || !n || take < seg.iov_len)
			break;
	}
	s->event.data_len = done;
}

static __always_inline void event_write(struct scratch *s)
{
	bool written = log_write(&s->event, sizeof(s->event), s->data, s->event.data_len, EVENT_DATA_MAX);

	count(written ? STAT_EVENTS : STAT_LOST_EVENTS);
}

/* close_write writes a close. A close is not lost if the log is full. */
static __always_inline void close_write(const struct event *e)
{
	struct late_close late = { .exit = e->exit, .number = e->number, .error = e->error };
	__u64 conn = e->conn;

	if (log_write(e, sizeof(*e), NULL, 0, 0) || !bpf_map_update_elem(&late_closes, &conn, &late, BPF_ANY))
		count(STAT_EVENTS);
	else
		count(STAT_LOST_EVENTS);
}

/* events_progress keeps what a snapshot shows of the connection: the thread that reads,
 * and since when. As far as this side can see, a read after a write starts another
 * request. */
static __always_inline void events_progress(struct conn *c, const struct in *in)
{
	struct record *r = &c->rec;

	if (!r->read_first || r->read_last <= c->write_exit) {
		r->read_first = in->now;
		r->arrived = in->arrived;
	}
	r->read_last = in->now;
	note_worker(r);
}

__noinline int events_read(struct conn *c, const struct vec *v, const struct in *in)
{
	if (!c || !v || !in || !is_framed_by_user(c))
		return 0;
	struct scratch *s = event_begin(c, KIND_READ, in->now);
	if (!s)
		return 0;
	s->event.arrived = in->arrived;
	s->event.arrived_last = in->arrived_last;
	s->event.wait = empty_since(c->rec.read_last, in);
	s->event.count = in->n;
	arrival_pieces((struct inbound *)c, in->end - in->wire, in->end);
	events_progress(c, in);
	marker_read(&c->rec, false, false, false);
	if (v->base)
		event_data(s, v, in->n);
	event_write(s);
	return 0;
}

__noinline int events_write(struct conn *c, const struct vec *v, const struct out *out)
{
	if (!c || !v || !out || !is_framed_by_user(c))
		return 0;
	__u64 gap = c->short_write && out->enter > c->write_exit ? out->enter - c->write_exit : 0;

	c->short_write = out->error == EAGAIN || (!out->error && v->want > out->n);
	c->write_exit = out->now;
	if (!out->n)
		return 0;
	struct scratch *s = event_begin(c, KIND_WRITE, out->now);
	if (!s)
		return 0;
	s->event.enter = out->enter;
	s->event.marker = marker_write(&c->rec);
	s->event.count = out->n;
	s->event.blocked = gap + slept(c, out->enter, out->now);
	if (v->base)
		event_data(s, v, out->n);
	event_write(s);
	return 0;
}

__noinline int events_close(struct conn *c, __u64 now, __u16 error)
{
	if (!c || !is_framed_by_user(c))
		return 0;
	struct scratch *s = event_begin(c, KIND_CLOSE, now);
	if (s) {
		s->event.error = error;
		close_write(&s->event);
	}
	c->stage = STAGE_IGNORED;
	return 0;
}

/* events_end runs when the connection is closed. If a write is in progress, the close is
 * reported when that write returns. */
static __always_inline void events_end(struct conn *c, __u64 now, __u16 error)
{
	c->rec.closed = now;
	c->rec.error = error;
	if (!left_to_writer(c))
		events_close(c, now, error);
}

#endif
