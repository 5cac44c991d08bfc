/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the time of a recording went: opens a perf.data file, prints its heaviest functions and what they stand on. */
#include <inttypes.h>
#include <stdio.h>
#include <vpmu/vpmu.h>

static int fail(const struct vpmu_error *error)
{
	fprintf(stderr, "report: %s\n", error->text);
	if (error->hint[0])
		fprintf(stderr, "report: %s\n", error->hint);
	return 1;
}

static void print_coverage(const struct vpmu_coverage *c)
{
	printf("%" PRIu64 " samples (%s): %" PRIu64 " guest, %" PRIu64 " host; %" PRIu64
	       " have a name, %" PRIu64 " lost\n",
	       c->samples, c->source, vpmu_coverage_guest(c), vpmu_coverage_host(c), c->resolved,
	       c->lost);
}

static int print_report(const struct vpmu_profile *profile, struct vpmu_error *error)
{
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "side,dso,symbol", .limit = 10);
	struct vpmu_report *report;
	const struct vpmu_row *row;

	if (vpmu_report_new(profile, &opts, &report, error) < 0)
		return -1;
	for (size_t i = 0; (row = vpmu_report_row(report, i)); i++)
		printf("%6.2f%%  %-12s  %-24s  %s\n", row->percent, row->keys[VPMU_KEY_SIDE],
		       row->keys[VPMU_KEY_DSO], row->keys[VPMU_KEY_SYMBOL]);
	vpmu_report_free(report);
	return 0;
}

/* A profile stands by itself once its addresses have names: the recording may go. */
static int load(const char *path, struct vpmu_profile *profile, struct vpmu_error *error)
{
	struct vpmu_recording *recording;
	struct vpmu_coverage coverage;
	int r;

	r = vpmu_recording_open(path, NULL, &recording, error);
	if (r < 0)
		return r;
	r = vpmu_recording_read(recording, vpmu_profile_add, profile, error);
	vpmu_recording_coverage(recording, &coverage);
	if (r == 0)
		r = vpmu_profile_resolve(profile, vpmu_recording_symbolizer(recording), &coverage,
					 error);
	vpmu_recording_free(recording);
	return r;
}

int main(int argc, char **argv)
{
	struct vpmu_profile *profile;
	struct vpmu_coverage coverage;
	struct vpmu_error error;
	int status = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: report FILE\n");
		return 2;
	}
	if (vpmu_profile_new(NULL, &profile, &error) < 0)
		return fail(&error);
	if (load(argv[1], profile, &error) < 0 || print_report(profile, &error) < 0) {
		status = fail(&error);
	} else {
		vpmu_profile_coverage(profile, &coverage);
		print_coverage(&coverage);
	}
	vpmu_profile_free(profile);
	return status;
}
