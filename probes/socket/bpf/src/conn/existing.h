/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Helpers of the programs in existing.bpf.c. */
#ifndef LAPWING_EXISTING_H
#define LAPWING_EXISTING_H

#include "conn/descriptor.h"
#include "conn/hooks.h"
#include "work/process.h"

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

/* inet_of_file returns the address of a stream socket of IPv4 or IPv6. */
static __always_inline struct sock *inet_of_file(struct file *file)
{
	struct sock *sk = sock_of_file(file);
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;

	return family == AF_INET || family == AF_INET6 ? sk : NULL;
}

/* gone reports whether a unix socket no longer exists although its close was not seen,
 * for example because its process was killed. Its memory is then free or another
 * socket's. */
static __always_inline bool gone(struct conn *c)
{
	const struct unix_sock *u = (const void *)c->rec.sk;

	return BPF_CORE_READ(u, sk.__sk_common.skc_family) != AF_UNIX ||
	       BPF_CORE_READ(u, sk.__sk_common.skc_state) == TCP_CLOSE ||
	       (__u64)BPF_CORE_READ(u, peer) != c->rec.peer_sk;
}

/* gone_unread drops a TCP connection that was left to a read whose hook never ran. */
static __noinline int gone_unread(struct conn *c)
{
	if (!c || c->rec.family == AF_UNIX || c->write_enter || bpf_ktime_get_ns() - c->in_last < TAKEN_NS)
		return 0;
	if (is_served(c))
		taken_unseen(c);
	tcp_forget(c->rec.sk);
	return 0;
}

#endif
