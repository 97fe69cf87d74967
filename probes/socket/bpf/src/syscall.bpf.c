//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The plan `syscall`: tracepoints at the entry and exit of the system calls that read and
 * write. They carry a descriptor, which leads only to the socket's address. So
 * connections live in a map by address. */
#include "calls.bpf.c"
#include "existing.bpf.c"
#include "mark.bpf.c"
#include "snapshot.bpf.c"
#include "tcp.bpf.c"

/* tcp_conns: address of a server-side TCP socket → connection. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct conn);
} tcp_conns SEC(".maps");

static __always_inline const struct tcp_sock *tcp_of(struct sock *sk)
{
	return bpf_skc_to_tcp_sock(sk);
}

/* rests: address of a socket → what is kept of its connection, which rests. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct rest);
} rests SEC(".maps");

static __always_inline struct conn *conn_of(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (sk->__sk_common.skc_family == AF_UNIX)
		return bpf_map_lookup_elem(&unix_conns, &key);
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

/* tcp_wake makes the state of a connection that rests again. c is the state that was
 * found, if it was only marked so far. */
static __noinline struct conn *tcp_wake(__u64 key, struct conn *c)
{
	if (c)
		return rest_over(c);
	struct rest *r = bpf_map_lookup_elem(&rests, &key);
	if (!r)
		return NULL;
	c = tcp_create((struct sock *)key);
	if (!c) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	rest_gives(c, r, key);
	bpf_map_delete_elem(&rests, &key);
	return c;
}

static __always_inline struct conn *tcp_find(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct conn *c = bpf_map_lookup_elem(&tcp_conns, &key);

	if (likely(c)) {
		if (likely(!c->resting))
			return c;
	} else if (likely(!rested)) {
		return NULL;
	}
	return tcp_wake(key, c);
}

/* rest_at lets a connection rest, if it may. */
static __noinline int rest_at(struct conn *c)
{
	struct rest r = {};

	if (!ready_to_rest(c))
		return 0;
	__u64 key = c->rec.sk;
	rest_takes(&r, c);
	if (bpf_map_update_elem(&rests, &key, &r, BPF_ANY))
		return 0; /* it stays as it is */
	if (rest_ends(c))
		bpf_map_delete_elem(&tcp_conns, &key);
	else
		bpf_map_delete_elem(&rests, &key);
	return 0;
}

static __always_inline void tcp_forget(__u64 addr)
{
	bpf_map_delete_elem(&tcp_conns, &addr);
	if (rested)
		bpf_map_delete_elem(&rests, &addr);
}

static __always_inline struct conn *mptcp_find(__u64 addr)
{
	return tcp_find((struct sock *)addr);
}

static __always_inline struct conn *mptcp_create(__u64 addr)
{
	return tcp_create((struct sock *)addr);
}

static __always_inline void mptcp_forget(__u64 addr)
{
	tcp_forget(addr);
}

static __always_inline void take_accept(struct conn *c)
{
	/* The stamp is in the connection already. */
}

static __always_inline void reads_from(struct conn *c, __u32 seq)
{
	/* Each system call that reads is seen, also those that splice. */
}

/* tcp_adopt finds nothing: accept has created the state of the sockets that it returned. */
static __always_inline struct conn *tcp_adopt(struct sock *sk)
{
	return NULL;
}

/* adopt_at creates the state of a server's connection of which only the address is known. */
static __noinline struct conn *adopt_at(struct sock *sk)
{
	if (is_over((__u64)sk) || !port_wanted(BPF_CORE_READ(sk, __sk_common.skc_num)))
		return NULL;
	struct conn *c = tcp_create(sk);
	if (!c) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	connection_begin(c, (__u64)sk, BPF_CORE_READ(sk, __sk_common.skc_family));
	inet_addresses_at(c, (__u64)sk);
	c->multipath = BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP;
	return c;
}

static __noinline int tcp_accepted(__u64 addr, __u64 now, __u32 tid)
{
	struct conn *c = tcp_find((struct sock *)addr);

	/* A socket whose close was not seen may have had this address before. */
	if (c && c->rec.accepted)
		on_close(c, now, true, 0);
	if (!c || c->rec.accepted || is_call(c))
		c = adopt_at((struct sock *)addr);
	if (!c)
		return 0;
	c->rec.accepted = now;
	c->rec.acceptor_tid = tid;
	return 0;
}

/* existing_at notes that the connection of this server socket is older than the agent. */
static __always_inline void existing_at(struct sock *sk, __u8 existing)
{
	struct conn *c = tcp_find(sk) ? NULL : adopt_at(sk);

	if (!c)
		return;
	c->stage = STAGE_EXISTING;
	c->existing = existing;
}

/* A connection and the socket that it was found by. */
struct found {
	struct conn *conn;
	struct sock *sk;
	struct tcp_sock *tcp; /* NULL for unix sockets */
};

static __always_inline void find_fd(struct found *f, long fd)
{
	struct sock *sk = sock_of_file(file_of_fd(fd));

	f->conn = NULL;
	f->sk = sk;
	f->tcp = NULL;
	if (!sk)
		return;
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family == AF_UNIX) {
		f->conn = unix_find(sk);
	} else if (family == AF_INET || family == AF_INET6) {
		f->conn = tcp_find(sk);
		if (!f->conn)
			return;
		note_tcp_use();
		if (likely(!f->conn->multipath))
			f->tcp = (struct tcp_sock *)sk;
	}
	if (f->conn && f->conn->stage == STAGE_IGNORED)
		f->conn = NULL;
}

static __always_inline int read_returned(long fd, long ret)
{
	struct in in = { .n = ret, .wire = ret };
	struct found f;

	find_fd(&f, fd);
	struct tcp_sock *tcp = f.tcp;
	if (!f.conn)
		return 0;
	if (unlikely(is_call(f.conn))) {
		call_read(f.conn, ret);
		return 0;
	}
	if (!ret)
		return 0;
	in.now = bpf_ktime_get_ns();
	if (f.conn->rec.family != AF_UNIX)
		addressed(f.conn);
	if (tcp && f.conn->stage < STAGE_KNOWN)
		late_caller(f.conn);
	find_arrivals(f.conn, &in, tcp, tcp ? BPF_CORE_READ(tcp, copied_seq) : 0);
	reading_to(f.conn, in.end);
	on_read(f.conn, &in);
	read_handled(f.conn);
	return 0;
}

/* write_returned: asked is how much sendfile was asked to send. It is 0 for the other
 * calls, whose buffers show that. */
static __always_inline int write_returned(long fd, long ret, __u64 asked)
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
		out.acked_seq = BPF_CORE_READ(tcp, snd_una);
	} else {
		out.end_seq = f.conn->multipath; /* what was acknowledged is not known */
	}
	if (unlikely(is_call(f.conn))) {
		call_written(f.conn, &out);
		return 0;
	}
	on_write(f.conn, &out);
	if (unlikely(out.n && out.n < asked))
		f.conn->short_write = 1;
	note_room(f.conn, f.sk, tcp);
	if (f.conn->gone && f.conn->rec.family != AF_UNIX)
		tcp_forget(f.conn->rec.sk);
	return 0;
}

static __always_inline struct pt_regs *registers(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

/* messages_bytes adds up the lengths that recvmmsg and sendmmsg report for the messages.
 * The verifier checks this function by itself. Inlined in the callers, each number of
 * messages would be another state to follow everything from. */
__noinline __u64 messages_bytes(long n)
{
	struct mmsghdr *msgs = (void *)SYSCALL_ARG1(registers());
	__u64 sum = 0;

	for (int i = 0; i < 8 && i < n; i++) {
		__u32 len = 0;

		bpf_probe_read_user(&len, sizeof(len), &msgs[i].msg_len);
		sum += len;
	}
	return sum;
}

/* Each of the three programs below is attached to all system calls of its kind. The
 * kernel checks it once, and the calls differ little. */

SEC("tracepoint/syscalls/sys_exit_read")
int read_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *regs = registers();
	long nr = SYSCALL_NR(regs), bytes = ctx->ret;
	__u64 flags = 0;

	if (bytes < 0 || (!bytes && !callers)) /* 0 is the end of a call's answer */
		return 0;
	if (nr == NR_recvfrom || nr == NR_recvmmsg)
		flags = SYSCALL_ARG3(regs);
	else if (nr == NR_recvmsg)
		flags = SYSCALL_ARG2(regs);
	if (flags & MSG_PEEK)
		return 0;
	if (nr == NR_recvmmsg)
		bytes = messages_bytes(bytes);
	return read_returned((__s32)SYSCALL_ARG0(regs), bytes);
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : AF_UNIX;

	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

/* write_enter runs at the entry of a write. The socket that splice writes to is its third
 * argument. */
SEC("tracepoint/syscalls/sys_enter_write")
int write_enter(void *ctx)
{
	struct pt_regs *regs = registers();
	struct found f;

	find_fd(&f, (__s32)(SYSCALL_NR(regs) == NR_splice ? SYSCALL_ARG2(regs) : SYSCALL_ARG0(regs)));
	if (!f.conn && unlikely(may_serve()) && is_tcp(f.sk) && !tcp_find(f.sk)) {
		call_adopt(f.sk);
		f.conn = tcp_find(f.sk);
	}
	if (f.conn)
		on_write_enter(f.conn, bpf_ktime_get_ns());
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_write")
int write_exit(struct trace_event_raw_sys_exit *ctx)
{
	struct pt_regs *regs = registers();
	long nr = SYSCALL_NR(regs), bytes = ctx->ret;

	if (nr == NR_sendmmsg && bytes > 0)
		bytes = messages_bytes(bytes);
	return write_returned((__s32)(nr == NR_splice ? SYSCALL_ARG2(regs) : SYSCALL_ARG0(regs)), bytes,
			      nr == NR_sendfile ? SYSCALL_ARG3(regs) : 0);
}

SEC("syscall")
int idle_tcp(void *ctx)
{
	bpf_for_each_map_elem(&tcp_conns, idle_each, NULL, 0);
	return 0;
}

/* data_ready and readable see arrivals on unix sockets: data_ready through the tracepoint
 * since 6.3, readable before that through the function that contains it, if the kernel
 * lets programs attach to functions. */
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
