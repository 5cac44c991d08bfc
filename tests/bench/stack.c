/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest's chain costs in the kernel, for each sample and by the kernel's own count: prints ns for 32 frames of 64 bytes, for 8 KiB and for
 * 16 KiB of a kernel's stack. The guest is made up, as are its page tables; so it needs no KVM. Medians over many short runs.
 * usage: bench-stack
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/vpmu_bpf.h"
#include "tests/bench/bench_stack.skel.h"

#define PAGE	    4096ull
#define STACK	    0xffffc90000010000ull
#define STACK_BYTES 16384ull
#define TOP	    (STACK + STACK_BYTES)
#define TASK	    0xffff888000100000ull
#define CODE	    0xffffffff81000000ull
#define N_FRAMES    32
#define FRAME_BYTES 64
#define RUNS	    20 /* of one look: the ring takes them all */
#define LOOKS	    101

/* Guest-physical pages: 0 counts the tables, which begin at 1. */
enum { TABLES = 1, TASK_PAGE = 20, CODE_PAGE = 21, STACK_PAGE = 24, N_PAGES = 32 };

static uint8_t *ram;

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t *entry_at(uint64_t gpa)
{
	return (uint64_t *)(ram + gpa);
}

static void map_page(uint64_t gva, uint64_t page)
{
	uint64_t table = TABLES * PAGE;

	for (unsigned int shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = entry_at(table + (gva >> shift & 511) * 8);

		if (!*entry)
			*entry = (TABLES + ++*entry_at(0)) * PAGE | 7;
		table = *entry & ~(PAGE - 1);
	}
	*entry_at(table + (gva >> 12 & 511) * 8) = page * PAGE | 7;
}

/* A task whose stack is full of frames, sampled in a function that has its own. */
static void make_guest(struct bench_stack_bpf *bpf)
{
	ram = aligned_alloc(PAGE, N_PAGES * PAGE);
	if (!ram)
		fail("memory");
	memset(ram, 0, N_PAGES * PAGE);
	map_page(TASK, TASK_PAGE);
	map_page(CODE, CODE_PAGE);
	for (unsigned int i = 0; i < STACK_BYTES / PAGE; i++)
		map_page(STACK + i * PAGE, STACK_PAGE + i);
	memset(ram + CODE_PAGE * PAGE, 0x90, PAGE);
	*entry_at(TASK_PAGE * PAGE) = STACK;
	for (unsigned int i = 0; i < N_FRAMES; i++) {
		uint64_t *frame = entry_at((STACK_PAGE + 2) * PAGE + i * FRAME_BYTES);

		frame[0] = i + 1 < N_FRAMES ? TOP - 2 * PAGE + (i + 1) * FRAME_BYTES : 0;
		frame[1] = CODE + 0x100;
	}
	bpf->bss->ram_hva = (uintptr_t)ram;
	bpf->bss->ram_bytes = N_PAGES * PAGE;
	bpf->bss->cr3 = TABLES * PAGE;
	bpf->bss->ip = CODE + 0x80;
	bpf->bss->bp = TOP - 2 * PAGE;
	bpf->bss->task_gva = TASK;
	bpf->bss->facts = (struct vpmu_bpf_guest){.kernel_cr3 = TABLES * PAGE, .levels = 4, .stack_bytes = STACK_BYTES};
}

static int take_nothing(void *context, void *data, size_t n)
{
	(void)context, (void)data, (void)n;
	return 0;
}

static struct bpf_prog_info info_of(int program)
{
	struct bpf_prog_info info = {};
	uint32_t n = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &n) < 0)
		fail("bpf_obj_get_info_by_fd");
	return info;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median_ns(int program, struct ring_buffer *ring)
{
	double ns[LOOKS];

	for (unsigned int look = 0; look < LOOKS; look++) {
		struct bpf_prog_info before = info_of(program), after;

		for (unsigned int i = 0; i < RUNS; i++) {
			LIBBPF_OPTS(bpf_test_run_opts, opts);

			if (bpf_prog_test_run_opts(program, &opts) < 0)
				fail("bpf_prog_test_run_opts");
		}
		after = info_of(program);
		if (after.run_cnt - before.run_cnt != RUNS) {
			fprintf(stderr, "the program ran %llu times in place of %d\n", after.run_cnt - before.run_cnt, RUNS);
			exit(1);
		}
		ns[look] = (double)(after.run_time_ns - before.run_time_ns) / RUNS;
		ring_buffer__consume(ring);
	}
	qsort(ns, LOOKS, sizeof(*ns), compare);
	return ns[LOOKS / 2];
}

static void print_slice(struct bench_stack_bpf *bpf, struct ring_buffer *ring, uint64_t n_bytes)
{
	double ns;

	bpf->bss->sp = TOP - n_bytes;
	ns = median_ns(bpf_program__fd(bpf->progs.bench_stack), ring);
	if (bpf->bss->n_bytes != n_bytes) {
		fprintf(stderr, "%llu bytes of stack were copied in place of %llu\n", bpf->bss->n_bytes, (unsigned long long)n_bytes);
		exit(1);
	}
	printf("%llu %.0f\n", (unsigned long long)n_bytes, ns);
}

int main(void)
{
	struct bench_stack_bpf *bpf = bench_stack_bpf__open_and_load();
	struct ring_buffer *ring;

	if (!bpf || bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) {
		perror("BPF");
		return 77;
	}
	ring = ring_buffer__new(bpf_map__fd(bpf->maps.ring), take_nothing, NULL, NULL);
	if (!ring)
		fail("ring buffer");
	make_guest(bpf);
	bpf->bss->sp = bpf->bss->bp - 16;
	printf("frames %.0f\n", median_ns(bpf_program__fd(bpf->progs.bench_frames), ring));
	if (bpf->bss->n_frames != N_FRAMES) {
		fprintf(stderr, "%llu frames were found in place of %d\n", bpf->bss->n_frames, N_FRAMES);
		return 1;
	}
	print_slice(bpf, ring, 8192);
	print_slice(bpf, ring, 16384);
	return 0;
}
