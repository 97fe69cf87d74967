/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Programs that user space runs: once at the start over the connections that
 * are there already, and again and again over those that have gone quiet. */
#ifndef LAPWING_EXISTING_H
#define LAPWING_EXISTING_H

#include "descriptor.h"
#include "hooks.h"
#include "process.h"

/* A port of a network namespace. */
struct net_port {
	__u32 netns;
	__u16 port;
	__u16 pad;
};

/* listening: ports on which something listens. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net_port);
	__type(value, __u8);
} listening SEC(".maps");

static __always_inline void net_port_of(struct net_port *p, const void *sk)
{
	const struct sock_common *skc = sk;

	p->netns = BPF_CORE_READ(skc, skc_net.net, ns.inum);
	p->port = BPF_CORE_READ(skc, skc_num);
	p->pad = 0;
}

static __always_inline void note_listening(const void *sk)
{
	struct net_port p;
	__u8 yes = 1;

	net_port_of(&p, sk);
	bpf_map_update_elem(&listening, &p, &yes, BPF_ANY);
}

static __always_inline bool is_listening(const void *sk)
{
	struct net_port p;

	net_port_of(&p, sk);
	return bpf_map_lookup_elem(&listening, &p);
}

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
	c->mode = MODE_EXISTING;
	c->existing = tp->rcv_nxt != tp->copied_seq ? EXISTING_QUEUED : EXISTING_QUIET;
	connection_begin(c, (__u64)sk, skc->skc_family);
	inet_addresses(c, sk);
	return 0;
}

/* inet_of_file returns the address of a stream socket of IPv4 or IPv6. */
static __always_inline struct sock *inet_of_file(struct file *file)
{
	struct sock *sk = sock_of_file(file);
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;

	return family == AF_INET || family == AF_INET6 ? sk : NULL;
}

/* The iterators over TCP sockets see one network namespace and no MPTCP. The two
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
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP && BPF_CORE_READ(tp, rcv_nxt) != BPF_CORE_READ(tp, copied_seq))
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
	c->mode = MODE_EXISTING;
	c->existing = queued ? EXISTING_QUEUED : EXISTING_QUIET;
	return 0;
}

SEC("iter/bpf_map_elem")
int idle_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	struct conn *c = ctx->value;

	if (!c || (c->phase != PHASE_RESPONDING && idle_ns))
		return 0;
	on_quiet(c, bpf_ktime_get_ns());
	if (waits_for_quiet(c)) {
		unix_used = 1;
		note_tcp_use();
	}
	return 0;
}

/* gone tells whether a unix socket whose close was not seen is not there any more,
 * as when its process was killed: its memory is free or another socket's. */
static __always_inline bool gone(struct conn *c)
{
	const struct unix_sock *u = (const void *)c->rec.sk;

	return BPF_CORE_READ(u, sk.__sk_common.skc_family) != AF_UNIX ||
	       BPF_CORE_READ(u, sk.__sk_common.skc_state) == TCP_CLOSE ||
	       (__u64)BPF_CORE_READ(u, peer) != c->rec.peer_sk;
}

SEC("iter/bpf_map_elem")
int gone_elem(struct bpf_iter__bpf_map_elem *ctx)
{
	struct conn *c = ctx->value;

	if (!c || c->rec.family != AF_UNIX || !gone(c))
		return 0;
	unix_left(c->rec.sk);
	return 0;
}

#endif
