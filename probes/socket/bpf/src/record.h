/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What crosses from the kernel to user space. These are the only definitions: the Go
 * types are generated from them. All times are from bpf_ktime_get_ns(). Ports are in host
 * byte order, addresses in network byte order. */
#ifndef LAPWING_RECORD_H
#define LAPWING_RECORD_H

#include "kernel.h"

/* Kinds of messages in the log. */
enum kind {
	KIND_FINAL = 1,     /* a request: nothing more will come for it */
	KIND_TENTATIVE = 2, /* a request that looks finished; its FINAL comes later */
	KIND_OPEN = 3,      /* events follow for this connection; this is its state so far */
	KIND_UNKNOWN = 4,   /* a connection whose protocol is not known */
	KIND_READ = 5,      /* events of a connection that user space frames */
	KIND_WRITE = 6,
	KIND_CLOSE = 7,
	KIND_CALL = 8, /* an exchange on a connection that a server opened itself */
	KIND_ABANDONED = 9, /* a connection that ended with unread bytes */
	KIND_PROCESS = 10,  /* a note on a server process */
	KIND_UNDER_WAY = 11, /* a request that is in progress when the agent ends */
	KIND_WITHDRAWN = 12, /* nothing: the request changed while it was written */
};

enum mark {
	MARK_PIPELINED = 1,
	MARK_EARLY = 2,      /* the response started before the request was read */
	MARK_CONTINUED = 4,  /* an interim response was written */
	MARK_RESPONDING = 8, /* the response had started when this was written */
	MARK_UPGRADED = 16,   /* the connection is a tunnel from here on */
	MARK_CALLER = 32,     /* the server makes calls itself */
	MARK_GUESS = 64,      /* of KIND_OPEN: it started with too few bytes to know the protocol */
	MARK_PROXIED = 128,   /* the name ends with a header of the PROXY protocol */
	MARK_SO_FAR = 256,    /* of a call: more of it may follow */
	MARK_REPORTED = 512,      /* of a call: it was handed out before */
};

/* Why a connection is ignored, in `error` of a KIND_UNKNOWN record. */
enum reason {
	REASON_BYTES = 1,        /* no known protocol starts with the first bytes */
	REASON_SERVER_FIRST = 2, /* the server spoke first */
	REASON_NO_BYTES = 3,     /* the bytes were not visible (io_uring, splice) */
};

/* Why bytes that arrived were not read, in `error` of a KIND_ABANDONED record. Its
 * request_bytes is the number of unread bytes. */
enum abandoned {
	ABANDONED_UNREAD = 1,  /* the server closed the connection */
	ABANDONED_BACKLOG = 2, /* the listener was closed, with the connection in its backlog */
	ABANDONED_RESET = 3,   /* the client or the network reset it first */
};

/* What a process did, in a message of KIND_PROCESS. */
enum process_did {
	PROCESS_LISTENS = 1,  /* it has a listening socket open; at the agent's start */
	PROCESS_SERVES = 2,   /* it read from a client for the first time */
	PROCESS_EXECUTED = 3, /* it executes a program; it has served before */
};

struct process_note {
	__u16 kind;
	__u16 did;
	__u32 pid;
	__u64 at;
	__u64 born; /* time since boot, suspended or not */
};

/* The evidence for the request that a call is said to belong to. */
enum evidence {
	EVIDENCE_ALONE = 1,     /* the thread never had two requests at once */
	EVIDENCE_DIRECT = 2,    /* it started the call right after it read the request, as always */
	EVIDENCE_FOUL = 4,      /* it had started another call there: it has no such order */
	EVIDENCE_NO_READER = 8, /* the thread reads no requests */
	EVIDENCE_ONLY = 16,     /* of the requests that the thread read, one is unanswered */
	EVIDENCE_SOLE = 32,     /* of those that the whole process read, one is unanswered */
	EVIDENCE_COUNTED = 64,  /* acceptor_tid is how many of those there are */
	EVIDENCE_CLEAN = 128,   /* like EVIDENCE_DIRECT, but with too few calls to say "always" */
};

/* Where in a message one direction of a connection is. The order matters: everything up
 * to PLACE_VALUE is in the head. */
enum place {
	PLACE_START,      /* before the first byte of a message */
	PLACE_LINE,       /* in the first line */
	PLACE_SKIP,       /* in a line that is not needed any further */
	PLACE_NAME,       /* at the start of a line, or in the name of a field */
	PLACE_VALUE,      /* in the value of a field that framing needs */
	PLACE_BODY,       /* right after the head, whose fields determine what follows */
	PLACE_LENGTH,     /* in a body that has `left` more bytes */
	PLACE_SIZE,       /* in the digits of a chunk's size */
	PLACE_SIZE_REST,  /* after the digits, in the same line */
	PLACE_CHUNK,      /* in a chunk that has `left` more bytes */
	PLACE_CHUNK_END,  /* in the line break after a chunk */
	PLACE_TRAILER,    /* at the start of a line after the last chunk */
	PLACE_TRAILER_LINE,
	PLACE_CLOSE, /* in a body that ends with the connection */
	PLACE_LOST,  /* the end of the message cannot be found any more */
	PLACE_END,   /* the message is complete */
};

/* Framing: what determines the end of a message in one direction of a connection. */
struct framing {
	__u64 left;   /* of the body or chunk; in a head, the value of its Content-Length */
	__u64 value;  /* the number that is being read */
	__u16 status; /* of a response; 0 if not seen yet */
	__u8 place;   /* enum place */
	__u8 field;   /* enum field of the line that is being read */
	__u8 at;      /* how many bytes of the line, or of its value, matched */
	__u8 flags;   /* enum said */
	__u16 pos;    /* in the block that is being scanned */
};

/* What the head of a message contained. */
enum said {
	SAID_LENGTH = 1,  /* Content-Length */
	SAID_BAD = 2,     /* lengths that are not a number, or differ */
	SAID_CODING = 4,  /* Transfer-Encoding */
	SAID_CHUNKED = 8, /* its last coding is chunked */
	SAID_EXPECT = 16, /* the client waits for permission to send the body */
	SAID_OTHER = 32,  /* the first line is not HTTP/1 */
	SAID_TRACE = 64,  /* a traceparent of the right length */
};

/* One request. A record of KIND_CALL is a request that the server made. There accepted is
 * when it started to connect, write_* when it wrote the request and read_* when it read
 * the response. The fields of the messages keep their meaning: `in`, req_len and
 * request_bytes describe the request, `out`, resp_len and response_bytes the response.
 *
 * `bytes` holds, one after the other: the unix socket's name (name_len), the head of the
 * request (req_len), its traceparent if the head is longer than what was captured
 * (trace_len), and the head of the response (resp_len). */
struct record {
	__u16 kind;
	__u16 marks;
	__u32 seq;  /* number of the request on its connection, from 1 */
	__u64 conn; /* number of the connection since the agent's start */
	__u64 established;
	__u64 accepted;
	__u64 arrived;
	__u64 read_first;
	__u64 arrived_last;
	__u64 read_last;
	__u64 write_first;
	__u64 write_last;
	__u64 acked;
	__u64 closed;
	__u64 marker; /* when the application was called */
	__u64 client_wait;
	__u64 blocked;
	__u64 produce;
	__u64 request_bytes;
	__u64 response_bytes;
	__u64 sk;      /* address of the socket, to pair both ends on one host */
	__u64 peer_sk; /* unix only */
	/* the call at the other end, if known; of a call: the call whose answer led to it */
	__u64 caller;
	/* the call whose answer led to the response; of a call: the request that it was
	 * made for */
	__u64 cause;
	__u32 caller_seq; /* calls only */
	__u32 cause_seq;
	__u32 pid;
	__u32 tid;
	__u32 writer_tid;
	__u32 acceptor_tid; /* of a call: the process's unanswered requests, see EVIDENCE_COUNTED */
	char comm[16];
	__u8 local[16];
	__u8 peer[16];
	__u16 local_port;
	__u16 peer_port;
	__u16 family;
	__u16 error; /* errno, or enum reason */
	__u16 name_len;
	__u16 req_len;
	__u16 resp_len;
	__u8 trace_len;
	__u8 evidence; /* enum evidence; calls only */
	__u32 in_head;  /* bytes of the request's head so far */
	__u32 out_head; /* of the response's head, which is in `bytes` only until it is complete */
	__u32 reported; /* seq if a TENTATIVE record of the request was written, else 0 */
	__u32 pad;
	struct framing in;  /* of the request */
	struct framing out; /* of the response */
	__u8 bytes[];
};

/* From byte `offset` on, what a read returned arrived at a different time than the bytes
 * before. */
struct piece {
	__u64 at; /* 0 if it was not seen */
	__u32 offset;
	__u32 pad;
};

#define PIECES 10
#define PIECES_UNKNOWN 255 /* there are some, but it is not known where */

/* One read, write or close on a connection that user space frames. */
struct event {
	__u16 kind;
	__u16 error;
	__u32 number; /* of the event on its connection, from 1: a gap is a loss */
	__u64 conn;
	__u64 enter; /* writes only */
	__u64 marker; /* writes only: when the application was called before it */
	__u64 exit;
	__u64 arrived; /* reads only */
	__u64 arrived_last;
	__u64 wait;    /* how long the queue was empty before this read */
	__u64 blocked; /* how long the send buffer was full, before and during this write */
	__u64 count;   /* bytes read or written */
	__u32 pid;
	__u32 tid;
	char comm[16];
	__u32 data_len;
	__u32 pieces_len; /* reads only */
	struct piece pieces[PIECES];
	__u8 data[];
};

/* late_close is the content of a KIND_CLOSE for which the log had no room. */
struct late_close {
	__u64 exit;
	__u32 number;
	__u32 error;
};

/* Counters, one per CPU. */
enum stat {
	STAT_FINAL,        /* requests that were handed out */
	STAT_TENTATIVE,
	STAT_EVENTS,
	STAT_LOST_RING,    /* finished requests that found the log full */
	STAT_LOST_EVENTS,  /* events that found the log full */
	STAT_LOST_UNKNOWN, /* KIND_UNKNOWN records that found the log full */
	STAT_LOST_TABLE,   /* connections that are not tracked: table full or no memory */
	STAT_MISSED_QUEUED,   /* in flight at the start: not read yet */
	STAT_MISSED_PROGRESS, /* in flight at the start: in progress */
	STAT_EVENT_CONNS,         /* connections handed to user space for framing */
	STAT_CALLS,           /* exchanges of calls that were handed out */
	STAT_LOST_CALLS,      /* exchanges that found the log full */
	STAT_LOST_PROCESSES,  /* notes on processes that found the log full */
	STAT_LOST_ACCEPT,     /* connections that were read whose accept is not known */
	STAT_LOST_CALLER,     /* ends of calls that found the table of calls full */
	STAT_LOST_THREAD,     /* requests whose thread or process was evicted before the answer */
	STAT_RESTED,          /* idle connections whose state was reduced */
	STAT_MAX,
};

/* Types that only Go uses by name must be mentioned here to be in the object. */
const enum kind *mention_kind __attribute__((unused));
const enum mark *mention_mark __attribute__((unused));
const enum reason *mention_reason __attribute__((unused));
const enum evidence *mention_evidence __attribute__((unused));
const enum place *mention_place __attribute__((unused));
const enum said *mention_said __attribute__((unused));
const enum abandoned *mention_abandoned __attribute__((unused));
const struct late_close *mention_late_close __attribute__((unused));
const enum process_did *mention_process_did __attribute__((unused));
const struct process_note *mention_process_note __attribute__((unused));
const enum stat *mention_stat __attribute__((unused));

#endif
