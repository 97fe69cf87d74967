/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What goes to user space, and how. */
#ifndef LAPWING_HANDOUT_H
#define LAPWING_HANDOUT_H

#include "http/http.h"
#include "conn/log.h"
#include "work/worker.h"

/* What a hook found out about a read. */
struct in {
	__u64 now;
	__u64 arrived;
	__u64 arrived_last;
	__u64 n;
	__u32 end; /* number of the byte behind those that were read */
};

/* What a hook found out about a write; enter is 0 when its entry was not seen. */
struct out {
	__u64 enter;
	__u64 now;
	__u64 n;
	__u32 error;     /* errno, 0 when n bytes were written */
	__u32 end_seq;   /* TCP sequence number after what was written */
	__u32 acked_seq; /* TCP: the peer has acknowledged all before this one */
};

/* acknowledged is when the response was acknowledged, as far as segments without bytes
 * have told. */
static __always_inline __u64 acknowledged(const struct conn *c)
{
	if (!c->await_ack)
		return c->acked;
	return (__s32)(c->ack_seq - c->end_seq) >= 0 ? c->ack_only : 0;
}

/* settle_ack finds out when the response was acknowledged: by the segment
 * without bytes that first did, or at the latest at `carried`, when a segment
 * with bytes came that cannot have been sent before. */
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

/* record_copy copies rec into the log, where the rest of it is filled in: rec belongs
 * to whoever changes it. A thread may be adding to the heads while the network ends the
 * connection: the copy has the lengths that they were copied with. */
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

/* record_write writes rec. Its request was pending so. */
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

/* is_complete tells whether the response is whole, and nobody writes. */
static __always_inline bool is_complete(const struct conn *c)
{
	return *(volatile __u8 *)&c->phase == PHASE_RESPONDING && !*(volatile __u64 *)&c->write_enter &&
	       *(volatile __u8 *)&c->rec.out.place == PLACE_END;
}

/* report_begins claims what is in rec, which was pending so, for a record after which
 * more may come. Another thread can hand it out for good meanwhile, and begin the next
 * one in its place: then what was copied may be of neither, and report_ends says so. */
static __always_inline bool report_begins(struct conn *c, __u32 was)
{
	return __sync_val_compare_and_swap(&c->pending, was, (was & ~PENDING_STATE) | PENDING_REPORTING) == was;
}

static __always_inline bool report_ends(struct conn *c, __u32 now)
{
	__u32 telling = (now & ~PENDING_STATE) | PENDING_REPORTING;

	return __sync_val_compare_and_swap(&c->pending, telling, now) == telling;
}

/* so_far writes what is in rec, which report_begins has claimed from `pending`, with
 * these marks besides. It returns whether there was room. */
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

/* hand_out_so_far writes a TENTATIVE record of a request, once; complete asks for one
 * whose response is. */
static __noinline int hand_out_so_far(struct conn *c, bool complete)
{
	if (!c)
		return 0;
	__u32 pending = pending_of(*(volatile __u32 *)&c->rec.seq, PENDING_ALL);
	if (!report_begins(c, pending))
		return 0;
	/* Whoever found it complete may have looked at the one before. */
	if (complete && !is_complete(c))
		report_ends(c, pending);
	else
		so_far(c, KIND_TENTATIVE, 0, pending, STAT_TENTATIVE);
	return 0;
}

/* hand_out writes the current request. A FINAL is written once, whoever of the
 * threads and the network that race for it comes first. */
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

/* unknown_out says of a connection why no more is looked at. */
static __always_inline void unknown_out(struct conn *c, __u16 reason)
{
	struct record *r = &c->rec;
	__u64 id = bpf_get_current_pid_tgid();

	debug("connection %llu is ignored: reason %u", c->rec.conn, reason);
	uncount(c);
	c->mode = MODE_IGNORED;
	r->error = reason;
	r->pid = id >> 32;
	r->tid = (__u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	if (!record_write(c, KIND_UNKNOWN, 0))
		count(STAT_LOST_UNKNOWN);
}

#define UNKNOWN_BYTES 64 /* so much is told of them: it tells the protocol */

/* connection_ignore stops looking at a connection and says why. */
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

/* request_foreign: what was kept as the begin of a request is of none, nor is what
 * follows. */
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

/* has_room tells whether a poll of the socket would say that it can be written
 * to. Servers that write in pieces wait for that before the next one. */
static __always_inline bool has_room(struct sock *sk, bool tcp)
{
	if (!tcp)
		return (BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) << 2) <= BPF_CORE_READ(sk, sk_sndbuf);
	int queued = BPF_CORE_READ(sk, sk_wmem_queued);
	return BPF_CORE_READ(sk, sk_sndbuf) - queued >= queued >> 1;
}

/* slept is how long the calling thread was in a write in which it slept: the
 * send buffer was full. A write that did not sleep was not blocked. */
static __always_inline __u64 slept(struct conn *c, __u64 enter, __u64 now)
{
	if (!enter || now <= enter || bpf_get_current_task_btf()->nvcsw == c->sleeps_before)
		return 0;
	return now - enter;
}

/* empty_since is how long the receive queue was empty since the last read. */
static __always_inline __u64 empty_since(__u64 last_read, const struct in *in)
{
	return last_read && in->arrived > last_read ? in->arrived - last_read : 0;
}

#endif
