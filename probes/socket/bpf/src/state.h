/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The state of a connection, and the maps it lives in. */
#ifndef LAPWING_STATE_H
#define LAPWING_STATE_H

#include "drift.h"
#include "http/payload.h"
#include "record.h"

#define NAME_MAX 108
#define EVENT_DATA_MAX 8192
#define LOG_SEGMENT (1 << 20) /* the largest part of the log */
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
	MODE_EVENTS, /* user space frames */
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
	PENDING_REPORTING = 2, /* a TENTATIVE record is being written */
	PENDING_REPORTED = 3,    /* a TENTATIVE record was written */
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
	__u8 reported;        /* a TENTATIVE record was written, nothing happened since */
	__u8 shut;        /* the server can write no more */
	__u8 gone;        /* closed while a read or a write was in progress, which hands out */
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
	__u32 handled_seq; /* TCP: number of the byte after those of reads whose hook has run; 0 if not known */
	__u32 reading_seq; /* TCP: what it becomes when the hook in progress is over */
	__u32 pad4;
	__u8 trace[TRACE_MAX]; /* the request's traceparent */
	struct record rec;
};

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
