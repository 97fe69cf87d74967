/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Writes on unix sockets whose reader is gone before the kernel reports their bytes. */
#ifndef LAPWING_LATE_H
#define LAPWING_LATE_H

#include "count.h"

static __noinline int unix_wrote_late(const struct sock *sk, __u64 now)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct late late = { now, (__u64)sk, bpf_get_current_task_btf()->nvcsw };

	bpf_map_update_elem(&late_writes, &thread, &late, BPF_ANY);
	return 0;
}

/* unix_entered returns when the write that now returns was entered, if its connection was
 * not known at the entry. It returns 0 if that is not known. */
__noinline __u64 unix_entered(struct conn *c)
{
	__u64 thread = bpf_get_current_pid_tgid(), at = 0;
	struct late *late = bpf_map_lookup_elem(&late_writes, &thread);

	if (!c || !late)
		return 0;
	/* It may be of an earlier write whose end was not seen. */
	if (late->sk == c->rec.peer_sk && late->at > c->write_exit && late->at > c->rec.read_last) {
		at = late->at;
		c->sleeps_before = late->sleeps;
	}
	bpf_map_delete_elem(&late_writes, &thread);
	return at;
}

#endif
