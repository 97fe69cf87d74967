/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The buffer of a write, if it was noted at the entry. Each read of user memory costs
 * more than everything else that is done at the end of a write. */
#ifndef LAPWING_WRITE_BUFFER_H
#define LAPWING_WRITE_BUFFER_H

#include "count.h"

/* write_vec describes the buffer of the write that ends on this thread. Of a vector it
 * has the first segment and the total length. Code that needs the other segments calls
 * user_vec. */
static __always_inline void write_vec(struct conn *c, struct vec *v)
{
	if (!c->out_want) {
		user_vec(v);
		return;
	}
	v->iov = NULL;
	v->segments = 0;
	v->base = (void *)c->out_base;
	v->len = c->out_len;
	v->want = c->out_want;
	v->file = false;
}

#endif
