//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The plan `socket`: tracepoints inside the socket calls. They carry the socket itself.
 * So the state of a TCP connection lives in the socket's own storage and is freed with
 * it, and every system call that reads or writes is seen. */
#include "calls.bpf.c"
#include "existing.bpf.c"
#include "layout.h"
#include "mark.bpf.c"
#include "snapshot.bpf.c"
#include "tcp.bpf.c"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} tcp_conns SEC(".maps");

struct accept {
	__u64 at;
	__u32 tid;
	__u32 pad;
};

/* accepts: address of a socket that accept returned and that was not read yet. The
 * address is all that accept gives. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct accept);
} accepts SEC(".maps");

/* In kernels that have this plan's tracepoints a cast is free: it becomes a move, while
 * the helper of older kernels is a call. */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

static __always_inline const struct tcp_sock *tcp_of(struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_UNIX || sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
}

/* rests: what is kept of connections that rest. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rest);
} rests SEC(".maps");

/* tcp_look finds the state of a connection that does not rest. */
static __always_inline struct conn *tcp_look(struct sock *sk)
{
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&tcp_conns, sk, 0, 0) : NULL;
}

static __always_inline struct conn *tcp_create(struct sock *sk)
{
	return bpf_sk_storage_get(&tcp_conns, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* tcp_wake makes the state of a connection that rests again. c is the state that was
 * found, if it was only marked so far. */
static __noinline struct conn *tcp_wake(struct sock *sk, struct conn *c)
{
	if (c)
		return rest_over(c);
	struct rest *r = bpf_sk_storage_get(&rests, sk, 0, 0);
	if (!r)
		return NULL;
	c = tcp_create(sk);
	if (!c) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	rest_gives(c, r, (__u64)sk);
	bpf_sk_storage_delete(&rests, sk);
	return c;
}

static __always_inline struct conn *tcp_find(struct sock *sk)
{
	if (!sk->sk_bpf_storage)
		return NULL;
	struct conn *c = bpf_sk_storage_get(&tcp_conns, sk, 0, 0);
	if (likely(c)) {
		if (likely(!c->resting))
			return c;
	} else if (likely(!rested)) {
		return NULL;
	}
	return tcp_wake(sk, c);
}

static __always_inline struct conn *conn_of(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct conn *c = sk->__sk_common.skc_family == AF_UNIX ? NULL : tcp_look(sk);

	return c ?: bpf_map_lookup_elem(&unix_conns, &key);
}

/* mptcp_find finds a connection by its address. A subflow leads to the address of the
 * connection above it, and no further, so such connections are kept in the map of the
 * unix sockets. */
static __always_inline struct conn *mptcp_find(__u64 addr)
{
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &addr);

	if (c && !unix_used)
		unix_used = 1;
	return c;
}

static __always_inline struct conn *mptcp_create(__u64 addr)
{
	__u32 zero = 0;
	struct conn *none = bpf_map_lookup_elem(&blank, &zero);

	if (!none || bpf_map_update_elem(&unix_conns, &addr, none, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&unix_conns, &addr);
}

static __always_inline void mptcp_forget(__u64 addr)
{
	bpf_map_delete_elem(&unix_conns, &addr);
}

/* Only connections on unix sockets and on MPTCP are kept by address here. */
static __always_inline int rest_at(struct conn *c)
{
	return 0;
}

static __always_inline void tcp_forget(__u64 addr)
{
	/* The kernel frees the storage with the socket. */
}

/* older: address of a socket that is older than the agent and was found by a descriptor →
 * enum existing. With only an address nothing can be stored in the socket: the first hook
 * that meets it does that. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, __u8);
} older SEC(".maps");

/* take_accept moves the accept stamp to the connection on its first read. */
static __always_inline void take_accept(struct conn *c)
{
	__u64 key = c->rec.sk;
	struct accept *a = bpf_map_lookup_elem(&accepts, &key);

	if (!a) {
		if (c->stage == STAGE_FRESH && c->rec.established && !c->rec.accepted)
			count(STAT_LOST_ACCEPT);
		return;
	}
	/* The address may have been another socket's before. */
	if (a->at >= c->rec.established) {
		c->rec.accepted = a->at;
		c->rec.acceptor_tid = a->tid;
	}
	bpf_map_delete_elem(&accepts, &key);
}

/* reads_from notes that no byte before this one was read. From here on each read is
 * compared with what is left in the socket, see read_up_to(). */
static __always_inline void reads_from(struct conn *c, __u32 seq)
{
	c->read_seq = seq;
}

static __noinline int tcp_accepted(__u64 addr, __u64 now, __u32 tid)
{
	struct accept a = { now, tid };

	bpf_map_update_elem(&accepts, &addr, &a, BPF_ANY);
	/* Its start was not seen, or it is not of interest: the first read finds out. */
	if (!strange && !BPF_CORE_READ((struct sock *)addr, sk_bpf_storage) &&
	    port_wanted(BPF_CORE_READ((struct sock *)addr, __sk_common.skc_num)))
		strange = 1;
	return 0;
}

/* tcp_adopt finds the connection of a socket without state. If it is a server's
 * connection whose start was not seen, it creates the state. */
static __noinline struct conn *tcp_adopt(struct sock *sk)
{
	__u64 key = (__u64)sk;
	bool multipath = sk->sk_protocol == IPPROTO_MPTCP;

	if (!multipath && sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	struct conn *c = multipath ? mptcp_find(key) : NULL;
	if (c)
		return c;
	__u8 *old = bpf_map_lookup_elem(&older, &key);
	if (!old && (!bpf_map_lookup_elem(&accepts, &key) || is_over(key) || !port_wanted(sk->__sk_common.skc_num)))
		return NULL;
	c = tcp_make(sk, multipath);
	if (!c)
		return NULL;
	inet_addresses(c, sk);
	if (!old)
		return c;
	c->stage = STAGE_EXISTING;
	c->existing = *old;
	bpf_map_delete_elem(&older, &key);
	return c;
}

/* existing_at notes that the connection of this server socket is older than the agent. */
static __always_inline void existing_at(struct sock *sk, __u8 existing)
{
	__u64 key = (__u64)sk;

	if (BPF_CORE_READ(sk, sk_bpf_storage))
		return; /* it is known already */
	if (bpf_map_update_elem(&older, &key, &existing, BPF_ANY))
		count(STAT_LOST_TABLE);
	strange = 1;
}

/* Kernels before 6.16 have no tracepoint at the start of a TCP write. If programs may not
 * attach to functions either, the entry of the system call is noted per thread. */
const volatile bool note_entry = false;

static __always_inline struct conn *find(struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_UNIX)
		return unix_find(sk);
	struct conn *c = tcp_find(sk);
	if (unlikely(!c && strange))
		c = tcp_adopt(sk);
	if (c)
		note_tcp_use();
	return c;
}

/* read_up_to returns the number of the byte after those that a read returned. */
static __always_inline __u32 read_up_to(struct conn *c, const struct tcp_sock *tp, __u32 n)
{
	__u32 taken = tp->copied_seq, end = c->read_seq + n;

	if (unlikely(taken != end)) {
		/* The client's FIN counts for one byte. */
		bool missed = taken - end != 1;

		if (missed && c->read_seq && c->framer != FRAMER_USER && c->stage != STAGE_EXISTING)
			taken_unseen(c);
		if (missed)
			end = taken;
	}
	c->read_seq = end;
	return end;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_exit, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type != SOCK_STREAM || ret < 0 || flags & MSG_PEEK)
		return 0;
	struct conn *c = find(sk);
	if (!c)
		return 0;
	if (unlikely(!is_served(c))) {
		call_read(c, ret);
		return 0;
	}
	if (unlikely(!ret))
		return 0;
	struct in in = { .now = bpf_ktime_get_ns(), .n = ret, .wire = ret };
	const struct tcp_sock *tp = tcp_of(sk);
	__u32 end = tp ? read_up_to(c, tp, ret) : 0;
	if ((c->stage == STAGE_FRESH || c->stage == STAGE_EXISTING) && c->rec.family != AF_UNIX) {
		take_accept(c);
		addressed(c);
		late_caller(c);
	}
	reading_to(c, end);
	find_arrivals(c, &in, tp, end);
	on_read(c, &in);
	read_handled(c);
	return 0;
}

/* note_buffer keeps where the bytes of a write come from. The kernel has this from the
 * call, so the end of the write need not read it from user memory. */
static __always_inline void note_buffer(struct conn *c, const struct msghdr *msg)
{
	__u64 want = msg->msg_iter.count, segments = msg->msg_iter.nr_segs;

	c->out_want = 0;
	if (msg->msg_iter.iter_type == ITER_UBUF) {
		c->out_base = (__u64)msg->msg_iter.ubuf;
		c->out_len = want;
		c->out_want = want;
		return;
	}
	if (msg->msg_iter.iter_type != ITER_IOVEC || !segments)
		return;
	const struct iovec *first = msg->msg_iter.__iov;
	if (!first->iov_len) /* the first bytes are in another segment */
		return;
	c->out_base = (__u64)first->iov_base;
	c->out_len = first->iov_len;
	c->out_want = want;
}

static __always_inline int sending(struct sock *sk, const struct msghdr *msg)
{
	struct conn *c = tcp_find(sk);

	if (!c && unlikely(may_serve())) {
		call_adopt(sk);
		c = tcp_find(sk);
	}
	/* This runs for each buffer that the call fills: the first run is the entry. */
	if (!c || c->stage == STAGE_IGNORED || c->write_enter)
		return 0;
	if (msg)
		note_buffer(c, msg);
	on_write_enter(c, bpf_ktime_get_ns());
	return 0;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send_enter, struct sock *sk, const struct msghdr *msg)
{
	return sending(sk, msg);
}

/* send_function is for kernels without the tracepoint: it is attached to the function of
 * that name. */
SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send_function, struct sock *sk)
{
	return sending(sk, NULL);
}

/* call_enter is attached to the entry of each system call that can write to a socket. */
SEC("tracepoint/syscalls/sys_enter_write")
int call_enter(void *ctx)
{
	struct thread *t = this_thread_made();

	if (t)
		t->entry = (struct entry){ bpf_ktime_get_ns(), bpf_get_current_task_btf()->nvcsw };
	return 0;
}

/* enter_of returns when the write that now returns was entered. */
static __always_inline __u64 enter_of(struct conn *c)
{
	if (!note_entry)
		return c->write_enter;
	struct thread *t = this_thread();
	if (!t || !t->entry.at)
		return c->write_enter;
	c->sleeps_before = t->entry.sleeps;
	__u64 at = t->entry.at;
	/* A later write of the same call (sendfile) does not start at its entry. */
	return at > c->write_exit ? at : c->write_exit;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_exit, struct sock *sk, int ret, int flags)
{
	if (sk->sk_type != SOCK_STREAM)
		return 0;
	struct conn *c = find(sk);
	if (note_entry && !c && unlikely(may_serve()) && tcp_of(sk)) {
		call_adopt(sk);
		c = tcp_find(sk);
	}
	if (!c || c->stage == STAGE_IGNORED)
		return 0;
	struct out out = { .now = bpf_ktime_get_ns() };
	out.enter = enter_of(c);
	if (ret > 0)
		out.n = ret;
	else
		out.error = -ret;
	const struct tcp_sock *tp = tcp_of(sk);
	if (tp) {
		out.end_seq = tp->write_seq;
		out.acked_seq = tp->snd_una;
		if (unlikely(c->stage == STAGE_FRESH))
			tcp_taken(c, sk); /* the server may have read unseen */
	} else if (unlikely(!out.enter)) {
		out.enter = unix_entered(c);
		out.end_seq = c->multipath; /* what was acknowledged is not known */
	}
	if (unlikely(is_call(c)))
		call_written(c, &out);
	else
		on_write(c, &out);
	/* On unix sockets the entry of a write is seen only after it got past a full
	 * buffer. So the write that filled the buffer must note that. */
	note_room(c, sk, tp);
	return 0;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(data_ready, struct sock *sk)
{
	if (sk->__sk_common.skc_family == AF_UNIX && sk->sk_type == SOCK_STREAM)
		unix_data_ready(sk);
	return 0;
}

/* rest_socket lets a connection rest, if it may. */
static __always_inline int rest_socket(struct conn *c, struct sock *sk)
{
	if (!ready_to_rest(c))
		return 0;
	struct rest *r = bpf_sk_storage_get(&rests, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!r)
		return 0;
	rest_takes(r, c);
	if (rest_ends(c))
		bpf_sk_storage_delete(&tcp_conns, sk);
	else
		bpf_sk_storage_delete(&rests, sk);
	return 0;
}

static __always_inline int idle_socket(struct conn *c, struct sock *sk)
{
	if (rest_now)
		return rest_socket(c, sk);
	/* A connection that was handed out changes only with its next use. */
	if (idle_ns && (c->phase != PHASE_RESPONDING || c->reported))
		return 0;
	__u64 now = bpf_ktime_get_ns();
	bool doubt = c->phase == PHASE_RESPONDING && tcp_taken_since(c, sk, now);

	if (!doubt)
		on_quiet(c, now);
	if (doubt || waits_for_quiet(c))
		note_tcp_use();
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int idle_tcp(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct conn *c = ctx->value;
	struct sock *sk = ctx->sk;

	return c && sk ? idle_socket(c, sk) : 0;
}

/* Some kernels refuse the iterator over the storage of sockets. The connections that
 * matter here are those that a process has open. */
SEC("iter/task_file")
int idle_files(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *s = ctx->task && file ? bpf_sock_from_file(file) : NULL;
	struct sock *sk = s ? s->sk : NULL;

	if (!sk || sk->sk_type != SOCK_STREAM || sk->__sk_common.skc_family == AF_UNIX)
		return 0;
	struct conn *c = tcp_look(sk);
	return c ? idle_socket(c, sk) : 0;
}

SEC("iter/bpf_sk_storage_map")
int see_tcp(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct conn *c = ctx->value;

	return c && ctx->sk ? see_conn(ctx->meta->seq, c) : 0;
}

char LICENSE[] SEC("license") = "GPL";
