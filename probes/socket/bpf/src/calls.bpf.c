//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The programs at the system calls that create and end connections, and at exec. */
#include "conn/hooks.h"

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

/* close_enter is for unix sockets, which are closed with their last descriptor. TCP
 * reports its own closes. */
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

/* process_exec runs when a process executes a program: the name of a server process may
 * change. */
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

SEC("tracepoint/syscalls/sys_enter_connect")
int connect_enter(struct trace_event_raw_sys_enter *ctx)
{
	struct thread *t = may_serve() ? this_thread_made() : NULL;

	if (t)
		t->connects = bpf_ktime_get_ns();
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_connect")
int connect_exit(struct trace_event_raw_sys_exit *ctx)
{
	long error = -ctx->ret;
	struct thread *t = may_serve() ? this_thread() : NULL;

	if (!t || !t->connects)
		return 0;
	__u64 began = t->connects;
	t->connects = 0;
	if (error <= 0 || error == EINPROGRESS || error == EALREADY || error == EISCONN || error == EINTR)
		return 0;
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct sock *sk = sock_of_file(file_of_fd((__s32)SYSCALL_ARG0(regs)));
	if (sk)
		call_failed(sk, began, error);
	return 0;
}
