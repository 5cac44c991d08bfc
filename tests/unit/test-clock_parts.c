/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/clock_parts.h"
#include "test.h"

#define MS 1000000ull

static struct vpmu_clock_time parts[VPMU_CLOCK_PART_COUNT];

/* Fills parts; those that are known must add up. */
static const char *divide(const struct clock_reading *from, const struct clock_reading *to)
{
	const char *why = clock_parts(from, to, parts);
	uint64_t sum = 0;

	for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
		CHECK(parts[part].known || parts[part].ns == 0);
		sum += parts[part].ns;
	}
	CHECK_EQ(sum, to->time_ns - from->time_ns);
	return why;
}

#define CHECK_PART(part, want) CHECK_EQ(parts[VPMU_CLOCK_##part].ns, want)

TEST(what_was_measured_is_taken_as_it_is)
{
	static struct clock_reading from = { .time_ns = 7, .has_clock = true, .kvm_tells = true }, to;

	from.clock.parts[VPMU_BPF_PART_GUEST] = 7;
	to = from;
	to.clock.has_kvm = 1;
	for (unsigned int part = 0; part < VPMU_BPF_PART_COUNT; part++) {
		to.clock.parts[part] += (part + 1) * MS;
		to.time_ns += (part + 1) * MS;
	}
	CHECK(!divide(&from, &to));
	CHECK_PART(GUEST, 1 * MS);
	CHECK_PART(EXIT, 2 * MS);
	CHECK_PART(QEMU, 3 * MS);
	CHECK_PART(POLL, 4 * MS);
	CHECK_PART(HALT, 5 * MS);
	CHECK_PART(STEAL, 6 * MS);
	CHECK_PART(BLOCKED, 7 * MS);
	CHECK_PART(BLOCKED_KVM, 8 * MS);
	CHECK_PART(UNKNOWN, 9 * MS);
	CHECK(!parts[VPMU_CLOCK_ASLEEP].known);
	CHECK_EQ(parts[VPMU_CLOCK_GUEST].step_ns, 0);
}

/* It was an exit when the last interval ended, and turned out to be polling. */
TEST(what_is_found_out_later_makes_no_part_negative)
{
	static struct clock_reading from = { .has_clock = true }, to = { .has_clock = true };

	from.clock.parts[VPMU_BPF_PART_EXIT] = 90;
	from.clock.parts[VPMU_BPF_PART_GUEST] = 10;
	from.time_ns = 100;
	to.clock.parts[VPMU_BPF_PART_GUEST] = 10;
	to.clock.parts[VPMU_BPF_PART_POLL] = 290;
	to.clock.has_kvm = 1;
	to.time_ns = 300;
	CHECK(!divide(&from, &to));
	CHECK_PART(EXIT, 0);
	CHECK_PART(POLL, 200);
}

/* It seems to wait for 400 ms, 380 of which the scheduler had it on a CPU. */
TEST(a_vcpu_that_ran_did_not_wait_whatever_its_events_say)
{
	static struct clock_reading from = { .has_clock = true, .has_sched = true }, to;

	from.sched = (struct vcpu_time){ .has_sched = true, .run_ns = 5 * MS };
	to = from;
	to.time_ns = 1000 * MS;
	to.clock.has_kvm = 1;
	to.clock.parts[VPMU_BPF_PART_GUEST] = 600 * MS;
	to.clock.parts[VPMU_BPF_PART_STEAL] = 400 * MS;
	to.sched.run_ns += 980 * MS;
	CHECK_CONTAINS(divide(&from, &to), "were not seen");
	CHECK_PART(GUEST, 600 * MS);
	CHECK_PART(STEAL, 20 * MS);
	CHECK_PART(UNKNOWN, 380 * MS);
	/* As much as may be the scheduler's last tick, and its clock. */
	to.sched.run_ns = from.sched.run_ns + 615 * MS;
	CHECK(!divide(&from, &to));
	CHECK_PART(STEAL, 400 * MS);
}

/* 60 ms on a CPU, 6 of which KVM polled; ticks: 30 guest, 10 more of user, 20 system. */
static struct clock_reading without_entries(void)
{
	static struct clock_reading to = { .has_clock = true, .has_sched = true };

	to.time_ns = 100 * MS;
	to.clock.parts[VPMU_BPF_PART_UNKNOWN] = 54 * MS;
	to.clock.parts[VPMU_BPF_PART_POLL] = 6 * MS;
	to.clock.parts[VPMU_BPF_PART_HALT] = 25 * MS;
	to.clock.parts[VPMU_BPF_PART_STEAL] = 15 * MS;
	to.sched = (struct vcpu_time){ .has_sched = true,
				       .run_ns = 60 * MS,
				       .wait_ns = 15 * MS,
				       .guest_ns = 30 * MS,
				       .user_ns = 40 * MS,
				       .system_ns = 20 * MS };
	return to;
}

TEST(where_no_event_tells_the_scheduler_s_account_divides)
{
	static struct clock_reading from = { .has_clock = true, .has_sched = true }, to;

	to = without_entries();
	CHECK_CONTAINS(divide(&from, &to), "no kvm_entry");
	CHECK_PART(GUEST, 30 * MS);
	CHECK_PART(QEMU, 10 * MS);
	CHECK_PART(EXIT, 14 * MS); /* the kernel's, without polling */
	CHECK_PART(POLL, 6 * MS);
	CHECK_PART(HALT, 25 * MS);
	CHECK_PART(STEAL, 15 * MS);
	CHECK_PART(UNKNOWN, 0);
	CHECK_CMP(parts[VPMU_CLOCK_GUEST].step_ns, >, 0);
	CHECK_EQ(parts[VPMU_CLOCK_HALT].step_ns, 0);
	to.kvm_tells = true;
	CHECK_CONTAINS(divide(&from, &to), "did not enter");
	to.kvm_tells = false;
	to.is_emulated = true;
	CHECK_CONTAINS(divide(&from, &to), "emulated");
	CHECK_PART(GUEST, 30 * MS);
}

TEST(without_an_account_either_it_stays_unknown)
{
	static struct clock_reading from = { .has_clock = true }, to;

	to = without_entries();
	to.has_sched = false;
	CHECK(divide(&from, &to));
	CHECK_PART(UNKNOWN, 54 * MS);
	CHECK(!parts[VPMU_CLOCK_GUEST].known && !parts[VPMU_CLOCK_EXIT].known &&
	      !parts[VPMU_CLOCK_QEMU].known);
	CHECK_PART(POLL, 6 * MS);
}

TEST(without_the_program_halted_and_blocked_are_one)
{
	static struct clock_reading from = { .has_sched = true }, to;

	to = without_entries();
	to.has_clock = false;
	CHECK_CONTAINS(divide(&from, &to), "no BPF program");
	CHECK_PART(GUEST, 30 * MS);
	CHECK_PART(QEMU, 10 * MS);
	CHECK_PART(EXIT, 20 * MS);
	CHECK_PART(STEAL, 15 * MS);
	CHECK_PART(ASLEEP, 25 * MS);
	CHECK(!parts[VPMU_CLOCK_HALT].known && !parts[VPMU_CLOCK_BLOCKED].known &&
	      !parts[VPMU_CLOCK_POLL].known);
	to.sched.has_sched = false; /* a kernel without schedstat: ticks are all there is */
	CHECK_CONTAINS(divide(&from, &to), "no account of waiting");
	CHECK(!parts[VPMU_CLOCK_STEAL].known);
	CHECK_PART(ASLEEP, 40 * MS);
}

/* The account is read a moment after the clock. */
TEST(an_account_that_is_ahead_does_not_make_time)
{
	static struct clock_reading from = { .has_sched = true }, to = { .has_sched = true };

	to.time_ns = 10 * MS;
	to.sched = (struct vcpu_time){ .has_sched = true,
				       .run_ns = 11 * MS,
				       .wait_ns = 2 * MS,
				       .guest_ns = 20 * MS,
				       .user_ns = 20 * MS };
	CHECK(divide(&from, &to));
	CHECK_PART(GUEST, 10 * MS);
	CHECK_PART(STEAL, 0);
	CHECK_PART(ASLEEP, 0);
}

int main(void)
{
	return test_main();
}
