/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long it takes until a guest's kernel is found and its symbols are ready, and what they take. Printed, not judged: must be
 * below 250 ms for a guest of 1 GiB, 100 ms for the tables alone, and 8 MB for each distinct kernel.
 *
 * usage: bench-kernel PID|FILE
 * Of the process that runs a guest, such as tests/lab/introspect starts, or of a copy of its memory.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "sym/guest_tables.h"

#define PASSES 5

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct figures {
	double find_ms, tables_ms;
	size_t n_symbols, image_bytes, heap_bytes;
	uint64_t memory_bytes;
};

static size_t heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static int measure(const char *what, struct figures *ret)
{
	struct vpmu_guest_info guest = {.pid = atoi(what), .accel = VPMU_ACCEL_TCG};
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest.pid ? NULL : what);
	size_t before = heap_bytes(), modules_bytes;
	struct symtab *kernel_table, *modules_table;
	struct vpmu_kernel *kernel;
	struct vpmu_error error = {};
	double begin = now_ms(), found;

	if (vpmu_kernel_open(guest.pid ? &guest : NULL, &opts, &kernel, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	found = now_ms();
	if (guest_tables_kernel(kernel, &kernel_table, &error) < 0 ||
	    guest_tables_modules(kernel, &modules_table, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	ret->tables_ms = now_ms() - found;
	ret->find_ms = found - begin;
	ret->heap_bytes = heap_bytes() - before;
	ret->n_symbols = vpmu_kernel_info(kernel)->n_symbols;
	ret->memory_bytes = vpmu_kernel_info(kernel)->memory_bytes;
	symtab_image(kernel_table, &ret->image_bytes);
	symtab_image(modules_table, &modules_bytes);
	ret->image_bytes += modules_bytes;
	symtab_free(kernel_table);
	symtab_free(modules_table);
	vpmu_kernel_free(kernel);
	return 0;
}

int main(int argc, char **argv)
{
	struct figures best = {}, figures;

	if (argc != 2) {
		fprintf(stderr, "usage: %s PID|FILE\n", argv[0]);
		return 2;
	}
	for (int pass = 0; pass < PASSES; pass++) {
		if (measure(argv[1], &figures) < 0)
			return 77;
		if (!pass || figures.find_ms + figures.tables_ms < best.find_ms + best.tables_ms)
			best = figures;
	}
	printf("guest of %llu MiB, %zu symbols\n", (unsigned long long)best.memory_bytes >> 20, best.n_symbols);
	printf("kernel found              %8.1f ms\n", best.find_ms);
	printf("tables made               %8.1f ms\n", best.tables_ms);
	printf("together                  %8.1f ms, %.1f for 100 000 symbols\n", best.find_ms + best.tables_ms,
	       (best.find_ms + best.tables_ms) * 1e5 / (double)best.n_symbols);
	printf("tables take               %8.1f MB, all of it %.1f MB\n", (double)best.image_bytes / 1e6,
	       (double)best.heap_bytes / 1e6);
	return 0;
}
