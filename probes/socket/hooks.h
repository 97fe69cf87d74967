/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The hooks that both probe plans use for connections of any kind: what reads
 * return, accept and close. The plan that includes this file defines what tcp.h
 * needs, and what it does with the accept of a TCP socket:
 *
 *   tcp_accepted(addr, now, tid)
 */
#ifndef LAPWING_HOOKS_H
#define LAPWING_HOOKS_H

#include "failed.h"
#include "tcp.h"
#include "unix.h"

/* find_arrivals finds when what was just read arrived. For TCP copied_seq is
 * the sequence number up to which the receive queue has been read. */
static __always_inline void find_arrivals(struct conn *c, struct in *in, bool tcp, __u32 copied_seq)
{
	__u32 end = copied_seq;

	if (!tcp) {
		end = c->rec.family == AF_UNIX ? unix_read(c, in->n) : mptcp_read(c, in->n);
	} else if (!c->in_first && c->mode == MODE_FRESH) {
		/* See tcp_segment: they came with the end of the handshake. */
		c->in_first = c->in_last = c->rec.established;
		c->in_seq = copied_seq - in->n;
		c->in_end = copied_seq;
	}
	in->end = end;
	arrivals(c, in, end);
	if (!tcp && c->rec.family == AF_UNIX)
		unix_settle(c, in);
}

static __noinline int accept_returned(long fd)
{
	struct sock *sk = sock_of_file(file_of_fd(fd));
	__u64 now = bpf_ktime_get_ns();
	__u32 tid = bpf_get_current_pid_tgid();

	if (!sk)
		return 0;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_INET || family == AF_INET6) {
		tcp_accepted((__u64)sk, now, tid);
		return 0;
	}
	if (family != AF_UNIX || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	struct conn *c = unix_find(sk);
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	if (c && c->mode == MODE_CLIENT) {
		unix_left((__u64)sk);
		c = NULL;
	}
	if (!c && addr)
		c = unix_create((__u64)sk, addr);
	if (c) {
		c->rec.accepted = now;
		c->rec.acceptor_tid = tid;
	}
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_accept4")
int accept4_exit(struct trace_event_raw_sys_exit *ctx)
{
	return ctx->ret < 0 ? 0 : accept_returned(ctx->ret);
}

SEC("tracepoint/syscalls/sys_exit_accept")
int accept_exit(struct trace_event_raw_sys_exit *ctx)
{
	return ctx->ret < 0 ? 0 : accept_returned(ctx->ret);
}

/* TCP tells of its closes itself; a unix socket is closed when the last
 * descriptor is. */
SEC("tracepoint/syscalls/sys_enter_close")
int close_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct file *file = file_of_fd((__s32)ctx->args[0]);
	struct sock *sk = sock_of_file(file);

	if (!sk)
		return 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX) {
		if (callers)
			worker_closes((__u64)sk);
		return 0;
	}
	if (!file_is_last_reference(file))
		return 0;
	struct conn *c = unix_find(sk);
	__u64 key = (__u64)sk;
	if (c) {
		call_closed(c, true, 0);
		unix_closed(c, bpf_ktime_get_ns());
		bpf_map_delete_elem(&unix_conns, &key);
	}
	return 0;
}

/* A process that serves executes a program: what it is called may change. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *t)
{
	__u32 tgid = t->tgid;

	if (bpf_map_lookup_elem(&processes, &tgid))
		process_did(t, PROCESS_EXECUTED);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_shutdown")
int shutdown_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct sock *sk = sock_of_file(file_of_fd((__s32)ctx->args[0]));

	if (!sk || !ctx->args[1] || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	struct conn *c = unix_find(sk);
	if (c)
		on_close(c, bpf_ktime_get_ns(), true, 0);
	return 0;
}

#endif
