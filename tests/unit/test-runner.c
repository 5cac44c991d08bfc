/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runners over busy threads and children of this process: needs perf events, but no guest. */
#include <sys/mman.h>
#include <systemd/sd-event.h>

#include "daemon/runner.h"
#include "self_guest.h"
#include "test.h"
#include "util/cleanup.h"

/* A loop, a pool, a runner, and what was heard of it. */
struct stage {
	sd_event *loop;
	struct jobs *jobs;
	struct runner *runner;
	int started, ended, refused, full, cuts;
	struct vpmu_error start_error, end_error, cut_error;
	struct vpmu_profile *profile; /* all cuts together */
};

static void on_started(struct runner *runner, const struct vpmu_error *error, void *data)
{
	struct stage *stage = data;

	CHECK(runner == stage->runner);
	CHECK_EQ(stage->ended, 0);
	stage->started++;
	if (error)
		stage->start_error = *error;
}

static void on_refused(struct runner *runner, pid_t pid, const struct vpmu_error *error, void *data)
{
	struct stage *stage = data;

	CHECK(runner == stage->runner && pid > 0 && error->code < 0);
	stage->refused++;
}

static void on_ended(struct runner *runner, const struct vpmu_error *error, void *data)
{
	struct stage *stage = data;

	CHECK(runner == stage->runner);
	CHECK_EQ(stage->started, 1);
	stage->ended++;
	if (error)
		stage->end_error = *error;
}

static void on_cut(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct stage *stage = data;

	stage->cuts++;
	if (error)
		stage->cut_error = *error;
	else
		CHECK_EQ(vpmu_profile_merge(stage->profile, profile, NULL), 0);
	vpmu_profile_free(profile);
}

static void on_full(struct runner *runner, void *data)
{
	struct stage *stage = data;

	CHECK(runner == stage->runner);
	stage->full++;
}

static const struct runner_events events = {
	.started = on_started, .refused = on_refused, .full = on_full, .ended = on_ended,
};

static struct vpmu_session_opts clock_opts(void)
{
	return (struct vpmu_session_opts){
		.sz = sizeof(struct vpmu_session_opts),
		.events = "cpu-clock",
		.frequency_hz = 1000,
		.symbolizer = { .sz = sizeof(struct vpmu_symbolizer_opts), .cache_dir = "", .no_debuginfod = true },
	};
}

static void stage_begin(struct stage *stage, struct vpmu_session_opts *session, struct runner_opts *opts)
{
	*stage = (struct stage){};
	opts->session = session;
	if (!opts->record_fd)
		opts->record_fd = -1;
	CHECK_EQ(sd_event_new(&stage->loop), 0);
	CHECK_EQ(jobs_new(stage->loop, 1, &stage->jobs, NULL), 0);
	CHECK_EQ(vpmu_profile_new(NULL, &stage->profile, NULL), 0);
	CHECK_EQ(runner_new(stage->jobs, opts, &events, stage, &stage->runner, NULL), 0);
}

static void stage_end(struct stage *stage)
{
	runner_free(stage->runner);
	jobs_free(stage->jobs);
	sd_event_unref(stage->loop);
	vpmu_profile_free(stage->profile);
}

/* Lets the loop run until *@count is @n. */
static void wait_for(struct stage *stage, const int *count, int n)
{
	WAIT_UNTIL(*count >= n, CHECK_CMP(sd_event_run(stage->loop, 10000), >=, 0));
	CHECK_EQ(*count, n);
}

static void start(struct stage *stage)
{
	CHECK_EQ(runner_start(stage->runner), 0);
	wait_for(stage, &stage->started, 1);
	if (stage->start_error.code == -EACCES || stage->start_error.code == -EPERM)
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	CHECK_STR(stage->start_error.text, "");
}

static void stop(struct stage *stage)
{
	runner_stop(stage->runner);
	wait_for(stage, &stage->ended, 1);
	CHECK_STR(stage->end_error.text, "");
}

static struct runner_status wait_for_samples(struct stage *stage, uint64_t n)
{
	struct runner_status status;

	WAIT_UNTIL((runner_status(stage->runner, &status), status.coverage.samples >= n),
		   CHECK_CMP(sd_event_run(stage->loop, 10000), >=, 0));
	return status;
}

TEST(cuts_add_up_to_what_was_sampled)
{
	struct vpmu_session_opts session = clock_opts();
	struct vpmu_coverage coverage;
	struct runner_status status;
	pid_t child = busy_child();
	struct vpmu_guest_info guest = self_guest(child, NULL);
	struct stage stage;

	stage_begin(&stage, &session, &(struct runner_opts){ .profile = true, .whole_process = true });
	CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
	start(&stage);
	for (int i = 1; i <= 3; i++) {
		wait_for_samples(&stage, 20u * (unsigned int)i);
		CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
		wait_for(&stage, &stage.cuts, i);
	}
	stop(&stage);
	/* What came after the last cut, and then nothing. */
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
	wait_for(&stage, &stage.cuts, 4);
	CHECK_EQ(stage.cut_error.code, 0);
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
	wait_for(&stage, &stage.cuts, 5);
	CHECK_EQ(stage.cut_error.code, -ENODATA);
	runner_status(stage.runner, &status);
	vpmu_profile_coverage(stage.profile, &coverage);
	CHECK_CMP(coverage.samples, >=, 60);
	CHECK_EQ(coverage.samples, status.coverage.samples);
	CHECK_EQ(vpmu_coverage_host(&coverage), vpmu_coverage_host(&status.coverage));
	CHECK_EQ(status.n_guests, 1);
	CHECK_EQ(status.source, VPMU_SOURCE_EVENTS);
	stage_end(&stage);
	end_child(child);
}

TEST(a_profile_that_is_full_loses_the_rest_and_says_so)
{
	struct vpmu_session_opts session = clock_opts();
	struct runner_opts opts = { .profile = true, .whole_process = true, .profile_bytes = 512 * 1024 };
	struct vpmu_coverage coverage;
	struct runner_status status;
	pid_t child = busy_child();
	struct vpmu_guest_info guest = self_guest(child, NULL);
	struct stage stage;

	stage_begin(&stage, &session, &opts);
	CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
	start(&stage);
	wait_for(&stage, &stage.full, 1);
	/* One round later, for sure; then there are some that came behind. */
	runner_status(stage.runner, &status);
	status = wait_for_samples(&stage, status.coverage.samples + 1);
	wait_for_samples(&stage, status.coverage.samples + 1);
	CHECK_EQ(stage.full, 1);
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
	wait_for(&stage, &stage.cuts, 1);
	/* There is room again, until the next sample. */
	wait_for(&stage, &stage.full, 2);
	stop(&stage);
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
	wait_for(&stage, &stage.cuts, 2);
	runner_status(stage.runner, &status);
	vpmu_profile_coverage(stage.profile, &coverage);
	CHECK_CMP(coverage.samples, >, 0);
	CHECK_CMP(coverage.lost, >, 0);
	CHECK_EQ(coverage.samples + coverage.lost, status.coverage.samples + status.coverage.lost);
	stage_end(&stage);
	end_child(child);
}

TEST(guests_come_later)
{
	struct vpmu_session_opts session = clock_opts();
	pid_t child = busy_child();
	struct vpmu_guest_info guest = self_guest(child, NULL), gone = guest;
	struct runner_status status;
	struct stage stage;

	session.wait_for_guests = true;
	stage_begin(&stage, &session, &(struct runner_opts){ .profile = true, .whole_process = true });
	start(&stage);
	gone.start_ticks++;
	CHECK_EQ(runner_add_guest(stage.runner, &gone), 0);
	CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
	wait_for_samples(&stage, 20);
	/* The guest dies; the session waits for another. */
	end_child(child);
	child = busy_child();
	guest = self_guest(child, NULL);
	CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
	for (status.n_guests = 0; status.n_guests < 2; runner_status(stage.runner, &status))
		CHECK_CMP(sd_event_run(stage.loop, 10000), >=, 0);
	wait_for_samples(&stage, status.coverage.samples + 20);
	CHECK_EQ(stage.refused, 0);
	CHECK_EQ(stage.ended, 0);
	stop(&stage);
	stage_end(&stage);
	end_child(child);
}

TEST(a_session_ends_with_its_time_and_with_its_last_guest)
{
	for (int with_time = 0; with_time < 2; with_time++) {
		struct vpmu_session_opts session = clock_opts();
		struct runner_opts opts = { .whole_process = true, .duration_ns = with_time ? 50000000 : 0 };
		pid_t child = busy_child();
		struct vpmu_guest_info guest = self_guest(child, NULL);
		struct stage stage;

		stage_begin(&stage, &session, &opts);
		CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
		start(&stage);
		if (!with_time)
			kill(child, SIGKILL);
		wait_for(&stage, &stage.ended, 1);
		CHECK_STR(stage.end_error.text, "");
		stage_end(&stage);
		end_child(child);
	}
}

TEST(a_session_that_cannot_start_says_why)
{
	struct vpmu_session_opts session = clock_opts();
	struct stage stage;

	session.events = "no-such-event";
	stage_begin(&stage, &session, &(struct runner_opts){ .profile = true });
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), -EINVAL);
	CHECK_EQ(runner_start(stage.runner), 0);
	CHECK_EQ(runner_start(stage.runner), -EALREADY);
	CHECK_EQ(runner_cut(stage.runner, on_cut, &stage), 0);
	wait_for(&stage, &stage.cuts, 1);
	CHECK_CMP(stage.cut_error.code, <, 0);
	wait_for(&stage, &stage.started, 1);
	CHECK_EQ(stage.start_error.code, -EINVAL);
	CHECK_CONTAINS(stage.start_error.text, "no-such-event");
	runner_stop(stage.runner);
	CHECK_EQ(stage.ended, 0);
	stage_end(&stage);
}

static void count(const struct vpmu_sample *sample, void *data)
{
	(void)sample;
	++*(uint64_t *)data;
}

TEST(a_recording_in_a_descriptor_is_complete)
{
	struct vpmu_session_opts session = clock_opts();
	struct vpmu_recording *recording = NULL;
	struct vpmu_coverage coverage;
	struct runner_status status;
	pid_t child = busy_child();
	struct vpmu_guest_info guest = self_guest(child, NULL);
	int fd = memfd_create("recording", MFD_CLOEXEC), kept = dup(fd);
	struct stage stage;
	uint64_t n = 0;
	char path[64];

	stage_begin(&stage, &session, &(struct runner_opts){ .record_fd = fd, .whole_process = true });
	CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
	start(&stage);
	wait_for_samples(&stage, 50);
	stop(&stage);
	runner_status(stage.runner, &status);
	CHECK_EQ(status.bytes, lseek(kept, 0, SEEK_END));
	stage_end(&stage);
	end_child(child);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", kept);
	CHECK_EQ(vpmu_recording_open(path, NULL, &recording, NULL), 0);
	CHECK_EQ(vpmu_recording_read(recording, count, &n, NULL), 0);
	CHECK_EQ(n, status.coverage.samples);
	vpmu_recording_coverage(recording, &coverage);
	CHECK_EQ(coverage.samples, status.coverage.samples);
	vpmu_recording_free(recording);
	close(kept);
}

static void never(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	(void)profile;
	(void)error;
	(void)data;
	FAIL("a callback after runner_free()");
}

TEST(nothing_is_heard_of_a_runner_that_was_freed)
{
	pid_t child = busy_child();
	struct vpmu_guest_info guest = self_guest(child, NULL);

	for (int i = 0; i < 30; i++) {
		struct vpmu_session_opts session = clock_opts();
		struct stage stage;

		stage_begin(&stage, &session, &(struct runner_opts){ .profile = true, .whole_process = true });
		CHECK_EQ(runner_add_guest(stage.runner, &guest), 0);
		if (i % 3 == 1)
			start(&stage);
		else if (i % 3 == 2)
			CHECK_EQ(runner_start(stage.runner), 0);
		if (i % 3 && i % 2)
			CHECK_EQ(runner_cut(stage.runner, never, NULL), 0);
		if (i % 5 == 0)
			pause_ms(5);
		stage.runner = runner_free(stage.runner);
		stage_end(&stage);
	}
	end_child(child);
}

int main(void)
{
	return test_main();
}
