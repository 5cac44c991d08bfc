/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an always-on session costs its process: one that takes in each sample, as the always-on session of a kernel that refuses the program
 * does, and one whose samples are counted in the kernel, in turns. usage: bench-counted chains|no-chains HZ SECONDS ROUNDS GUEST…
 *
 * One line each: samples, how many of them were delivered by themselves or for others, CPU time of this process (user, kernel) for each thousand of
 * samples, how often it slept, and what the program took in each interrupt.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <vpmu/vpmu.h>

struct run {
	struct vpmu_profile *profile;
	uint64_t delivered;
};

static _Noreturn void die(const char *what, const struct vpmu_error *error)
{
	fprintf(stderr, "%s: %s\n", what, error ? error->text : strerror(errno));
	exit(1);
}

static void take(const struct vpmu_sample *sample, void *data)
{
	struct run *run = data;

	run->delivered++;
	vpmu_profile_add(sample, run->profile);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Of the programs with our name; others of that name are idle, or the figure is of no use. */
static void program_time(uint64_t *ret_runs, uint64_t *ret_ns)
{
	uint32_t id = 0;

	*ret_runs = *ret_ns = 0;
	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = {};
		uint32_t n = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &n) == 0 && strcmp(info.name, "vpmu_sample") == 0) {
			*ret_runs += info.run_cnt;
			*ret_ns += info.run_time_ns;
		}
		if (fd >= 0)
			close(fd);
	}
}

static struct vpmu_session *open_session(bool aggregate, bool chains, uint32_t hz, char **names, struct vpmu_error *error)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock", .frequency_hz = hz, .pace_ms = aggregate ? 90000 : 10000,
		  .follow_ms = 30000, .ring_bytes = chains ? 128 << 10 : 32 << 10, .host_chains = chains, .guest_chains = chains,
		  .aggregate = aggregate);
	struct vpmu_session *session = NULL;
	struct vpmu_guests *guests = NULL;
	const struct vpmu_guest_info *guest;

	if (vpmu_guests_new(NULL, &guests, error) < 0 || vpmu_session_new(&opts, &session, error) < 0)
		die("session", error);
	for (; *names; names++)
		if (vpmu_guests_find(guests, *names, &guest, error) < 0 || vpmu_session_add_guest(session, guest, false, error) < 0)
			die(*names, error);
	vpmu_guests_free(guests);
	return session;
}

static void measure(bool aggregate, bool chains, uint32_t hz, uint64_t seconds, char **names)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = chains);
	struct vpmu_error error = {};
	struct vpmu_session *session = open_session(aggregate, chains, hz, names, &error);
	struct rusage before, after;
	struct vpmu_coverage coverage;
	struct run run = {};
	uint64_t cpu_ns, until_ns, runs, program_ns, runs_before, program_ns_before;

	if (vpmu_profile_new(&opts, &run.profile, &error) < 0 ||
	    vpmu_profile_add_event(run.profile, vpmu_session_event(session, 0), &error) < 0)
		die("profile", &error);
	vpmu_session_on_sample(session, take, &run);
	if (vpmu_session_start(session, &error) < 0)
		die("start", &error);
	program_time(&runs_before, &program_ns_before);
	getrusage(RUSAGE_SELF, &before);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	until_ns = clock_ns(CLOCK_MONOTONIC) + seconds * 1000000000;
	while (clock_ns(CLOCK_MONOTONIC) < until_ns)
		if (vpmu_session_poll(session, (int)((until_ns - clock_ns(CLOCK_MONOTONIC)) / 1000000 + 1), &error) < 0)
			die("poll", &error);
	program_time(&runs, &program_ns);
	if (vpmu_session_stop(session, &error) < 0)
		die("stop", &error);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	getrusage(RUSAGE_SELF, &after);
	vpmu_session_coverage(session, &coverage);
	runs -= runs_before;
	printf("%-11s %8" PRIu64 " samples %7" PRIu64 " deliveries %4" PRIu64 " lost %8.1f us CPU per 1000 %5ld sleeps %8.0f ns a run of the program\n",
	       aggregate ? "counted" : "one by one", coverage.samples, run.delivered, coverage.lost,
	       coverage.samples ? (double)cpu_ns / (double)coverage.samples : 0, after.ru_nvcsw - before.ru_nvcsw,
	       runs ? (double)(program_ns - program_ns_before) / (double)runs : 0);
	fflush(stdout);
	vpmu_profile_free(run.profile);
	vpmu_session_free(session);
}

int main(int argc, char **argv)
{
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (argc < 6)
		return 2;
	for (int i = 0; i < atoi(argv[4]); i++)
		for (int aggregate = 0; aggregate < 2; aggregate++)
			measure(aggregate, strcmp(argv[1], "chains") == 0, (uint32_t)atoi(argv[2]), strtoul(argv[3], NULL, 10), argv + 5);
	if (stats >= 0)
		close(stats);
	return 0;
}
