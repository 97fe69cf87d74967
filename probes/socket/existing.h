/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Programs that user space runs: once at the start over the connections that
 * are there already, and again and again over those that have gone quiet. */
#ifndef LAPWING_EXISTING_H
#define LAPWING_EXISTING_H

#include "hooks.h"

/* listening: ports on which something listens on this host. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u16);
	__type(value, __u8);
} listening SEC(".maps");

SEC("iter/tcp")
int tcp_listening(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	__u8 yes = 1;

	if (!skc || skc->skc_state != TCP_LISTEN)
		return 0;
	__u16 port = skc->skc_num;
	bpf_map_update_elem(&listening, &port, &yes, BPF_ANY);
	return 0;
}

SEC("iter/tcp")
int tcp_existing(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;

	if (!skc || (skc->skc_state != TCP_ESTABLISHED && skc->skc_state != TCP_CLOSE_WAIT))
		return 0;
	__u16 port = skc->skc_num;
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(skc);
	if (!tp || !port_wanted(port) || !bpf_map_lookup_elem(&listening, &port))
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

	if (!c || c->phase != PHASE_RESPONDING)
		return 0;
	if (c->rec.family == AF_UNIX)
		unix_used = 1;
	else
		tcp_used = 1;
	on_quiet(c, bpf_ktime_get_ns());
	return 0;
}

#endif
