/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The messages of a snapshot. The iterators in snapshot.h and listeners.h write them one
 * after the other. The Go types are generated from these. */
#ifndef LAPWING_ENTRIES_H
#define LAPWING_ENTRIES_H

#include "kernel.h"

enum snap_kind {
	SNAP_CONN = 1,
	SNAP_LISTENER = 2,
	SNAP_WAITER = 3,
	SNAP_HOLDER = 4,
};

/* How a thread waits for a socket. */
enum wait_how {
	WAIT_CALL = 1, /* in a read or accept on it */
	WAIT_POLL = 2, /* in poll or select on it alone */
	WAIT_MANY = 3, /* in poll or select on it and others */
	WAIT_LOOP = 4, /* in epoll_wait */
};

/* A connection that is in use: a request waits or is worked on, or a thread is blocked in
 * a read of the connection. Its record follows, as in the log. */
struct snap_conn {
	__u16 kind;
	__u16 size; /* of the whole message */
	__u32 unread; /* TCP: bytes in the receive queue; unix: packets */
	__u64 now;
	__u64 jiffies;
	__u64 write_enter; /* start of the write in progress */
	__u64 write_exit;  /* end of the last write */
	__u64 received;    /* TCP: bytes so far */
	__u64 sent;
	__u32 received_at; /* TCP: the low bits of the jiffies of the last byte */
	__u32 sent_at;
	__u32 waiter_pid;
	__u32 waiter_tid;
	__u8 waiter_how; /* enum wait_how; 0 if no thread waits for it */
	__u8 stage;      /* enum stage */
	__u8 framer;     /* enum framer */
	__u8 phase;      /* enum phase */
	__u8 shut;
	__u8 pad[3];
};

/* A listening socket. There is one message for each process that has it open. */
struct snap_listener {
	__u16 kind;
	__u16 size;
	__u32 pid;
	__u64 sk;
	__u32 netns; /* inode of the network namespace */
	__u32 len;   /* length and limit of the backlog */
	__u32 limit;
	__u32 drops; /* the socket's own counter, which also counts other things */
	__u32 discards; /* how many of these; only where they can be counted */
	__u32 pad;
	__u16 family;
	__u16 port;
	__u16 name_len;
	__u16 defers; /* TCP: accept waits for data */
	__u8 local[16];
	__u8 name[112]; /* unix: the address that the socket is bound to */
};

/* A thread that waits on a listening socket of its own process. */
struct snap_waiter {
	__u16 kind;
	__u16 size;
	__u32 pid;
	__u64 sk;
	__u32 tid;
	__u32 how;
};

/* A process that has a connection's socket open. */
struct snap_holder {
	__u16 kind;
	__u16 size;
	__u32 pid;
	__u64 sk;
};

/* Types that only Go uses by name must be mentioned here to be in the object. */
const struct snap_conn *mention_snap_conn __attribute__((unused));
const struct snap_listener *mention_snap_listener __attribute__((unused));
const struct snap_waiter *mention_snap_waiter __attribute__((unused));
const struct snap_holder *mention_snap_holder __attribute__((unused));
const enum snap_kind *mention_snap_kind __attribute__((unused));
const enum wait_how *mention_wait_how __attribute__((unused));

#endif
