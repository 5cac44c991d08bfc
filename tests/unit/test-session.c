/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions on threads of this process and of children: needs perf events, but no guest. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "self_guest.h"
#include "test.h"

struct heard {
	uint64_t samples, wrong, of_tid, weight;
	struct vpmu_sample expected; /* tid, guest, vcpu */
	char comm[32];
	pid_t count_tid;
};

static void hear(const struct vpmu_sample *sample, void *data)
{
	struct heard *heard = data;

	heard->samples++;
	heard->weight += sample->weight;
	heard->of_tid += sample->tid == heard->count_tid;
	heard->wrong +=
		sample->tid != heard->expected.tid || sample->guest != heard->expected.guest ||
		sample->vcpu != heard->expected.vcpu || !sample->time_ns || sample->event != 0 ||
		(sample->side == VPMU_SIDE_HOST_USER && strcmp(sample->comm, heard->comm) != 0);
}

TEST(samples_say_whose_they_are)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_coverage coverage;
	struct vpmu_guest_info info;
	struct vpmu_vcpu_info vcpu = {.index = 3};
	struct heard heard = {.comm = "CPU 3/TEST"};
	struct busy busy;

	busy_start(&busy);
	pthread_setname_np(busy.thread, heard.comm);
	vcpu.tid = busy.tid;
	info = self_guest(getpid(), &vcpu);
	heard.expected = (struct vpmu_sample){.tid = busy.tid, .guest = 0, .vcpu = 3};
	add_self(session, &info, false);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_until(session, 50), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	busy_stop(&busy);
	vpmu_session_coverage(session, &coverage);
	CHECK_CMP(heard.samples, >=, 50);
	CHECK_EQ(heard.wrong, 0);
	CHECK_EQ(coverage.samples, heard.samples);
	CHECK_EQ(coverage.lost, 0);
	CHECK_EQ(coverage.damaged_records, 0);
	CHECK_EQ(vpmu_coverage_host(&coverage) + vpmu_coverage_guest(&coverage), coverage.samples);
	CHECK_STR(coverage.source, "cpu-clock 1000 Hz");
	CHECK_STR(vpmu_session_guest(session, 0)->name, "self");
	CHECK(!vpmu_session_guest(session, 1));
	CHECK(vpmu_session_event(session, 0)->is_clock);
	CHECK(!vpmu_session_event(session, 1));
	vpmu_session_free(session);
}

TEST(only_the_side_asked_for_is_delivered)
{
	unsigned int sides[] = {VPMU_SIDES_HOST, VPMU_SIDES_GUEST};
	uint64_t samples[2];

	for (int i = 0; i < 2; i++) {
		VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .sides = sides[i]);
		struct vpmu_session *session = clock_session(&opts);
		struct vpmu_guest_info info;
		struct heard heard = {};
		struct busy busy;

		busy_start(&busy);
		info = self_guest(getpid(), NULL);
		add_self(session, &info, true);
		vpmu_session_on_sample(session, hear, &heard);
		CHECK_EQ(vpmu_session_start(session, NULL), 0);
		if (sides[i] == VPMU_SIDES_HOST)
			CHECK_CMP(poll_until(session, 50), >=, 0);
		else
			CHECK_CMP(poll_for(session, 200), >=, 0);
		CHECK_EQ(vpmu_session_stop(session, NULL), 0);
		busy_stop(&busy);
		vpmu_session_free(session);
		samples[i] = heard.samples;
	}
	CHECK_CMP(samples[0], >=, 50);
	CHECK_EQ(samples[1], 0); /* a plain thread is on the host's side all the time */
}

struct tallied {
	uint64_t calls, samples, weight, wrong;
	bool chains;
	pid_t tid;
};

static void tally(const struct vpmu_sample *sample, void *data)
{
	struct tallied *tallied = data;

	tallied->calls++;
	tallied->samples += 1 + sample->n_more;
	tallied->weight += sample->weight;
	tallied->wrong += sample->tid != tallied->tid || !sample->time_ns || sample->side == VPMU_SIDE_UNKNOWN ||
			  (tallied->chains && (sample->n_chain < 2 || sample->chain[1] != sample->ip));
}

/* A loop of three instructions and some interrupts: much is the same. */
static void check_aggregate(bool chains)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .aggregate = true, .pace_ms = 60000, .host_chains = chains);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_coverage coverage;
	struct vpmu_vcpu_info vcpu = {};
	struct vpmu_guest_info info;
	struct tallied tallied = {.chains = chains};
	struct busy busy;

	busy_start(&busy);
	tallied.tid = vcpu.tid = busy.tid;
	info = self_guest(getpid(), &vcpu);
	add_self(session, &info, false);
	vpmu_session_on_sample(session, tally, &tallied);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	busy_run_ms(&busy, 500);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	busy_stop(&busy);
	vpmu_session_coverage(session, &coverage);
	vpmu_session_free(session);
	CHECK_CMP(coverage.samples, >=, 100);
	CHECK_EQ(tallied.samples, coverage.samples);
	CHECK_EQ(tallied.weight, coverage.samples * 1000000);
	CHECK_EQ(tallied.wrong, 0);
	CHECK_EQ(coverage.lost, 0);
	if (tallied.calls == tallied.samples)
		skip("samples are not counted in the kernel here");
	CHECK_CMP(tallied.calls, <, tallied.samples / 2);
}

TEST(what_is_the_same_is_delivered_as_one)
{
	check_aggregate(false);
}

TEST(chains_are_counted_as_well)
{
	if (under_valgrind())
		skip("valgrind runs programs by code of its own, where few chains are the same");
	check_aggregate(true);
}

struct called {
	uint64_t samples, others;
};

static void hear_name(const struct vpmu_sample *sample, void *data)
{
	struct called *called = data;

	called->samples += 1 + sample->n_more;
	called->others += sample->comm && strcmp(sample->comm, "renamed") != 0 ? 1 + sample->n_more : 0;
}

/* What the kernel counted is taken in behind the records that tell whose it is, also at the end. */
TEST(what_is_counted_has_the_name_that_its_thread_got)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .aggregate = true, .pace_ms = 60000);
	struct vpmu_vcpu_info vcpu = {.tid = (pid_t)syscall(SYS_gettid)};
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_guest_info info = self_guest(getpid(), &vcpu);
	struct called called = {};

	add_self(session, &info, false);
	vpmu_session_on_sample(session, hear_name, &called);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_EQ(prctl(PR_SET_NAME, "renamed"), 0);
	burn_ms(500);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	CHECK_CMP(called.samples, >=, 50);
	CHECK_CMP(called.others, <, called.samples / 10); /* before it had it */
}

TEST(a_session_that_aggregates_is_not_recorded)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .aggregate = true);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_session_record(session, "/nonexistent/file", NULL, &error), -EINVAL);
	CHECK(strstr(error.text, "cannot be recorded"));
	vpmu_session_free(session);
}

/* Deeper than the kernel follows; asking for the frame's address makes it keep a frame pointer. */
__attribute__((noinline)) static void deep(struct busy *busy, int depth)
{
	if (depth)
		deep(busy, depth - 1);
	else
		spin(busy);
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)) : "memory");
}

static void *spin_deep(void *data)
{
	deep(data, 1000);
	return NULL;
}

TEST(chains_that_the_kernel_cut_are_counted)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .host_chains = true);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_coverage coverage;
	struct vpmu_vcpu_info vcpu = {};
	struct vpmu_guest_info info;
	struct busy busy = {};

	if (under_valgrind())
		skip("valgrind runs programs on a stack of its own, which is not deep");
	CHECK_EQ(pthread_create(&busy.thread, NULL, spin_deep, &busy), 0);
	while (!busy.tid)
		;
	vcpu.tid = busy.tid;
	info = self_guest(getpid(), &vcpu);
	add_self(session, &info, false);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_until(session, 50), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	busy_stop(&busy);
	vpmu_session_coverage(session, &coverage);
	CHECK_CMP(coverage.truncated_chains, >, coverage.samples / 2);
	CHECK_CMP(coverage.truncated_chains, <=, coverage.samples);
	vpmu_session_free(session);
}

static void hear_of_tid(struct vpmu_session *session, const struct heard *heard)
{
	WAIT_UNTIL(heard->of_tid, CHECK_CMP(poll_for(session, 50), >=, 0));
}

TEST(new_threads_are_followed_and_ended_ones_let_go)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct heard heard = {};
	struct busy busy;
	int fds;

	add_self(session, &info, true);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_for(session, 50), >=, 0);
	fds = count_fds();
	busy_start(&busy);
	heard.count_tid = busy.tid;
	hear_of_tid(session, &heard);
	CHECK_CMP(count_fds(), >, fds);
	busy_stop(&busy);
	WAIT_UNTIL(count_fds() <= fds, CHECK_CMP(poll_for(session, 50), >=, 0));
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
}

/* A busy thread whose id is @tid, which was free; false if somebody else was quicker, or nobody may ask for an id. */
static bool busy_start_as(struct busy *busy, pid_t tid)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (!f)
		skip("choosing a thread's id needs CAP_SYS_ADMIN and /proc/sys/kernel/ns_last_pid");
	fprintf(f, "%d", (int)tid - 1);
	fclose(f);
	busy_start(busy);
	return busy->tid == tid;
}

TEST(a_thread_that_gets_a_dead_ones_id_is_followed_too)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct heard heard = {};
	struct busy busy;
	bool same = false;

	busy_start(&busy);
	add_self(session, &info, true);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	for (int i = 0; i < 10 && !same; i++) {
		/* Until it has been seen, and till the next look is over. */
		heard = (struct heard){.count_tid = busy.tid};
		hear_of_tid(session, &heard);
		CHECK_CMP(poll_for(session, 250), >=, 0);
		busy_stop(&busy);
		same = busy_start_as(&busy, heard.count_tid);
	}
	if (!same)
		skip("others take the thread ids faster");
	CHECK_CMP(poll_for(session, 30), >=, 0); /* what the dead one left */
	heard.of_tid = 0;
	hear_of_tid(session, &heard);
	busy_stop(&busy);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
}

TEST(a_guest_that_dies_ends_the_session_but_not_in_error)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_coverage coverage;
	struct vpmu_error error = {};
	pid_t child = busy_child();
	struct vpmu_guest_info info = self_guest(child, NULL);
	ssize_t r = 0;

	add_self(session, &info, true);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_until(session, 30), >=, 0);
	kill(child, SIGKILL); /* and stays a zombie for now */
	WAIT_UNTIL(r < 0, r = vpmu_session_poll(session, 50, &error));
	CHECK_EQ(r, -ESRCH);
	CHECK_CONTAINS(error.text, "gone");
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_coverage(session, &coverage);
	CHECK_CMP(coverage.samples, >=, 30);
	CHECK_STR(vpmu_session_guest(session, 0)->name, "self");
	waitpid(child, NULL, 0);
	vpmu_session_free(session);
}

TEST(a_guest_can_be_added_to_a_running_session)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	pid_t first = busy_child(), second = busy_child();
	struct vpmu_guest_info one = self_guest(first, NULL), two = self_guest(second, NULL);
	struct heard heard = {.count_tid = second};

	add_self(session, &one, true);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_for(session, 50), >=, 0);
	CHECK_EQ(heard.of_tid, 0);
	add_self(session, &two, true);
	add_self(session, &two, true); /* twice is once */
	hear_of_tid(session, &heard);
	CHECK(!vpmu_session_guest(session, 2));
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	end_child(first);
	end_child(second);
}

TEST(a_guest_that_could_not_be_added_keeps_its_number_while_the_session_runs)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock,task-clock", .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	pid_t first = busy_child(), second = busy_child();
	struct vpmu_guest_info one = self_guest(first, NULL), two = self_guest(second, NULL);
	struct rlimit usual, few;
	struct vpmu_error error;
	int fd;

	add_self(session, &one, true);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
	few = usual;
	fd = dup(0);
	close(fd);
	few.rlim_cur = (rlim_t)fd + 2; /* enough to look, not to open both events */
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	CHECK_EQ(vpmu_session_add_guest(session, &two, true, &error), -EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
	CHECK(vpmu_session_guest(session, 1));
	add_self(session, &two, true);
	CHECK(vpmu_session_guest(session, 2));
	CHECK(!vpmu_session_guest(session, 3));
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	end_child(first);
	end_child(second);
}

TEST(whole_cpus_see_every_process)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000);
	struct vpmu_session *session = clock_session(&opts);
	pid_t child = busy_child();
	struct heard heard = {.count_tid = child};
	struct vpmu_error error = {};
	int r;

	r = vpmu_session_add_cpus(session, &error);
	if (r == -EACCES || r == -EPERM)
		skip("events on whole CPUs need CAP_PERFMON or perf_event_paranoid below 1");
	CHECK_EQ(r, 0);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	hear_of_tid(session, &heard);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	end_child(child);
}

static int fails_with(struct vpmu_session_opts *opts, const char *word)
{
	struct vpmu_session *session = NULL;
	struct vpmu_error error = {};
	int r = vpmu_session_new(opts, &session, &error);

	CHECK(!session);
	CHECK_EQ(error.code, r);
	CHECK_CONTAINS(error.text, word);
	return r;
}

TEST(options_that_cannot_be_are_refused)
{
	VPMU_OPTS(vpmu_session_opts, both, .events = "cpu-clock", .frequency_hz = 99,
		  .period = 1000000);
	VPMU_OPTS(vpmu_session_opts, ring, .events = "cpu-clock", .ring_bytes = 5000);
	VPMU_OPTS(vpmu_session_opts, rate, .events = "cpu-clock", .frequency_hz = 2000000000);
	VPMU_OPTS(vpmu_session_opts, event, .events = "no-such-event");
	VPMU_OPTS(vpmu_session_opts, sides, .events = "cpu-clock", .sides = 1u << 20);
	VPMU_OPTS(vpmu_session_opts, stack, .events = "cpu-clock", .guest_stack_bytes = 20000);

	CHECK_EQ(fails_with(&both, "exclude each other"), -EINVAL);
	CHECK_EQ(fails_with(&ring, "5000 bytes"), -EINVAL);
	CHECK_EQ(fails_with(&rate, "2000000000 Hz"), -EINVAL);
	CHECK_EQ(fails_with(&event, "no-such-event"), -EINVAL);
	CHECK_EQ(fails_with(&sides, "side"), -EINVAL);
	CHECK_EQ(fails_with(&stack, "20000 bytes"), -EINVAL);
}

TEST(calls_out_of_order_are_refused)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_error error = {};
	struct vpmu_guest_info info = self_guest(getpid(), NULL);

	CHECK_EQ(vpmu_session_start(session, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "nothing to profile");
	CHECK_EQ(vpmu_session_poll(session, 0, &error), -EINVAL);
	CHECK_EQ(vpmu_session_stop(session, &error), -EINVAL);
	info.start_ticks++; /* the process that had this pid before */
	CHECK_EQ(vpmu_session_add_guest(session, &info, true, &error), -ESRCH);
	CHECK_CONTAINS(error.text, "gone");
	CHECK(!vpmu_session_guest(session, 0));
	info.start_ticks--;
	add_self(session, &info, true);
	CHECK_EQ(vpmu_session_add_cpus(session, &error), -EINVAL);
	CHECK_EQ(vpmu_session_start(session, &error), 0);
	CHECK_EQ(vpmu_session_start(session, &error), -EINVAL);
	vpmu_session_free(session); /* running */
}

static void *wake_soon(void *session)
{
	pause_ms(20);
	vpmu_session_wake(session);
	return NULL;
}

TEST(a_session_that_waits_can_be_woken_and_needs_no_guest)
{
	VPMU_OPTS(vpmu_session_opts, opts, .wait_for_guests = true, .pace_ms = 3600000);
	struct vpmu_session *session = clock_session(&opts);
	pthread_t thread;

	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	vpmu_session_wake(session); /* nobody waits yet: the next to wait does not */
	CHECK_EQ(vpmu_session_poll(session, -1, NULL), 0);
	CHECK_EQ(pthread_create(&thread, NULL, wake_soon, session), 0);
	CHECK_EQ(vpmu_session_poll(session, -1, NULL), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
}

TEST(adding_a_guest_again_looks_at_its_threads)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 1000, .follow_ms = 3600000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct heard heard = {};
	struct busy busy;

	add_self(session, &info, true);
	vpmu_session_on_sample(session, hear, &heard);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	busy_start(&busy);
	heard.count_tid = busy.tid;
	CHECK_CMP(poll_for(session, 100), >=, 0);
	CHECK_EQ(heard.of_tid, 0);
	add_self(session, &info, true);
	hear_of_tid(session, &heard);
	busy_stop(&busy);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
}

/* The runner looks for descriptors left over; a leak of one a session would also hit the limit. */
TEST(many_sessions_leave_nothing_behind)
{
	struct vpmu_guest_info info;
	int fds = count_fds();
	struct busy busy;

	busy_start(&busy);
	info = self_guest(getpid(), NULL);
	for (int i = 0; i < 100; i++) {
		VPMU_OPTS(vpmu_session_opts, opts);
		struct vpmu_session *session = clock_session(&opts);

		add_self(session, &info, true);
		CHECK_EQ(vpmu_session_start(session, NULL), 0);
		if (i % 2)
			CHECK_EQ(vpmu_session_stop(session, NULL), 0);
		vpmu_session_free(session);
	}
	WAIT_UNTIL(count_fds() == fds, pause_ms(1));
	busy_stop(&busy);
}

int main(void)
{
	return test_main();
}
