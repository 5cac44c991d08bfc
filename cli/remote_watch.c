/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>

#include "interrupt.h"
#include "json.h"
#include "remote_watch.h"
#include "util/macro.h"

static void show_progress(struct remote_watch *watch)
{
	uint64_t passed_ns = now_ns() - watch->progress.begin_ns;

	if (watch->intervals || !progress_due(&watch->progress))
		return;
	if (watch->duration_ns)
		progress_show(&watch->progress, "%s: %" PRIu64 " of %" PRIu64 " s", watch->doing,
			      passed_ns / 1000000000, watch->duration_ns / 1000000000);
	else
		progress_show(&watch->progress, "%s: %" PRIu64 " s, ^C ends it", watch->doing, passed_ns / 1000000000);
}

static int hear(struct json_object *reply, int fd, void *data)
{
	_close_ int unwanted = fd;
	struct remote_watch *watch = data;

	show_progress(watch);
	if (interrupted)
		return 1;
	if (!reply)
		return 0;
	watch->n_heard++;
	return watch->hear(reply, watch->data, watch->reterr);
}

void remote_watch_plan(struct remote_watch *watch)
{
	watch->intervals = watch->interval_ms && (!watch->duration_ns || watch->interval_ms <= watch->duration_ns / 1000000);
}

/* Without -I it is still told in pieces, so that ^C finds something to print: as many equal ones as there are seconds. */
static void put_intervals(struct remote_watch *watch, struct json_object *parameters)
{
	uint64_t duration_ms = watch->duration_ns / 1000000, interval_ms = 500, n = 0;

	if (watch->intervals) {
		interval_ms = watch->interval_ms;
		n = duration_ms / interval_ms;
	} else if (duration_ms) {
		n = (duration_ms + 999) / 1000;
		interval_ms = MAX(duration_ms / n, 100u);
	}
	json_put_int(parameters, "interval_ms", (int64_t)interval_ms);
	if (n)
		json_put_int(parameters, "intervals", (int64_t)n);
	watch->n_wanted = n;
}

int remote_watch_run(struct remote_watch *watch, struct vpmu_client *client, struct json_object *parameters,
		     struct vpmu_error *reterr)
{
	int r;

	watch->reterr = reterr;
	put_intervals(watch, parameters);
	progress_begin(&watch->progress);
	r = remote_stream(client, watch->method, parameters, hear, watch, reterr);
	progress_end(&watch->progress);
	if (r >= 0 && !interrupted && (!watch->n_wanted || watch->n_heard < watch->n_wanted))
		say("the guests are gone");
	return MIN(r, 0);
}
