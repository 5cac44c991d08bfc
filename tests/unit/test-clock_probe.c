/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program at work, on threads of our own. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "busy.h"
#include "host/clock_probe.h"
#include "util/macro.h"

static struct clock_probe *open_probe(void)
{
	struct clock_probe *probe;
	struct vpmu_error error;
	int r = clock_probe_open(&probe, &error);

	if (r == -EOPNOTSUPP || r == -EPERM || r == -EACCES)
		skip(error.text);
	if (r < 0)
		FAIL("%s", error.text);
	return probe;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The clock now; its parts must add up. */
static struct vpmu_bpf_clock read_now(const struct clock_probe *probe, int clock)
{
	struct vpmu_bpf_clock c;
	uint64_t sum = 0;

	CHECK_EQ(clock_probe_read(probe, clock, now(), &c), 0);
	for (int part = 0; part < VPMU_BPF_PART_COUNT; part++)
		sum += c.parts[part];
	CHECK_EQ(sum, c.since_ns - c.start_ns);
	return c;
}

static void *sleeper(void *data)
{
	struct busy *busy = data;

	busy->tid = (pid_t)syscall(SYS_gettid);
	while (!busy->stop)
		pause_ms(10);
	return NULL;
}

static void sleeper_start(struct busy *busy)
{
	*busy = (struct busy){};
	CHECK_EQ(pthread_create(&busy->thread, NULL, sleeper, busy), 0);
	while (!busy->tid)
		;
}

TEST(a_thread_that_runs_and_one_that_sleeps)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct clock_probe *probe = open_probe();
	struct vpmu_bpf_clock runs, sleeps;
	unsigned long n_sleeps;
	struct busy busy, lazy;
	int a, b;

	busy_start(&busy);
	sleeper_start(&lazy);
	n_sleeps = sleeps_of(busy.tid);
	a = clock_probe_add(probe, busy.tid);
	b = clock_probe_add(probe, lazy.tid);
	CHECK(a >= 0 && b >= 0 && a != b);
	busy_run_ms(&busy, 100);
	WAIT_UNTIL((sleeps = read_now(probe, b)).parts[VPMU_BPF_PART_BLOCKED] > 1000000 && sleeps.parts[VPMU_BPF_PART_UNKNOWN],
		   pause_ms(10));
	runs = read_now(probe, a);
	/* On a busy machine both wait, but one of them does not sleep. */
	if (sleeps_of(busy.tid) == n_sleeps)
		CHECK_EQ(runs.parts[VPMU_BPF_PART_BLOCKED], 0);
	CHECK_CMP(runs.parts[VPMU_BPF_PART_UNKNOWN], >, 1000000);
	CHECK_EQ(runs.parts[VPMU_BPF_PART_UNKNOWN] + runs.parts[VPMU_BPF_PART_STEAL] + runs.parts[VPMU_BPF_PART_BLOCKED],
		 runs.since_ns - runs.start_ns);
	CHECK_EQ(sleeps.parts[VPMU_BPF_PART_HALT], 0); /* it is in no KVM_RUN */
	busy_stop(&busy);
	busy_stop(&lazy);
	clock_probe_free(probe);
}

/* Nothing happens to a thread that sleeps all the time; a look tells. */
TEST(a_thread_that_never_wakes_up_is_asleep_all_the_same)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct clock_probe *probe = open_probe();
	pid_t child = fork();
	struct vpmu_bpf_clock c;
	int clock;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	wait_for_sleep(child);
	clock = clock_probe_add(probe, child);
	CHECK(clock >= 0);
	clock_probe_look(probe, child);
	pause_ms(50);
	c = read_now(probe, clock);
	CHECK_EQ(c.parts[VPMU_BPF_PART_BLOCKED], c.since_ns - c.start_ns);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	clock_probe_free(probe);
}

TEST(a_thread_that_ends_has_a_clock_that_stands_and_a_place_that_is_free_again)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct clock_probe *probe = open_probe();
	struct vpmu_bpf_clock first, second;
	struct busy busy;
	int clock;

	busy_start(&busy);
	clock = clock_probe_add(probe, busy.tid);
	pause_ms(20);
	busy_stop(&busy);
	/* Before Linux 6.16 a thread's end is told after those who join it are woken. */
	WAIT_UNTIL((first = read_now(probe, clock)).ended, pause_ms(1));
	pause_ms(20);
	second = read_now(probe, clock);
	CHECK_EQ(first.since_ns, second.since_ns);
	clock_probe_remove(probe, clock);
	CHECK_EQ(clock_probe_add(probe, getpid()), clock);
	clock_probe_free(probe);
}

struct rivals {
	int clock;
	pid_t tid;
	uint64_t of_tid_ns, all_ns;
};

static int add_rival(const struct vpmu_bpf_competitor_key *key, const struct vpmu_bpf_competitor *value,
		     void *data)
{
	struct rivals *rivals = data;

	if (key->clock != (uint32_t)rivals->clock)
		return 0;
	rivals->all_ns += value->ns;
	if (key->tid == (uint32_t)rivals->tid) {
		rivals->of_tid_ns += value->ns;
		CHECK_EQ(value->pid, (uint32_t)getpid());
	}
	return 0;
}

static void pin(pid_t tid, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(tid, sizeof(one), &one), 0);
}

TEST(two_threads_on_one_cpu_wait_for_each_other)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct clock_probe *probe = open_probe();
	struct rivals rivals = {};
	struct vpmu_bpf_clock before, after;
	struct busy one, other;

	busy_start(&one);
	busy_start(&other);
	pin(one.tid, 0);
	pin(other.tid, 0);
	rivals.clock = clock_probe_add(probe, one.tid);
	rivals.tid = other.tid;
	busy_run_ms(&one, 200);
	busy_run_ms(&other, 50);
	busy_stop(&other);
	busy_run_ms(&one, 20); /* so that its wait for the other one is over */
	before = read_now(probe, rivals.clock);
	CHECK_EQ(clock_probe_drain(probe, add_rival, &rivals), 0);
	after = read_now(probe, rivals.clock);
	CHECK_CMP(rivals.of_tid_ns, >, 10000000);
	CHECK_CMP(rivals.all_ns, <=, after.parts[VPMU_BPF_PART_STEAL] + 1000000);
	CHECK_CMP(rivals.all_ns, >, before.parts[VPMU_BPF_PART_STEAL] / 2);
	rivals.all_ns = 0;
	busy_stop(&one);
	clock_probe_free(probe);
}

TEST(there_are_only_so_many)
{
	SKIP_WITHOUT_BPF_IN_VALGRIND();
	struct clock_probe *probe = open_probe();

	for (int i = 0; i < CLOCK_PROBE_THREADS; i++)
		CHECK(clock_probe_add(probe, 0x7f000000 + i) >= 0);
	CHECK_EQ(clock_probe_add(probe, getpid()), -ENOSPC);
	clock_probe_free(probe);
}

int main(void)
{
	return test_main();
}
