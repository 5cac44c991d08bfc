/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "self_guest.h"

static struct vpmu_exits *new_exits(struct vpmu_exits_opts *opts)
{
	struct vpmu_exits *exits = NULL;
	struct vpmu_error error = {};

	if (vpmu_exits_new(opts, &exits, &error) < 0)
		FAIL("%s", error.text);
	return exits;
}

/* Starts on @info; skips the test where BPF programs may not be loaded. */
static struct vpmu_exits *started(const struct vpmu_guest_info *info, unsigned int keys)
{
	VPMU_OPTS(vpmu_exits_opts, opts, .keys = keys);
	struct vpmu_exits *exits = new_exits(&opts);
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_exits_add_guest(exits, info, &error), 0);
	CHECK_EQ(vpmu_exits_add_guest(exits, info, &error), 0); /* once more is no more */
	if (vpmu_exits_start(exits, &error) < 0)
		skip(error.text);
	return exits;
}

static struct vpmu_exit_rows read_rows(struct vpmu_exits *exits, enum vpmu_count_since since)
{
	struct vpmu_exit_rows rows = {};
	struct vpmu_error error = {};

	if (vpmu_exits_read(exits, since, &rows, &error) < 0)
		FAIL("%s", error.text);
	return rows;
}

TEST(options_of_tomorrow_and_unknown_keys_are_refused)
{
	struct {
		struct vpmu_exits_opts known;
		uint64_t unknown;
	} newer = { .known.sz = sizeof(newer), .unknown = 1 };
	VPMU_OPTS(vpmu_exits_opts, keys, .keys = 1u << VPMU_EXIT_KEY_COUNT);
	VPMU_OPTS(vpmu_exits_opts, rows, .max_rows = UINT32_MAX);
	struct vpmu_exits *exits = (struct vpmu_exits *)&newer;
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_exits_new(&newer.known, &exits, &error), -EINVAL);
	CHECK_EQ(vpmu_exits_new(&keys, &exits, &error), -EINVAL);
	CHECK_EQ(vpmu_exits_new(&rows, &exits, &error), -EINVAL);
	CHECK(exits == (struct vpmu_exits *)&newer);
	CHECK(!vpmu_exits_free(NULL));
}

TEST(nothing_is_read_before_the_start_and_nothing_starts_without_a_guest)
{
	struct vpmu_exits *exits = new_exits(NULL);
	struct vpmu_exit_rows rows;
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_exits_read(exits, VPMU_SINCE_START, &rows, &error), -EINVAL);
	CHECK_EQ(vpmu_exits_refresh(exits, &error), -EINVAL);
	CHECK_EQ(vpmu_exits_start(exits, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "no guest");
	CHECK_STR(vpmu_exits_missing(exits), "");
	CHECK(!vpmu_exits_guest(exits, 0));
	vpmu_exits_free(exits);
}

/* It runs, and is no vCPU: so nothing is to be seen of exits, as with a KVM that does not tell. */
TEST(a_vcpu_that_runs_without_exits_is_said_to)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	pid_t pid = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 3, .tid = pid };
	struct vpmu_guest_info info = self_guest(pid, &vcpu);
	struct vpmu_exits *exits = started(&info, 1u << VPMU_EXIT_PORT);
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_exits_start(exits, &error), -EINVAL);
	WAIT_UNTIL(*vpmu_exits_silent(exits), {
		pause_ms(20);
		CHECK_EQ(read_rows(exits, VPMU_SINCE_LAST).n, 0);
	});
	CHECK_CONTAINS(vpmu_exits_silent(exits), "kvm_exit");
	CHECK_STR(vpmu_exits_guest(exits, 0)->name, "self");
	end_child(pid);
	CHECK_EQ(vpmu_exits_refresh(exits, &error), -ESRCH);
	CHECK_EQ(read_rows(exits, VPMU_SINCE_START).n, 0);
	vpmu_exits_free(exits);
}

static double cpu_seconds(pid_t pid)
{
	struct timespec t = {};
	clockid_t clock;

	CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
	CHECK_EQ(clock_gettime(clock, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Its first reading is after its end: how long it ran has to be known by then. */
TEST(a_vcpu_that_ran_and_is_gone_is_said_to_have_been_without_exits)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	pid_t pid = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = pid };
	struct vpmu_guest_info info = self_guest(pid, &vcpu);
	struct vpmu_exits *exits = started(&info, 1u << VPMU_EXIT_REASON);
	const struct timespec pause = { .tv_nsec = 20000000 };
	double before = cpu_seconds(pid);
	struct vpmu_error error = {};

	while (cpu_seconds(pid) - before < 0.1)
		nanosleep(&pause, NULL);
	CHECK_EQ(vpmu_exits_refresh(exits, &error), 0);
	end_child(pid);
	CHECK_EQ(vpmu_exits_refresh(exits, &error), -ESRCH);
	CHECK_EQ(read_rows(exits, VPMU_SINCE_START).n, 0);
	CHECK_CONTAINS(vpmu_exits_silent(exits), "kvm_exit");
	CHECK_EQ(read_rows(exits, VPMU_SINCE_LAST).n, 0);
	CHECK_EQ(vpmu_exits_forget_ended(exits), 0);
	CHECK_EQ(read_rows(exits, VPMU_SINCE_START).n, 0);
	vpmu_exits_free(exits);
}

TEST(a_guest_that_is_gone_is_not_taken)
{
	pid_t pid = busy_child();
	struct vpmu_guest_info info = self_guest(pid, NULL);
	struct vpmu_exits *exits = new_exits(NULL);
	struct vpmu_error error = {};

	end_child(pid);
	CHECK_EQ(vpmu_exits_add_guest(exits, &info, &error), -ESRCH);
	CHECK_CONTAINS(error.text, "gone");
	vpmu_exits_free(exits);
}

TEST(keys_have_the_names_of_json)
{
	CHECK_STR(vpmu_exit_key_name(VPMU_EXIT_REASON), "reason");
	CHECK_STR(vpmu_exit_key_name(VPMU_EXIT_USER), "user");
	CHECK_STR(vpmu_exit_key_name(99), "unknown");
}

int main(void)
{
	return test_main();
}
