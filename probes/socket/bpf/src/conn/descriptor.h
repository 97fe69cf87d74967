/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* From a file descriptor of the calling process to the address of its socket. */
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

/* The f_op of all sockets, once one was seen. */
__u64 socket_operations;

static __always_inline bool is_socket(struct file *file, __u64 operations)
{
	if (likely(socket_operations))
		return operations == socket_operations;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return false;
	socket_operations = operations;
	return true;
}

/* socket_of_file returns the address of a socket, or 0. Since Linux 6.12 f_op and
 * private_data are near each other: one read of both costs little more than a read of
 * one. */
static __always_inline __u64 socket_of_file(struct file *file)
{
	const __u32 f_op = bpf_core_field_offset(struct file, f_op),
		    data = bpf_core_field_offset(struct file, private_data);
	__u64 both[4];

	if (data > f_op && data - f_op <= sizeof(both) - sizeof(*both)) {
		if (bpf_probe_read_kernel(both, sizeof(both), (void *)file + f_op) || !is_socket(file, both[0]))
			return 0;
		return *(__u64 *)((void *)both + (data - f_op));
	}
	return is_socket(file, (__u64)BPF_CORE_READ(file, f_op)) ? (__u64)BPF_CORE_READ(file, private_data) : 0;
}

/* sock_of_file returns the address of a stream socket, or NULL. It reads all fields at
 * once, which costs little more than a read of two bytes. */
static __always_inline struct sock *sock_of_file(struct file *file)
{
	const __u32 type = bpf_core_field_offset(struct socket, type), sk = bpf_core_field_offset(struct socket, sk);
	__u64 at = file ? socket_of_file(file) : 0;
	__u64 socket[4];

	if (!at || bpf_probe_read_kernel(socket, sizeof(socket), (void *)at))
		return NULL;
	return *(__u16 *)((void *)socket + type) == SOCK_STREAM ? *(struct sock **)((void *)socket + sk) : NULL;
}

#endif
