/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts on a guest's vCPUs for a while: who ran, who waited, how many page faults. usage: stat
 * GUEST [SECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/vpmu.h>

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "stat: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "      %s\n", error->hint);
	return 1;
}

static void print_row(const struct vpmu_count *count)
{
	printf("vCPU %" PRIu32 "  %-11s  %-20s  ", count->vcpu, vpmu_sides_name(count->sides),
	       count->event);
	if (count->status == VPMU_COUNT_OK || count->status == VPMU_COUNT_PARTIAL)
		printf("%" PRIu64 "%s%s", count->value, count->is_time ? " ns" : "",
		       count->scaled ? " (scaled)" : "");
	else
		printf("-  (%s)", count->why);
	if (count->base)
		printf("  %.2f%% of %s", count->ratio * 100, count->base);
	putchar('\n');
}

int main(int argc, char **argv)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = "page-faults,context-switches");
	const struct timespec pause = { .tv_nsec = 100000000 };
	const struct vpmu_guest_info *guest;
	struct vpmu_counters *counters = NULL;
	struct vpmu_guests *guests = NULL;
	struct vpmu_counts counts;
	struct vpmu_error error = {};
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	int r = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: stat GUEST [SECONDS]\n");
		return 2;
	}
	if (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	    vpmu_guests_find(guests, argv[1], &guest, &error) < 0 ||
	    vpmu_counters_new(&opts, &counters, &error) < 0 ||
	    vpmu_counters_add_guest(counters, guest, &error) < 0 ||
	    vpmu_counters_start(counters, &error) < 0)
		return fail(&error);
	/* The guest may go, or vCPUs may come, while we wait. */
	for (int i = 0; r == 0 && i < seconds * 10; i++) {
		nanosleep(&pause, NULL);
		r = vpmu_counters_refresh(counters, &error);
	}
	if (vpmu_counters_read(counters, VPMU_SINCE_START, &counts, &error) < 0)
		return fail(&error);
	for (size_t i = 0; i < counts.n; i++)
		print_row(&counts.items[i]);
	vpmu_counters_free(counters);
	vpmu_guests_free(guests);
	return 0;
}
