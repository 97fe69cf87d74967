/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The hooks that both probe plans use: a connection's begin, arrivals, ACKs,
 * accept and close. The plan that includes this file defines how it finds and
 * makes the connection of a TCP socket:
 *
 *   tcp_find(sk), tcp_create(sk), tcp_forget(addr), tcp_accepted(addr, now, tid)
 */
#ifndef LAPWING_HOOKS_H
#define LAPWING_HOOKS_H

#include "request.h"

#define IPPROTO_TCP 6

/* unix_find returns the connection of a server-side unix socket. accept gives
 * its sockets the listener's name, clients rarely have one: most sockets that
 * are not of interest are sorted out here without a look-up. */
static __always_inline struct conn *unix_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!BPF_CORE_READ((struct unix_sock *)sk, addr))
		return NULL;
	return bpf_map_lookup_elem(&unix_conns, &key);
}

static __noinline struct conn *unix_create(__u64 key, struct unix_address *addr)
{
	__u32 zero = 0;
	struct conn *none = bpf_map_lookup_elem(&blank, &zero);

	if (!none || bpf_map_update_elem(&unix_conns, &key, none, BPF_ANY)) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &key);
	if (!c)
		return NULL;
	connection_begin(c, key, AF_UNIX);
	c->rec.peer_sk = (__u64)BPF_CORE_READ((struct unix_sock *)key, peer);
	c->rec.name_len = unix_name(addr, c->rec.bytes);
	return c;
}

static __always_inline void inet_addresses(struct conn *c, const struct sock *sk)
{
	struct record *r = &c->rec;

	r->local_port = sk->__sk_common.skc_num;
	r->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET) {
		*(__u32 *)r->local = sk->__sk_common.skc_rcv_saddr;
		*(__u32 *)r->peer = sk->__sk_common.skc_daddr;
		return;
	}
	BPF_CORE_READ_INTO(&r->local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&r->peer, sk, __sk_common.skc_v6_daddr);
}

static __always_inline void tcp_established(struct sock *sk)
{
	if (!port_wanted(sk->__sk_common.skc_num))
		return;
	struct conn *c = tcp_create(sk);
	if (!c) {
		count(STAT_LOST_TABLE);
		return;
	}
	connection_begin(c, (__u64)sk, sk->__sk_common.skc_family);
	inet_addresses(c, sk);
	c->rec.established = bpf_ktime_get_ns();
}

static __always_inline void tcp_closing(struct sock *sk, int state)
{
	struct conn *c = tcp_find(sk);
	__u64 now = bpf_ktime_get_ns();
	bool final = state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSING;
	int error = sk->sk_err;

	if (!c)
		return;
	if (final && !error)
		settle_ack(c, now); /* our FIN was acknowledged, and all before it */
	on_close(c, now, final, error);
	if (state == TCP_CLOSE && !c->gone)
		tcp_forget((__u64)sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock *sk, int before, int after)
{
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED)
		tcp_established(sk);
	else if (after >= TCP_FIN_WAIT1 && after != TCP_CLOSE_WAIT && after <= TCP_CLOSING && after != TCP_LISTEN)
		tcp_closing(sk, after);
	return 0;
}

/* tcp_probe runs for each segment that reaches an established socket, before
 * it is queued. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_segment, struct sock *sk, const struct sk_buff *skb)
{
	struct conn *c = tcp_find(sk);
	struct segment s;

	if (!c || c->mode == MODE_IGNORED)
		return 0;
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !segment_of(skb, &s))
		return 0;
	__u64 now = bpf_ktime_get_ns();
	if (!s.payload) {
		on_ack(c, now, s.ack_seq);
		return 0;
	}
	__u32 next = tp->rcv_nxt;
	/* Old bytes again, or bytes behind a hole: nothing the server could read. */
	if ((__s32)(s.end_seq - next) <= 0 || (__s32)(s.seq - next) > 0)
		return 0;
	bool empty = next == tp->copied_seq;
	/* Bytes that no segment after the handshake brought came with its end. */
	if (!empty && !c->in_first) {
		c->in_first = c->rec.established;
		c->in_seq = tp->copied_seq;
	}
	on_arrival(c, now, empty, next);
	return 0;
}

/* tcp_arrivals finds when what was just read arrived: copied_seq is the TCP
 * sequence number up to which the receive queue has been read. */
static __always_inline void tcp_arrivals(struct conn *c, struct in *in, __u32 copied_seq)
{
	if (!c->in_first && c->mode == MODE_FRESH) {
		/* See tcp_segment: they came with the end of the handshake. */
		c->in_first = c->in_last = c->rec.established;
		c->in_seq = copied_seq - in->n;
	}
	arrivals(c, in, copied_seq);
}

static __always_inline void unix_arrivals(struct conn *c, struct in *in)
{
	c->read_total += in->n;
	arrivals(c, in, c->read_total);
}

static __always_inline struct file *file_of_fd(long fd)
{
	struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
	struct file *file = NULL;

	if (fd < 0 || fd >= table->max_fds)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

/* sock_of_file returns the address of a stream socket, or NULL. */
static __always_inline struct sock *sock_of_file(struct file *file)
{
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
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

	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX || !file_is_last_reference(file))
		return 0;
	struct conn *c = unix_find(sk);
	__u64 key = (__u64)sk;
	if (c) {
		on_close(c, bpf_ktime_get_ns(), true, 0);
		bpf_map_delete_elem(&unix_conns, &key);
	}
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

/* unix_connected: a client's connect queued its peer, the socket that accept
 * will return, on the listener. Several may have queued theirs since. */
static __always_inline void unix_connected(struct sock *listener)
{
	struct sk_buff *skb = BPF_CORE_READ(listener, sk_receive_queue.prev);
	struct sk_buff *end = (void *)listener + bpf_core_field_offset(struct sock, sk_receive_queue);
	__u64 now = bpf_ktime_get_ns();

	for (int i = 0; i < 4; i++) {
		if (!skb || skb == end)
			return;
		__u64 key = (__u64)BPF_CORE_READ(skb, sk);
		struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)key, addr);
		struct conn *c = bpf_map_lookup_elem(&unix_conns, &key);

		/* The address may be that of a socket whose close was not seen. */
		if (c && i == 0 && c->rec.accepted) {
			on_close(c, now, true, 0);
			bpf_map_delete_elem(&unix_conns, &key);
			c = NULL;
		}
		if (c)
			return;
		c = addr ? unix_create(key, addr) : NULL;
		if (c)
			c->rec.established = now;
		skb = BPF_CORE_READ(skb, prev);
	}
}

/* unix_data_ready: bytes or a connection were queued on a unix socket by the
 * calling thread, which is about to wake the reader. */
static __always_inline void unix_data_ready(struct sock *sk)
{
	if (sk->__sk_common.skc_state == TCP_LISTEN) {
		unix_connected(sk);
		return;
	}
	__u64 now = bpf_ktime_get_ns();
	struct conn *c = unix_find(sk);
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	/* A socket that accept has not given to anybody yet is a server's end,
	 * also where accept was faster than the look at the listener's queue. */
	if (!c && addr && !sk->sk_socket)
		c = unix_create((__u64)sk, addr);
	if (c) {
		struct sk_buff *last = BPF_CORE_READ(sk, sk_receive_queue.prev);
		__u32 seq = c->in_total;

		c->in_total += BPF_CORE_READ(last, len);
		on_arrival(c, now, sk->sk_receive_queue.qlen <= 1, seq);
		return;
	}
	/* On the client's end: the server is in the middle of its write. */
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	c = peer ? unix_find(peer) : NULL;
	if (c && !c->write_enter)
		on_write_enter(c, now);
}

#endif
