/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* From a descriptor of the calling process to the address of its socket. */
#ifndef LAPWING_DESCRIPTOR_H
#define LAPWING_DESCRIPTOR_H

#include "drift.h"

static __always_inline struct file *file_of_fd(long fd)
{
	struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
	struct file *file = NULL;

	if (fd < 0 || fd >= table->max_fds)
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
	return file;
}

/* What all sockets have for f_op, once one was seen. */
__u64 socket_operations;

static __always_inline bool is_socket(struct file *file)
{
	__u64 operations = (__u64)BPF_CORE_READ(file, f_op);

	if (likely(socket_operations))
		return operations == socket_operations;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return false;
	socket_operations = operations;
	return true;
}

/* sock_of_file returns the address of a stream socket, or NULL. One read takes all
 * that is needed: it costs little more than one of two bytes. */
static __always_inline struct sock *sock_of_file(struct file *file)
{
	const __u32 type = bpf_core_field_offset(struct socket, type), sk = bpf_core_field_offset(struct socket, sk);
	__u64 socket[4];

	if (!file || !is_socket(file))
		return NULL;
	if (bpf_probe_read_kernel(socket, sizeof(socket), BPF_CORE_READ(file, private_data)))
		return NULL;
	return *(__u16 *)((void *)socket + type) == SOCK_STREAM ? *(struct sock **)((void *)socket + sk) : NULL;
}

#endif
