/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What user space learns of server processes, so that it knows at any time which program
 * a process id belongs to. */
#ifndef LAPWING_PROCESS_H
#define LAPWING_PROCESS_H

#include "conn/log.h"

static __always_inline void process_did(struct task_struct *t, __u16 what)
{
	__u32 zero = 0;
	struct process_note *n = bpf_map_lookup_elem(&note, &zero);

	if (!n)
		return;
	n->kind = KIND_PROCESS;
	n->did = what;
	n->pid = t->tgid;
	n->at = bpf_ktime_get_ns();
	n->born = t->group_leader->start_boottime;
	if (!log_write(n, sizeof(*n), NULL, 0, 0))
		count(STAT_LOST_PROCESSES);
}

#endif
