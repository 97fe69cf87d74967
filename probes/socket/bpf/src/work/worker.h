/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a thread works on. In processes that make calls, each thread has the request that
 * it read from last, and the call whose answer it has read since. An event loop starts a
 * call right after it reads the request that needs it, and answers a request right after
 * it reads the result of the call. Both are kept, so that user space can compare them. A
 * process that never makes a call costs one comparison per request. */
#ifndef LAPWING_WORKER_H
#define LAPWING_WORKER_H

#include "work/process.h"
#include "count.h"

#define CALLER (~0U)            /* in conn.callers: the process makes calls */
#define SETTLED_NS 1000000000ULL /* a thread is known after this time */
#define CLEAN_STARTS 20

/* callers counts the server processes that were seen to make a call. A connection with a
 * different number of its own has to find out whether its process is one of them. */
__u32 callers;

/* serving has a bit, chosen by a part of the process id, for each process that may be in
 * `processes`. It sorts out most other processes without a look-up. */
__u64 serving[1024];

static __always_inline bool may_serve(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return serving[tgid / 64 % 1024] >> tgid % 64 & 1;
}

static __always_inline void note_serving(__u32 tgid)
{
	serving[tgid / 64 % 1024] |= 1ULL << tgid % 64;
}

static __always_inline struct worker *worker_of(__u64 id)
{
	struct worker *w = bpf_map_lookup_elem(&workers, &id);

	if (w)
		return w;
	struct worker fresh = { .since = bpf_ktime_get_ns() };
	bpf_map_update_elem(&workers, &id, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&workers, &id);
}

/* parent_of returns the process that t was forked from, or 0 if one of the two has
 * executed another program since. */
static __always_inline __u32 parent_of(struct task_struct *t)
{
	struct task_struct *up = BPF_CORE_READ(t, real_parent);

	if (!up || BPF_CORE_READ(up, mm, exe_file) != BPF_CORE_READ(t, mm, exe_file))
		return 0;
	return BPF_CORE_READ(up, tgid);
}

static __noinline int process_new(struct task_struct *t, __u32 tgid, __u64 born)
{
	struct process fresh = { .born = born, .parent = parent_of(t) };

	bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY);
	return 0;
}

/* process_serves notes that the calling process serves requests. It may have ended when
 * user space reads the note: then its parent is used instead. */
__noinline int process_serves(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *t = bpf_get_current_task_btf();
	struct process *known = bpf_map_lookup_elem(&processes, &tgid);
	__u64 born = t->group_leader->start_time;

	note_serving(tgid);
	if (known && known->born == born)
		return 0;
	process_new(t, tgid, born);
	process_did(t, PROCESS_SERVES);
	return 0;
}

/* process_opens reports whether the calling process is a server, and notes that it makes
 * calls. */
__noinline int process_opens(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);

	if (!p)
		return 0;
	if (!p->calls && !__sync_lock_test_and_set(&p->calls, 1)) {
		p->since = bpf_ktime_get_ns();
		__sync_fetch_and_add(&callers, 1);
	}
	return 1;
}

/* is_callers reports whether the process that uses a connection makes calls. */
static __always_inline bool is_callers(struct conn *c)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u32 now = callers;

	if (c->callers == CALLER)
		return true;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	c->callers = p && p->calls ? CALLER : now;
	return c->callers == CALLER;
}

/* uncount removes a request from the open ones of its reader. */
__noinline int uncount(struct conn *c)
{
	if (!c || !c->counted)
		return 0;
	__u32 tgid = c->rec.pid;
	__u64 id = (__u64)tgid << 32 | c->rec.tid;
	struct worker *w = bpf_map_lookup_elem(&workers, &id);
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);

	c->counted = 0;
	if (!w || !p)
		count(STAT_LOST_THREAD);
	if (w && w->open)
		__sync_fetch_and_add(&w->open, -1);
	if (p && p->open)
		__sync_fetch_and_add(&p->open, -1);
	return 0;
}

/* count_open adds a request to the open ones of its reader. */
static __always_inline void count_open(struct conn *c, struct worker *w, __u32 tgid)
{
	if (c->counted || c->rec.tid != (__u32)bpf_get_current_pid_tgid())
		return;
	c->counted = 1;
	__u32 open = __sync_fetch_and_add(&w->open, 1) + 1;
	if (open > w->most)
		w->most = open;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	if (!p)
		return;
	__sync_fetch_and_add(&p->open, 1);
	__sync_fetch_and_add(&p->reads, 1);
}

/* worker_reads runs when the calling thread read from the request on c. */
__noinline int worker_reads(struct conn *c)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (!c || !is_callers(c))
		return 0;
	struct worker *w = worker_of(id);
	if (!w)
		return 0;
	w->call = 0;
	w->call_seq = w->starts = 0;
	w->sleeps = bpf_get_current_task_btf()->nvcsw;
	w->conn = 0;
	/* Requests that user space frames have no number here: their connection counts as
	 * one request that is never answered. */
	if (!is_framed_here(c)) {
		w->most = 2;
		if (!c->counted) {
			c->rec.pid = id >> 32;
			c->rec.tid = id;
		}
		count_open(c, w, id >> 32);
		return 0;
	}
	w->conn = c->rec.conn;
	w->seq = c->rec.seq;
	c->rec.marks |= MARK_CALLER;
	if (c->counted || c->rec.tid != (__u32)id)
		return 0;
	c->rec.cause = 0;
	c->rec.cause_seq = 0;
	count_open(c, w, id >> 32);
	return 0;
}

/* worker_answers runs when the calling thread starts the response on c. */
__noinline int worker_answers(struct conn *c)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (!c || !is_callers(c))
		return 0;
	uncount(c);
	struct worker *w = bpf_map_lookup_elem(&workers, &id);
	c->rec.marks |= MARK_CALLER;
	c->rec.cause = w ? w->call : 0;
	c->rec.cause_seq = w ? w->call_seq : 0;
	if (w && !w->most)
		w->call = 0; /* it only answers: what it does next is for another request */
	return 0;
}

static __always_inline void cause_of(struct call_cause *e, struct conn *c)
{
	e->call = c->rec.conn;
	e->call_seq = c->rec.seq;
	e->cause = c->rec.cause;
	e->cause_seq = c->rec.cause_seq;
}

static __always_inline void worker_turns(const struct call_cause *e)
{
	struct worker *w = worker_of(bpf_get_current_pid_tgid());

	if (!w)
		return;
	w->conn = e->cause;
	w->seq = e->cause_seq;
	w->call = e->call;
	w->call_seq = e->call_seq;
}

/* worker_heard runs when the calling thread handles the call on c. */
__noinline int worker_heard(struct conn *c)
{
	struct call_cause e;

	if (!c)
		return 0;
	cause_of(&e, c);
	worker_turns(&e);
	return 0;
}

/* worker_will_hear runs when the call on c broke. Its thread does not know that yet. */
__noinline int worker_will_hear(struct conn *c)
{
	struct call_cause e;

	if (!c)
		return 0;
	__u64 key = c->rec.sk;
	cause_of(&e, c);
	bpf_map_update_elem(&broken, &key, &e, BPF_ANY);
	return 0;
}

/* worker_closes runs when the calling thread closes a TCP socket. */
__noinline int worker_closes(__u64 sk)
{
	struct call_cause *e = bpf_map_lookup_elem(&broken, &sk);

	if (!e)
		return 0;
	worker_turns(e);
	bpf_map_delete_elem(&broken, &sk);
	return 0;
}

/* direct reports whether a thread with many requests starts a call right after it read
 * the request that needs it. */
static __always_inline __u8 direct(struct worker *w)
{
	if (w->most < 2 || !w->conn || w->call)
		return 0;
	if (w->starts) {
		w->fouls++;
		return EVIDENCE_FOUL;
	}
	if (w->sleeps != (__u32)bpf_get_current_task_btf()->nvcsw)
		return 0;
	w->clean++;
	return !w->fouls && w->clean > CLEAN_STARTS ? EVIDENCE_DIRECT : EVIDENCE_CLEAN;
}

/* how_many returns evidence of how many requests a call can belong to. Requests from
 * before the count started are finished after a while. */
static __always_inline __u8 how_many(struct worker *w, struct process *p, __u32 *open)
{
	__u64 then = bpf_ktime_get_ns() - SETTLED_NS;
	__u8 evidence = 0;

	*open = p ? p->open : 0;
	if (p && p->since < then)
		evidence |= EVIDENCE_COUNTED | (p->open == 1 ? EVIDENCE_SOLE : 0);
	/* A thread that started after the count did has only requests that were counted. */
	if (!w || (w->since >= then && !(p && p->since && p->since < bpf_get_current_task_btf()->start_time)))
		return evidence;
	if (w->most == 1)
		evidence |= EVIDENCE_ALONE;
	if (w->open == 1)
		evidence |= EVIDENCE_ONLY;
	return evidence;
}

/* worker_calls runs when the calling thread starts a call on c. */
__noinline int worker_calls(struct conn *c)
{
	__u64 id = bpf_get_current_pid_tgid();

	if (!c)
		return 0;
	struct record *r = &c->rec;
	struct worker *w = bpf_map_lookup_elem(&workers, &id);
	r->caller = r->cause = 0;
	r->caller_seq = r->cause_seq = 0;
	__u32 tgid = id >> 32;
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);

	r->evidence = how_many(w, p, &r->acceptor_tid);
	c->events = p ? p->reads : 0; /* calls use this field for nothing else */
	if (!w || !w->most)
		r->evidence |= EVIDENCE_NO_READER;
	if (!w)
		return 0;
	r->cause = w->conn;
	r->cause_seq = w->seq;
	r->caller = w->call;
	r->caller_seq = w->call_seq;
	r->evidence |= direct(w);
	w->starts++;
	return 0;
}

/* worker_uses runs when the calling thread writes the first bytes of the call on c. The
 * connection may have been opened for another request, or for none yet. */
__noinline int worker_uses(struct conn *c)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tgid = id >> 32;

	if (!c)
		return 0;
	struct record *r = &c->rec;
	struct worker *w = bpf_map_lookup_elem(&workers, &id);
	struct process *p = bpf_map_lookup_elem(&processes, &tgid);
	__u8 evidence = how_many(w, p, &r->acceptor_tid);

	r->marker = r->cause;
	r->client_wait = r->cause_seq;
	r->writer_tid = r->tid;
	/* There was one request all the time, so it does not matter which thread writes. */
	if (r->evidence & evidence & EVIDENCE_SOLE && p && c->events == p->reads)
		evidence = r->evidence;
	else
		r->writer_tid = id;
	if (r->writer_tid != r->tid || !(r->evidence & evidence & EVIDENCE_SOLE)) {
		r->marker = w ? w->conn : 0;
		r->client_wait = w ? w->seq : 0;
	}
	if (!w || !w->most)
		evidence |= EVIDENCE_NO_READER;
	r->produce = evidence;
	return 0;
}

#endif
