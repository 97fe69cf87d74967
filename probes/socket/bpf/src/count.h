/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Counters, and the numbers of connections. */
#ifndef LAPWING_COUNT_H
#define LAPWING_COUNT_H

#include "maps.bpf.c"

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&stats, &what);

	if (n)
		(*n)++;
}

static __always_inline __u64 next_conn_number(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&numbers, &zero);

	return n ? __sync_fetch_and_add(n, 1) + 1 : 0;
}

#endif
