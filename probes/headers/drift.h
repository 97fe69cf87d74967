/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Everything that differs between kernels from 5.15 on, each with the version that
 * changed it. */
#ifndef LAPWING_DRIFT_H
#define LAPWING_DRIFT_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* System call numbers and arguments differ per architecture, not per version. */
#if defined(__TARGET_ARCH_x86)
enum {
	NR_read = 0,
	NR_write = 1,
	NR_readv = 19,
	NR_writev = 20,
	NR_sendto = 44,
	NR_recvfrom = 45,
	NR_sendmsg = 46,
	NR_recvmsg = 47,
	NR_recvmmsg = 299,
	NR_sendmmsg = 307,
	NR_splice = 275,
	NR_sendfile = 40,
	NR_connect = 42,
	NR_preadv2 = 327,
	NR_pwritev2 = 328,
};
#define SYSCALL_NR(regs) ((long)(regs)->orig_ax)
#define SYSCALL_ARG0(regs) ((regs)->di)
#define SYSCALL_ARG1(regs) ((regs)->si)
#define SYSCALL_ARG2(regs) ((regs)->dx)
#define SYSCALL_ARG3(regs) ((regs)->r10)
#elif defined(__TARGET_ARCH_arm64)
enum {
	NR_read = 63,
	NR_write = 64,
	NR_readv = 65,
	NR_writev = 66,
	NR_sendto = 206,
	NR_recvfrom = 207,
	NR_sendmsg = 211,
	NR_recvmsg = 212,
	NR_recvmmsg = 243,
	NR_sendmmsg = 269,
	NR_splice = 76,
	NR_sendfile = 71,
	NR_connect = 203,
	NR_preadv2 = 286,
	NR_pwritev2 = 287,
};
#define SYSCALL_NR(r) ((long)(r)->syscallno)
#define SYSCALL_ARG0(r) ((r)->orig_x0)
#define SYSCALL_ARG1(r) ((r)->regs[1])
#define SYSCALL_ARG2(r) ((r)->regs[2])
#define SYSCALL_ARG3(r) ((r)->regs[3])
#endif

/* 6.13 replaced the plain reference count of a file, which is 1 for the last reference,
 * by file_ref_t, which is 0 for the last reference (kernel commit 90ee6ed776c0). */
typedef struct {
	__s64 counter;
} atomic64___drift;

typedef struct {
	atomic64___drift refcnt;
} file_ref___drift;

struct file___ref {
	file_ref___drift f_ref;
} __attribute__((preserve_access_index));

struct file___count {
	atomic64___drift f_count;
} __attribute__((preserve_access_index));

static __always_inline bool file_is_last_reference(struct file *file)
{
	__s64 count = -1;

	if (bpf_core_field_exists(struct file___ref, f_ref)) {
		bpf_probe_read_kernel(&count, sizeof(count),
				      (void *)file + bpf_core_field_offset(struct file___ref, f_ref));
		return count == 0;
	}
	bpf_probe_read_kernel(&count, sizeof(count),
			      (void *)file + bpf_core_field_offset(struct file___count, f_count));
	return count == 1;
}

/* bpf_loop came with 5.17 (kernel commit e6f2dd0f8067). Before that a loop has to be
 * short enough for the verifier to follow. */
enum bpf_func_id___loop { BPF_FUNC_loop___loop = 181 };

#define REPEAT(steps, few, step, ctx) \
	do { \
		if (bpf_core_enum_value_exists(enum bpf_func_id___loop, BPF_FUNC_loop___loop)) \
			bpf_loop(steps, step, ctx, 0); \
		else \
			for (__u32 step_number = 0; step_number < (few) && !step(step_number, ctx); step_number++) \
				; \
	} while (0)

/* The TCP view of a packet. tcp_flags grew from 8 to 16 bits in 6.15, which
 * moved ack_seq; the low byte keeps its place on little-endian machines. */
struct segment {
	__u32 seq;
	__u32 end_seq;
	__u32 ack_seq;
	__u32 payload;
};

static __always_inline void segment_of(const struct sk_buff *skb, struct segment *s)
{
	const void *cb = __builtin_preserve_access_index(&skb->cb[0]);
	const struct tcp_skb_cb *tcb = cb;

	s->seq = tcb->seq;
	s->end_seq = tcb->end_seq;
	s->ack_seq = tcb->ack_seq;
	s->payload = s->end_seq - s->seq;
	if (s->payload && *(__u8 *)&tcb->tcp_flags & (TCPHDR_FIN | TCPHDR_SYN))
		s->payload--;
}

#endif
