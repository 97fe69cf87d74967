/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Connections that ended with bytes that no program had read, and connections that no
 * program had accepted. */
#ifndef LAPWING_ABANDONED_H
#define LAPWING_ABANDONED_H

#include "conn/begin.h"
#include "conn/life.h"
#include "plan.h"

#define TAKEN_NS 1000000000ULL /* longer than any read takes to return */

/* may_hold_request reports whether unread bytes are a request: everything before them was
 * read and answered. Otherwise they can be the rest of a body. */
static __always_inline bool may_hold_request(struct conn *c)
{
	if (c->stage == STAGE_FRESH)
		return true;
	return is_framed_here(c) && c->phase != PHASE_READING && c->rec.in.place == PLACE_END;
}

/* abandon hands out what is known of bytes that arrived and will not be read. It notes
 * the thread that closes the connection, if that is one of the server's. */
static __noinline int abandon(struct conn *c, const struct in *in, __u16 reason)
{
	if (!c || !in)
		return 0;
	struct record *r = &c->rec;
	bool first = c->stage == STAGE_FRESH;

	addressed(c);
	if (first)
		take_accept(c);
	else
		r->established = r->accepted = 0; /* these are of the connection's first request */
	r->seq++;
	r->marks &= MARK_PROXIED;
	framing_begins(&r->in);
	framing_begins(&r->out);
	r->arrived = in->arrived;
	r->closed = in->now;
	r->read_first = r->read_last = r->arrived_last = r->write_first = r->write_last = r->marker = 0;
	r->client_wait = r->blocked = r->produce = r->response_bytes = 0;
	r->request_bytes = in->wire;
	r->req_len = r->resp_len = r->trace_len = 0;
	r->in_head = r->out_head = 0;
	r->writer_tid = 0;
	r->error = reason;
	c->acked = 0;
	c->await_ack = 0;
	/* If the time is not known, the close was not seen, and this is not its thread. */
	if (reason != ABANDONED_RESET && in->now)
		note_worker(r);
	c->stage = STAGE_IGNORED;
	if (!record_write(c, KIND_ABANDONED, 0))
		count(STAT_LOST_RING);
	return 0;
}

/* tcp_abandoned looks at a connection that ends without two FINs: the server closed it
 * with unread bytes, the server closed it while it waited in the backlog, or the client
 * reset it. */
static __noinline int tcp_abandoned(struct conn *c, struct sock *sk, __u64 now, int before, int error)
{
	const struct tcp_sock *tp = tcp_of(sk);
	struct in in = { .now = now };

	if (!c || !tp)
		return 0;
	__u32 next = tp->copied_seq, unread = tp->rcv_nxt - next;
	/* The client's FIN takes one sequence number. */
	if (unread && before == TCP_CLOSE_WAIT)
		unread--;
	bool waits = c->stage == STAGE_FRESH && !sk->sk_socket;
	if (!unread && (!waits || error))
		return 0;
	in.wire = 1;
	in.end = next + 1;
	if (unread && c->in_first)
		arrivals(c, &in, in.end);
	in.wire = unread;
	return abandon(c, &in, error ? ABANDONED_RESET : waits ? ABANDONED_BACKLOG : ABANDONED_UNREAD);
}

/* tcp_taken_to returns the sequence number up to which bytes were taken without a read
 * hook that saw them, or 0 if there are none. The client's FIN counts for one, once a
 * read got that far. A read that is just returning has taken its bytes already; its hook
 * runs next. */
static __always_inline __u32 tcp_taken_to(const struct conn *c, struct sock *sk)
{
	if ((!is_framed_here(c) && c->stage != STAGE_FRESH) || !c->read_seq)
		return 0;
	const struct tcp_sock *tp = tcp_of(sk);
	return tp && unlikely(tp->copied_seq - c->read_seq > 1) ? tp->copied_seq : 0;
}

/* tcp_taken checks whether such bytes were read. It is for the thread that writes or
 * closes, where no read can be returning. Network events on a connection that is being
 * read are processed on the reader's thread, before the read returns: these are left out. */
static __always_inline void tcp_taken(struct conn *c, struct sock *sk)
{
	if (tcp_taken_to(c, sk) && !(sk->sk_err && sk->sk_lock.owned))
		taken_unseen(c);
}

/* tcp_taken_since is tcp_taken for a sweep, during which reads can return. It reports
 * whether there is a doubt. */
static __always_inline bool tcp_taken_since(struct conn *c, struct sock *sk, __u64 now)
{
	__u32 to = tcp_taken_to(c, sk);

	if (likely(!to) || ending)
		return false;
	if (c->taken_seq != to || !c->taken_at) {
		c->taken_seq = to;
		c->taken_at = now;
	} else if (now - c->taken_at > TAKEN_NS) {
		taken_unseen(c);
		return false;
	}
	return true;
}

/* left_to_reader reports whether a read has taken bytes of a connection that the network
 * ends, and the hook of that read has not finished. That hook then sees that the
 * connection is gone. */
static __noinline bool left_to_reader(struct conn *c, struct sock *sk, __u64 now)
{
	const struct tcp_sock *tp = tcp_of(sk);

	if (!c || !tp || !is_served(c) || c->stage == STAGE_EXISTING || !c->handled_seq)
		return false;
	/* The client's FIN counts for one. Bytes that came long ago were seen by no hook. */
	if ((__s32)(tp->copied_seq - c->handled_seq) <= 1 || now - c->in_last > TAKEN_NS)
		return false;
	*(volatile __u8 *)&c->gone = 1;
	/* It may take a moment until the reader's store is visible here. */
	for (int i = 0; i < 4; i++) {
		bpf_ktime_get_ns();
		if ((__s32)(tp->copied_seq - *(volatile __u32 *)&c->handled_seq) <= 1) {
			c->gone = 0;
			return false;
		}
	}
	return true;
}

/* closed_while_read ends a connection that was closed between a read and its hook. */
__noinline int closed_while_read(struct conn *c)
{
	if (!c || c->write_enter)
		return 0; /* the writer does it */
	__u64 sk = c->rec.sk;
	on_close(c, bpf_ktime_get_ns(), true, BPF_CORE_READ((struct sock *)sk, sk_err));
	c->stage = STAGE_IGNORED;
	tcp_forget(sk);
	return 0;
}

/* reading_to notes how far the read has got whose hook starts here. What the end of the
 * hook needs is kept with the connection. In a register, the verifier would follow each
 * path through the hook once for TCP and once for other sockets. */
static __always_inline void reading_to(struct conn *c, __u32 end)
{
	c->reading_seq = end;
}

/* read_handled ends the hook of a read. */
static __always_inline void read_handled(struct conn *c)
{
	if (!c->handled_seq)
		return; /* not TCP, or not known */
	c->handled_seq = c->reading_seq;
	barrier();
	if (unlikely(*(volatile __u8 *)&c->gone))
		closed_while_read(c);
}

#endif
