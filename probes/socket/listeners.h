/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Listening sockets: who has them open, who waits on them, and their backlog.
 * The walk goes over the descriptors of all processes, so it sees those in
 * other network namespaces too. User space runs it about once a second. */
#ifndef LAPWING_LISTENERS_H
#define LAPWING_LISTENERS_H

#include "descriptor.h"
#include "hooks.h"
#include "waiters.h"

#define WAITERS_MAX 512 /* entries of one wait queue that are looked at */

/* Whether connections are reported with the processes that have them open. */
__u32 want_holders = 0;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock___backlog {
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	atomic_t sk_drops;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop

/* show_waiters shows the threads of one process. The others are shown where
 * their own process has the socket open. */
static __always_inline void show_waiters(struct seq_file *seq, __u64 sk, __u32 pid)
{
	struct waiter w = {};

	walk(&w, wait_queue_of(sk));
	for (int i = 0; i < WAITERS_MAX && next_waiter(&w); i++) {
		struct sight_waiter out = { SIGHT_WAITER, sizeof(out), w.pid, sk, w.tid, w.how };

		if (w.tid && w.pid == pid)
			bpf_seq_write(seq, &out, sizeof(out));
	}
}

static __always_inline void listener_address(struct sight_listener *l, struct sock *sk)
{
	l->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (l->family == AF_INET)
		*(__u32 *)l->local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	else
		BPF_CORE_READ_INTO(&l->local, sk, __sk_common.skc_v6_rcv_saddr);
}

static __always_inline void show_listener(struct seq_file *seq, struct sock *sk, __u16 family, __u32 pid)
{
	struct sight_listener l = { SIGHT_LISTENER, sizeof(l), pid, (__u64)sk };
	struct sock___backlog *b = (void *)sk;

	l.family = family;
	l.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	l.limit = BPF_CORE_READ(b, sk_max_ack_backlog);
	l.len = BPF_CORE_READ(b, sk_ack_backlog);
	if (family == AF_UNIX) {
		/* What waits for accept is in the receive queue. */
		l.len = BPF_CORE_READ(sk, sk_receive_queue.qlen);
		struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
		if (addr)
			l.name_len = unix_name(addr, l.name);
	} else {
		l.drops = BPF_CORE_READ(b, sk_drops.counter);
		listener_address(&l, sk);
	}
	bpf_seq_write(seq, &l, sizeof(l));
	show_waiters(seq, (__u64)sk, pid);
}

SEC("iter/task_file")
int see_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	struct sock *sk = sock_of_file(file);
	if (!sk || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	__u32 pid = task->tgid;
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_LISTEN) {
		show_listener(ctx->meta->seq, sk, family, pid);
	} else if (want_holders && (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT)) {
		struct sight_holder h = { SIGHT_HOLDER, sizeof(h), pid, (__u64)sk };

		bpf_seq_write(ctx->meta->seq, &h, sizeof(h));
	}
	return 0;
}

#endif
