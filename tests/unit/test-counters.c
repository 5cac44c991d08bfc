/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fake_proc.h"
#include "self_guest.h"
#include "toucher.h"

/* ---- asking ---- */

static struct vpmu_counters *counters_on(const char *events, const char *proc_path,
					 const struct vpmu_guest_info *info)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = events);
	struct vpmu_counters *counters = NULL;
	struct vpmu_error error = {};

	opts.guests =
		(struct vpmu_guests_opts){ .sz = sizeof(opts.guests), .proc_path = proc_path };
	if (vpmu_counters_new(&opts, &counters, &error) < 0 ||
	    vpmu_counters_add_guest(counters, info, &error) < 0 ||
	    vpmu_counters_start(counters, &error) < 0)
		FAIL("%s", error.text);
	return counters;
}

static struct vpmu_counts read_counts(struct vpmu_counters *counters, enum vpmu_count_since since)
{
	struct vpmu_counts counts = {};
	struct vpmu_error error;

	if (vpmu_counters_read(counters, since, &counts, &error) < 0)
		FAIL("%s", error.text);
	return counts;
}

/* The row of @event, of thread @tid or any (0). */
static const struct vpmu_count *row(const struct vpmu_counts *counts, pid_t tid, const char *event)
{
	for (size_t i = 0; i < counts->n; i++)
		if (strcmp(counts->items[i].event, event) == 0 &&
		    (!tid || counts->items[i].tid == tid))
			return &counts->items[i];
	FAIL("no row '%s' of thread %d", event, (int)tid);
}

static uint64_t value(const struct vpmu_counts *counts, pid_t tid, const char *event)
{
	const struct vpmu_count *r = row(counts, tid, event);

	if (r->status == VPMU_COUNT_UNAVAILABLE && r->why && strstr(r->why, "no permission"))
		skip(r->why);
	if (r->status != VPMU_COUNT_OK)
		FAIL("%s: %s", event, r->why);
	CHECK(!r->why);
	return r->value;
}

/* ---- a guest of files, whose numbers are known ---- */

struct known {
	unsigned long user, system, guest; /* ticks */
	unsigned long long run_ns, wait_ns;
	unsigned long voluntary, involuntary;
};

static void write_known(struct known k)
{
	char text[512];

	snprintf(
		text, sizeof(text),
		"8 (CPU 3/KVM) R 1 7 7 0 -1 4194368 5 0 0 0 %lu %lu 0 0 20 0 2 0 1000 1000 10 18446744073709551615 "
		"1 2 3 0 0 0 4096 0 0 0 0 0 17 1 0 0 0 %lu 0 1 2 3 4 5 6 7 0\n",
		k.user, k.system, k.guest);
	fake_text(fake_path("7/task/8/stat"), text);
	snprintf(text, sizeof(text), "%llu %llu 17\n", k.run_ns, k.wait_ns);
	fake_text(fake_path("7/task/8/schedstat"), text);
	snprintf(text, sizeof(text),
		 "Name:\tx\nvoluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
		 k.voluntary, k.involuntary);
	fake_text(fake_path("7/task/8/status"), text);
}

static struct vpmu_counters *known_guest(struct known k)
{
	static const struct vpmu_vcpu_info vcpu = { .index = 3, .tid = 8 };
	struct vpmu_guest_info info = { .pid = 7,
					.start_ticks = FAKE_YOUNG,
					.name = "web",
					.uuid = "",
					.exe = "",
					.n_vcpus = 1,
					.vcpus = &vcpu };

	fake_process(7, "vm", 2);
	fake_link(7, "exe", "/usr/bin/vm");
	write_known(k);
	return counters_on("", fake_dir(), &info);
}

TEST(the_scheduler_s_account_becomes_rows)
{
	struct vpmu_counters *counters =
		known_guest((struct known){ 100, 10, 90, 5000000000, 7, 3, 5 });
	struct vpmu_counts counts;

	/* 400 s on a CPU in 20 000 + 3 000 ticks, of which 19 000 in the guest; 31 s of waiting. */
	write_known((struct known){ 20100, 3010, 19090, 405000000000, 31000000007, 104, 1018 });
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_EQ(counts.n, 8);
	CHECK_EQ(row(&counts, 8, "wall-time")->vcpu, 3);
	CHECK_EQ(value(&counts, 8, "guest-time"),
		 400000000000 * 19 / 23 + 1); /* rounded, not cut */
	CHECK_EQ(value(&counts, 8, "guest-time") + value(&counts, 8, "user-time") +
			 value(&counts, 8, "system-time"),
		 400000000000);
	CHECK_EQ(value(&counts, 8, "wait-time"), 31000000000);
	CHECK_EQ(value(&counts, 8, "sleep-time"), 0);
	CHECK_EQ(value(&counts, 8, "wall-time"), 431000000000);
	CHECK_EQ(value(&counts, 8, "voluntary-switches"), 101);
	CHECK_EQ(value(&counts, 8, "involuntary-switches"), 1013);
	CHECK_STR(row(&counts, 8, "wait-time")->base, "wall-time");
	CHECK(row(&counts, 8, "wait-time")->ratio > 0.0719 &&
	      row(&counts, 8, "wait-time")->ratio < 0.0720);
	CHECK_EQ(row(&counts, 8, "guest-time")->sides, VPMU_SIDES_GUEST);
	CHECK_CMP(row(&counts, 8, "guest-time")->step_ns, >, 0);
	CHECK_EQ(row(&counts, 8, "wait-time")->step_ns, 0);
	vpmu_counters_free(counters);
}

TEST(intervals_begin_where_the_last_one_ended)
{
	struct vpmu_counters *counters =
		known_guest((struct known){ .run_ns = 11, .voluntary = 1 });
	struct vpmu_counts counts;
	uint64_t end_ns;

	write_known((struct known){
		.guest = 100, .user = 100, .run_ns = 11 + 1009000000, .voluntary = 8 });
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_EQ(value(&counts, 8, "guest-time"), 1009000000);
	CHECK_EQ(value(&counts, 8, "voluntary-switches"), 7);
	end_ns = counts.end_ns;
	write_known((struct known){
		.guest = 100, .user = 150, .run_ns = 11 + 1509000000, .voluntary = 8 });
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_EQ(counts.start_ns, end_ns);
	CHECK_EQ(value(&counts, 8, "guest-time"), 0);
	CHECK_EQ(value(&counts, 8, "user-time"), 500000000);
	CHECK_EQ(value(&counts, 8, "voluntary-switches"), 0);
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_EQ(value(&counts, 8, "user-time") + value(&counts, 8, "guest-time"), 1509000000);
	vpmu_counters_free(counters);
}

TEST(what_the_kernel_does_not_tell_is_not_zero)
{
	struct vpmu_counters *counters = known_guest((struct known){ .user = 5 });
	struct vpmu_counts counts;

	CHECK_EQ(remove(fake_path("7/task/8/schedstat")), 0);
	CHECK_EQ(remove(fake_path("7/task/8/status")), 0);
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_EQ(row(&counts, 8, "wait-time")->status, VPMU_COUNT_UNAVAILABLE);
	CHECK_CONTAINS(row(&counts, 8, "wait-time")->why, "sleep-time");
	CHECK_EQ(row(&counts, 8, "voluntary-switches")->status, VPMU_COUNT_UNAVAILABLE);
	CHECK_EQ(row(&counts, 8, "user-time")->status, VPMU_COUNT_OK);
	vpmu_counters_free(counters);
}

/* ---- real threads ---- */

TEST(page_faults_and_switches_are_counted_to_the_last_one)
{
	struct toucher t = toucher_start();
	struct vpmu_vcpu_info vcpu = { .index = 3, .tid = t.pid };
	struct vpmu_guest_info info = self_guest(t.pid, &vcpu);
	struct vpmu_counters *counters = counters_on("page-faults,context-switches", NULL, &info);
	struct vpmu_counts counts;

	for (int i = 0; i < 7; i++)
		toucher_touch(&t, 101);
	toucher_wait(&t);
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_EQ(value(&counts, t.pid, "page-faults"), 7 * 101);
	CHECK_CMP(value(&counts, t.pid, "voluntary-switches"), <=, 7);
	CHECK_EQ(value(&counts, t.pid, "context-switches"),
		 value(&counts, t.pid, "voluntary-switches") +
			 value(&counts, t.pid, "involuntary-switches"));
	CHECK_EQ(row(&counts, t.pid, "page-faults")->sides, VPMU_SIDES_ALL);
	toucher_touch(&t, 53);
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_EQ(value(&counts, t.pid, "page-faults"), 53);
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_EQ(value(&counts, t.pid, "page-faults"), 7 * 101 + 53);
	vpmu_counters_free(counters);
	toucher_end(&t);
}

TEST(times_add_up_to_the_wall_clock)
{
	pid_t busy = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = busy };
	struct vpmu_guest_info info = self_guest(busy, &vcpu);
	struct vpmu_counters *counters = counters_on("", NULL, &info);
	struct vpmu_counts counts;
	uint64_t parts, wall;

	/* It never sleeps; but accounts may be a tick old, or a wait on a busy machine. */
	WAIT_UNTIL((counts = read_counts(counters, VPMU_SINCE_START),
		    value(&counts, busy, "sleep-time") < value(&counts, busy, "wall-time") / 2 &&
		    value(&counts, busy, "wall-time") >= 300000000),
		   pause_ms(100));
	end_child(busy);
	wall = value(&counts, busy, "wall-time");
	parts = value(&counts, busy, "user-time") + value(&counts, busy, "guest-time") +
		value(&counts, busy, "system-time") + value(&counts, busy, "sleep-time") +
		value(&counts, busy, "wait-time");
	CHECK_EQ(parts, wall);
	CHECK_EQ(value(&counts, busy, "guest-time"), 0);
	vpmu_counters_free(counters);
}

TEST(a_thread_that_ends_keeps_its_last_values)
{
	struct toucher t = toucher_start();
	struct vpmu_vcpu_info vcpu = { .index = 3, .tid = t.pid };
	struct vpmu_guest_info info = self_guest(t.pid, &vcpu);
	struct vpmu_counters *counters = counters_on("page-faults", NULL, &info);
	struct vpmu_counts counts;
	struct vpmu_error error;
	pid_t tid = t.pid;

	toucher_touch(&t, 211);
	CHECK_EQ(vpmu_counters_refresh(counters, &error), 0);
	toucher_end(&t);
	CHECK_EQ(vpmu_counters_refresh(counters, &error), -ESRCH);
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_CMP(value(&counts, tid, "page-faults"), >=, 211); /* ending has a few of its own */
	CHECK(row(&counts, tid, "page-faults")->ended);
	CHECK_EQ(row(&counts, tid, "wall-time")->status, VPMU_COUNT_PARTIAL);
	CHECK_CMP(row(&counts, tid, "wall-time")->value, >, 0);
	counts = read_counts(counters, VPMU_SINCE_LAST);
	CHECK_EQ(counts.n, 0); /* told before */
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_CMP(value(&counts, tid, "page-faults"), >=, 211);
	vpmu_counters_free(counters);
}

TEST(what_cannot_be_counted_says_why)
{
	pid_t busy = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = busy };
	struct vpmu_guest_info info = self_guest(busy, &vcpu);
	struct vpmu_counters *counters = counters_on("cycles,instructions,cpu-clock", NULL, &info);
	struct vpmu_counts counts = read_counts(counters, VPMU_SINCE_START);
	const struct vpmu_count *cycles = row(&counts, busy, "cycles");

	end_child(busy);
	CHECK_EQ(cycles->sides, VPMU_SIDES_GUEST);
	CHECK_EQ(cycles->status != VPMU_COUNT_OK, cycles->why != NULL);
	if (cycles->status == VPMU_COUNT_UNAVAILABLE) {
		CHECK_EQ(cycles->value, 0);
		CHECK(!row(&counts, busy, "instructions")->base);
	}
	CHECK(row(&counts, busy, "cpu-clock")->is_time);
	vpmu_counters_free(counters);
}

TEST(what_is_withheld_is_not_opened_and_says_why)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = "page-faults,cpu-migrations");
	pid_t busy = busy_child();
	struct vpmu_vcpu_info vcpu = { .index = 0, .tid = busy };
	struct vpmu_guest_info info = self_guest(busy, &vcpu);
	struct vpmu_counters *counters = NULL;
	struct vpmu_counts counts;

	CHECK_EQ(vpmu_counters_new(&opts, &counters, NULL), 0);
	CHECK_STR(vpmu_counters_event(counters, 0)->name, "page-faults");
	CHECK(!vpmu_counters_event(counters, 0)->is_hardware && !vpmu_counters_event(counters, 2));
	CHECK_EQ(vpmu_counters_withhold(counters, 2, "there is none"), -EINVAL);
	CHECK_EQ(vpmu_counters_withhold(counters, 1, ""), -EINVAL);
	CHECK_EQ(vpmu_counters_withhold(counters, 1, "others need it"), 0);
	CHECK_EQ(vpmu_counters_add_guest(counters, &info, NULL), 0);
	CHECK_EQ(vpmu_counters_withhold(counters, 0, "too late"), -EINVAL);
	CHECK_EQ(vpmu_counters_start(counters, NULL), 0);
	counts = read_counts(counters, VPMU_SINCE_START);
	CHECK_EQ(row(&counts, busy, "cpu-migrations")->status, VPMU_COUNT_UNAVAILABLE);
	CHECK_STR(row(&counts, busy, "cpu-migrations")->why, "others need it");
	(void)value(&counts, busy, "page-faults");
	vpmu_counters_free(counters);
	end_child(busy);
}

TEST(misuse_is_refused)
{
	VPMU_OPTS(vpmu_counters_opts, opts, .events = "frobnications");
	struct vpmu_guest_info nobody = {
		.pid = 1, .start_ticks = 1, .name = "nobody", .uuid = "", .exe = ""
	};
	struct vpmu_counters *counters = NULL;
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_counters_new(&opts, &counters, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "frobnications");
	CHECK(!counters);
	CHECK_EQ(vpmu_counters_new(NULL, &counters, &error), 0);
	CHECK_EQ(vpmu_counters_start(counters, &error), -EINVAL);
	CHECK_EQ(vpmu_counters_refresh(counters, &error), -EINVAL);
	CHECK_EQ(vpmu_counters_add_guest(counters, &nobody, &error), -ESRCH);
	CHECK_CONTAINS(error.text, "nobody");
	CHECK(!vpmu_counters_guest(counters, 0));
	vpmu_counters_free(counters);
	CHECK(!vpmu_counters_free(NULL));
}

TEST(sides_have_names)
{
	CHECK_STR(vpmu_sides_name(0), "none");
	CHECK_STR(vpmu_sides_name(VPMU_SIDES_GUEST), "guest");
	CHECK_STR(vpmu_sides_name(VPMU_SIDES_HOST), "host");
	CHECK_STR(vpmu_sides_name(VPMU_SIDES_ALL), "both");
	CHECK_STR(vpmu_sides_name(1u << VPMU_SIDE_HOST_USER), "host-user");
}

int main(void)
{
	return test_main();
}
