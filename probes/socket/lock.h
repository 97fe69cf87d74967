/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What keeps threads apart that work on one connection at the same time. */
#ifndef LAPWING_LOCK_H
#define LAPWING_LOCK_H

#include "state.h"

/* The lock keeps a thread that reads the next request apart from one that is
 * just leaving the write of the response: on two CPUs they can be that close.
 * Tracing programs may not use the kernel's spin locks. The holder runs with
 * preemption off for less than a microsecond, so the wait is short and bounded. */
__noinline int await_lock(struct conn *c)
{
	if (!c)
		return 0;
	for (int i = 0; i < 2048 / 8; i++) {
#pragma unroll
		for (int k = 0; k < 8; k++)
			if (!__sync_lock_test_and_set(&c->lock, 1))
				return 0;
	}
	return 0;
}

static __always_inline void lock_conn(struct conn *c)
{
	if (unlikely(__sync_lock_test_and_set(&c->lock, 1)))
		await_lock(c);
}

static __always_inline void unlock_conn(struct conn *c)
{
	*(volatile __u32 *)&c->lock = 0;
}

/* left_to_writer tells whether a write is in progress on a connection that is
 * being closed: that write then sees that it is gone. The writer lets go of the
 * lock before it looks, and the lock is taken here after it was told: so one
 * of the two always knows of the other. */
static __always_inline bool left_to_writer(struct conn *c)
{
	if (!c->write_enter)
		return false;
	*(volatile __u8 *)&c->gone = 1;
	lock_conn(c);
	bool writing = *(volatile __u64 *)&c->write_enter;
	unlock_conn(c);
	return writing;
}

#endif
