/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A monitoring agent: samples all guests of this host, now and later, and prints each interval's hottest places. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/vpmu.h>

static struct vpmu_error error;

static int fail(void)
{
	fprintf(stderr, "agent: %s\n", error.text);
	return 1;
}

/* One that is gone again by the time it is added is no reason to stop. */
static void follow(enum vpmu_guest_change change, const struct vpmu_guest_info *guest,
		   const struct vpmu_vcpu_info *vcpu, void *session)
{
	(void)vcpu;
	if (change == VPMU_GUEST_APPEARED && vpmu_session_add_guest(session, guest, false, &error) < 0)
		fail();
}

/* Names the interval's addresses and prints the first rows of both halves. */
static int print(struct vpmu_session *session, struct vpmu_profile *profile)
{
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "guest,side,symbol", .limit = 3);
	struct vpmu_report *report = NULL;
	struct vpmu_coverage coverage;
	const struct vpmu_row *row;

	vpmu_session_coverage(session, &coverage);
	if (vpmu_profile_resolve(profile, vpmu_session_symbolizer(session), &coverage, &error) < 0 ||
	    vpmu_report_new(profile, &opts, &report, &error) < 0)
		return -1;
	for (size_t i = 0; (row = vpmu_report_row(report, i)); i++)
		printf("%s  %5.1f%%  %s  %s\n", row->keys[VPMU_KEY_GUEST], row->percent,
		       row->keys[VPMU_KEY_SIDE], row->keys[VPMU_KEY_SYMBOL]);
	printf("-- %" PRIu64 " samples until now, of %s\n", coverage.samples, coverage.source);
	vpmu_report_free(report);
	return 0;
}

int main(int argc, char **argv)
{
	long seconds = argc == 3 ? atol(argv[1]) : 0, intervals = argc == 3 ? atol(argv[2]) : 0;
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 99, .wait_for_guests = true);
	struct vpmu_session *session = NULL;
	struct vpmu_guests *guests = NULL;

	if (seconds < 1 || intervals < 1)
		return fputs("usage: agent SECONDS INTERVALS\n", stderr), 2;
	if (vpmu_guests_new(NULL, &guests, &error) < 0 || vpmu_session_new(&opts, &session, &error) < 0)
		return fail();
	for (size_t i = 0; i < vpmu_guests_count(guests); i++)
		follow(VPMU_GUEST_APPEARED, vpmu_guests_get(guests, i), NULL, session);
	if (vpmu_session_start(session, &error) < 0)
		return fail();
	for (; intervals > 0; intervals--) {
		struct vpmu_profile *profile;
		time_t end = time(NULL) + seconds;

		if (vpmu_profile_new(NULL, &profile, &error) < 0)
			return fail();
		vpmu_session_on_sample(session, vpmu_profile_add, profile);
		while (time(NULL) < end && vpmu_session_poll(session, 500, &error) >= 0)
			vpmu_guests_refresh(guests, follow, session, NULL);
		if (print(session, profile) < 0)
			return fail();
		vpmu_profile_free(profile);
		vpmu_session_forget(session); /* what was kept for the names of this interval */
	}
	vpmu_session_free(session);
	vpmu_guests_free(guests);
	return 0;
}
