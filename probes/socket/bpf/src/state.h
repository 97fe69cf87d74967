/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The state of a connection. */
#ifndef LAPWING_STATE_H
#define LAPWING_STATE_H

#include "drift.h"
#include "http/payload.h"
#include "record.h"

#define NAME_MAX 108
#define EVENT_DATA_MAX 8192
#define LOG_SEGMENT (1 << 20) /* the largest part of the log */
#define LOG_SLACK (12 << 10) /* larger than the longest message */
#define LOG_FULL (~0ULL)
#define TRACE_MAX 64 /* a traceparent has 55 bytes */

/* Set by user space before loading. */
const volatile __u32 head_bytes = 256;         /* how much of each head is captured */
const volatile __u32 only_ports_len = 0;
const volatile __u16 only_ports[16] = {};

/* A response is handed out after it was quiet for this long. Changed at the end. */
__u64 idle_ns = 200000000;

/* Set when bytes came or went on a connection of these maps, or when a sweep found a
 * response that may be complete and is not handed out. While they are not set, there is
 * nothing to sweep for, and the last snapshot is still right. */
__u32 unix_used;
__u32 tcp_used;

/* note_tcp_use writes only once per sweep, so that the cache line stays shared. */
static __always_inline void note_tcp_use(void)
{
	if (unlikely(!tcp_used))
		tcp_used = 1;
}

#define METHOD_CONNECT 0x4e4e4f43 /* "CONN" */
#define METHOD_HEAD 0x44414548    /* "HEAD" */

/* How much is known of a connection. */
enum stage {
	STAGE_FRESH,    /* nothing was read yet */
	STAGE_GUESS,    /* too little was read to know the protocol: see gateway.h */
	STAGE_EXISTING, /* older than the agent: state unknown */
	STAGE_KNOWN,    /* the protocol is known */
	STAGE_IGNORED = 4, /* not measured any more. A bit of its own: see is_served */
};

/* Which end of it is looked at. */
enum role {
	ROLE_SERVER,
	ROLE_CLIENT, /* a server's own call, see call.h */
};

/* Who finds the messages in its bytes. The kernel side knows HTTP/1. */
enum framer {
	FRAMER_KERNEL,
	FRAMER_USER,
};

/* The same three as one byte. */
#define STATE(stage, role, framer) ((stage) | (role) << 3 | (framer) << 4)

enum phase {
	PHASE_IDLE,       /* no request */
	PHASE_READING,    /* the request has started, the response has not */
	PHASE_RESPONDING, /* the response has started */
};

/* How much of the request in rec was handed out. The number of the request is kept with
 * it, so that it is never taken for another request's. 0 if there is nothing to hand out. */
enum pending {
	PENDING_ALL = 1,     /* nothing was handed out */
	PENDING_REPORTING = 2, /* a TENTATIVE record is being written */
	PENDING_REPORTED = 3,    /* a TENTATIVE record was written */
	PENDING_STATE = 3,
};

#define pending_of(seq, state) ((seq) << 2 | (state))

/* What is known of the request that was in flight when the agent started. */
enum existing {
	EXISTING_QUIET,
	EXISTING_QUEUED, /* there were unread bytes */
	EXISTING_MISSED, /* counted; its response is not seen yet */
	EXISTING_ANSWERED,
	EXISTING_AGAIN, /* after the answer came something that starts no request */
	EXISTING_TWICE, /* that was answered too */
	EXISTING_TAKEN, /* its first request was seen, the answer was not yet */
};

/* One arrival that follows unread bytes. */
struct mark_in {
	__u64 at; /* 0 if it was not seen */
	__u32 seq;
	__u32 pad;
};

#define MARKS_IN 8 /* they fill two cache lines */

/* What the network side writes, often on another CPU than the server's. Usually only its
 * first cache line is used, and the server's side only reads it. */
struct inbound {
	__u64 in_first;  /* arrival that made the receive queue non-empty */
	__u64 in_before; /* the in_first before that one */
	__u64 in_last;   /* the last arrival */
	__u64 ack_only;  /* arrival of the last segment without bytes */
	__u32 in_seq;    /* TCP sequence number that belongs to in_first */
	__u32 ack_seq;   /* what that segment acknowledged */
	/* Of the connection; the only members that others write. Hooks on another CPU see
	 * changes of several fields at once. */
	union {
		__u8 state;
		struct {
			__u8 stage : 3;  /* enum stage */
			__u8 role : 1;   /* enum role */
			__u8 framer : 1; /* enum framer */
		};
	};
	__u8 marks; /* how many of marks_in are used; more than MARKS_IN if some were not kept */
	__u8 pad[2];
	__u32 in_end;     /* number of the byte after those of the last arrival */
	__u32 in_version; /* odd while the arrivals are being changed */
	__u32 before_end; /* in_before is known for the bytes before this number */
	/* The storage of a socket starts 8 bytes into its cache line: here that line
	 * ends. */
	struct mark_in marks_in[MARKS_IN];
};

struct conn {
	struct inbound; /* its members are the connection's */
	/* Only the server's calls touch the rest. */
	__u64 write_enter;   /* start of the write in progress; 0 if there is none */
	__u64 write_exit;    /* end of the last write */
	__u64 last_enter;    /* start of the last write */
	__u64 sleeps_before; /* of the writing thread, at write_enter */
	__u64 out_base; /* the buffer of that write: its first segment */
	__u64 out_len;
	__u64 out_want; /* all bytes of the buffer; 0 if the buffer was not noted */
	__u64 acked;         /* when the response was acknowledged; 0 if that was not seen */
	__u32 end_seq;  /* TCP sequence number after the response */
	__u32 pending;  /* rec holds a request whose FINAL was not handed out, see enum pending */
	__u32 lock;     /* held by a thread that changes rec, see lock_conn() */
	__u32 events;
	__u8 phase;
	__u8 existing;
	__u8 short_write; /* the last write found the send buffer full */
	__u8 reported;        /* a TENTATIVE record was written and nothing happened since */
	__u8 shut;        /* the server can write no more */
	__u8 gone;        /* closed during a read or a write, which then hands out */
	__u8 parked;      /* the previous request is in `parked` */
	__u8 await_ack;
	__u8 counted;     /* the request is one of the open ones of its reader, see worker.h */
	__u8 speaks_http; /* calls: the request looks like HTTP */
	__u8 unnoticed;   /* unix: bytes were read whose arrival is not noticed yet */
	__u8 sealed;      /* nothing more is appended to the request's head */
	__u8 pipelines;   /* calls: one was started before the previous one was answered */
	__u8 proxy;       /* enum proxy */
	__u8 multipath;   /* MPTCP */
	__u8 pad3[5];
	__u32 proxy_left; /* bytes of a PROXY header that are not kept */
	__u32 ahead;      /* bytes at the front of the current read that do not count */
	__u32 noticed_seq; /* unix: number of the first byte whose arrival was noticed only after */
	__u64 noticed_at;  /* the reader had taken them, and the time of that */
	__u32 callers;    /* the value of `callers` at the last look, see worker.h */
	__u32 read_seq;   /* TCP: number of the byte after those that were read; 0 if not known */
	__u64 in_total;   /* unix: bytes that arrived, which numbers them; MPTCP: see mptcp.h */
	__u64 read_total; /* unix: bytes that were read */
	__u64 taken_at;   /* TCP: when a sweep found taken bytes that no hook had seen */
	__u32 taken_seq;  /* the number up to which they were taken */
	__u32 handled_seq; /* TCP: number of the byte after those of handled reads; 0 if not known */
	__u32 reading_seq; /* TCP: the next handled_seq, when the current hook is over */
	__u32 resting;     /* see rest.h */
	__u8 trace[TRACE_MAX]; /* the request's traceparent */
	struct record rec;
};

/* is_served reports whether it is a server's end that is still measured. */
static __always_inline bool state_is_served(__u8 state)
{
	return !(state & STATE(STAGE_IGNORED, ROLE_CLIENT, 0));
}

static __always_inline bool is_served(const struct conn *c)
{
	return state_is_served(c->state);
}

/* is_call reports whether it is the client's end of a call that has not ended. */
static __always_inline bool is_call(const struct conn *c)
{
	return c->state == STATE(STAGE_KNOWN, ROLE_CLIENT, FRAMER_KERNEL);
}

/* is_framed_here reports whether the kernel side frames the requests of a server. */
static __always_inline bool is_framed_here(const struct conn *c)
{
	return c->state == STATE(STAGE_KNOWN, ROLE_SERVER, FRAMER_KERNEL);
}

static __always_inline bool is_framed_by_user(const struct conn *c)
{
	return c->state == STATE(STAGE_KNOWN, ROLE_SERVER, FRAMER_USER);
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

/* is_over reports whether the connection of a socket has ended. After a reset there can
 * be bytes to read, and no hook will report the end. */
static __always_inline bool is_over(__u64 sk)
{
	return BPF_CORE_READ((struct sock *)sk, __sk_common.skc_state) == TCP_CLOSE;
}

/* unix_name copies the name that a unix socket is bound to, and returns its length. */
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
