/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What each probe plan defines in its own way: how it finds and creates the state of a
 * TCP socket's connection, and what it does with an accept. */
#ifndef LAPWING_PLAN_H
#define LAPWING_PLAN_H

#include "state.h"

static const struct tcp_sock *tcp_of(struct sock *sk);
static struct conn *tcp_find(struct sock *sk);
static struct conn *tcp_create(struct sock *sk);
/* conn_of finds the connection of any socket, without noting that it is in use. It does
 * not find one that rests. */
static struct conn *conn_of(struct sock *sk);
static void tcp_forget(__u64 addr);
/* rest_at lets a connection rest that is kept by its address, if it may. */
static int rest_at(struct conn *c);
static struct conn *mptcp_find(__u64 addr);
static struct conn *mptcp_create(__u64 addr);
static void mptcp_forget(__u64 addr);
/* tcp_adopt returns what is known of a connection whose start was not seen. */
static struct conn *tcp_adopt(struct sock *sk);
/* take_accept moves the accept stamp to the connection on its first read. */
static void take_accept(struct conn *c);
/* reads_from notes that no byte before this one was read. */
static void reads_from(struct conn *c, __u32 seq);
static int tcp_accepted(__u64 addr, __u64 now, __u32 tid);
/* existing_at notes that the connection of this server socket is older than the agent. */
static void existing_at(struct sock *sk, __u8 existing);

#endif
