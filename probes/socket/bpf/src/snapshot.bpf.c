//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The programs that show what is in use at one moment, and what listeners drop. */
#include "snapshot/snapshot.h"

SEC("iter/bpf_map_elem")
int see_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	struct conn *c = ctx->value;

	return c ? see_conn(ctx->meta->seq, c) : 0;
}

/* Some kernels refuse the iterators over maps and over the storage of sockets. A socket
 * that several processes have open is shown for each of them. */
SEC("iter/task_file")
int see_open(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *s = ctx->task && file ? bpf_sock_from_file(file) : NULL;
	struct sock *sk = s ? s->sk : NULL;

	if (!sk || sk->sk_type != SOCK_STREAM)
		return 0;
	struct conn *c = conn_of(sk);
	return c ? see_conn(ctx->meta->seq, c) : 0;
}

/* see_discard runs when a packet is dropped. Two kinds of packets that came to a
 * listening socket are not in its counter: they belonged to no connection. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(see_discard, struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *sk)
{
	struct sock *at = (struct sock *)(__u64)sk; /* it may be gone, or another socket already */
	struct listens key;
	__u64 one = 1;

	if (!at || reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET) ||
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_TCP_FLAGS))
		return 0;
	if (BPF_CORE_READ(at, __sk_common.skc_state) != TCP_LISTEN)
		return 0;
	listens_at(&key, at);
	__u64 *n = bpf_map_lookup_elem(&discards, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&discards, &key, &one, BPF_NOEXIST);
	return 0;
}

SEC("iter/task_file")
int see_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	struct sock *sk = sock_of_file(file);
	if (!sk)
		return 0;
	/* First the test that leaves the fewest: nearly all are connections. */
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state != TCP_LISTEN && !want_holders)
		return 0;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return 0;
	__u32 pid = task->tgid;
	if (state == TCP_LISTEN) {
		show_listener(ctx->meta->seq, sk, family, pid);
	} else if (state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT) {
		struct snap_holder h = { SNAP_HOLDER, sizeof(h), pid, (__u64)sk };

		bpf_seq_write(ctx->meta->seq, &h, sizeof(h));
	}
	return 0;
}
