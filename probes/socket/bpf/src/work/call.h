/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Calls: the requests of a server process to another server. The connection is kept like
 * a served one, in the role of a client. Its record has the times of request and response of
 * each exchange. HTTP/1 is framed: `in` is what the caller writes, `out` is what it
 * reads. So a call starts and ends where its messages do. For any other protocol in which
 * the client speaks first, a write after a read starts the next exchange: the last read
 * before it was the last of the response. */
#ifndef LAPWING_CALL_H
#define LAPWING_CALL_H

#include "conn/life.h"
#include "http/write_buffer.h"

#define ANY_NETNS 0

/* plain_address writes an address in the same form for IPv4 and for IPv4 in IPv6. */
static __always_inline void plain_address(__u8 *to, const __u8 *from, __u16 family)
{
	const __u32 *words = (const __u32 *)from;

	if (family == AF_INET6 && (words[0] || words[1] || words[2] != 0xffff0000)) {
		__builtin_memcpy(to, from, 16);
		return;
	}
	*(__u32 *)to = family == AF_INET6 ? words[3] : words[0];
}

static __always_inline bool is_loopback(const __u8 *a)
{
	const __u32 *words = (const __u32 *)a;

	return a[0] == 127 || (!words[0] && !words[1] && !words[2] && words[3] == 0x01000000);
}

/* ends_of fills in the ends of a connection from its record. */
static __always_inline void ends_of(struct ends *e, struct record *r, const struct sock *sk, bool client)
{
	__builtin_memset(e, 0, sizeof(*e));
	plain_address(client ? e->client : e->server, r->local, r->family);
	plain_address(client ? e->server : e->client, r->peer, r->family);
	e->client_port = client ? r->local_port : r->peer_port;
	e->server_port = client ? r->peer_port : r->local_port;
	e->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* leads_out reports whether the ends can be in two namespaces. */
static __always_inline bool leads_out(const struct ends *e)
{
	const __u64 *client = (const __u64 *)e->client, *server = (const __u64 *)e->server;

	return !is_loopback(e->server) && (client[0] != server[0] || client[1] != server[1]);
}

/* The server's end is established right after the client's. An older entry is of another
 * connection with the same addresses. */
#define FRESH_NS 1000000000ULL

/* caller_of finds the local call whose other end is a new connection. */
static __noinline int caller_of(struct conn *c, const struct sock *sk)
{
	struct ends e;

	if (!c || !sk)
		return 0;
	ends_of(&e, &c->rec, sk, false);
	struct client *of = bpf_map_lookup_elem(&clients, &e);
	if (!of && leads_out(&e)) {
		e.netns = ANY_NETNS;
		of = bpf_map_lookup_elem(&clients, &e);
		if (of && c->rec.established - of->at > FRESH_NS)
			of = NULL;
	}
	if (of)
		c->rec.caller = of->number;
	return 0;
}

/* late_caller looks again. A client that opened its connection before it was known to be
 * a server has a number only since its first write. */
static __always_inline void late_caller(struct conn *c)
{
	if (callers && !c->rec.caller)
		caller_of(c, (const struct sock *)c->rec.sk);
}

/* client_opened notes the ends of a call's connection. */
static __noinline int client_opened(struct conn *c, const struct sock *sk)
{
	struct ends e;

	if (!c || !sk)
		return 0;
	struct client of = { c->rec.conn, c->rec.established };

	ends_of(&e, &c->rec, sk, true);
	if (bpf_map_update_elem(&clients, &e, &of, BPF_ANY))
		count(STAT_LOST_CALLER);
	if (!leads_out(&e))
		return 0;
	e.netns = ANY_NETNS;
	struct client *other = bpf_map_lookup_elem(&clients, &e);
	if (other && of.at - other->at < FRESH_NS)
		of.number = 0;
	if (bpf_map_update_elem(&clients, &e, &of, BPF_ANY))
		count(STAT_LOST_CALLER);
	return 0;
}

static __noinline int client_gone(struct conn *c, const struct sock *sk)
{
	struct ends e;

	if (!c || !sk)
		return 0;
	ends_of(&e, &c->rec, sk, true);
	bpf_map_delete_elem(&clients, &e);
	e.netns = ANY_NETNS;
	bpf_map_delete_elem(&clients, &e);
	return 0;
}

/* not_framed runs when the start and the end of the call's messages cannot be found. */
static __always_inline void not_framed(struct record *r)
{
	r->in.place = r->out.place = PLACE_LOST;
}

static __always_inline void exchange_begin(struct conn *c)
{
	struct record *r = &c->rec;

	r->seq++;
	r->error = r->marks = 0;
	r->write_first = r->write_last = r->read_first = r->read_last = 0;
	r->request_bytes = r->response_bytes = 0;
	r->req_len = r->resp_len = r->trace_len = 0;
	framing_begins(&r->in);
	framing_begins(&r->out);
	r->in_head = r->out_head = 0;
	c->phase = PHASE_IDLE;
	c->reported = c->sealed = 0;
	worker_calls(c);
	note_worker(r);
}

/* call_opened runs when the calling thread opens a connection. */
static __always_inline void call_opened(struct conn *c, __u64 sk, __u16 family)
{
	connection_begin(c, sk, family);
	c->state = STATE(STAGE_KNOWN, ROLE_CLIENT, FRAMER_KERNEL);
	c->rec.accepted = bpf_ktime_get_ns();
	exchange_begin(c);
}

/* call_adopted runs when the calling thread writes on a connection that its process
 * opened before it was known to be a server, or before the agent started. */
static __always_inline void call_adopted(struct conn *c, __u64 sk, __u16 family)
{
	connection_begin(c, sk, family);
	c->state = STATE(STAGE_KNOWN, ROLE_CLIENT, FRAMER_KERNEL);
	c->existing = EXISTING_ANSWERED;
	exchange_begin(c);
}

/* call_out hands out the current exchange, which is finished. */
static __noinline int call_out(struct conn *c)
{
	if (!c)
		return 0;
	__u32 was = __sync_lock_test_and_set(&c->pending, 0);
	if (!was)
		return 0;
	if ((was & PENDING_STATE) == PENDING_REPORTED)
		c->rec.marks |= MARK_REPORTED;
	count(record_write(c, KIND_CALL, 0) ? STAT_CALLS : STAT_LOST_CALLS);
	return 0;
}

/* call_so_far reports an exchange that is being answered, as it is now. */
static __noinline int call_so_far(struct conn *c)
{
	if (!c)
		return 0;
	__u32 pending = *(volatile __u32 *)&c->pending;
	bool reported = (pending & PENDING_STATE) == PENDING_REPORTED;

	if ((!reported && (pending & PENDING_STATE) != PENDING_ALL) || !report_begins(c, pending))
		return 0;
	if (*(volatile __u8 *)&c->phase != PHASE_RESPONDING) /* this is the next exchange already */
		report_ends(c, pending);
	else if (!so_far(c, KIND_CALL, reported ? MARK_SO_FAR | MARK_REPORTED : MARK_SO_FAR, pending, STAT_CALLS))
		count(STAT_LOST_CALLS);
	return 0;
}

/* call_complete runs when bytes were added to a message. Both messages may be complete
 * now. */
static __always_inline void call_complete(struct conn *c)
{
	if (c->rec.out.place == PLACE_END && c->rec.in.place == PLACE_END)
		call_out(c);
}

/* refused reports whether the server refused a body that the caller asked to send with
 * `Expect`: the caller need not send it. */
static __always_inline bool refused(const struct record *r)
{
	return r->in.flags & SAID_EXPECT && !(r->marks & MARK_CONTINUED) && r->request_bytes == r->in_head;
}

/* starts_exchange reports whether a write starts the next exchange. */
static __always_inline bool starts_exchange(struct conn *c, const struct vec *v, __u64 n)
{
	const struct record *r = &c->rec;
	bool whole = r->in.place == PLACE_END, answered = r->out.place == PLACE_END;

	if (likely(whole && answered))
		return true;
	if (c->phase != PHASE_RESPONDING)
		return false;
	if (!c->speaks_http)
		return true;
	if (!answered && r->out.place != PLACE_LOST)
		return false;
	return (whole || r->in.place == PLACE_LOST || refused(r)) && begins_request(v, n);
}

/* asks_otherwise runs when what is written is not HTTP. It keeps the first bytes. */
static __noinline int asks_otherwise(struct conn *c, const struct vec *v, __u64 n)
{
	if (!c || !v)
		return 0;
	struct record *r = &c->rec;
	__u64 room = OPENING - r->req_len, visible = shown(v, n);
	__u64 want = n < room ? n : room;

	not_framed(r);
	if (c->sealed || r->req_len >= OPENING || r->req_len != r->request_bytes)
		return 0;
	if (visible >= want)
		r->req_len += capture_at(r, heads_end(r), r->req_len, v->base, want);
	else if (!r->req_len && !walk_opening(n))
		keep_walked_in(c);
	return 0;
}

/* asks_no_http runs when what started like an HTTP request is not one. */
static __noinline int asks_no_http(struct conn *c)
{
	if (!c)
		return 0;
	struct record *r = &c->rec;

	c->speaks_http = 0;
	not_framed(r);
	if (r->req_len > OPENING)
		r->req_len = OPENING;
	return 0;
}

/* asks_first takes the first bytes that are written in an exchange. It returns how many
 * are left after the end of the request. */
static __always_inline __u64 asks_first(struct conn *c, const struct vec *v, const struct out *out)
{
	struct record *r = &c->rec;
	__u64 excess = ODD_START;

	worker_uses(c);
	r->write_first = out->enter;
	c->phase = PHASE_READING;
	barrier(); /* last: from here on a sweep takes the exchange */
	*(volatile __u32 *)&c->pending = pending_of(r->seq, PENDING_ALL);
	if (likely(v->base))
		excess = request_captured(c, v, out->n);
	c->speaks_http = excess != ODD_START && !(r->in.flags & SAID_OTHER);
	if (likely(c->speaks_http && !c->pipelines))
		return excess;
	if (!c->speaks_http) {
		r->req_len = 0;
		asks_otherwise(c, v, out->n);
	} else {
		not_framed(r);
		r->marks |= MARK_PIPELINED;
	}
	return 0;
}

/* asks_on does the same for the bytes that follow. */
static __always_inline __u64 asks_on(struct conn *c, const struct vec *v, __u64 n)
{
	struct framing *f = &c->rec.in;

	if (!c->speaks_http) {
		asks_otherwise(c, v, n);
		return 0;
	}
	if (f->place == PLACE_LENGTH)
		return n - body_bytes(f, n);
	/* The framing is lost, or the request is complete and its response lasts until the
	 * connection closes. Then no further request can be answered, so these bytes are
	 * not HTTP. */
	if (f->place == PLACE_LOST || (f->place == PLACE_END && c->rec.out.place == PLACE_CLOSE))
		return 0;
	__u64 excess = walk_in(c, n, 0);
	if (unlikely(f->flags & SAID_OTHER)) {
		asks_no_http(c);
		return 0;
	}
	return excess;
}

static __noinline int call_written(struct conn *c, const struct out *out)
{
	struct vec v;

	if (!c || !out || !is_call(c))
		return 0;
	struct record *r = &c->rec;
	__u64 n = out->n, excess;
	c->write_enter = 0;
	if (!n) {
		if (out->error != EAGAIN)
			r->error = out->error;
		return 0;
	}
	if (unlikely(r->marks & MARK_UPGRADED))
		return 0;
	write_vec(c, &v);
	c->out_want = 0;
	if (c->phase != PHASE_IDLE && starts_exchange(c, &v, n)) {
		call_out(c);
		exchange_begin(c);
	}
	excess = c->phase == PHASE_IDLE ? asks_first(c, &v, out) : asks_on(c, &v, n);
	/* It is not known which exchange the following answers belong to. */
	if (unlikely(excess)) {
		c->pipelines = 1;
		not_framed(r);
		r->marks |= MARK_PIPELINED;
	}
	r->request_bytes += n;
	r->write_last = out->now;
	c->write_exit = out->now;
	c->reported = 0;
	call_complete(c);
	return 0;
}

/* answer_captured frames a response from what is captured of the n bytes of its first
 * read. */
static __always_inline void answer_captured(struct conn *c, const struct vec *v, __u64 n)
{
	struct record *r = &c->rec;
	__u32 at = heads_end(r);
	__u64 visible = shown(v, n);
	__u32 took = capture_at(r, at, 0, v->base, visible > SCAN_BLOCK ? SCAN_BLOCK : visible);

	barrier_var(at);
	if (at > NAME_MAX + TRACE_MAX + head_bytes)
		return;
	const __u8 *head = &r->bytes[at];
	if (unlikely(!took || !is_response(*(__u64 *)head, took))) {
		r->out.place = PLACE_LOST;
		return;
	}
	response_scanned(c, head, took, n, 0);
}

/* answer_takes adds a read to the response. */
static __always_inline void answer_takes(struct conn *c, const struct vec *v, __u64 n)
{
	struct framing *f = &c->rec.out;

	c->sealed = 1;
	if (f->place == PLACE_START)
		answer_captured(c, v, n);
	else if (f->place == PLACE_LENGTH)
		body_bytes(f, n);
	else if (f->place != PLACE_CLOSE && f->place != PLACE_LOST)
		walk_out(c, n, 0, 0);
}

/* call_read runs when the calling thread read n bytes of an answer; n is 0 at its end. */
static __noinline int call_read(struct conn *c, __u64 n)
{
	struct vec v;

	if (!c || !is_call(c))
		return 0;
	struct record *r = &c->rec;
	struct framing *f = &r->out;
	worker_heard(c);
	/* Unrequested bytes, and bytes after the end, belong to no answer. */
	if (c->phase == PHASE_IDLE || !c->pending || f->place == PLACE_END)
		return 0;
	user_vec(&v);
	if (!n) {
		if (f->place != PLACE_CLOSE || !v.want)
			return 0;
		f->place = PLACE_END;
		call_complete(c);
		return 0;
	}
	answer_takes(c, &v, n);
	if (unlikely(f->place == PLACE_LOST && c->speaks_http && r->in.place <= PLACE_VALUE))
		asks_no_http(c);
	r->response_bytes += n;
	c->write_exit = bpf_ktime_get_ns();
	c->reported = 0;
	if (likely(f->place != PLACE_START)) { /* more than an interim response */
		r->read_last = c->write_exit;
		if (!r->read_first)
			r->read_first = r->read_last;
	}
	barrier(); /* a sweep that sees the phase also sees the stamps */
	c->phase = PHASE_RESPONDING;
	if (unlikely(f->place == PLACE_START))
		return 0;
	call_complete(c);
	return 0;
}

/* call_closed runs when the connection is being closed. final means that it is closed. */
static __noinline int call_closed(struct conn *c, bool final, __u16 error)
{
	if (!c || !is_call(c))
		return 0;
	/* An error comes from the network: the thread does not know of it yet, even if
	 * this code runs on that thread. */
	if (final && error)
		worker_will_hear(c);
	else if (c->rec.tid == (__u32)bpf_get_current_pid_tgid())
		worker_heard(c);
	if (!c->rec.closed) {
		c->rec.closed = bpf_ktime_get_ns();
		c->reported = 0;
	}
	if (error && !c->rec.error)
		c->rec.error = error;
	if (!final)
		return 0;
	if (!c->rec.established && c->existing == EXISTING_QUIET)
		c->pending = pending_of(c->rec.seq, PENDING_ALL); /* refused */
	call_out(c);
	c->stage = STAGE_IGNORED;
	return 0;
}

/* call_idle reports the state of an exchange. Its request may finish before the exchange
 * does, and in most protocols only the next exchange shows the end of this one. The
 * exchange is handed out again when it is finished, or when it was quiet again. */
static __always_inline void call_idle(struct conn *c, __u64 now)
{
	if (c->phase != PHASE_RESPONDING || !c->pending || c->reported || now < c->write_exit + idle_ns)
		return;
	c->reported = 1;
	call_so_far(c);
}

/* waits_for_quiet reports whether the connection has something that a sweep will hand out
 * after more quiet time. */
static __always_inline bool waits_for_quiet(const struct conn *c)
{
	if (!c->pending || c->reported || c->phase != PHASE_RESPONDING)
		return false;
	return is_call(c) || (is_framed_here(c) && c->rec.out.place == PLACE_END);
}

/* on_quiet runs when a sweep looks at the connection. */
static __always_inline void on_quiet(struct conn *c, __u64 now)
{
	if (is_call(c))
		call_idle(c, now);
	else
		on_idle(c, now);
}

#endif
