/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The call into the application. Some servers make it through a function that can be
 * found by its name; user space attaches app_called to it. A mark knows only its thread,
 * so what the thread read before decides which request the mark belongs to:
 *
 * - A thread that reads requests itself called the application for the request whose
 *   bytes it read last. An event loop goes on to other requests before it answers, so the
 *   mark is then set aside under the request's socket.
 * - A thread that is handed requests which others read called it for the request that it
 *   answers.
 *
 * If that leaves more than one request, no request gets the mark. */
#ifndef LAPWING_MARKER_H
#define LAPWING_MARKER_H

#include "work/thread.h"

/* Set by user space if app_called is attached somewhere. */
bool markers_attached;

/* this_app_thread costs little for threads that never called an application. */
static __always_inline struct app_thread *this_app_thread(void)
{
	if (likely(!markers_attached))
		return NULL;
	struct thread *t = this_thread();
	return t && t->app.calls_apps ? &t->app : NULL;
}

static __always_inline void set_aside(struct app_thread *t)
{
	struct app_call call = { .at = t->at, .seq = t->seq };
	__u64 key = t->sk;

	bpf_map_update_elem(&app_calls, &key, &call, BPF_ANY);
}

static __always_inline bool read_by_thread(const struct app_thread *t, const struct record *r)
{
	return t->sk == r->sk && t->seq == r->seq;
}

/* marker_read runs when this thread has read bytes of the current request: the first ones
 * or more of them, up to the last one if complete. A call before the head was complete
 * (unread) was not a call of the application: a server with coroutines calls the same
 * function to wait for the rest. */
static __always_inline void marker_read(struct record *r, bool first, bool unread, bool complete)
{
	struct app_thread *t = this_app_thread();

	if (likely(!t))
		return;
	if (!first && read_by_thread(t, r)) {
		if (unread)
			t->at = t->calls = 0;
		else if (t->at) /* the application reads the body */
			r->marker = t->at;
		t->unmarked = complete && !t->at;
		return;
	}
	if (t->sk && t->at)
		set_aside(t);
	t->doubt = t->unmarked;
	t->unmarked = complete;
	t->sk = r->sk;
	t->seq = r->seq;
	t->at = t->calls = 0;
}

static __always_inline __u64 take_aside(struct record *r)
{
	__u64 key = r->sk;
	struct app_call *call = bpf_map_lookup_elem(&app_calls, &key);

	if (!call || call->seq != r->seq)
		return 0;
	__u64 at = call->at;
	bpf_map_delete_elem(&app_calls, &key);
	return at;
}

/* take_call returns when the application was called for a request that this thread
 * answers, or 0 if that is not known. */
static __always_inline __u64 take_call(struct app_thread *t, struct record *r)
{
	__u64 at = t->at;

	if (t->sk && !read_by_thread(t, r))
		return take_aside(r);
	if (!t->sk && (at < r->read_last || t->before >= r->read_last))
		return 0;
	t->at = t->calls = t->unmarked = 0;
	return at;
}

/* marker_answer runs when this thread has started to answer the request. A mark from
 * before the request is of another socket that had the same address. */
static __always_inline void marker_answer(struct record *r)
{
	struct app_thread *t = this_app_thread();

	if (likely(!t))
		return;
	__u64 at = take_call(t, r);
	if (at >= r->read_first && (at <= r->write_first || !r->write_first))
		r->marker = at;
}

/* marker_write is marker_answer for a connection that user space frames. One write may
 * hold several answers, so it returns a mark only if there was one call. */
static __always_inline __u64 marker_write(struct record *r)
{
	struct app_thread *t = this_app_thread();

	if (likely(!t))
		return 0;
	bool once = t->calls <= 1;
	__u64 at = take_call(t, r);
	return once ? at : 0;
}

#endif
