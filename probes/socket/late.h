/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Writes on unix sockets whose reader is gone before the kernel tells of their
 * bytes. */
#ifndef LAPWING_LATE_H
#define LAPWING_LATE_H

#include "state.h"

/* A write reached an end that its owner had closed by then: with the bytes, which
 * was faster than this look. The end no longer leads to the writer's. */
struct late {
	__u64 at;
	__u64 sk;
	__u64 sleeps;
};

/* late_writes: thread → such a write, until it returns. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct late);
} late_writes SEC(".maps");

static __noinline int unix_wrote_late(const struct sock *sk, __u64 now)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct late late = { now, (__u64)sk, bpf_get_current_task_btf()->nvcsw };

	bpf_map_update_elem(&late_writes, &thread, &late, BPF_ANY);
	return 0;
}

/* unix_entered returns when the write that now returns was entered, where its
 * connection was not told: 0 if that is not known. */
__noinline __u64 unix_entered(struct conn *c)
{
	__u64 thread = bpf_get_current_pid_tgid(), at = 0;
	struct late *late = bpf_map_lookup_elem(&late_writes, &thread);

	if (!c || !late)
		return 0;
	/* It may be of another write, whose end was not seen. */
	if (late->sk == c->rec.peer_sk && late->at > c->write_exit && late->at > c->rec.read_last) {
		at = late->at;
		c->sleeps_before = late->sleeps;
	}
	bpf_map_delete_elem(&late_writes, &thread);
	return at;
}

#endif
