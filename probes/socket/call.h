/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Calls: what a process that serves asks of another server. The connection is
 * kept like a served one, in mode MODE_CLIENT, and its record says for each
 * exchange when it was asked and answered. Works with any protocol in which
 * the client asks first; a write after a read begins the next exchange. */
#ifndef LAPWING_CALL_H
#define LAPWING_CALL_H

#include "life.h"

/* Both ends of a TCP connection, from the client's side. */
struct ends {
	__u8 client[16];
	__u8 server[16];
	__u16 client_port;
	__u16 server_port;
	__u32 netns; /* of loopback addresses, which each has */
};

/* clients: ends → number of the connection that a serving process opened. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct ends);
	__type(value, __u64);
} clients SEC(".maps");

/* plain_address writes an address, the same for IPv4 and IPv4 in IPv6. */
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
	if (is_loopback(e->server))
		e->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* caller_of finds the local call that a new connection is the other end of. */
static __noinline int caller_of(struct conn *c, const struct sock *sk)
{
	struct ends e;

	if (!c || !sk)
		return 0;
	ends_of(&e, &c->rec, sk, false);
	__u64 *number = bpf_map_lookup_elem(&clients, &e);
	if (number)
		c->rec.caller = *number;
	return 0;
}

static __always_inline void exchange_begin(struct conn *c)
{
	struct record *r = &c->rec;

	r->seq++;
	r->error = 0;
	r->write_first = r->write_last = r->read_first = r->read_last = 0;
	r->request_bytes = r->response_bytes = 0;
	r->req_len = r->resp_len = 0;
	c->phase = PHASE_IDLE;
	c->told = c->sealed = c->rest = 0;
	worker_calls(c);
	note_worker(r);
}

/* call_opened: the calling thread opens a connection. */
static __always_inline void call_opened(struct conn *c, __u64 sk, __u16 family)
{
	connection_begin(c, sk, family);
	c->mode = MODE_CLIENT;
	c->rec.accepted = bpf_ktime_get_ns();
	exchange_begin(c);
}

/* call_out hands out the current exchange; last tells that it is over. */
static __noinline int call_out(struct conn *c, bool last)
{
	if (!c || !c->pending)
		return 0;
	if (last)
		c->pending = 0;
	count(record_write(c, KIND_CALL) ? STAT_CALLS : STAT_LOST_CALLS);
	return 0;
}

/* continues tells whether a write after a read is still of the same exchange:
 * the body of an HTTP request, sent after an interim response. */
static __always_inline bool continues(struct conn *c, const struct vec *v, __u64 n)
{
	return c->speaks_http && !begins_request(v, n);
}

static __noinline int call_written(struct conn *c, const struct out *out)
{
	struct vec v;

	if (!c || !out || c->mode != MODE_CLIENT)
		return 0;
	struct record *r = &c->rec;
	__u64 n = out->n;
	c->write_enter = 0;
	if (!n) {
		if (out->error != EAGAIN)
			r->error = out->error;
		return 0;
	}
	user_vec(&v);
	if (c->phase == PHASE_RESPONDING && !continues(c, &v, n)) {
		call_out(c, true);
		exchange_begin(c);
	}
	if (c->phase == PHASE_IDLE) {
		r->write_first = out->enter;
		c->phase = PHASE_READING;
		c->pending = 1;
		c->speaks_http = v.base && begins_request(&v, n);
	}
	if (c->phase == PHASE_READING)
		r->req_len += capture(c, SEAL_REQUEST, r->req_len, &v, n);
	r->request_bytes += n;
	r->write_last = out->now;
	c->write_exit = out->now;
	return 0;
}

/* call_read: the calling thread read n bytes of an answer; 0 is its end. */
static __noinline int call_read(struct conn *c, __u64 n)
{
	struct vec v;

	if (!c || c->mode != MODE_CLIENT)
		return 0;
	struct record *r = &c->rec;
	worker_heard(c);
	if (!n || c->phase == PHASE_IDLE)
		return 0;
	r->read_last = bpf_ktime_get_ns();
	if (c->phase == PHASE_READING) {
		c->phase = PHASE_RESPONDING;
		r->read_first = r->read_last;
	}
	user_vec(&v);
	r->resp_len += capture(c, SEAL_RESPONSE, r->resp_len, &v, n);
	r->response_bytes += n;
	c->write_exit = r->read_last;
	c->told = 0;
	return 0;
}

/* call_closed: the connection is being closed; final tells that it is. */
static __noinline int call_closed(struct conn *c, bool final, __u16 error)
{
	if (!c || c->mode != MODE_CLIENT)
		return 0;
	/* An error is from the network: the thread does not know of it yet, also
	 * where this runs on it. */
	if (final && error)
		worker_will_hear(c);
	else if (c->rec.tid == (__u32)bpf_get_current_pid_tgid())
		worker_heard(c);
	if (!c->rec.closed)
		c->rec.closed = bpf_ktime_get_ns();
	if (error && !c->rec.error)
		c->rec.error = error;
	if (!final)
		return 0;
	if (!c->rec.established)
		c->pending = 1; /* refused */
	call_out(c, true);
	c->mode = MODE_IGNORED;
	return 0;
}

/* call_idle: hand out an exchange that may be complete. More of it may come,
 * and then it is handed out once more. */
static __always_inline void call_idle(struct conn *c, __u64 now)
{
	if (c->phase != PHASE_RESPONDING || c->told || now < c->write_exit + idle_ns)
		return;
	c->told = 1;
	call_out(c, false);
}

/* on_quiet: a sweep looks at the connection. */
static __always_inline void on_quiet(struct conn *c, __u64 now)
{
	if (c->mode == MODE_CLIENT)
		call_idle(c, now);
	else
		on_idle(c, now);
}

#endif
