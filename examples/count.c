/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts a guest's samples by vCPU and side: where does its time go? usage: count GUEST [SECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/vpmu.h>

#define MAX_VCPUS 1024

static uint64_t counts[MAX_VCPUS][VPMU_SIDE_COUNT];

static void count(const struct vpmu_sample *sample, void *data)
{
	(void)data;
	if (sample->vcpu < MAX_VCPUS)
		counts[sample->vcpu][sample->side]++;
}

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "count: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "       %s\n", error->hint);
	return 1;
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	const struct vpmu_guest_info *guest;
	struct vpmu_session *session = NULL;
	struct vpmu_guests *guests = NULL;
	struct vpmu_coverage coverage;
	struct vpmu_error error = {};
	time_t end;
	ssize_t r;

	if (argc < 2) {
		fprintf(stderr, "usage: count GUEST [SECONDS]\n");
		return 2;
	}
	if (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	    vpmu_guests_find(guests, argv[1], &guest, &error) < 0 ||
	    vpmu_session_new(NULL, &session, &error) < 0 ||
	    vpmu_session_add_guest(session, guest, false, &error) < 0)
		return fail(&error);
	vpmu_session_on_sample(session, count, NULL);
	if (vpmu_session_start(session, &error) < 0)
		return fail(&error);
	end = time(NULL) + (time_t)(seconds + 0.5);
	do
		r = vpmu_session_poll(session, 100, &error);
	while (r >= 0 && time(NULL) < end);
	if (vpmu_session_stop(session, &error) < 0)
		return fail(&error);

	for (size_t vcpu = 0; vcpu < MAX_VCPUS; vcpu++)
		for (int side = 0; side < VPMU_SIDE_COUNT; side++)
			if (counts[vcpu][side])
				printf("vCPU %zu  %-12s  %" PRIu64 "\n", vcpu, vpmu_side_name(side),
				       counts[vcpu][side]);
	vpmu_session_coverage(session, &coverage);
	printf("%" PRIu64 " samples, %" PRIu64 " lost (%s)\n", coverage.samples, coverage.lost,
	       coverage.source);
	vpmu_session_free(session);
	vpmu_guests_free(guests);
	return 0;
}
