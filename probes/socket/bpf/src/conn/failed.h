/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Calls that end before they have a connection: connect itself returns that there is no
 * listener, that the backlog is full, or that there is no route. TCP connections that
 * were started report their own end, see tcp.h. */
#ifndef LAPWING_FAILED_H
#define LAPWING_FAILED_H

#include "conn/unix.h"

/* called_address fills in the address that a failed connect asked for. */
static __always_inline void called_address(struct record *r, const void *address, __u64 len)
{
	__u16 port = 0;

	if (r->family == AF_UNIX) {
		__u64 name = len - sizeof(port);

		barrier_var(name);
		if (len > sizeof(port) && name <= NAME_MAX &&
		    !bpf_probe_read_user(r->bytes, name, address + sizeof(port)))
			r->name_len = name;
		return;
	}
	bpf_probe_read_user(&port, sizeof(port), address + 2);
	r->peer_port = __builtin_bswap16(port);
	if (r->family == AF_INET)
		bpf_probe_read_user(r->peer, 4, address + 4);
	else
		bpf_probe_read_user(r->peer, 16, address + 8);
}

/* call_failed hands out a call that connect refused. The state of the socket is needed
 * only until then. */
static __noinline int call_failed(struct sock *sk, __u64 at, __u32 error)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 key = (__u64)sk;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
		return 0;
	if (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM || !process_opens())
		return 0;
	struct conn *c = unix_blank(key);
	if (!c)
		return 0;
	call_opened(c, key, family);
	c->rec.accepted = at;
	c->rec.closed = bpf_ktime_get_ns();
	c->rec.error = error;
	called_address(&c->rec, (const void *)SYSCALL_ARG1(regs), SYSCALL_ARG2(regs));
	c->pending = pending_of(c->rec.seq, PENDING_ALL);
	call_out(c);
	worker_heard(c);
	bpf_map_delete_elem(&unix_conns, &key);
	return 0;
}

#endif
