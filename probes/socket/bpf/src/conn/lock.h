/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The lock between threads that work on one connection at the same time. */
#ifndef LAPWING_LOCK_H
#define LAPWING_LOCK_H

#include "count.h"

#define LOCK_TRIES 8         /* per step */
#define LOCK_STEPS (1 << 20) /* about 20 ms: a virtual processor can be away that long */
#define LOCK_STEPS_OLD 256   /* for kernels without loops of any length */

static long lock_step(__u32 i, struct conn **c)
{
#pragma unroll
	for (int k = 0; k < LOCK_TRIES; k++)
		if (!__sync_lock_test_and_set(&(*c)->lock, 1))
			return 1;
	return 0;
}

/* await_lock waits for the lock of a connection. The lock separates a thread that reads
 * the next request from one that is just leaving the write of the response: on two CPUs
 * they can be that close. Tracing programs may not use the kernel's spin locks. The
 * holder runs with preemption off for about a microsecond, so the wait is short unless
 * the hypervisor takes the holder's processor away. In any case it is bounded. */
__noinline int await_lock(struct conn *c)
{
	if (!c)
		return 0;
	REPEAT(LOCK_STEPS, LOCK_STEPS_OLD, lock_step, &c);
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

/* left_to_writer reports whether a write is in progress on a connection that is being
 * closed. That write then sees that the connection is gone. The writer releases the lock
 * before it looks at `gone`; here the lock is taken after `gone` was set. So one of the
 * two always sees the other. */
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
