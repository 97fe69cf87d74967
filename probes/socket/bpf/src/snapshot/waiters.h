/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The threads that wait for a socket: those in its wait queue. The queue is walked
 * without its lock, so an entry may disappear while it is looked at. Every pointer is
 * therefore checked against something that only the right kind of entry has. */
#ifndef LAPWING_WAITERS_H
#define LAPWING_WAITERS_H

#include "drift.h"
#include "snapshot/entries.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct wait_queue_head {
	struct list_head head;
};

struct wait_queue_entry {
	void *private;
	struct list_head entry;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct sock___wq {
	struct socket_wq *sk_wq;
};

struct task_struct___leader {
	int pid;
	int tgid;
	struct task_struct___leader *group_leader;
};

struct poll_table_page;

struct poll_wqueues {
	struct poll_table_page *table;
	struct task_struct___leader *polling_task;
	int inline_index;
};

struct poll_table_entry {
	struct wait_queue_entry wait;
	struct wait_queue_head *wait_address;
};

struct eventpoll {
	struct wait_queue_head wq;
};

struct epitem {
	struct eventpoll *ep;
};

struct eppoll_entry {
	struct epitem *base;
	struct wait_queue_entry wait;
	struct wait_queue_head *whead;
};

#pragma clang attribute pop

/* A position in a wait queue, and the thread that waits there. An entry of an epoll
 * instance leads to the threads that wait on that instance. */
struct waiter {
	__u64 queue;
	__u64 node;  /* the next entry to look at */
	__u64 outer; /* where to continue after an epoll instance; 0 outside of one */
	__u64 outer_queue;
	__u32 pid;
	__u32 tid;
	__u32 how;
	__u32 pad;
};

static __always_inline __u64 wait_queue_of(__u64 sk)
{
	__u64 wq = (__u64)BPF_CORE_READ((struct sock___wq *)sk, sk_wq);

	return wq ? wq + bpf_core_field_offset(struct socket_wq, wait) : 0;
}

static __always_inline void walk(struct waiter *w, __u64 queue)
{
	w->queue = queue;
	w->node = queue ? (__u64)BPF_CORE_READ((struct wait_queue_head *)queue, head.next) : 0;
}

static __always_inline bool walked(const struct waiter *w)
{
	return !w->node || w->node == w->queue + bpf_core_field_offset(struct wait_queue_head, head);
}

/* waiting_task fills w from a task, if task really points to one. */
static __always_inline void waiting_task(__u64 task, __u32 how, struct waiter *w)
{
	struct task_struct___leader *t = (void *)task;
	struct task_struct___leader *leader = BPF_CORE_READ(t, group_leader);
	__u32 pid = BPF_CORE_READ(t, tgid);

	if (!leader || BPF_CORE_READ(leader, pid) != pid || BPF_CORE_READ(leader, tgid) != pid)
		return;
	w->pid = pid;
	w->tid = BPF_CORE_READ(t, pid);
	w->how = how;
}

/* socket_entry looks at an entry of a socket's wait queue. */
static __always_inline void socket_entry(struct waiter *w, __u64 entry, __u64 private)
{
	struct eppoll_entry *ep = (void *)(entry - bpf_core_field_offset(struct eppoll_entry, wait));
	struct poll_table_entry *poll = (void *)(entry - bpf_core_field_offset(struct poll_table_entry, wait));

	if (!private) {
		__u64 loop = (__u64)BPF_CORE_READ(ep, base, ep);

		if ((__u64)BPF_CORE_READ(ep, whead) != w->queue || !loop)
			return;
		w->how = WAIT_LOOP;
		w->outer = w->node;
		w->outer_queue = w->queue;
		walk(w, loop + bpf_core_field_offset(struct eventpoll, wq));
	} else if ((__u64)BPF_CORE_READ(poll, wait_address) == w->queue) {
		struct poll_wqueues *all = (void *)private;
		bool alone = BPF_CORE_READ(all, inline_index) == 1 && !BPF_CORE_READ(all, table);

		waiting_task((__u64)BPF_CORE_READ(all, polling_task), alone ? WAIT_POLL : WAIT_MANY, w);
	} else {
		waiting_task(private, WAIT_CALL, w);
	}
}

/* next_waiter moves on by one entry and returns false at the end. tid stays 0 if the
 * entry is not that of a thread. */
__noinline int next_waiter(struct waiter *w)
{
	if (!w)
		return 0;
	w->pid = w->tid = w->how = 0;
	if (w->outer && walked(w)) {
		w->queue = w->outer_queue;
		w->node = w->outer;
		w->outer = 0;
	}
	if (walked(w))
		return 0;
	__u64 node = w->node;
	__u64 entry = node - bpf_core_field_offset(struct wait_queue_entry, entry);
	__u64 private = (__u64)BPF_CORE_READ((struct wait_queue_entry *)entry, private);

	w->node = (__u64)BPF_CORE_READ((struct list_head *)node, next);
	if (w->outer)
		waiting_task(private, WAIT_LOOP, w);
	else
		socket_entry(w, entry, private);
	return 1;
}

/* has_waiters reports whether one of a socket's first waiters is not an epoll
 * instance. */
static __always_inline bool has_waiters(__u64 queue)
{
	__u64 head = queue + bpf_core_field_offset(struct wait_queue_head, head), node = head;

	for (int i = 0; queue && i < 4; i++) {
		node = (__u64)BPF_CORE_READ((struct list_head *)node, next);
		__u64 entry = node - bpf_core_field_offset(struct wait_queue_entry, entry);

		if (!node || node == head)
			return false;
		if (BPF_CORE_READ((struct wait_queue_entry *)entry, private))
			return true;
	}
	return false;
}

/* blocked_in finds the thread that waits in a read or a poll of this socket. Threads in
 * epoll_wait are not blocked by one connection: for them how is WAIT_LOOP and there is no
 * thread. */
__noinline int blocked_in(struct waiter *w, __u64 sk)
{
	bool loop = false;

	if (!w)
		return 0;
	walk(w, wait_queue_of(sk));
	w->outer = 0;
	for (int i = 0; i < 4 && next_waiter(w); i++) {
		if (w->tid && w->how != WAIT_LOOP)
			return 0;
		loop = loop || w->how == WAIT_LOOP;
	}
	w->pid = w->tid = 0;
	w->how = loop ? WAIT_LOOP : 0;
	return 0;
}

#endif
