/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the guests of this host and the threads that run their vCPUs. usage: list [GUEST] */
#include <inttypes.h>
#include <stdio.h>
#include <vpmu/vpmu.h>

static void print_guest(const struct vpmu_guest_info *guest)
{
	printf("%s  pid %d  %s  %s\n", guest->name, guest->pid, vpmu_accel_name(guest->accel), guest->uuid);
	for (size_t i = 0; i < guest->n_vcpus; i++)
		printf("  vCPU %" PRIu32 "  thread %d\n", guest->vcpus[i].index, guest->vcpus[i].tid);
}

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "list: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "      %s\n", error->hint);
	return 1;
}

int main(int argc, char **argv)
{
	const struct vpmu_guest_info *guest;
	struct vpmu_guests *guests;
	struct vpmu_error error;
	int status = 0;

	if (vpmu_guests_new(NULL, &guests, &error) < 0)
		return fail(&error);
	if (argc > 1) {
		if (vpmu_guests_find(guests, argv[1], &guest, &error) < 0)
			status = fail(&error);
		else
			print_guest(guest);
	} else {
		for (size_t i = 0; i < vpmu_guests_count(guests); i++)
			print_guest(vpmu_guests_get(guests, i));
		fprintf(stderr, "%zu guests\n", vpmu_guests_count(guests));
	}
	vpmu_guests_free(guests);
	return status;
}
