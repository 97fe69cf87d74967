//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Programs that user space runs: once at the start over the existing connections, and
 * repeatedly over those that have gone quiet. */
#include "conn/rest.h"

SEC("iter/tcp")
int tcp_listening(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;

	if (skc && skc->skc_state == TCP_LISTEN)
		note_listening(skc);
	return 0;
}

SEC("iter/tcp")
int tcp_existing(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;

	if (!skc || (skc->skc_state != TCP_ESTABLISHED && skc->skc_state != TCP_CLOSE_WAIT))
		return 0;
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(skc);
	if (!tp || !port_wanted(skc->skc_num) || !is_listening(skc))
		return 0;
	struct sock *sk = (struct sock *)tp;
	if (tcp_find(sk))
		return 0;
	struct conn *c = tcp_create(sk);
	if (!c)
		return 0;
	c->stage = STAGE_EXISTING;
	c->existing = tp->rcv_nxt != tp->copied_seq ? EXISTING_QUEUED : EXISTING_QUIET;
	connection_begin(c, (__u64)sk, skc->skc_family);
	inet_addresses(c, sk);
	return 0;
}

/* The iterators over TCP sockets see one network namespace and no MPTCP. The two programs
 * below go over the descriptors of all processes. */
SEC("iter/task_file")
int files_listening(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (!task || !file)
		return 0;
	struct sock *sk = sock_of_file(file);
	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_LISTEN)
		return 0;
	if (inet_of_file(file))
		note_listening(sk);
	process_did(task, PROCESS_LISTENS);
	return 0;
}

SEC("iter/task_file")
int files_existing(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;

	if (!ctx->task || !file)
		return 0;
	struct sock *sk = inet_of_file(file);
	const struct tcp_sock *tp = (const void *)sk;
	__u8 state = sk ? BPF_CORE_READ(sk, __sk_common.skc_state) : 0;
	__u8 existing = EXISTING_QUIET;
	if ((state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT) || !is_listening(sk) ||
	    !port_wanted(BPF_CORE_READ(sk, __sk_common.skc_num)))
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP &&
	    BPF_CORE_READ(tp, rcv_nxt) != BPF_CORE_READ(tp, copied_seq))
		existing = EXISTING_QUEUED;
	existing_at(sk, existing);
	return 0;
}

SEC("iter/unix")
int unix_existing(struct bpf_iter__unix *ctx)
{
	struct unix_sock *u = ctx->unix_sk;

	if (!u || u->sk.__sk_common.skc_state != TCP_ESTABLISHED || u->sk.sk_type != SOCK_STREAM || !u->addr)
		return 0;
	__u64 key = (__u64)u;
	if (bpf_map_lookup_elem(&unix_conns, &key))
		return 0;
	__u32 queued = u->sk.sk_receive_queue.qlen;
	struct conn *c = unix_create(key, u->addr);
	if (!c)
		return 0;
	c->stage = STAGE_EXISTING;
	c->existing = queued ? EXISTING_QUEUED : EXISTING_QUIET;
	return 0;
}

SEC("iter/bpf_map_elem")
int idle_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	return ctx->value ? idle_at(ctx->value) : 0;
}

SEC("iter/bpf_map_elem")
int gone_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	return ctx->value ? gone_at(ctx->value) : 0;
}

/* Some kernels refuse the iterators over maps. User space then calls these programs. */
static long idle_each(void *map, __u64 *key, struct conn *c, void *ctx)
{
	idle_at(c);
	return 0;
}

static long gone_each(void *map, __u64 *key, struct conn *c, void *ctx)
{
	gone_at(c);
	return 0;
}

SEC("syscall")
int idle_unix(void *ctx)
{
	bpf_for_each_map_elem(&unix_conns, idle_each, NULL, 0);
	return 0;
}

SEC("syscall")
int gone_unix(void *ctx)
{
	bpf_for_each_map_elem(&unix_conns, gone_each, NULL, 0);
	return 0;
}
