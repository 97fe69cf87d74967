/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Writes on unix sockets whose reader is gone before the kernel reports their bytes. */
#ifndef LAPWING_LATE_H
#define LAPWING_LATE_H

#include "work/thread.h"

static __noinline int unix_wrote_late(const struct sock *sk, __u64 now)
{
	struct thread *t = this_thread_made();

	if (t)
		t->late = (struct late){ now, (__u64)sk, bpf_get_current_task_btf()->nvcsw };
	return 0;
}

/* unix_entered returns when the write that now returns was entered, if its connection was
 * not known at the entry. It returns 0 if that is not known. */
__noinline __u64 unix_entered(struct conn *c)
{
	struct thread *t = this_thread();
	__u64 at = 0;

	if (!c || !t || !t->late.sk)
		return 0;
	struct late *late = &t->late;
	/* It may be of an earlier write whose end was not seen. */
	if (late->sk == c->rec.peer_sk && late->at > c->write_exit && late->at > c->rec.read_last) {
		at = late->at;
		c->sleeps_before = late->sleeps;
	}
	late->sk = 0;
	return at;
}

#endif
