/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the clocks of `vpmu time` cost: prints CPU time in ns, of one system call (in place of an exit and an entry), or of one
 * switch between two threads on one CPU. "vcpus": the threads have clocks; "strangers": clocks are kept, but not of these; "none".
 * usage: bench-clock calls|switches none|strangers|vcpus N
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/vpmu_bpf.h"
#include "tests/bench/bench_clock.skel.h"

#define N_CLOCKS 64

static struct bench_clock_bpf *bpf; /* NULL = nothing is attached */
static bool followed;
static unsigned long n_turns;
static int pipes[2][2];

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* CPU time: whatever else the machine has to do does not count. */
static double cpu_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Gives this thread clock @number. */
static void follow(uint32_t number)
{
	struct vpmu_bpf_clock clock = { .tid = (uint32_t)gettid() };
	uint32_t tid = clock.tid;

	if (!followed)
		return;
	clock.start_ns = clock.since_ns = (uint64_t)cpu_ns(CLOCK_MONOTONIC);
	bpf->bss->vpmu_filter[tid / 8 % sizeof(bpf->bss->vpmu_filter)] |= (uint8_t)(1u << tid % 8);
	if (bpf_map_update_elem(bpf_map__fd(bpf->maps.vpmu_clocks), &number, &clock, BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(bpf->maps.vpmu_threads), &tid, &number, BPF_ANY) < 0)
		fail("map");
}

/* @calls: system calls are exits. */
static void load(bool calls)
{
	bpf = bench_clock_bpf__open();
	if (!bpf)
		fail("BPF");
	bpf_program__set_autoload(bpf->progs.vpmu_clock_seen, false);
	bpf_program__set_autoload(bpf->progs.bench_exit, calls);
	bpf_program__set_autoload(bpf->progs.bench_entry, calls);
	bpf_map__set_max_entries(bpf->maps.vpmu_threads, N_CLOCKS);
	bpf_map__set_max_entries(bpf->maps.vpmu_clocks, N_CLOCKS);
	bpf_map__set_max_entries(bpf->maps.vpmu_queues, (uint32_t)libbpf_num_possible_cpus());
	bpf->rodata->vpmu_kvm_exit_args = 2;
	bpf->rodata->vpmu_sched_switch_args = 4;
	if (bench_clock_bpf__load(bpf) < 0 || bench_clock_bpf__attach(bpf) < 0)
		fail("BPF");
}

/* Did the program see each of the calls? A fast program that does nothing is no figure. */
static void check(uint32_t number, unsigned long n)
{
	struct vpmu_bpf_clock clock;

	if (!followed)
		return;
	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.vpmu_clocks), &number, &clock) < 0)
		fail("map");
	if (clock.exits < n) {
		fprintf(stderr, "of %lu calls %llu were seen\n", n, (unsigned long long)clock.exits);
		exit(1);
	}
}

static double time_calls(void)
{
	double begin_ns;

	follow(0);
	begin_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned long i = 0; i < n_turns; i++)
		syscall(SYS_getppid);
	begin_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns;
	check(0, n_turns);
	return begin_ns / (double)n_turns;
}

static void *answer(void *unused)
{
	char byte;

	follow(1);
	for (unsigned long i = 0; i < n_turns; i++)
		if (read(pipes[0][0], &byte, 1) != 1 || write(pipes[1][1], &byte, 1) != 1)
			fail("pipe");
	return unused;
}

static double time_switches(void)
{
	pthread_t other;
	cpu_set_t one;
	double begin_ns;
	char byte = 0;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0 || pipe(pipes[0]) < 0 || pipe(pipes[1]) < 0)
		fail("affinity");
	follow(0);
	if (pthread_create(&other, NULL, answer, NULL))
		fail("thread");
	begin_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned long i = 0; i < n_turns; i++)
		if (write(pipes[0][1], &byte, 1) != 1 || read(pipes[1][0], &byte, 1) != 1)
			fail("pipe");
	begin_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
	pthread_join(other, NULL);
	return begin_ns / (double)(2 * n_turns);
}

int main(int argc, char **argv)
{
	bool calls = argc > 3 && strcmp(argv[1], "calls") == 0;

	n_turns = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	if (!n_turns || (!calls && strcmp(argv[1], "switches") != 0)) {
		fprintf(stderr, "usage: bench-clock calls|switches none|strangers|vcpus N\n");
		return 2;
	}
	followed = strcmp(argv[2], "vcpus") == 0;
	if (strcmp(argv[2], "none") != 0)
		load(calls);
	printf("%.1f\n", calls ? time_calls() : time_switches());
	bench_clock_bpf__destroy(bpf);
	return 0;
}
