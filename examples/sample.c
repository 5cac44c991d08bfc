/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints a guest's samples as they come, with names where there are any. usage: sample GUEST
 * [COUNT [GUEST-ELF]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <vpmu/vpmu.h>

struct printer {
	struct vpmu_symbolizer *symbolizer;
	long left;
};

static void print(const struct vpmu_sample *sample, void *data)
{
	struct printer *printer = data;
	struct vpmu_frame frame;

	if (printer->left <= 0)
		return;
	printer->left--;
	vpmu_symbolize(printer->symbolizer, sample, false, &frame, 1);
	printf("%" PRIu64 ".%06" PRIu64 "  %s", sample->time_ns / 1000000000,
	       sample->time_ns / 1000 % 1000000, sample->comm);
	if (sample->vcpu != VPMU_NO_VCPU)
		printf("  vCPU %" PRIu32, sample->vcpu);
	printf("  %s  %" PRIx64, vpmu_side_name(frame.side), frame.address);
	if (frame.status == VPMU_FRAME_OK)
		printf("  %s+0x%" PRIx64 " %s\n", frame.symbol, frame.symbol_offset, frame.dso);
	else
		printf("  (%s)\n", vpmu_frame_status_name(frame.status));
}

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "sample: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "        %s\n", error->hint);
	return 1;
}

int main(int argc, char **argv)
{
	struct printer printer = {.left = argc > 2 ? atol(argv[2]) : 10};
	const struct vpmu_guest_info *guest;
	struct vpmu_session *session = NULL;
	struct vpmu_guests *guests = NULL;
	struct vpmu_error error = {};
	ssize_t r = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: sample GUEST [COUNT [GUEST-ELF]]\n");
		return 2;
	}
	if (vpmu_guests_new(NULL, &guests, &error) < 0 ||
	    vpmu_guests_find(guests, argv[1], &guest, &error) < 0 ||
	    vpmu_session_new(NULL, &session, &error) < 0 ||
	    vpmu_session_add_guest(session, guest, false, &error) < 0)
		return fail(&error);
	printer.symbolizer = vpmu_session_symbolizer(session);
	if (argc > 3 && vpmu_symbolizer_guest_file(printer.symbolizer, 0, VPMU_GUEST_IMAGE, argv[3],
						   0, &error) < 0)
		return fail(&error);
	vpmu_session_on_sample(session, print, &printer);
	if (vpmu_session_start(session, &error) < 0)
		return fail(&error);
	while (printer.left > 0 && r >= 0)
		r = vpmu_session_poll(session, -1, &error);
	vpmu_session_free(session);
	vpmu_guests_free(guests);
	return r < 0 ? fail(&error) : 0;
}
