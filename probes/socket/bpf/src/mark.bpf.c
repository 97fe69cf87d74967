//go:build ignore
/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The program on functions that call an application. */
#include "work/marker.h"

/* app_called is attached to the functions of the table of markers; the cookie is the
 * rank. Of several calls for one request, the first of the highest rank counts: servers
 * call again for internal redirects, and a gateway inside a server is nearer to the
 * application than the server's own handler. */
SEC("uprobe")
int app_called(void *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 rank = bpf_get_attach_cookie(ctx);
	struct thread *thread = this_thread_made();

	if (!thread)
		return 0;
	struct app_thread *t = &thread->app;
	t->calls_apps = 1;
	t->unmarked = 0;
	if (t->calls < 255)
		t->calls++;
	if (t->doubt || (t->sk && t->at && rank <= t->rank))
		return 0;
	if (!t->sk && t->at && rank <= t->rank)
		t->before = t->at;
	t->at = now;
	t->rank = rank;
	return 0;
}
