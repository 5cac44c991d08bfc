/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest leaves for, once a second. usage: exits GUEST [SECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/vpmu.h>

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "exits: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "       %s\n", error->hint);
	return 1;
}

static void print_row(const struct vpmu_exit *exit)
{
	uint64_t timed = exit->count - exit->untimed;

	printf("vCPU %" PRIu32 "  %-9s  %-24s %10" PRIu64, exit->vcpu, vpmu_exit_key_name(exit->key),
	       exit->name, exit->count);
	if (timed)
		printf("  mean %" PRIu64 " ns, 99%% within %" PRIu64 " ns", exit->total_ns / timed,
		       vpmu_exit_percentile(exit, 99));
	putchar('\n');
}

int main(int argc, char **argv)
{
	VPMU_OPTS(vpmu_exits_opts, opts, .keys = 1u << VPMU_EXIT_PORT);
	const struct timespec pause = { .tv_sec = 1 };
	const struct vpmu_guest_info *guest;
	struct vpmu_guests *guests = NULL;
	struct vpmu_exits *exits = NULL;
	struct vpmu_error error = {};
	int seconds = argc > 2 ? atoi(argv[2]) : 10;

	if (argc < 2) {
		fprintf(stderr, "usage: exits GUEST [SECONDS]\n");
		return 2;
	}
	if (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	    vpmu_guests_find(guests, argv[1], &guest, &error) < 0 ||
	    vpmu_exits_new(&opts, &exits, &error) < 0 ||
	    vpmu_exits_add_guest(exits, guest, &error) < 0 || vpmu_exits_start(exits, &error) < 0)
		return fail(&error);
	for (int i = 0; i < seconds && vpmu_exits_refresh(exits, &error) == 0; i++) {
		struct vpmu_exit_rows rows;

		nanosleep(&pause, NULL);
		if (vpmu_exits_read(exits, VPMU_SINCE_LAST, &rows, &error) < 0)
			return fail(&error);
		for (size_t j = 0; j < rows.n; j++)
			print_row(&rows.items[j]);
		if (*vpmu_exits_silent(exits))
			printf("(%s)\n", vpmu_exits_silent(exits));
	}
	vpmu_exits_free(exits);
	vpmu_guests_free(guests);
	return 0;
}
