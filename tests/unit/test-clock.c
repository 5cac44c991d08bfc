/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "self_guest.h"
#include "util/macro.h"

static struct vpmu_clock *clock_on(const struct vpmu_guest_info *info, bool no_bpf)
{
	VPMU_OPTS(vpmu_clock_opts, opts, .no_bpf = no_bpf);
	struct vpmu_clock *clock = NULL;
	struct vpmu_error error = {};

	if (vpmu_clock_new(&opts, &clock, &error) < 0)
		FAIL("%s", error.text);
	if (!no_bpf && *vpmu_clock_missing(clock))
		skip(vpmu_clock_missing(clock));
	if (vpmu_clock_add_guest(clock, info, &error) < 0 ||
	    vpmu_clock_add_guest(clock, info, &error) < 0 || /* is there already */
	    vpmu_clock_start(clock, &error) < 0)
		FAIL("%s", error.text);
	return clock;
}

static struct vpmu_clock_times read_times(struct vpmu_clock *clock, enum vpmu_count_since since)
{
	struct vpmu_clock_times times = {};
	struct vpmu_error error;

	if (vpmu_clock_read(clock, since, &times, &error) < 0)
		FAIL("%s", error.text);
	for (size_t i = 0; i < times.n; i++) {
		uint64_t sum = 0;

		for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++)
			sum += times.items[i].parts[part].ns;
		CHECK_EQ(sum, times.items[i].wall_ns);
	}
	return times;
}

static uint64_t part(const struct vpmu_clock_times *times, size_t i, enum vpmu_clock_part which)
{
	CHECK(i < times->n);
	CHECK(times->items[i].parts[which].known);
	return times->items[i].parts[which].ns;
}

/* Our own threads pose as vCPUs: they spin, so their time is the hypervisor's. */
static void check_spinner(bool no_bpf)
{
	struct vpmu_vcpu_info vcpu = { .index = 3 };
	struct vpmu_guest_info info;
	struct vpmu_clock_times times;
	struct vpmu_clock *clock;
	unsigned long n_sleeps;
	struct busy busy;

	busy_start(&busy);
	vcpu.tid = busy.tid;
	info = self_guest(getpid(), &vcpu);
	n_sleeps = sleeps_of(busy.tid);
	clock = clock_on(&info, no_bpf);
	busy_run_ms(&busy, 100);
	times = read_times(clock, VPMU_SINCE_START);
	CHECK_EQ(times.n, 1);
	CHECK_EQ(times.items[0].vcpu, 3);
	CHECK_EQ(times.items[0].tid, busy.tid);
	CHECK_STR(vpmu_clock_guest(clock, times.items[0].guest)->name, "self");
	CHECK(times.items[0].why);
	CHECK_EQ(part(&times, 0, VPMU_CLOCK_GUEST), 0);
	CHECK_CMP(part(&times, 0, VPMU_CLOCK_QEMU) + part(&times, 0, VPMU_CLOCK_EXIT), >, 1000000);
	if (no_bpf)
		CHECK(!times.items[0].parts[VPMU_CLOCK_HALT].known);
	else if (sleeps_of(busy.tid) == n_sleeps)
		CHECK_EQ(part(&times, 0, VPMU_CLOCK_BLOCKED), 0);
	vpmu_clock_free(clock);
	busy_stop(&busy);
}

TEST(a_spinning_thread_is_on_a_cpu_or_waits_for_one)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	check_spinner(false);
}

TEST(without_the_program_the_scheduler_tells)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	check_spinner(true);
}

TEST(intervals_begin_where_the_last_one_ended_and_make_up_the_whole)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = getpid() };
	struct vpmu_guest_info info = self_guest(getpid(), &vcpu);
	struct vpmu_clock *clock = clock_on(&info, false);
	uint64_t end_ns = 0, wall_ns = 0, blocked_ns = 0;
	struct vpmu_clock_times times;

	for (int i = 0; i < 5; i++) {
		pause_ms(20);
		times = read_times(clock, VPMU_SINCE_LAST);
		CHECK(i == 0 || times.start_ns == end_ns);
		end_ns = times.end_ns;
		wall_ns += times.items[0].wall_ns;
		blocked_ns += part(&times, 0, VPMU_CLOCK_BLOCKED);
	}
	times = read_times(clock, VPMU_SINCE_START);
	CHECK_CMP(times.items[0].wall_ns, >=, wall_ns);
	CHECK_CMP(part(&times, 0, VPMU_CLOCK_BLOCKED), >=, blocked_ns);
	CHECK_CMP(blocked_ns, >, 50000000);
	vpmu_clock_free(clock);
}

TEST(a_guest_that_ends_leaves_its_times)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	pid_t child = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = child };
	struct vpmu_guest_info info = self_guest(child, &vcpu);
	struct vpmu_clock *clock = clock_on(&info, false);
	struct vpmu_clock_times times;
	struct vpmu_error error;
	uint64_t wall_ns;

	pause_ms(50);
	end_child(child);
	CHECK_EQ(vpmu_clock_refresh(clock, &error), -ESRCH);
	times = read_times(clock, VPMU_SINCE_LAST);
	CHECK_EQ(times.n, 1);
	CHECK(times.items[0].ended);
	wall_ns = times.items[0].wall_ns;
	CHECK_CMP(wall_ns, >, 10000000);
	pause_ms(20);
	times = read_times(clock, VPMU_SINCE_LAST);
	CHECK_EQ(times.n, 0); /* told once */
	times = read_times(clock, VPMU_SINCE_START);
	CHECK_EQ(times.items[0].wall_ns, wall_ns);
	vpmu_clock_forget_ended(clock);
	CHECK_EQ(read_times(clock, VPMU_SINCE_START).n, 0);
	vpmu_clock_free(clock);
}

TEST(misuse_is_refused)
{
	struct vpmu_clock_opts future = { .sz = sizeof(future) };
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct vpmu_clock_times times;
	struct vpmu_clock *clock = NULL;
	struct vpmu_error error;
	VPMU_OPTS(vpmu_clock_opts, opts, .no_bpf = true);

	future.guests.sz = 1;
	CHECK_EQ(vpmu_clock_new(&future, &clock, &error), -EINVAL);
	CHECK(!clock);
	CHECK_EQ(vpmu_clock_new(&opts, &clock, &error), 0);
	CHECK_EQ(vpmu_clock_start(clock, &error), -EINVAL); /* no guest */
	CHECK_EQ(vpmu_clock_read(clock, VPMU_SINCE_START, &times, &error), -EINVAL);
	info.start_ticks++;
	CHECK_EQ(vpmu_clock_add_guest(clock, &info, &error), -ESRCH);
	info.start_ticks--;
	CHECK_EQ(vpmu_clock_add_guest(clock, &info, &error), 0);
	CHECK_EQ(vpmu_clock_start(clock, &error), 0);
	CHECK_EQ(vpmu_clock_start(clock, &error), -EINVAL);
	CHECK(!vpmu_clock_guest(clock, 1));
	CHECK_STR(vpmu_clock_part_name(VPMU_CLOCK_STEAL), "steal");
	vpmu_clock_free(clock);
	vpmu_clock_free(NULL);
}

int main(void)
{
	return test_main();
}
