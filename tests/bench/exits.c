/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What accounting a VM exit costs, on system calls in place of exits: makes many and prints the CPU time of one in ns; with "vpmu" the
 * programs of exits.bpf.c account them meanwhile, and what they counted is printed, too; with "empty" there are programs that do
 * nothing. usage: bench-exits none|empty|vpmu CALLS
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/vpmu_bpf.h"
#include "tests/bench/bench_exits.skel.h"

/* CPU time: whatever else the machine has to do does not count. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static double time_calls(unsigned long n)
{
	uint64_t begin_ns = now_ns();

	for (unsigned long i = 0; i < n; i++)
		syscall(SYS_getppid);
	return (double)(now_ns() - begin_ns) / (double)n;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Programs that do nothing, on the same tracepoints: what it costs to be traced at all. */
static int be_traced(unsigned long n)
{
	struct bench_exits_bpf *bpf = bench_exits_bpf__open_and_load();

	if (!bpf)
		return fail("BPF");
	bpf->links.bench_nothing_out = bpf_program__attach(bpf->progs.bench_nothing_out);
	bpf->links.bench_nothing_in = bpf_program__attach(bpf->progs.bench_nothing_in);
	if (!bpf->links.bench_nothing_out || !bpf->links.bench_nothing_in)
		return fail("BPF");
	printf("%.1f\n", time_calls(n));
	bench_exits_bpf__destroy(bpf);
	return 0;
}

static int account(unsigned long n)
{
	static struct vpmu_bpf_exit_thread thread;
	uint32_t place = 0;
	struct bench_exits_bpf *bpf = bench_exits_bpf__open_and_load();
	uint32_t tid = (uint32_t)gettid();
	uint64_t counted = 0;
	double ns;
	int fd;

	if (!bpf)
		return fail("BPF");
	bpf->links.bench_exit = bpf_program__attach(bpf->progs.bench_exit);
	bpf->links.bench_entry = bpf_program__attach(bpf->progs.bench_entry);
	if (!bpf->links.bench_exit || !bpf->links.bench_entry)
		return fail("BPF");
	bpf->bss->vpmu_epoch = bpf->bss->vpmu_generation = 1;
	fd = bpf_map__fd(bpf->maps.vpmu_threads);
	thread.tid = tid;
	if (bpf_map_update_elem(fd, &place, &thread, BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(bpf->maps.vpmu_places), &tid, &place, BPF_ANY) < 0)
		return fail("map");
	bpf->bss->vpmu_generation++;
	ns = time_calls(n);
	if (bpf_map_lookup_elem(fd, &place, &thread) < 0)
		return fail("map");
	for (uint32_t i = 0; i < thread.n_rows; i++)
		if (thread.rows[i].code == (SYS_getppid & 0x7f))
			counted = thread.rows[i].count;
	printf("%.1f %" PRIu64 "\n", ns, counted);
	bench_exits_bpf__destroy(bpf);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;

	if (!n) {
		fprintf(stderr, "usage: bench-exits none|empty|vpmu CALLS\n");
		return 2;
	}
	time_calls(n / 10); /* warm */
	if (strcmp(argv[1], "vpmu") == 0)
		return account(n);
	if (strcmp(argv[1], "empty") == 0)
		return be_traced(n);
	printf("%.1f\n", time_calls(n));
	return 0;
}
