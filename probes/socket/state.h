/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The state of a connection, and the maps it lives in. */
#ifndef LAPWING_STATE_H
#define LAPWING_STATE_H

#include "drift.h"
#include "payload.h"
#include "record.h"

#define NAME_MAX 108
#define EVENT_DATA_MAX 8192
#define LOG_SLACK (12 << 10) /* more than the longest message */
#define LOG_FULL (~0ULL)
#define TRACE_MAX 64 /* a traceparent has 55 bytes */

/* Set by user space before loading. */
const volatile __u32 head_bytes = 256;         /* captured of each head */
const volatile __u32 only_ports_len = 0;
const volatile __u16 only_ports[16] = {};

/* A response is handed out when it was quiet for so long. Changed at the end. */
__u64 idle_ns = 200000000;

/* Bytes came or went on a connection of these maps, or a sweep found one whose
 * response may be complete and is not handed out. While there was nothing of that,
 * there is nothing to sweep for, and what a snapshot shows is as it was. */
__u32 unix_used;
__u32 tcp_used;

/* note_tcp_use keeps the cache line to readers: it is written once a sweep. */
static __always_inline void note_tcp_use(void)
{
	if (unlikely(!tcp_used))
		tcp_used = 1;
}

#define METHOD_CONNECT 0x4e4e4f43 /* "CONN" */
#define METHOD_HEAD 0x44414548    /* "HEAD" */

enum mode {
	MODE_FRESH,    /* nothing read yet */
	MODE_GUESS,    /* too little read yet to know the protocol: see gateway.h */
	MODE_EXISTING, /* was there before the agent: state unknown */
	MODE_HTTP,
	MODE_CAREFUL, /* user space frames */
	MODE_IGNORED,
	MODE_CLIENT, /* a server's own call, see call.h: none of the above is for it */
};

enum phase {
	PHASE_IDLE,       /* no request */
	PHASE_READING,    /* request begun, response not */
	PHASE_RESPONDING, /* response begun */
};

/* What of the request in rec was handed out, with its number before it, so that it
 * is of no other one; 0 when there is nothing to hand out. */
enum pending {
	PENDING_ALL = 1,     /* nothing */
	PENDING_TELLING = 2, /* a TENTATIVE record is being written */
	PENDING_TOLD = 3,    /* a TENTATIVE record was written */
	PENDING_STATE = 3,
};

#define pending_of(seq, state) ((seq) << 2 | (state))

/* What is known of the request that was in flight when the agent started. */
enum existing {
	EXISTING_QUIET,
	EXISTING_QUEUED, /* unread bytes were there */
	EXISTING_MISSED, /* counted; its response is not seen yet */
	EXISTING_ANSWERED,
	EXISTING_AGAIN, /* something came after the answer that begins no request, */
	EXISTING_TWICE, /* ... and was answered too */
	EXISTING_TAKEN, /* its first request was seen, the answer not yet */
};

/* One arrival behind bytes that were not read yet. */
struct mark_in {
	__u64 at; /* 0: it was not seen */
	__u32 seq;
	__u32 pad;
};

#define MARKS_IN 8 /* they fill two cache lines */

/* What the network side writes, often on another CPU than the server's: its
 * first cache line is all that there is to it, as a rule, and the server's side
 * only reads it. */
struct inbound {
	__u64 in_first;  /* arrival that made the receive queue non-empty */
	__u64 in_before; /* the same, one time earlier, ... */
	__u64 in_last;   /* the last arrival */
	__u64 ack_only;  /* the last segment without bytes arrived */
	__u32 in_seq;    /* TCP sequence number that in_first belongs to */
	__u32 ack_seq;   /* what that segment acknowledged */
	__u8 mode;       /* of the connection; the only one that others write */
	__u8 marks; /* used of marks_in; more than MARKS_IN: some were not kept */
	__u8 pad[2];
	__u32 in_end;     /* number of the byte after those of the last arrival */
	__u32 in_version; /* odd while what it says of arrivals is being changed */
	__u32 before_end; /* ... which is known for the bytes before this number */
	/* A socket's storage begins 8 bytes into its line: here that is full. */
	struct mark_in marks_in[MARKS_IN];
};

struct conn {
	struct inbound; /* its members are the connection's */
	/* What only the server's calls touch. */
	__u64 write_enter;   /* a write is in progress since; 0 if none */
	__u64 write_exit;    /* the last write returned */
	__u64 last_enter;    /* the last write was entered */
	__u64 sleeps_before; /* of the writing thread, at write_enter */
	__u64 out_base; /* the buffer of that write: its first segment, */
	__u64 out_len;
	__u64 out_want; /* and all its bytes; 0 if the buffer was not noted */
	__u64 acked;         /* the response was acknowledged; 0 if not seen */
	__u32 end_seq;  /* TCP sequence number after the response */
	__u32 pending;  /* rec holds a request whose FINAL was not handed out, enum pending */
	__u32 lock;     /* held by a thread that changes rec, see lock_conn() */
	__u32 events;
	__u8 phase;
	__u8 existing;
	__u8 short_write; /* the last write found the send buffer full */
	__u8 told;        /* a TENTATIVE record was written, nothing happened since */
	__u8 shut;        /* the server can write no more */
	__u8 gone;        /* closed while a write was in progress, which hands out */
	__u8 parked;      /* the previous request is in `parked` */
	__u8 await_ack;
	__u8 counted;     /* the request is one of its reader's open ones, see worker.h */
	__u8 speaks_http; /* calls: the request looks like HTTP */
	__u8 unnoticed;   /* unix: bytes were read whose arrival was not noticed yet */
	__u8 sealed;      /* nothing is appended to the request's head any more */
	__u8 pipelines;   /* calls: one was begun before the one before was answered */
	__u8 proxy;       /* enum proxy */
	__u8 multipath;   /* MPTCP */
	__u8 pad3[5];
	__u32 proxy_left; /* bytes of a header that are not kept */
	__u32 ahead;      /* bytes of the read in progress before those that count */
	__u32 noticed_seq; /* and the other way round: number and time of bytes whose */
	__u64 noticed_at;  /* arrival was noticed when the reader had taken them */
	__u32 callers;    /* what `callers` was at the last look, see worker.h */
	__u32 read_seq;   /* TCP: number of the byte after those that reads returned; 0 if not known */
	__u64 in_total;   /* unix: bytes that arrived, which number them; MPTCP: see mptcp.h */
	__u64 read_total; /* unix: bytes that were read */
	__u64 taken_at;   /* TCP: a sweep found bytes taken that no hook had seen then, */
	__u32 taken_seq;  /* up to this number */
	__u32 pad4;
	__u8 trace[TRACE_MAX]; /* the request's traceparent */
	struct record rec;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STAT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

/* numbers[0] is the number of the last connection. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

/* blank holds one all-zero connection, from which new ones are made. Its
 * value size, like that of all maps of connections, follows head_bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn);
} blank SEC(".maps");

/* unix_conns: address of a server-side unix socket → connection. None is evicted:
 * one that finds no room is counted, and what is left of sockets whose close was
 * not seen is swept out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct conn);
} unix_conns SEC(".maps");

/* parked: address of a socket → its connection as it was when a thread read
 * the next request while another one was still in the write of a response.
 * The client is that fast where both ends are on one host. None is evicted: a
 * connection that finds no room is not measured any more, which is counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct conn);
} parked SEC(".maps");

/* late_closes: number of a connection that user space frames → its close, which found
 * no room in the log. User space, which would wait for it for ever, looks here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct late_close);
} late_closes SEC(".maps");

struct scratch {
	struct event event;
	__u8 data[EVENT_DATA_MAX + 16];
	struct walk walk;
};

/* scratch[1] is for closes, which can interrupt what uses scratch[0]. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&stats, &what);

	if (n)
		(*n)++;
}

static __always_inline __u64 next_conn_number(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&numbers, &zero);

	return n ? __sync_fetch_and_add(n, 1) + 1 : 0;
}

static __always_inline bool port_wanted(__u16 port)
{
	if (!only_ports_len)
		return true;
	for (int i = 0; i < 16; i++)
		if (i < only_ports_len && only_ports[i] == port)
			return true;
	return false;
}

/* is_over tells whether a socket's connection has ended: after a reset there can be
 * bytes to read, and no hook will say that it ends. */
static __always_inline bool is_over(__u64 sk)
{
	return BPF_CORE_READ((struct sock *)sk, __sk_common.skc_state) == TCP_CLOSE;
}

/* unix_name copies the name a unix socket is bound to and returns its length. */
static __always_inline __u16 unix_name(struct unix_address *addr, __u8 *to)
{
	__u32 len = BPF_CORE_READ(addr, len) - sizeof(unsigned short);

	if (len > NAME_MAX)
		return 0;
	if (bpf_probe_read_kernel(to, len, addr->name[0].sun_path))
		return 0;
	return len;
}

#endif
