/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Connections on unix sockets. They have no tracepoints of their own and are found by
 * address. */
#ifndef LAPWING_UNIX_H
#define LAPWING_UNIX_H

#include "conn/abandoned.h"
#include "conn/descriptor.h"
#include "conn/late.h"

/* unix_find returns the connection of a unix socket. Accepted sockets have the listener's
 * name, clients rarely have one. So while no server makes calls, sockets of no interest
 * are sorted out without a look-up. */
static __always_inline struct conn *unix_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!callers && !BPF_CORE_READ((struct unix_sock *)sk, addr))
		return NULL;
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &key);

	if (c && !unix_used)
		unix_used = 1;
	return c;
}

/* unix_create creates the connection of a server's end. Another hook may do this at the
 * same time, on another CPU. */
static __noinline struct conn *unix_create(__u64 key, struct unix_address *addr)
{
	__u32 zero = 0;
	struct conn *none = bpf_map_lookup_elem(&blank, &zero);
	bool made = none && !bpf_map_update_elem(&unix_conns, &key, none, BPF_NOEXIST);
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &key);

	if (!c)
		count(STAT_LOST_TABLE);
	if (!c || !made)
		return c;
	connection_begin(c, key, AF_UNIX);
	c->rec.peer_sk = (__u64)BPF_CORE_READ((struct unix_sock *)key, peer);
	c->rec.name_len = unix_name(addr, c->rec.bytes);
	return c;
}

/* unix_closed runs when the server closed its end, which can have unread bytes. now is 0
 * if the time of the close is not known. */
static __noinline int unix_closed(struct conn *c, __u64 now)
{
	struct in in = { .now = now };

	if (!c)
		return 0;
	/* No write is in progress any more: it would hold a reference. */
	c->write_enter = 0;
	/* The owner closes it: what is left in its queue was never read. */
	if (now && c->stage == STAGE_FRESH)
		unix_taken(c);
	__s64 unread = c->in_total - c->read_total;
	bool request = may_hold_request(c), waits = c->stage == STAGE_FRESH && !c->rec.accepted;

	if (now && unread > 0 && is_empty(c))
		unread = 0;
	on_close(c, now, true, 0);
	if (!request || c->gone || (unread <= 0 && !waits))
		return 0;
	in.wire = 1;
	if (unread > 0)
		arrivals(c, &in, (__u32)c->read_total + 1);
	in.wire = unread;
	return abandon(c, &in, waits ? ABANDONED_BACKLOG : ABANDONED_UNREAD);
}

/* unix_left ends the connection at an address that belongs to another socket by now. The
 * close of the old socket was not seen, for example because its process was killed. */
__noinline int unix_left(__u64 key)
{
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &key);

	if (!c)
		return 0;
	call_closed(c, true, 0);
	unix_closed(c, 0); /* the time is not known */
	bpf_map_delete_elem(&unix_conns, &key);
	return 0;
}

static __always_inline struct conn *unix_blank(__u64 key)
{
	__u32 zero = 0;
	struct conn *none = bpf_map_lookup_elem(&blank, &zero);

	unix_left(key);
	if (!none || bpf_map_update_elem(&unix_conns, &key, none, BPF_ANY)) {
		count(STAT_LOST_TABLE);
		return NULL;
	}
	return bpf_map_lookup_elem(&unix_conns, &key);
}

/* unix_call_writes runs when the write of a call reached the server's end. */
static __noinline int unix_call_writes(struct conn *c, __u64 now)
{
	__u64 key = c->rec.peer_sk;
	struct conn *call = bpf_map_lookup_elem(&unix_conns, &key);

	if (call && is_call(call) && !call->write_enter)
		on_write_enter(call, now);
	return 0;
}

/* unix_recount runs when the number of bytes that arrived differs from that of bytes that
 * were read. If fewer were read and nothing is left, the count is wrong. If more were
 * read, the reader took bytes before their arrival was noticed: it was noticed meanwhile,
 * or it will be. */
static __noinline int unix_recount(struct conn *c, struct in *in)
{
	if (!c || !in)
		return 0;
	const struct sock *sk = (const struct sock *)c->rec.sk;

	if ((__s64)(c->read_total - c->in_total) < 0) {
		if (!BPF_CORE_READ(sk, sk_receive_queue.qlen))
			c->in_total = c->read_total;
		return 0;
	}
	if (c->noticed_at && c->noticed_seq == (__u32)c->in_total) {
		in->arrived_last = c->noticed_at;
		if (c->read_total - in->wire == c->in_total)
			in->arrived = c->noticed_at;
	} else {
		c->unnoticed = 1;
	}
	c->in_total = c->read_total;
	return 0;
}

/* unix_read counts n bytes that were read, and returns the number of the byte after them. */
static __always_inline __u32 unix_read(struct conn *c, __u64 n)
{
	c->read_total += n;
	c->unnoticed = 0;
	return c->read_total;
}

/* unix_settle corrects the arrivals of a read: one that was noticed while the read
 * returned came before its return. */
static __always_inline void unix_settle(struct conn *c, struct in *in)
{
	if (unlikely(c->read_total != c->in_total))
		unix_recount(c, in);
	if (unlikely(in->arrived > in->now))
		in->arrived = in->now;
	if (unlikely(in->arrived_last > in->now))
		in->arrived_last = in->now;
}

/* unix_noticed_late runs when the reader has taken the bytes already. They had arrived
 * when its call returned at the latest. If the call has not returned yet, their number is
 * known once it does. */
static __noinline int unix_noticed_late(struct conn *c, __u64 now, __u32 seq)
{
	if (!c)
		return 0;
	struct record *r = &c->rec;

	if (!c->unnoticed) {
		c->noticed_at = now;
		__sync_lock_test_and_set(&c->noticed_seq, seq);
		return 0;
	}
	c->unnoticed = 0;
	if (!is_framed_here(c) || c->phase == PHASE_IDLE)
		return 0;
	if (!r->arrived)
		r->arrived = r->read_first;
	if (!r->arrived_last)
		r->arrived_last = r->read_last;
	return 0;
}

/* unix_arrived runs when bytes were queued on a server's end. */
static __always_inline void unix_arrived(struct conn *c, struct sock *sk, __u64 now)
{
	__u64 before = c->in_total;
	struct arrival a = { .seq = before, .unread = c->read_total };
	struct sk_buff *last = BPF_CORE_READ(sk, sk_receive_queue.prev);
	__u32 len = BPF_CORE_READ(last, len);
	__u32 queued = sk->sk_receive_queue.qlen;

	if (!queued || BPF_CORE_READ(sk, sk_receive_queue.prev) != last) {
		unix_noticed_late(c, now, a.seq);
		return;
	}
	a.end = a.seq + len;
	a.empty = queued == 1;
	c->in_total = before + len;
	on_arrival(c, now, &a);
}

/* unix_connected runs when a client's connect queued its peer, the socket that accept
 * will return, on the listener. Other clients may have queued theirs since. */
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

		/* If it has an owner, accept was faster than this look. */
		if (c && i == 0 && c->rec.accepted && !BPF_CORE_READ((struct sock *)key, sk_socket)) {
			unix_left(key);
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

/* unix_call runs when the calling thread, of a process that is a server, has just
 * connected. The descriptor of the system call shows which of the queued connections is
 * its own. */
static __noinline int unix_call(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct sock *sk = sock_of_file(file_of_fd((__s32)SYSCALL_ARG0(regs)));
	__u64 server = (__u64)BPF_CORE_READ((struct unix_sock *)sk, peer);

	if (!sk || SYSCALL_NR(regs) != NR_connect || !server || !process_opens())
		return 0;
	struct conn *c = bpf_map_lookup_elem(&unix_conns, &server);
	if (!c)
		return 0;
	struct conn *call = unix_blank((__u64)sk);
	if (!call)
		return 0;
	call_opened(call, (__u64)sk, AF_UNIX);
	call->rec.peer_sk = server;
	call->rec.established = bpf_ktime_get_ns();
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)server, addr);
	if (addr)
		call->rec.name_len = unix_name(addr, call->rec.bytes);
	c->rec.caller = call->rec.conn;
	return 0;
}

/* unix_data_ready runs when the calling thread has queued bytes or a connection on a unix
 * socket. It is about to wake the reader. */
static __always_inline void unix_data_ready(struct sock *sk)
{
	if (sk->__sk_common.skc_state == TCP_LISTEN) {
		unix_connected(sk);
		unix_call();
		return;
	}
	__u64 now = bpf_ktime_get_ns();
	struct conn *c = unix_find(sk);
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	__u8 state = c ? c->state : STAGE_FRESH;

	/* The owner of that end may be closing it. Its map element, and so the state, may
	 * then belong to another connection by now. */
	barrier();
	if (c && unlikely(c->rec.sk != (__u64)sk)) {
		c = NULL;
		state = STAGE_FRESH;
	}
	/* A socket that accept has not returned yet is a server's end, even if accept was
	 * faster than the look at the listener's queue. So is one that was just returned:
	 * it shares its name with the listener. */
	if (!c && addr && (!sk->sk_socket || BPF_CORE_READ(addr, refcnt.refs.counter) > 1))
		c = unix_create((__u64)sk, addr);
	/* A call that is being closed is ignored already. */
	if (c && state_is_served(state)) {
		unix_arrived(c, sk, now);
		if (unlikely(c->rec.caller))
			unix_call_writes(c, now);
		return;
	}
	/* On the client's end: the server is in the middle of its write. */
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (unlikely(!peer))
		unix_wrote_late(sk, now);
	c = peer ? unix_find(peer) : NULL;
	if (c && !c->write_enter)
		on_write_enter(c, now);
}

#endif
