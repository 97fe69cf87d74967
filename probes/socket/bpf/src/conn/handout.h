/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What goes to user space, and how. */
#ifndef LAPWING_HANDOUT_H
#define LAPWING_HANDOUT_H

#include "http/http.h"
#include "conn/log.h"
#include "work/worker.h"

/* What a hook found out about a read. Times and numbers are of the transfer: the bytes on
 * the wire. Framing looks only at the payload: the bytes that the application read. With
 * encryption the two have different lengths. */
struct in {
	__u64 now;
	__u64 arrived;
	__u64 arrived_last;
	__u64 n;    /* payload: bytes that the application read */
	__u32 wire; /* transfer: bytes that were taken from the socket */
	__u32 end;  /* transfer: number of the byte after those */
};

/* What a hook found out about a write. enter is 0 if its entry was not seen. */
struct out {
	__u64 enter;
	__u64 now;
	__u64 n;         /* payload: bytes that the application wrote */
	__u32 error;     /* errno, or 0 if n bytes were written */
	__u32 end_seq;   /* TCP: the sequence number after what was written */
	__u32 acked_seq; /* TCP: the peer has acknowledged all bytes before this number */
};

/* acknowledged returns when the response was acknowledged, as far as segments without
 * bytes have shown. */
static __always_inline __u64 acknowledged(const struct conn *c)
{
	if (!c->await_ack)
		return c->acked;
	return (__s32)(c->ack_seq - c->end_seq) >= 0 ? c->ack_only : 0;
}

/* settle_ack finds out when the response was acknowledged: by the first segment without
 * bytes that did so, or at `carried` at the latest. At `carried` a segment with bytes
 * arrived that cannot have been sent before. */
static __always_inline void settle_ack(struct conn *c, __u64 carried)
{
	__u64 at = carried;

	if (!c->await_ack)
		return;
	if (c->ack_only && (__s32)(c->ack_seq - c->end_seq) >= 0 && (!at || c->ack_only < at))
		at = c->ack_only;
	if (!at)
		return;
	c->acked = at;
	c->await_ack = 0;
}

/* note_worker notes the calling thread as the one that reads the request. */
static __always_inline void note_worker(struct record *r)
{
	const struct task_struct *t = bpf_get_current_task_btf();
	__u32 tid = t->pid;

	if (r->tid == tid && r->comm[0])
		return;
	r->pid = t->tgid;
	r->tid = tid;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

_Static_assert(__builtin_offsetof(struct record, name_len) % 8 == 0 &&
		       __builtin_offsetof(struct record, trace_len) == __builtin_offsetof(struct record, name_len) + 6,
	       "the lengths are read at once");

/* record_copy copies rec into the log, where the caller fills in the rest: rec itself
 * belongs to the thread that changes it. A thread may add to the heads while the network
 * ends the connection, so the copy gets the lengths that were used for copying. */
static __always_inline struct record *record_copy(const struct conn *c, __u16 kind, __u64 *at)
{
	const struct record *r = &c->rec;
	__u64 lengths = *(volatile __u64 *)&r->name_len;
	__u32 heads = (lengths & 0xffff) + (lengths >> 16 & 0xffff) + (lengths >> 32 & 0xffff) + (lengths >> 48 & 0xff);
	struct record *copy = log_copy(r, sizeof(*r), r->bytes, heads, NAME_MAX + TRACE_MAX + 2 * head_bytes, at);

	if (copy) {
		copy->kind = kind;
		*(__u64 *)&copy->name_len = lengths;
	}
	return copy;
}

/* record_write writes rec. `pending` is the state that its request was in. */
static __always_inline bool record_write(struct conn *c, __u16 kind, __u32 pending)
{
	struct record *copy;
	__u64 at;

	settle_ack(c, 0);
	copy = record_copy(c, kind, &at);
	if (!copy)
		return false;
	copy->acked = c->acked;
	copy->reported = (pending & PENDING_STATE) == PENDING_REPORTED ? copy->seq : 0;
	log_seal(copy, at);
	return true;
}

/* is_complete reports whether the response is complete and no write is in progress. */
static __always_inline bool is_complete(const struct conn *c)
{
	return *(volatile __u8 *)&c->phase == PHASE_RESPONDING && !*(volatile __u64 *)&c->write_enter &&
	       *(volatile __u8 *)&c->rec.out.place == PLACE_END;
}

/* report_begins claims the request in rec, whose state was `was`, for a record that more
 * may follow. Another thread can hand it out for good meanwhile and start the next one in
 * its place. The copy may then be of neither; report_ends reports that. */
static __always_inline bool report_begins(struct conn *c, __u32 was)
{
	return __sync_val_compare_and_swap(&c->pending, was, (was & ~PENDING_STATE) | PENDING_REPORTING) == was;
}

static __always_inline bool report_ends(struct conn *c, __u32 now)
{
	__u32 telling = (now & ~PENDING_STATE) | PENDING_REPORTING;

	return __sync_val_compare_and_swap(&c->pending, telling, now) == telling;
}

/* so_far writes the request in rec, which report_begins has claimed from `pending`, and
 * adds the given marks. It returns whether there was room. */
static __always_inline bool so_far(struct conn *c, __u16 kind, __u16 marks, __u32 pending, __u32 written)
{
	__u64 at;
	struct record *copy = record_copy(c, kind, &at);

	if (!copy) {
		report_ends(c, pending);
		return false;
	}
	copy->marks |= marks;
	copy->acked = acknowledged(c);
	copy->reported = 0;
	if (report_ends(c, pending | PENDING_REPORTED))
		count(written);
	else
		copy->kind = KIND_WITHDRAWN;
	log_seal(copy, at);
	return true;
}

/* hand_out_so_far writes a TENTATIVE record of a request, once. With `complete` it does
 * so only if the response is complete. */
static __noinline int hand_out_so_far(struct conn *c, bool complete)
{
	if (!c)
		return 0;
	__u32 pending = pending_of(*(volatile __u32 *)&c->rec.seq, PENDING_ALL);
	if (!report_begins(c, pending))
		return 0;
	/* The caller may have found the previous request complete. */
	if (complete && !is_complete(c))
		report_ends(c, pending);
	else
		so_far(c, KIND_TENTATIVE, 0, pending, STAT_TENTATIVE);
	return 0;
}

/* hand_out writes the current request. Threads and the network race for it; the first
 * writes the FINAL, so it is written once. */
static __noinline int hand_out(struct conn *c)
{
	if (!c)
		return 0;
	__u32 was = __sync_lock_test_and_set(&c->pending, 0);
	debug("connection %llu hands out request %u: pending %u", c->rec.conn, c->rec.seq, was);
	if (was)
		count(record_write(c, KIND_FINAL, was) ? STAT_FINAL : STAT_LOST_RING);
	return 0;
}

/* unknown_out reports why a connection is ignored from now on. */
static __always_inline void unknown_out(struct conn *c, __u16 reason)
{
	struct record *r = &c->rec;
	__u64 id = bpf_get_current_pid_tgid();

	debug("connection %llu is ignored: reason %u", c->rec.conn, reason);
	uncount(c);
	c->stage = STAGE_IGNORED;
	r->error = reason;
	r->pid = id >> 32;
	r->tid = (__u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	if (!record_write(c, KIND_UNKNOWN, 0))
		count(STAT_LOST_UNKNOWN);
}

#define UNKNOWN_BYTES 64 /* at most this many are reported: they show the protocol */

/* connection_ignore stops measuring a connection and reports why. */
static __noinline int connection_ignore(struct conn *c, const struct vec *v, __u64 n, __u16 reason)
{
	if (!c || !v)
		return 0;
	struct record *r = &c->rec;
	__u32 at = r->name_len;
	__u32 take = n > UNKNOWN_BYTES ? UNKNOWN_BYTES : n;

	r->req_len = r->resp_len = r->trace_len = 0;
	if (take > v->len)
		take = v->len > UNKNOWN_BYTES ? UNKNOWN_BYTES : v->len;
	barrier_var(at);
	if (v->base && at <= NAME_MAX && !bpf_probe_read_user(&r->bytes[at], take, v->base))
		r->req_len = take;
	unknown_out(c, reason);
	return 0;
}

/* request_foreign runs when what was kept as the start of a request is not one, and
 * neither is what follows. */
static __noinline int request_foreign(struct conn *c)
{
	if (!c)
		return 0;
	struct record *r = &c->rec;

	c->pending = 0;
	r->resp_len = r->trace_len = 0;
	if (r->req_len > UNKNOWN_BYTES)
		r->req_len = UNKNOWN_BYTES;
	unknown_out(c, REASON_BYTES);
	return 0;
}

/* has_room reports whether a poll would find the socket writable. Servers that write in
 * pieces wait for that before the next one. */
static __always_inline bool has_room(struct sock *sk, bool tcp)
{
	if (!tcp)
		return (BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) << 2) <= BPF_CORE_READ(sk, sk_sndbuf);
	int queued = BPF_CORE_READ(sk, sk_wmem_queued);
	return BPF_CORE_READ(sk, sk_sndbuf) - queued >= queued >> 1;
}

/* slept returns how long the calling thread was in a write in which it slept because the
 * send buffer was full. A write that did not sleep was not blocked. */
static __always_inline __u64 slept(struct conn *c, __u64 enter, __u64 now)
{
	if (!enter || now <= enter || bpf_get_current_task_btf()->nvcsw == c->sleeps_before)
		return 0;
	return now - enter;
}

/* empty_since returns how long the receive queue was empty since the last read. */
static __always_inline __u64 empty_since(__u64 last_read, const struct in *in)
{
	return last_read && in->arrived > last_read ? in->arrived - last_read : 0;
}

#endif
