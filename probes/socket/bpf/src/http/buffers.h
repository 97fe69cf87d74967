/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Where the payload is: the user memory that the current system call reads into or writes
 * from. The registers at the entry of the call stay readable until it returns, so the
 * buffer is known without a probe on the entry. All code that frames takes its bytes from
 * user_vec, so another source, like the buffer of a TLS library, has its place there. */
#ifndef LAPWING_BUFFERS_H
#define LAPWING_BUFFERS_H

#include "drift.h"

#define VEC_SEGMENTS 4 /* at most this many segments of a vector are looked at */

struct vec {
	const struct iovec *iov; /* user memory; NULL for a plain buffer */
	__u64 segments;
	const void *base; /* of the first segment that is not empty; NULL if nothing is visible */
	__u64 len;        /* of that segment */
	__u64 want;       /* bytes that the caller asked for; 0 if they were not added up */
	bool file;        /* the kernel takes the bytes from a file or pipe */
	__u8 pad[7];
};

static __always_inline void vec_from_iov(struct vec *v, const struct iovec *iov, __u64 segments)
{
	struct iovec seg[VEC_SEGMENTS] = {};
	__u32 n = segments < VEC_SEGMENTS ? segments : VEC_SEGMENTS;

	v->iov = iov;
	v->segments = segments;
	if (!n || bpf_probe_read_user(seg, n * sizeof(seg[0]), iov))
		return;
	for (int i = 0; i < VEC_SEGMENTS; i++) {
		if (!seg[i].iov_len)
			continue;
		if (!v->base) {
			v->base = seg[i].iov_base;
			v->len = seg[i].iov_len;
		}
		if (segments > VEC_SEGMENTS)
			return;
		v->want += seg[i].iov_len;
	}
}

static __always_inline void vec_from_msg(struct vec *v, const void *msg)
{
	struct user_msghdr hdr;

	if (!bpf_probe_read_user(&hdr, sizeof(hdr), msg))
		vec_from_iov(v, hdr.msg_iov, hdr.msg_iovlen);
}

/* user_vec describes the buffer of the system call that runs on this thread. */
__noinline int user_vec(struct vec *v)
{
	if (!v)
		return 0;
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u64 arg1 = SYSCALL_ARG1(regs), arg2 = SYSCALL_ARG2(regs);

	__builtin_memset(v, 0, sizeof(*v));
	switch (SYSCALL_NR(regs)) {
	case NR_read:
	case NR_write:
	case NR_recvfrom:
	case NR_sendto:
		v->base = (void *)arg1;
		v->len = v->want = arg2;
		break;
	case NR_readv:
	case NR_writev:
	case NR_preadv2:
	case NR_pwritev2:
		vec_from_iov(v, (void *)arg1, arg2);
		break;
	case NR_recvmsg:
	case NR_sendmsg:
	case NR_recvmmsg: /* the array starts with the first message's header */
	case NR_sendmmsg:
		vec_from_msg(v, (void *)arg1);
		break;
	case NR_sendfile:
	case NR_splice:
		v->file = true;
		break;
	}
	return 0;
}

#endif
