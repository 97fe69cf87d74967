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

/* sock_of_file returns the address of a stream socket, or NULL. */
static __always_inline struct sock *sock_of_file(struct file *file)
{
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

#endif
