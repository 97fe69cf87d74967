/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The way to user space: one log that all CPUs append to and that the agent reads in
 * place. The kernel's own ring buffer takes a lock, with interrupts off, for each
 * message. Here a message costs one compare-and-swap. */
#ifndef LAPWING_LOG_H
#define LAPWING_LOG_H

#include "count.h"

/* Set by user space before loading. */
const volatile __u32 log_shift = 20;        /* a segment has 2^log_shift bytes */
const volatile __u32 log_segments = 8;      /* also a power of two */
const volatile __u64 log_secret = 0;        /* see struct message */
const volatile __u64 wake_bytes = 1 << 20;  /* wake the reader at this fill level */

/* The header of each message. The log is never cleared, so a position that was not
 * written yet holds bytes of an older message, and clients chose some of those. The seal
 * is the position XORed with a secret: a client cannot write a valid one by chance. */
struct message {
	__u64 seal;
	__u32 size; /* of what follows the header */
	__u32 pad;
};

/* Go uses these by name, so they must be in the object. */
const struct message *mention_message __attribute__((unused));
const struct progress *mention_progress __attribute__((unused));

/* log_reserve reserves size bytes of the log and returns their position, or LOG_FULL. It
 * tries again if another CPU reserved bytes meanwhile. */
__noinline __u64 log_reserve(__u32 size)
{
	__u32 zero = 0;
	struct progress *s = bpf_map_lookup_elem(&log_progress, &zero);

	if (!s)
		return LOG_FULL;
	for (int i = 0; i < 64; i++) {
		__u64 at = *(volatile __u64 *)&s->head;
		/* Negative if others have written, and the agent has read, since then. */
		__s64 used = at + size - *(volatile __u64 *)&s->tail;

		if (used > (__s64)((__u64)log_segments << log_shift))
			return LOG_FULL;
		if (__sync_val_compare_and_swap(&s->head, at, at + size) != at)
			continue;
		if (unlikely(used > (__s64)wake_bytes && !s->pinged)) {
			s->pinged = 1;
			bpf_ringbuf_output(&wakeups, &zero, sizeof(zero), BPF_RB_FORCE_WAKEUP);
		}
		return at;
	}
	return LOG_FULL;
}

static __always_inline void *log_at(__u64 position)
{
	__u32 segment = (position >> log_shift) & (log_segments - 1);
	void *base = bpf_map_lookup_elem(&messages, &segment);
	__u32 offset = position & ((1U << log_shift) - 1);

	barrier_var(offset);
	return base ? base + offset : NULL;
}

static __always_inline void message_seal(struct message *m, __u64 position)
{
#if defined(__TARGET_ARCH_x86) /* stores become visible in order */
	barrier();
	*(volatile __u64 *)&m->seal = position ^ log_secret;
#else
	__sync_lock_test_and_set(&m->seal, position ^ log_secret);
#endif
}

/* log_copy copies a message into the log and returns the copy, which is not read before
 * it is sealed. The message is a fixed part, whose size the compiler knows, and len bytes
 * of rest, at most max. */
static __always_inline void *log_copy(const void *fixed, const __u32 fixed_size, const void *rest, __u32 len,
				      const __u32 max, __u64 *at)
{
	const __u32 lead = sizeof(struct message);

	if (len > max)
		len = max;
	__u64 position = log_reserve((lead + fixed_size + len + 7) & ~7U);
	if (position == LOG_FULL)
		return NULL;
	struct message *m = log_at(position);
	if (!m)
		return NULL;
	*at = position;
	m->size = fixed_size + len;
	/* Both are aligned. If the compiler does not know that, it copies byte by byte. */
	__builtin_memcpy(__builtin_assume_aligned((void *)m + lead, 8), __builtin_assume_aligned(fixed, 8), fixed_size);
	/* Older verifiers forget the bounds of a number that a call spilled to the stack. */
	barrier_var(len);
	if (len && len <= max)
		bpf_probe_read_kernel((void *)m + lead + fixed_size, len, rest);
	return m + 1;
}

/* log_seal hands over what log_copy copied. */
static __always_inline void log_seal(void *copy, __u64 at)
{
	message_seal((struct message *)copy - 1, at);
}

/* log_write appends a message. */
static __always_inline bool log_write(const void *fixed, const __u32 fixed_size, const void *rest, __u32 len,
				      const __u32 max)
{
	__u64 at;
	void *copy = log_copy(fixed, fixed_size, rest, len, max, &at);

	if (copy)
		log_seal(copy, at);
	return copy;
}

#endif
