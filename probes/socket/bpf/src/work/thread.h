/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The state of the calling thread. */
#ifndef LAPWING_THREAD_H
#define LAPWING_THREAD_H

#include "count.h"

/* this_thread returns the state of the calling thread, or NULL if it has none. That costs
 * little for threads without any. */
static __always_inline struct thread *this_thread(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->bpf_storage ? bpf_task_storage_get(&threads, task, 0, 0) : NULL;
}

/* this_thread_made creates the state if there is none. It returns NULL if there is no
 * memory. */
static __always_inline struct thread *this_thread_made(void)
{
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
