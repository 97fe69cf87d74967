/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The begin and the end of a connection, and its quiet times. */
#ifndef LAPWING_LIFE_H
#define LAPWING_LIFE_H

#include "conn/arrival.h"
#include "http/response.h"

/* connection_begin fills a connection from the socket it belongs to. */
static __always_inline void connection_begin(struct conn *c, __u64 sk, __u16 family)
{
	c->rec.conn = next_conn_number();
	c->rec.sk = sk;
	c->rec.family = family;
	debug("connection %llu begins: socket %llx", c->rec.conn, sk);
}

/* on_close: no more can be written. final tells that the peer has everything
 * it will ever get, too. */
static __always_inline void on_close(struct conn *c, __u64 now, bool final, __u16 error)
{
	debug("connection %llu closes: final %d, error %d", c->rec.conn, final, error);
	if (c->mode == MODE_EVENTS) {
		if (final) {
			uncount(c);
			events_end(c, now, error);
		}
		return;
	}
	if (c->mode == MODE_GUESS && final)
		gateway_give_up(c);
	if (c->mode != MODE_HTTP || !c->pending)
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
		/* The end of the connection is the network's, in whose interrupts a
		 * program can be passed over, and the state goes with the socket. */
		if (first && !c->write_enter) {
			c->reported = 1;
			hand_out_so_far(c, false);
		}
		return;
	}
	if (left_to_writer(c))
		return;
	hand_out(c);
	c->mode = MODE_IGNORED;
}

/* on_idle: nothing was heard of the connection for a while; hand out a
 * response that is complete. One that is not stays open, however long: the last
 * sweep, which does not wait for quiet, says that it is. */
static __always_inline void on_idle(struct conn *c, __u64 now)
{
	bool over;

	if (c->mode != MODE_HTTP || c->phase == PHASE_IDLE || c->reported)
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
