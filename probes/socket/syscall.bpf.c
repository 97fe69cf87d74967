//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The plan `syscall`: tracepoints at the entry and exit of the system calls
 * that read and write. They carry a descriptor, from which only the socket's
 * address can be had, so connections live in a map by address. */
#include "state.h"

/* tcp_conns: address of a server-side TCP socket → connection. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct conn);
} tcp_conns SEC(".maps");

static __always_inline struct conn *tcp_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&tcp_conns, &key);
}

static __always_inline struct conn *tcp_create(struct sock *sk)
{
	__u64 key = (__u64)sk;
	__u32 zero = 0;
	struct conn *none = bpf_map_lookup_elem(&blank, &zero);

	if (!none || bpf_map_update_elem(&tcp_conns, &key, none, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&tcp_conns, &key);
}

static __always_inline void tcp_forget(__u64 addr)
{
	bpf_map_delete_elem(&tcp_conns, &addr);
}

static __always_inline void tcp_accepted(__u64 addr, __u64 now, __u32 tid)
{
	struct conn *c = tcp_find((struct sock *)addr);

	if (!c)
		return;
	c->rec.accepted = now;
	c->rec.acceptor_tid = tid;
}

#include "existing.h"

/* A connection and the socket it was found by. */
struct found {
	struct conn *conn;
	struct tcp_sock *tcp; /* NULL for unix sockets */
};

static __always_inline void find_fd(struct found *f, long fd)
{
	struct sock *sk = sock_of_file(file_of_fd(fd));

	f->conn = NULL;
	f->tcp = NULL;
	if (!sk)
		return;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_UNIX) {
		f->conn = unix_find(sk);
	} else if (family == AF_INET || family == AF_INET6) {
		f->tcp = (struct tcp_sock *)sk;
		f->conn = tcp_find(sk);
	}
	if (f->conn && f->conn->mode == MODE_IGNORED)
		f->conn = NULL;
}

static __noinline int read_returned(long fd, long ret)
{
	struct in in = { .n = ret };
	struct found f;

	if (ret <= 0)
		return 0;
	find_fd(&f, fd);
	struct tcp_sock *tcp = f.tcp;
	if (!f.conn)
		return 0;
	in.now = bpf_ktime_get_ns();
	if (tcp) {
		tcp_arrivals(f.conn, &in, BPF_CORE_READ(tcp, copied_seq));
	} else {
		unix_arrivals(f.conn, &in);
	}
	on_read(f.conn, &in);
	return 0;
}

static __always_inline int write_entered(long fd)
{
	struct found f;

	find_fd(&f, fd);
	if (f.conn)
		on_write_enter(f.conn, bpf_ktime_get_ns());
	return 0;
}

static __noinline int write_returned(long fd, long ret)
{
	struct out out = {};
	struct found f;

	find_fd(&f, fd);
	struct tcp_sock *tcp = f.tcp;
	if (!f.conn)
		return 0;
	out.now = bpf_ktime_get_ns();
	out.enter = f.conn->write_enter;
	if (ret > 0)
		out.n = ret;
	else
		out.error = -ret;
	if (tcp) {
		out.end_seq = BPF_CORE_READ(tcp, write_seq);
		out.acked = BPF_CORE_READ(tcp, snd_una) == out.end_seq;
	}
	on_write(f.conn, &out);
	f.conn->write_enter = 0;
	if (tcp && f.conn->gone)
		tcp_forget((__u64)tcp);
	return 0;
}

static __always_inline struct pt_regs *registers(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* messages_bytes adds up what recvmmsg and sendmmsg say of each message. */
static __always_inline long messages_bytes(long n)
{
	struct mmsghdr *msgs = (void *)SYSCALL_ARG1(registers());
	long sum = 0;

	for (int i = 0; i < 8 && i < n; i++) {
		__u32 len = 0;

		bpf_probe_read_user(&len, sizeof(len), &msgs[i].msg_len);
		sum += len;
	}
	return sum;
}

#define READ_EXIT(name, bytes, peek) \
	SEC("tracepoint/syscalls/sys_exit_" #name) \
	int name##_exit(struct trace_event_raw_sys_exit *ctx) \
	{ \
		struct pt_regs *regs = registers(); \
		\
		return ctx->ret <= 0 || (peek) & MSG_PEEK ? 0 : read_returned((__s32)SYSCALL_ARG0(regs), bytes); \
	}

READ_EXIT(read, ctx->ret, 0)
READ_EXIT(readv, ctx->ret, 0)
READ_EXIT(recvfrom, ctx->ret, SYSCALL_ARG3(regs))
READ_EXIT(recvmsg, ctx->ret, SYSCALL_ARG2(regs))
READ_EXIT(recvmmsg, messages_bytes(ctx->ret), SYSCALL_ARG3(regs))

/* fd is the number of the argument that names the socket written to. */
#define WRITE(name, fd, bytes) \
	SEC("tracepoint/syscalls/sys_enter_" #name) \
	int name##_enter(struct trace_event_raw_sys_enter *ctx) \
	{ \
		return write_entered((__s32)ctx->args[fd]); \
	} \
	SEC("tracepoint/syscalls/sys_exit_" #name) \
	int name##_exit(struct trace_event_raw_sys_exit *ctx) \
	{ \
		return write_returned((__s32)SYSCALL_ARG##fd(registers()), bytes); \
	}

WRITE(write, 0, ctx->ret)
WRITE(writev, 0, ctx->ret)
WRITE(sendto, 0, ctx->ret)
WRITE(sendmsg, 0, ctx->ret)
WRITE(sendmmsg, 0, ctx->ret > 0 ? messages_bytes(ctx->ret) : ctx->ret)
WRITE(sendfile64, 0, ctx->ret)

/* splice moves bytes from a socket to a pipe or from a pipe to a socket. */
SEC("tracepoint/syscalls/sys_enter_splice")
int splice_enter(struct trace_event_raw_sys_enter *ctx)
{
	return write_entered((__s32)ctx->args[2]);
}

SEC("tracepoint/syscalls/sys_exit_splice")
int splice_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *regs = registers();

	write_returned((__s32)SYSCALL_ARG2(regs), ctx->ret);
	return read_returned((__s32)SYSCALL_ARG0(regs), ctx->ret);
}

/* Arrivals on unix sockets: the tracepoint since 6.3, before that the function
 * it stands in, where the kernel lets programs attach to functions. */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready, struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_UNIX && sk->sk_type == SOCK_STREAM)
		unix_data_ready(sk);
	return 0;
}

SEC("fentry/sock_def_readable")
int BPF_PROG(readable, struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_UNIX && sk->sk_type == SOCK_STREAM)
		unix_data_ready(sk);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
