/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <time.h>

#include "util/macro.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "watch.h"

#define LOOK_NS 250000000ull /* between two looks */

/* Until @time_ns, or a signal. */
static void sleep_until(uint64_t time_ns)
{
	struct timespec t = { (time_t)(time_ns / 1000000000), (long)(time_ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void show_progress(struct progress *progress, const struct watch *watch)
{
	uint64_t passed_ns = now_ns() - progress->begin_ns;

	if (watch->interval_ms || !progress_due(progress))
		return;
	if (watch->duration_ns)
		progress_show(progress, "%s: %" PRIu64 " of %" PRIu64 " s", watch->doing,
			      passed_ns / 1000000000, watch->duration_ns / 1000000000);
	else
		progress_show(progress, "%s: %" PRIu64 " s, ^C ends it", watch->doing,
			      passed_ns / 1000000000);
}

int watch_run(const struct watch *watch, struct vpmu_error *reterr)
{
	uint64_t begin_ns = now_ns(), interval_ns = watch->interval_ms * 1000000;
	uint64_t end_ns = watch->duration_ns ? begin_ns + watch->duration_ns : UINT64_MAX;
	uint64_t tick_ns = interval_ns ? begin_ns + interval_ns : UINT64_MAX;
	_progress_ struct progress progress;
	int r = 0;

	progress_begin(&progress);
	while (!interrupted && r == 0 && now_ns() < end_ns) {
		/* Looks are short enough for a signal that came just before the sleep, too. */
		sleep_until(MIN(MIN(now_ns() + LOOK_NS, tick_ns), end_ns));
		r = watch->look(watch->data, reterr);
		show_progress(&progress, watch);
		if (now_ns() < tick_ns || interrupted || r < 0)
			continue;
		r = watch->tick(watch->data, reterr);
		output_flush();
		/* Those that this program was too late for are part of the one that was printed. */
		while (tick_ns <= now_ns())
			tick_ns += interval_ns;
	}
	return r;
}
