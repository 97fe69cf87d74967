//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The maps that both probe plans have. What a value means is explained where it is
 * written. */
#ifndef LAPWING_MAPS_BPF_C
#define LAPWING_MAPS_BPF_C

#include "state.h"

struct scratch {
	struct event event;
	__u8 data[EVENT_DATA_MAX + 16];
	struct walk walk;
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

/* blank holds one all-zero connection, from which new ones are copied. Its value size,
 * like that of all maps of connections, follows head_bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn);
} blank SEC(".maps");

/* unix_conns: address of a server-side unix socket → connection. No entry is evicted: a
 * connection that finds no room is counted. Entries of sockets whose close was not seen
 * are swept out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct conn);
} unix_conns SEC(".maps");

/* What is kept of a connection that rests, see rest.h. With the kernel's own part it
 * takes 128 bytes. */
struct rest {
	__u64 conn;
	__u64 established;
	__u64 accepted;
	__u64 caller;
	__u32 acceptor_tid;
	__u32 seq;
	__u32 read_seq;
	__u32 handled_seq;
	__u32 taken; /* the state was made from it again */
	__u8 existing;
	__u8 proxy;
	__u8 pad[2];
};

/* parked: address of a socket → its connection as it was when a thread read the next
 * request while another thread was still writing the response. A client can be that fast
 * if both ends are on one host. No entry is evicted: a connection that finds no room is
 * no longer measured, and this is counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct conn);
} parked SEC(".maps");

/* late_closes: number of a connection that user space frames → its close, which found no
 * room in the log. User space would wait for it forever, so it looks here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct late_close);
} late_closes SEC(".maps");

/* scratch[1] is for closes, which can interrupt the use of scratch[0]. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* The positions in the log. They count all bytes since the start. */
struct progress {
	__u64 head; /* where the next message goes; written by the kernel */
	__u64 pad[7];
	__u64 tail; /* everything before it was read; written by the agent */
	__u64 pinged; /* the agent was woken and has not looked since */
	__u64 pad2[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct progress);
} log_progress SEC(".maps");

/* messages: the log in segments. Each has room at its end for a message that starts at
 * its last byte. The sizes are set at load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8);
	__type(key, __u32);
	__uint(value_size, LOG_SEGMENT + LOG_SLACK);
} messages SEC(".maps");

/* wakeups: the reader waits on it. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} wakeups SEC(".maps");

/* note: the message being written. The stack of the programs that write it is full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_note);
} note SEC(".maps");

struct process {
	__u64 born; /* distinguishes it from an earlier process with the same id */
	__u64 since; /* from then on it makes calls, and its requests are counted */
	__u32 parent; /* the parent that runs the same program; 0 if it runs another */
	__u32 calls;
	__u32 open; /* requests that it started to read and that are not answered yet */
	__u32 reads; /* all requests that it started to read */
};

struct worker {
	__u64 conn; /* the request that it works for; 0 if none is known */
	__u64 call; /* the call that it read from since; 0 if it read from the request last */
	__u64 since;
	__u32 seq;
	__u32 call_seq;
	__u32 open;   /* requests that it started to read and that are not answered yet */
	__u32 most;   /* the most that were open at once; 0 if it reads none */
	__u32 starts; /* calls that it started since it read from a request */
	__u32 clean;  /* calls that it started right after it read the request */
	__u32 fouls;  /* calls that do not fit that order */
	__u32 sleeps;
};

/* A call and what it was made for. */
struct call_cause {
	__u64 call;
	__u64 cause;
	__u32 call_seq;
	__u32 cause_seq;
};

/* processes: process → what is known of it. A process is added once it served. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

/* workers: thread → what it works on. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct worker);
} workers SEC(".maps");

/* broken: address of a call's socket that the network closed → the call. Its thread
 * learns of that when it closes the descriptor at the latest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct call_cause);
} broken SEC(".maps");

/* Both ends of a TCP connection, from the client's side. */
struct ends {
	__u8 client[16];
	__u8 server[16];
	__u16 client_port;
	__u16 server_port;
	__u32 netns; /* of the client; ANY_NETNS for any */
};

struct client {
	__u64 number; /* of its connection; 0 if there were two with these ends */
	__u64 at;     /* when it was established */
};

/* clients: ends → the connection that a server process opened. Each is there twice: for
 * its own namespace, where addresses are unique, and for servers in another one. No entry
 * is evicted: a connection that finds no room is counted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct ends);
	__type(value, struct client);
} clients SEC(".maps");

/* A write whose bytes reached an end that its owner closed before this look. The bytes
 * were still unread. The closed end no longer leads to the writer's end. */
struct late {
	__u64 at;
	__u64 sk;
	__u64 sleeps;
};

/* The entry of a system call. */
struct entry {
	__u64 at;
	__u64 sleeps;
};

/* What a thread that works for an application did last. */
struct app_thread {
	__u64 at;     /* when it called the application; 0 if not since the last answer */
	__u64 before; /* the last call that was followed by another call, not by an answer */
	__u64 sk;     /* socket of the request that it read last */
	__u32 seq;    /* number of that request */
	__u8 rank;    /* of the marker */
	__u8 calls;   /* since the last answer */
	__u8 unmarked; /* it has read all of that request and has not called yet */
	__u8 doubt;    /* the same was true of the previous request when it started to read */
	__u8 calls_apps; /* it has called an application */
	__u8 pad[7];
};

/* What a thread does. Only the thread itself writes it. */
struct thread {
	struct app_thread app;
	struct entry entry;  /* see call_enter */
	struct late late;    /* until that write returns; sk is 0 if there is none */
	__u64 connects;      /* when it entered connect; 0 if it is not there */
};

struct app_call {
	__u64 at;
	__u32 seq;
	__u32 pad;
};

/* threads has the threads that did something of this kind. The kernel frees the state
 * with the thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* app_calls: address of a socket → the call for its unanswered request. The thread has
 * read another request since. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct app_call);
} app_calls SEC(".maps");

/* changed: the last change of state that tcp_state saw on this CPU. */
struct changed {
	__u64 sk;
	__u32 after;
	__u32 busy; /* tcp_state is running */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct changed);
} changed SEC(".maps");

/* A port of a network namespace. */
struct net_port {
	__u32 netns;
	__u16 port;
	__u16 pad;
};

/* listening: ports on which something listens. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct net_port);
	__type(value, __u8);
} listening SEC(".maps");

/* A listening TCP socket. Its address is reused, its number is not. */
struct listens {
	__u64 sk;
	__u64 number;
};

/* discards: listening socket → segments that were discarded there. The socket's own
 * counter has all of them, and also the connection attempts that it dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct listens);
	__type(value, __u64);
} discards SEC(".maps");

#endif
