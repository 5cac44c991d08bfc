/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the time of a guest's vCPUs goes: parts of each, its costliest exit reason, and who had the CPU while it waited. usage:
 * time GUEST [SECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/vpmu.h>

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "time: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "      %s\n", error->hint);
	return 1;
}

static void print_vcpu(const struct vpmu_clock_vcpu *vcpu)
{
	printf("vCPU %" PRIu32 ":", vcpu->vcpu);
	for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++)
		if (vcpu->parts[part].known && vcpu->parts[part].ns)
			printf("  %s %.2f%%", vpmu_clock_part_name((enum vpmu_clock_part)part),
			       100.0 * (double)vcpu->parts[part].ns / (double)vcpu->wall_ns);
	putchar('\n');
	if (vcpu->n_reasons)
		printf("  most of its exits' time: %s, %" PRIu64 " times\n", vcpu->reasons[0].name,
		       vcpu->reasons[0].count);
	if (vcpu->n_competitors)
		printf("  waited longest for: %s (%d), %" PRIu64 " ns\n", vcpu->competitors[0].comm,
		       (int)vcpu->competitors[0].tid, vcpu->competitors[0].ns);
	if (vcpu->why)
		printf("  %s\n", vcpu->why);
}

int main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	const struct vpmu_guest_info *guest;
	struct vpmu_guests *guests = NULL;
	struct vpmu_clock *clock = NULL;
	struct vpmu_clock_times times;
	struct vpmu_error error = {};
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	int r = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: time GUEST [SECONDS]\n");
		return 2;
	}
	if (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	    vpmu_guests_find(guests, argv[1], &guest, &error) < 0 ||
	    vpmu_clock_new(NULL, &clock, &error) < 0 ||
	    vpmu_clock_add_guest(clock, guest, &error) < 0 || vpmu_clock_start(clock, &error) < 0)
		return fail(&error);
	/* The guest may go, or vCPUs may come, while we wait. */
	for (int i = 0; r == 0 && i < seconds * 10; i++) {
		nanosleep(&pause, NULL);
		r = vpmu_clock_refresh(clock, &error);
	}
	if (vpmu_clock_read(clock, VPMU_SINCE_START, &times, &error) < 0)
		return fail(&error);
	for (size_t i = 0; i < times.n; i++)
		print_vcpu(&times.items[i]);
	vpmu_clock_free(clock);
	vpmu_guests_free(guests);
	return 0;
}
