/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The life of a request: what each thing that happens on a socket does to its
 * connection's state. The hooks only find out what happened and call in here,
 * so both probe plans give the same records. */
#ifndef LAPWING_REQUEST_H
#define LAPWING_REQUEST_H

#include "http.h"
#include "careful.h"

/* connection_begin fills a connection from the socket it belongs to. */
static __always_inline void connection_begin(struct conn *c, __u64 sk, __u16 family)
{
	c->rec.conn = next_conn_number();
	c->rec.sk = sk;
	c->rec.family = family;
}

/* request_begin forgets the last request and starts one with a read. */
static __always_inline void request_begin(struct conn *c)
{
	struct record *r = &c->rec;

	r->seq++;
	r->marks = 0;
	r->error = 0;
	r->write_first = r->write_last = r->closed = 0;
	r->client_wait = r->blocked = r->produce = 0;
	r->request_bytes = r->response_bytes = 0;
	r->req_len = r->resp_len = r->tail_len = 0;
	r->writer_tid = 0;
	c->expect = NEVER_ENDS;
	c->head_end = 0;
	c->last_byte = 0;
	c->short_write = c->await_ack = c->told = 0;
	c->acked = 0;
	c->phase = PHASE_READING;
	c->pending = 1;
}

static __always_inline void note_worker(struct record *r)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (r->tid == (__u32)id && r->comm[0])
		return;
	r->pid = id >> 32;
	r->tid = (__u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

/* capture appends up to n bytes of user memory to the heads and returns how
 * many it took; have is what the head it belongs to has so far. */
static __always_inline __u32 capture(struct record *r, __u32 have, const void *from, __u64 n)
{
	__u32 at = r->name_len + r->req_len + r->resp_len;

	if (have >= head_bytes || !from)
		return 0;
	__u32 room = head_bytes - have;
	__u32 take = n > room ? room : n;
	barrier_var(take);
	barrier_var(at);
	if (take > head_bytes || at > NAME_MAX + 2 * head_bytes)
		return 0;
	if (bpf_probe_read_user(&r->bytes[at], take, from))
		return 0;
	return take;
}

/* captured_end looks for the end of a head in what was captured of this read:
 * the last `took` bytes of the captured request head. */
static __always_inline __u32 captured_end(struct conn *c, __u32 took)
{
	struct record *r = &c->rec;
	__u32 at = r->name_len + r->req_len - took;

	for (__u32 block = 0; block < MAX_HEAD / SCAN_BLOCK; block++, at += SCAN_BLOCK) {
		barrier_var(at);
		if (!took || at > NAME_MAX + head_bytes)
			break;
		__u32 n = took > SCAN_BLOCK ? SCAN_BLOCK : took;
		__u32 end = blank_line((struct block *)&r->bytes[at], n, c->last_byte);
		if (end)
			return block * SCAN_BLOCK + end;
		__u32 last = at + n - 1;
		barrier_var(last);
		if (last < NAME_MAX + 2 * head_bytes)
			c->last_byte = r->bytes[last];
		took -= n;
	}
	return 0;
}

/* head_progress takes n more bytes of a request's head into account, of which
 * the first `took` were captured. */
static __always_inline void head_progress(struct conn *c, const struct vec *v, __u64 n, __u32 took)
{
	struct record *r = &c->rec;
	__u32 name = r->name_len;
	__u32 end = captured_end(c, took);
	__u64 visible = n < v->len ? n : v->len;

	if (unlikely(!end && visible > took) && v->base) {
		end = scan_rest((__u64)v->base + took, visible - took, c->last_byte);
		if (end)
			end += took;
		else
			bpf_probe_read_user(&c->last_byte, 1, v->base + visible - 1);
	}
	if (!end)
		return;
	c->head_end = r->request_bytes + end;
	c->expect = c->head_end;
	barrier_var(name);
	if (name > NAME_MAX || r->bytes[name] != 'P') /* POST, PUT, PATCH, PROPFIND, … */
		return;
	c->expect = content_length((struct block *)&r->bytes[name], r->req_len);
	if (c->expect != NEVER_ENDS)
		c->expect += c->head_end;
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

	if (!c->head_end) {
		__u32 took = capture(r, r->req_len, v->base, in->n < v->len ? in->n : v->len);

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
	if (!first)
		r->client_wait += empty_since(r->read_last, in);
	r->request_bytes += in->n;
	r->read_last = in->now;
	r->arrived_last = in->arrived_last;
}

/* first_request tells whether a request of a known protocol begins with these
 * bytes; if not, the connection is ignored from here on. */
static __always_inline bool first_request(struct conn *c, const struct vec *v, __u64 n)
{
	if (v->base && is_request(first_word(v, n), n))
		return true;
	connection_ignore(c, v, n, v->base ? REASON_BYTES : REASON_NO_BYTES);
	return false;
}

/* existing_read decides what the first reads on a connection that is older
 * than the agent mean. It returns true when a request begins. */
static __always_inline bool existing_read(struct conn *c, const struct vec *v, __u64 n)
{
	bool begins = v->base && is_request(first_word(v, n), n);

	switch (c->existing) {
	case EXISTING_QUIET:
	case EXISTING_ANSWERED:
		if (begins) {
			c->mode = MODE_HTTP;
			c->in_total = c->read_total; /* older bytes were not counted */
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
	return is_request(first_word(v, n), n);
}

/* lock_conn keeps a thread that reads the next request apart from one that is
 * just leaving the write of the response: on two CPUs they can be that close.
 * Tracing programs may not use the kernel's spin locks. The holder runs with
 * preemption off for less than a microsecond, so the wait is short and bounded. */
__noinline int lock_conn(struct conn *c)
{
	if (!c)
		return 0;
	for (int i = 0; i < 2048; i++)
		if (!__sync_lock_test_and_set(&c->lock, 1))
			break;
	return 0;
}

static __always_inline void unlock_conn(struct conn *c)
{
	*(volatile __u32 *)&c->lock = 0;
}

/* park sets the current request aside for the write that answers it. */
static __always_inline bool park(struct conn *c)
{
	__u64 key = c->rec.sk;

	if (bpf_map_update_elem(&parked, &key, c, BPF_ANY))
		return false;
	c->parked = 1;
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
		return;
	}
	if (unlikely(c->mode == MODE_EXISTING) && !existing_read(c, &v, in->n))
		return;
	if (unlikely(c->mode == MODE_FRESH)) {
		if (!first_request(c, &v, in->n))
			return;
		c->mode = MODE_HTTP;
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

/* on_arrival: bytes were queued on the socket; empty tells that none were
 * there before, seq numbers the first of them. */
static __always_inline void on_arrival(struct conn *c, __u64 now, bool empty, __u32 seq)
{
	c->in_last = now;
	if (empty || !c->in_first) {
		c->in_before = c->in_first;
		c->in_first = now;
		c->in_seq = seq;
		c->marks = 0;
		return;
	}
	__u32 at = c->marks;
	if (at < MARKS_IN) {
		c->marks_in[at].at = now;
		c->marks_in[at].seq = seq;
	}
	if (at <= MARKS_IN)
		c->marks = at + 1;
}

/* arrival_at returns when the byte with number seq arrived, 0 if not known. */
static __always_inline __u64 arrival_at(struct conn *c, __u32 seq)
{
	__u64 at = c->in_first;

	/* The newest arrival may be of bytes behind those that were read. */
	if (at && (__s32)(c->in_seq - seq) > 0)
		return c->in_before;
	for (int i = 0; i < MARKS_IN; i++) {
		if (i >= c->marks || (__s32)(c->marks_in[i].seq - seq) > 0)
			return at;
		at = c->marks_in[i].at;
	}
	return c->marks > MARKS_IN ? 0 : at;
}

/* arrivals finds when the bytes that were just read arrived: those before
 * number end. */
static __always_inline void arrivals(struct conn *c, struct in *in, __u32 end)
{
	if (!c->marks && (__s32)(c->in_seq - end) < 0) {
		in->arrived = c->in_first;
		in->arrived_last = c->in_last;
		return;
	}
	in->arrived = arrival_at(c, end - in->n);
	in->arrived_last = arrival_at(c, end - 1);
}

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
	r->writer_tid = (__u32)bpf_get_current_pid_tgid();
	r->marks |= MARK_RESPONDING;
	if (r->request_bytes < c->expect && c->expect != NEVER_ENDS)
		r->marks |= MARK_EARLY;
	c->phase = PHASE_RESPONDING;
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
static __always_inline bool response_begin(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u64 n = out->n;
	__u32 at = r->name_len + r->req_len;
	__u32 took = capture(r, 0, v->base, n < v->len ? n : v->len);

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
			return false;
		}
	}
	if (took >= 12 && head[9] == '2' && is_connect(r))
		r->marks |= MARK_UPGRADED;
	return begin_response(c, out, took);
}

/* response_more looks at a further write. It returns false when user space has
 * to tell whose response it is. */
static __always_inline bool response_more(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u64 n = out->n;

	if (c->expect == NEVER_ENDS && v->base && n >= 8 && is_response(first_word(v, n), n)) {
		careful_begin(c, true);
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
	r->resp_len += capture(r, r->resp_len, v->base, n < v->len ? n : v->len);
	return true;
}

/* note_tail keeps the last bytes of a write, which end a chunked response,
 * unless the captured head has them. */
static __always_inline void note_tail(struct record *r, const struct vec *v, __u64 n)
{
	__u32 len = n > 8 ? 8 : n;

	r->tail_len = 0;
	if (r->resp_len == r->response_bytes || !v->end || v->want != n)
		return;
	if (!bpf_probe_read_user(r->tail, len, v->end - len))
		r->tail_len = len;
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
	note_tail(r, v, out->n);
	c->last_enter = out->enter;
	c->end_seq = out->end_seq;
	c->await_ack = out->tcp && !out->acked;
	c->acked = out->acked ? out->now : 0;
}

static __noinline int write_to(struct conn *c, const struct out *out)
{
	struct vec v;

	if (!c || !out)
		return 0;
	if (unlikely(c->mode == MODE_EXISTING)) {
		existing_write(c);
		return 0;
	}
	user_vec(&v);
	if (unlikely(c->mode == MODE_CAREFUL)) {
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
	}
	c->short_write = out->error == EAGAIN || (!out->error && v.want > out->n);
	c->write_exit = out->now;
	c->told = 0;
	if (unlikely(c->gone || c->rec.marks & MARK_UPGRADED)) {
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
	c->write_enter = 0;
	unlock_conn(c);
	if (to == c)
		return;
	hand_out(to, KIND_FINAL);
	c->last_enter = out->enter;
	bpf_map_delete_elem(&parked, &key);
}

/* on_ack: a segment without bytes arrived. Whether it acknowledges a response
 * is found out by settle_ack, where the response's end is known. */
static __always_inline void on_ack(struct conn *c, __u64 now, __u32 ack_seq)
{
	/* The first with this number: later ones only open the window. */
	if (c->ack_only && c->ack_seq == ack_seq)
		return;
	c->ack_only = now;
	c->ack_seq = ack_seq;
}

/* on_close: no more can be written. final tells that the peer has everything
 * it will ever get, too. */
static __always_inline void on_close(struct conn *c, __u64 now, bool final, __u16 error)
{
	if (c->mode == MODE_CAREFUL) {
		if (final)
			careful_close(c, now, error);
		return;
	}
	if (c->mode != MODE_HTTP || !c->pending)
		return;
	if (!c->rec.closed)
		c->rec.closed = now;
	if (error && !c->rec.error)
		c->rec.error = error;
	c->told = 0;
	c->shut = 1;
	if (!final)
		return;
	if (c->write_enter) {
		c->gone = 1;
		return;
	}
	hand_out(c, KIND_FINAL);
	c->mode = MODE_IGNORED;
}

/* on_idle: nothing was heard of the connection for a while; hand out a
 * response that may be complete. */
static __always_inline void on_idle(struct conn *c, __u64 now)
{
	if (c->mode != MODE_HTTP || c->phase != PHASE_RESPONDING || c->told || c->write_enter)
		return;
	if (now < c->write_exit + idle_ns)
		return;
	c->told = 1;
	hand_out(c, KIND_TENTATIVE);
}

#endif
