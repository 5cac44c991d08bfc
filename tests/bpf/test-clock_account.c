/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/clock_account.h on made-up events: each kind of time lands in its part, and whatever is lost or out of
 * order, the parts add up.
 */
#include "bpf/clock_account.h"
#include "unit/test.h"

#define T0  1000000000ull
#define HLT 0x78
#define PIO 0x7b
#define NPF 0x400

static struct vpmu_bpf_clock new_clock(void)
{
	return (struct vpmu_bpf_clock){ .tid = 42, .start_ns = T0, .since_ns = T0 };
}

/* One that is in the guest at T0. */
static struct vpmu_bpf_clock in_guest(void)
{
	struct vpmu_bpf_clock c = new_clock();

	clock_switched_in(&c, T0);
	clock_entry(&c, T0);
	return c;
}

static uint64_t sum(const struct vpmu_bpf_clock *c)
{
	uint64_t all = 0;

	for (int part = 0; part < VPMU_BPF_PART_COUNT; part++)
		all += c->parts[part];
	return all;
}

#define CHECK_PART(c, part, ns) CHECK_EQ((c).parts[VPMU_BPF_PART_##part], ns)
#define CHECK_ADDS_UP(c) CHECK_EQ(sum(&(c)), (c).since_ns - (c).start_ns)

static const struct vpmu_bpf_clock_reason *reason(const struct vpmu_bpf_clock *c, uint32_t code)
{
	for (int i = 0; i <= VPMU_BPF_CLOCK_REASONS; i++)
		if (c->reasons[i].used && c->reasons[i].code == code)
			return &c->reasons[i];
	FAIL("no exits of reason 0x%x", code);
}

TEST(guest_exit_and_hypervisor_get_what_lies_between_their_events)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 1000, PIO);
	clock_userspace(&c, T0 + 1010);
	clock_entry(&c, T0 + 1110);
	clock_exit(&c, T0 + 2110, NPF);
	clock_entry(&c, T0 + 2113);
	clock_until(&c, T0 + 3000);
	CHECK_PART(c, GUEST, 1000 + 1000 + 887);
	CHECK_PART(c, EXIT, 10 + 3);
	CHECK_PART(c, QEMU, 100);
	CHECK_EQ(reason(&c, PIO)->count, 1);
	CHECK_EQ(reason(&c, PIO)->exit_ns, 10);
	CHECK_EQ(reason(&c, PIO)->qemu_ns, 100);
	CHECK_EQ(reason(&c, NPF)->exit_ns, 3);
	CHECK_EQ(c.unpaired, 0);
	CHECK_ADDS_UP(c);
}

TEST(a_preempted_vcpu_waits_wherever_it_was)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, NPF);
	clock_switched_out(&c, T0 + 110, 1, 0);
	clock_switched_in(&c, T0 + 5110);
	clock_entry(&c, T0 + 5120);
	clock_until(&c, T0 + 5120);
	CHECK_PART(c, STEAL, 5000);
	CHECK_PART(c, EXIT, 20);
	CHECK_EQ(reason(&c, NPF)->exit_ns, 20);
	CHECK_ADDS_UP(c);
}

/* KVM spins 200 ns, then sleeps; a wake-up is followed by waiting for the CPU. */
TEST(a_halt_is_polling_then_sleep_then_waiting)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, HLT);
	clock_switched_out(&c, T0 + 310, 0, VPMU_BPF_PART_HALT);
	clock_woken(&c, T0 + 9310, 0);
	clock_switched_in(&c, T0 + 9360);
	clock_halted(&c, T0 + 9370, 9370 - 110);
	clock_entry(&c, T0 + 9400);
	CHECK_PART(c, POLL, 200);
	CHECK_PART(c, HALT, 9000);
	CHECK_PART(c, STEAL, 50);
	CHECK_PART(c, EXIT, 10 + 40);
	CHECK_EQ(reason(&c, HLT)->exit_ns, 50);
	CHECK_ADDS_UP(c);
}

TEST(polling_that_wins_leaves_nothing_to_sleep)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, HLT);
	clock_halted(&c, T0 + 160, 50);
	clock_entry(&c, T0 + 170);
	CHECK_PART(c, POLL, 50);
	CHECK_PART(c, EXIT, 20);
	CHECK_PART(c, HALT, 0);
	CHECK_ADDS_UP(c);
}

/* Preempted before KVM begins to poll: what lies before the preemption is none of it. */
TEST(polling_is_never_more_than_the_stretch_on_the_cpu_before_the_sleep)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, HLT);
	clock_switched_out(&c, T0 + 200, 1, 0);
	clock_switched_in(&c, T0 + 1000);
	clock_switched_out(&c, T0 + 1030, 0, VPMU_BPF_PART_HALT);
	clock_woken(&c, T0 + 2000, 0);
	clock_switched_in(&c, T0 + 2000);
	clock_halted(&c, T0 + 2000, 1950);
	CHECK_PART(c, POLL, 30);
	CHECK_PART(c, EXIT, 100);
	CHECK_PART(c, STEAL, 800);
	CHECK_PART(c, HALT, 970);
	CHECK_ADDS_UP(c);
}

TEST(sleep_is_what_it_was_found_to_be)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 10, NPF);
	clock_switched_out(&c, T0 + 20, 0, VPMU_BPF_PART_BLOCKED_KVM);
	clock_woken(&c, T0 + 1020, 0);
	clock_switched_in(&c, T0 + 1020);
	clock_userspace(&c, T0 + 1030);
	clock_switched_out(&c, T0 + 1040, 0, VPMU_BPF_PART_BLOCKED);
	clock_until(&c, T0 + 4040);
	CHECK_PART(c, BLOCKED_KVM, 1000);
	CHECK_PART(c, BLOCKED, 3000);
	CHECK_PART(c, QEMU, 10);
	CHECK_PART(c, HALT, 0);
	CHECK_ADDS_UP(c);
}

/* ---- the beginning ---- */

TEST(what_came_before_the_first_event_follows_from_it)
{
	struct vpmu_bpf_clock c = new_clock();

	clock_exit(&c, T0 + 500, NPF); /* it was in the guest */
	CHECK_PART(c, GUEST, 500);
	c = new_clock();
	clock_switched_in(&c, T0 + 500); /* it was waiting: its waking up would have been seen */
	CHECK_PART(c, STEAL, 500);
	c = new_clock();
	clock_woken(&c, T0 + 500, VPMU_BPF_PART_HALT);
	CHECK_PART(c, HALT, 500);
	c = new_clock();
	clock_switched_out(&c, T0 + 500, 1, 0); /* on a CPU, but at what? */
	CHECK_PART(c, UNKNOWN, 500);
	clock_switched_in(&c, T0 + 500);
	clock_entry(&c, T0 + 600); /* from the kernel or QEMU: still unknown */
	clock_exit(&c, T0 + 700, NPF);
	CHECK_PART(c, UNKNOWN, 600);
	CHECK_PART(c, GUEST, 100);
	CHECK_ADDS_UP(c);
}

/* It was about to sleep, say: it goes on, and no event tells so. */
TEST(a_thread_that_is_woken_while_it_runs_did_not_sleep)
{
	struct vpmu_bpf_clock c = new_clock();

	CHECK(!clock_slept(&c, 1));
	CHECK(clock_slept(&c, 0));
	clock_switched_out(&c, T0 + 500, 0, VPMU_BPF_PART_HALT);
	CHECK(clock_slept(&c, 0));
	clock_woken(&c, T0 + 600, 0);
	CHECK(!clock_slept(&c, 0)); /* twice */
	clock_switched_in(&c, T0 + 700);
	CHECK(!clock_slept(&c, 0));
}

TEST(a_thread_to_which_nothing_happens_is_as_it_was_seen)
{
	struct vpmu_bpf_clock c = new_clock(), copy;

	c.seen_run = VPMU_BPF_RUN_ASLEEP;
	c.seen_asleep_in = VPMU_BPF_PART_HALT;
	copy = c;
	clock_until(&copy, T0 + 1000);
	CHECK_PART(copy, HALT, 1000);
	copy = c;
	clock_switched_out(&copy, T0 + 600, 1, 0); /* what happens says more than what was seen */
	CHECK_PART(copy, UNKNOWN, 600);
	c.seen_run = 0;
	clock_until(&c, T0 + 1000);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_ADDS_UP(c);
}

/* As on KVM flavours without the tracepoints: only kvm_userspace_exit and the end of halts are seen. */
TEST(without_entries_and_exits_time_on_a_cpu_is_unknown)
{
	struct vpmu_bpf_clock c = new_clock();

	clock_switched_in(&c, T0 + 10);
	clock_userspace(&c, T0 + 500);
	clock_switched_out(&c, T0 + 1010, 0, VPMU_BPF_PART_HALT);
	clock_woken(&c, T0 + 2010, 0);
	clock_switched_in(&c, T0 + 2010);
	clock_halted(&c, T0 + 2010, 1100);
	clock_userspace(&c, T0 + 3000);
	CHECK_PART(c, UNKNOWN, 900 + 990);
	CHECK_PART(c, POLL, 100);
	CHECK_PART(c, HALT, 1000);
	CHECK_EQ(c.has_kvm, 0);
	CHECK_ADDS_UP(c);
}

/* ---- what is lost ---- */

TEST(an_exit_without_an_entry_makes_the_time_since_the_last_event_unknown)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, PIO);
	/* The entry is lost. */
	clock_exit(&c, T0 + 1100, HLT);
	clock_entry(&c, T0 + 1110);
	CHECK_PART(c, GUEST, 100);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_PART(c, EXIT, 10);
	CHECK_EQ(reason(&c, PIO)->exit_ns, 0);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
}

TEST(a_return_to_user_space_without_an_exit_makes_it_unknown_too)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_userspace(&c, T0 + 1000);
	clock_entry(&c, T0 + 1300);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_PART(c, QEMU, 300);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
}

/* SVM's fast exits up to Linux 6.4. */
TEST(entry_after_entry_is_no_loss)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_entry(&c, T0 + 100);
	clock_entry(&c, T0 + 250);
	CHECK_PART(c, GUEST, 250);
	CHECK_EQ(c.unpaired, 0);
	CHECK_EQ(c.entries, 3);
}

TEST(a_lost_switch_does_not_let_a_running_vcpu_sleep_on)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 10, HLT);
	clock_switched_out(&c, T0 + 20, 0, VPMU_BPF_PART_HALT);
	/* Waking up and getting the CPU are lost. */
	clock_entry(&c, T0 + 1020);
	clock_exit(&c, T0 + 2020, NPF);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_PART(c, GUEST, 10 + 1000);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
}

TEST(of_a_wait_whose_end_was_lost_only_the_sum_is_known)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_switched_out(&c, T0 + 100, 1, 0);
	/* Getting the CPU is lost; it runs, and is preempted again. */
	clock_switched_out(&c, T0 + 1100, 1, 0);
	clock_switched_in(&c, T0 + 1400);
	clock_until(&c, T0 + 1500);
	CHECK_PART(c, GUEST, 100 + 100);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_PART(c, STEAL, 300);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
}

TEST(of_a_run_whose_end_was_lost_only_the_sum_is_known)
{
	struct vpmu_bpf_clock c = in_guest();

	/* Leaving the CPU is lost. */
	clock_switched_in(&c, T0 + 1000);
	clock_until(&c, T0 + 1500);
	CHECK_PART(c, UNKNOWN, 1000);
	CHECK_PART(c, GUEST, 500);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
}

TEST(a_wait_whose_end_was_lost_is_as_long_as_the_scheduler_says)
{
	struct vpmu_bpf_clock c = in_guest();

	c.delay_ns = 5000;
	clock_switched_out(&c, T0 + 100, 1, 0);
	clock_got_cpu_unseen(&c, clock_wait_end(&c, T0 + 1000, 5030));
	clock_switched_out(&c, T0 + 1000, 1, 0);
	CHECK_PART(c, STEAL, 30);
	CHECK_PART(c, GUEST, 100 + 870);
	CHECK_EQ(c.unpaired, 1);
	CHECK_ADDS_UP(c);
	/* Never longer than it can have been. */
	clock_got_cpu_unseen(&c, clock_wait_end(&c, T0 + 1100, 9000));
	CHECK_PART(c, STEAL, 30 + 100);
	CHECK_ADDS_UP(c);
}

TEST(being_woken_before_it_sleeps_changes_nothing)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_woken(&c, T0 + 100, VPMU_BPF_PART_HALT);
	CHECK_EQ(c.run, VPMU_BPF_RUN_RUNNING);
	clock_switched_out(&c, T0 + 200, 1, 0);
	clock_woken(&c, T0 + 300, VPMU_BPF_PART_HALT);
	CHECK_EQ(c.run, VPMU_BPF_RUN_WAITING);
	clock_until(&c, T0 + 400);
	CHECK_PART(c, STEAL, 200);
	CHECK_PART(c, GUEST, 200);
}

/* Clocks of two CPUs differ a little; one goes through the whole range. */
TEST(clocks_that_go_back_or_wrap_charge_nothing_wrong)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 1000, NPF);
	clock_switched_out(&c, T0 + 1010, 1, 0);
	clock_switched_in(&c, T0 + 990); /* on another CPU, behind this one */
	CHECK_PART(c, STEAL, 0);
	clock_entry(&c, T0 + 1100);
	CHECK_PART(c, EXIT, 100);
	CHECK_ADDS_UP(c);
	c = new_clock();
	c.start_ns = c.since_ns = UINT64_MAX - 99;
	clock_switched_in(&c, UINT64_MAX - 99);
	clock_entry(&c, UINT64_MAX - 99);
	clock_exit(&c, 100, NPF);
	CHECK_PART(c, GUEST, 200);
	CHECK_ADDS_UP(c);
}

TEST(a_thread_that_dies_in_an_exit_has_a_clock_that_stands)
{
	struct vpmu_bpf_clock c = in_guest();

	clock_exit(&c, T0 + 100, NPF);
	clock_ended(&c, T0 + 150);
	clock_until(&c, T0 + 9999);
	CHECK_PART(c, EXIT, 50);
	CHECK_EQ(reason(&c, NPF)->exit_ns, 50);
	CHECK_EQ(c.since_ns, T0 + 150);
	CHECK_ADDS_UP(c);
}

TEST(more_reasons_than_there_is_room_for_are_counted_together)
{
	struct vpmu_bpf_clock c = in_guest();
	uint64_t now = T0, count = 0, exit_ns = 0;

	for (uint32_t code = 0; code < 100; code++) {
		clock_exit(&c, now += 10, code);
		clock_entry(&c, now += 1);
	}
	for (int i = 0; i <= VPMU_BPF_CLOCK_REASONS; i++) {
		count += c.reasons[i].count;
		exit_ns += c.reasons[i].exit_ns;
	}
	CHECK_EQ(count, 100);
	CHECK_EQ(exit_ns, 100);
	CHECK(c.reasons[VPMU_BPF_CLOCK_REASONS].count > 0);
	CHECK_EQ(c.exits, 100);
}

/* Any events in any order, a third of them lost, with a clock that jumps back now and then. */
TEST(parts_add_up_whatever_happens)
{
	struct vpmu_bpf_clock c = new_clock();
	uint64_t now = T0, seed = 88172645463325252ull;

	for (int i = 0; i < 200000; i++) {
		uint64_t x = seed ^= seed << 13, exits = 0;

		x = seed ^= seed >> 7;
		x = seed ^= seed << 17;
		now += x >> 40 & 0xffff;
		now -= (x & 0xf) == 0 ? x >> 30 & 0xff : 0;
		switch (x >> 20 & 7) {
		case 0: clock_entry(&c, now); break;
		case 1: clock_exit(&c, now, (uint32_t)(x >> 56)); break;
		case 2: clock_userspace(&c, now); break;
		case 3: clock_halted(&c, now, x >> 44); break;
		case 4: clock_switched_in(&c, now); break;
		case 5: clock_woken(&c, now, VPMU_BPF_PART_BLOCKED); break;
		default:
			clock_switched_out(&c, now, x >> 8 & 1,
					   (uint8_t)(VPMU_BPF_PART_HALT + (x >> 9 & 1) * 2));
		}
		CHECK_ADDS_UP(c);
		for (int j = 0; j <= VPMU_BPF_CLOCK_REASONS; j++)
			exits += c.reasons[j].exit_ns;
		CHECK(exits <= c.parts[VPMU_BPF_PART_EXIT]);
	}
}

int main(void)
{
	return test_main();
}
