/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Listening sockets: the processes that have them open, the threads that wait on them,
 * and their backlog. The walk goes over the descriptors of all processes, so it also sees
 * sockets in other network namespaces. User space runs it about once a second. */
#ifndef LAPWING_LISTENERS_H
#define LAPWING_LISTENERS_H

#include "conn/descriptor.h"
#include "conn/hooks.h"
#include "snapshot/waiters.h"

#define WAITERS_MAX 512 /* at most this many entries of one wait queue are looked at */

/* Whether connections are reported with the processes that have them open. */
__u32 want_holders = 0;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock___backlog {
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	atomic_t sk_drops;
};

struct request_sock_queue___defer {
	__u8 rskq_defer_accept;
};

struct inet_connection_sock___defer {
	struct request_sock_queue___defer icsk_accept_queue;
};

#pragma clang attribute pop

/* show_waiters shows the threads of one process. Threads of other processes are shown for
 * the process that they belong to, which has the socket open too. */
static __always_inline void show_waiters(struct seq_file *seq, __u64 sk, __u32 pid)
{
	struct waiter w = {};

	walk(&w, wait_queue_of(sk));
	for (int i = 0; i < WAITERS_MAX && next_waiter(&w); i++) {
		struct snap_waiter out = { SNAP_WAITER, sizeof(out), w.pid, sk, w.tid, w.how };

		if (w.tid && w.pid == pid)
			bpf_seq_write(seq, &out, sizeof(out));
	}
}

static __always_inline void listens_at(struct listens *l, struct sock *sk)
{
	l->sk = (__u64)sk;
	l->number = BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

/* tcp_listener returns the socket in which connections wait for accept: the listener
 * itself, or for MPTCP the socket below it. */
static __always_inline struct sock *tcp_listener(struct sock *sk)
{
	struct mptcp_sock *msk = (void *)sk;

	if (!bpf_core_field_exists(msk->first) || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_MPTCP)
		return sk;
	struct sock *first = BPF_CORE_READ(msk, first);
	return first ? first : sk;
}

static __always_inline void listener_drops(struct snap_listener *l, struct sock *sk)
{
	struct inet_connection_sock___defer *c = (void *)sk;
	struct sock___backlog *b = (void *)sk;
	struct listens key;

	listens_at(&key, sk);
	l->drops = BPF_CORE_READ(b, sk_drops.counter);
	l->defers = !!BPF_CORE_READ(c, icsk_accept_queue.rskq_defer_accept);
	__u64 *n = bpf_map_lookup_elem(&discards, &key);
	l->discards = n ? *n : 0;
}

static __always_inline void listener_address(struct snap_listener *l, struct sock *sk)
{
	l->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (l->family == AF_INET)
		*(__u32 *)l->local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	else
		BPF_CORE_READ_INTO(&l->local, sk, __sk_common.skc_v6_rcv_saddr);
}

static __always_inline void show_listener(struct seq_file *seq, struct sock *sk, __u16 family, __u32 pid)
{
	struct snap_listener l = { SNAP_LISTENER, sizeof(l), pid, (__u64)sk };
	struct sock *below = family == AF_UNIX ? sk : tcp_listener(sk);
	struct sock___backlog *b = (void *)below;

	l.family = family;
	l.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	l.limit = BPF_CORE_READ(b, sk_max_ack_backlog);
	l.len = BPF_CORE_READ(b, sk_ack_backlog);
	if (family == AF_UNIX) {
		/* The connections that wait for accept are in the receive queue. */
		l.len = BPF_CORE_READ(sk, sk_receive_queue.qlen);
		struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
		if (addr)
			l.name_len = unix_name(addr, l.name);
	} else {
		listener_drops(&l, below);
		listener_address(&l, sk);
	}
	bpf_seq_write(seq, &l, sizeof(l));
	show_waiters(seq, (__u64)sk, pid);
}

#endif
