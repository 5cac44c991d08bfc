/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf/clock_queue.h on made-up switches: each thread that had the CPU is charged its share of the waiting. */
#include "bpf/clock_queue.h"
#include "unit/test.h"

#define T0	 1000000ull
#define N_CLOCKS 16
#define N_TIDS	 8

static struct vpmu_bpf_clock clocks[N_CLOCKS];
static uint64_t charged[N_CLOCKS][N_TIDS];
static struct clock_queue queues[2];

static struct vpmu_bpf_clock *queue_clock(__u32 clock)
{
	return clock < N_CLOCKS ? &clocks[clock] : NULL;
}

static void queue_charge_to(__u32 clock, const struct clock_queue *who, __u64 ns)
{
	charged[clock][who->tid] += ns;
}

/* What the program does when CPU @cpu goes from one thread to another. */
static void run_on(uint32_t cpu, uint32_t tid, uint64_t now)
{
	queue_turn(&queues[cpu], cpu, now);
	queues[cpu].tid = tid;
	strcpy(queues[cpu].comm, "x");
}

static void wait_for(uint32_t cpu, uint32_t clock, uint64_t now)
{
	clocks[clock].run = VPMU_BPF_RUN_WAITING;
	queue_join(&queues[cpu], cpu, clock, &clocks[clock], now);
}

static void get(uint32_t cpu, uint32_t clock, uint64_t now)
{
	struct vpmu_bpf_clock *c = &clocks[clock];

	if (c->wait_cpu != cpu)
		queue_charge(&queues[c->wait_cpu], clock, c, now);
	c->run = VPMU_BPF_RUN_RUNNING;
}

TEST(a_long_wait_is_shared_out_among_all_who_ran)
{
	run_on(0, 1, T0);
	wait_for(0, 5, T0 + 100);
	run_on(0, 2, T0 + 400);
	run_on(0, 3, T0 + 1000);
	run_on(0, 4, T0 + 1050);
	get(0, 5, T0 + 1050);
	run_on(0, 1, T0 + 2000);
	CHECK_EQ(charged[5][1], 300);
	CHECK_EQ(charged[5][2], 600);
	CHECK_EQ(charged[5][3], 50);
	CHECK_EQ(charged[5][4], 0);
	CHECK_EQ(queues[0].n, 0);
}

TEST(two_that_wait_are_both_charged)
{
	run_on(0, 1, T0);
	wait_for(0, 5, T0);
	wait_for(0, 6, T0 + 50);
	run_on(0, 2, T0 + 100);
	get(0, 5, T0 + 100);
	run_on(0, 1, T0 + 300);
	CHECK_EQ(charged[5][1], 100);
	CHECK_EQ(charged[5][2], 0);
	CHECK_EQ(charged[6][1], 50);
	CHECK_EQ(charged[6][2], 200);
}

/* Another CPU had nothing to do and took it. */
TEST(one_that_moves_away_has_waited_for_who_runs_where_it_was)
{
	run_on(0, 1, T0);
	run_on(1, 2, T0);
	wait_for(0, 5, T0 + 100);
	run_on(1, 3, T0 + 700);
	get(1, 5, T0 + 700);
	run_on(0, 2, T0 + 900);
	CHECK_EQ(charged[5][1], 600);
	CHECK_EQ(charged[5][2], 0);
	CHECK_EQ(queues[0].n, 0); /* dropped at the turn */
}

TEST(one_that_comes_back_before_its_old_entry_is_dropped_is_there_once)
{
	run_on(0, 1, T0);
	wait_for(0, 5, T0);
	get(1, 5, T0 + 10);
	wait_for(0, 5, T0 + 20);
	CHECK_EQ(queues[0].n, 1);
	run_on(0, 2, T0 + 50);
	CHECK_EQ(charged[5][1], 10 + 30);
}

TEST(more_than_the_list_holds_are_charged_when_they_get_a_cpu)
{
	run_on(0, 1, T0);
	run_on(1, 1, T0);
	for (uint32_t clock = 0; clock < N_CLOCKS; clock++)
		wait_for(0, clock, T0);
	CHECK_EQ(queues[0].n, QUEUE_WAITERS);
	run_on(0, 2, T0 + 100);
	CHECK_EQ(charged[QUEUE_WAITERS - 1][1], 100);
	CHECK_EQ(charged[QUEUE_WAITERS][1], 0);
	get(1, QUEUE_WAITERS, T0 + 150);
	CHECK_EQ(charged[QUEUE_WAITERS][2], 150);
}

TEST(nobody_is_charged_before_it_is_known_who_runs)
{
	wait_for(0, 5, T0);
	run_on(0, 1, T0 + 100);
	run_on(0, 2, T0 + 300);
	CHECK_EQ(charged[5][0], 0);
	CHECK_EQ(charged[5][1], 200);
}

TEST(a_clock_that_goes_back_charges_nothing)
{
	run_on(0, 1, T0);
	wait_for(0, 5, T0 + 100);
	run_on(0, 2, T0 + 90);
	CHECK_EQ(charged[5][1], 0);
	run_on(0, 3, T0 + 130);
	CHECK_EQ(charged[5][2], 30);
}

int main(void)
{
	return test_main();
}
