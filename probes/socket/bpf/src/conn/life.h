/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The start, the end and the quiet times of a connection. */
#ifndef LAPWING_LIFE_H
#define LAPWING_LIFE_H

#include "conn/arrival.h"
#include "http/response.h"

/* connection_begin initializes a connection from the socket that it belongs to. */
static __always_inline void connection_begin(struct conn *c, __u64 sk, __u16 family)
{
	c->rec.conn = next_conn_number();
	c->rec.sk = sk;
	c->rec.family = family;
	debug("connection %llu begins: socket %llx", c->rec.conn, sk);
}

/* on_close runs when the server can write no more. final means that the peer also has all
 * that it will ever get. */
static __always_inline void on_close(struct conn *c, __u64 now, bool final, __u16 error)
{
	debug("connection %llu closes: final %d, error %d", c->rec.conn, final, error);
	if (is_framed_by_user(c)) {
		if (final) {
			uncount(c);
			events_end(c, now, error);
		}
		return;
	}
	if (c->stage == STAGE_GUESS && final)
		gateway_give_up(c);
	if (!is_framed_here(c) || !c->pending)
		return;
	bool first = !c->rec.closed;

	if (first)
		c->rec.closed = now;
	if (final)
		uncount(c);
	if (error && !c->rec.error)
		c->rec.error = error;
	c->reported = 0;
	c->shut = 1;
	if (!final) {
		/* The network ends the connection in an interrupt, where the kernel can
		 * skip a program, and the state is freed with the socket. So report now. */
		if (first && !c->write_enter) {
			c->reported = 1;
			hand_out_so_far(c, false);
		}
		return;
	}
	if (left_to_writer(c))
		return;
	hand_out(c);
	c->stage = STAGE_IGNORED;
}

/* on_idle runs when nothing happened on the connection for a while. It hands out a
 * response that is complete. An incomplete one is not handed out, however long
 * the connection is quiet. Only the last sweep, when the agent ends (idle_ns is 0),
 * reports its request, as KIND_UNDER_WAY. */
static __always_inline void on_idle(struct conn *c, __u64 now)
{
	bool over;

	if (!is_framed_here(c) || c->phase == PHASE_IDLE || c->reported)
		return;
	over = is_complete(c);
	if (over ? now < c->write_exit + idle_ns : idle_ns)
		return;
	c->reported = 1;
	if (over)
		hand_out_so_far(c, true);
	else if (c->pending)
		record_write(c, KIND_UNDER_WAY, c->pending);
}

#endif
