/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long symbols take: this host's kernel table made from /proc/kallsyms and taken from the cache, lookups at random addresses, and
 * source lines of this program. Prints one figure a line; the best of several rounds, since other load only ever adds.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sym/kallsyms_table.h"
#include "sym/kernel_cache.h"
#include "sym/symbolizer.h"
#include "util/intern.h"

#define ROUNDS 7

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void keep_best(double *best, double begin)
{
	double took = now_ms() - begin;

	if (*best == 0 || took < *best)
		*best = took;
}

/* What the kernel needs to print the text: nothing can be faster than this without the cache. */
static double read_only(void)
{
	static char buffer[1 << 16];
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		double begin = now_ms();
		int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);

		while (read(fd, buffer, sizeof(buffer)) > 0)
			;
		close(fd);
		keep_best(&best, begin);
	}
	return best;
}

/* In a process of its own each time: memory that was used before would flatter the figure. */
static double make_table(void)
{
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		double took = -1;
		int ends[2];

		if (pipe(ends) < 0)
			return -1;
		if (fork() == 0) {
			double begin = now_ms();
			struct symtab *table = NULL;

			if (kallsyms_table_read(&(struct kallsyms_source){ .path = "/proc/kallsyms" }, &table,
						NULL) == 0)
				took = now_ms() - begin;
			_exit(write(ends[1], &took, sizeof(took)) != sizeof(took));
		}
		close(ends[1]);
		if (read(ends[0], &took, sizeof(took)) != sizeof(took) || took < 0)
			return -1;
		close(ends[0]);
		wait(NULL);
		if (best == 0 || took < best)
			best = took;
	}
	return best;
}

static double from_cache(const char *directory)
{
	struct sym_env env = {
		.strings = intern_new(),
		.kallsyms_path = (char *)"/proc/kallsyms",
		.cache_dir = (char *)directory,
	};
	double best = 0;

	for (int i = 0; i <= ROUNDS; i++) {
		double begin = now_ms();
		struct symtab *table = NULL;
		enum kernel_table_origin origin;

		if (kernel_cache_read(&env, &table, &origin, NULL) < 0)
			return -1;
		if (origin == KERNEL_TABLE_CACHED)
			keep_best(&best, begin);
		else
			kernel_cache_save(&env, table);
		symtab_free(table);
	}
	intern_free(env.strings);
	return best ? best : -1;
}

static double lookup_ns(const struct symtab *table)
{
	enum { LOOKUPS = 1 << 16, PASSES = 64 };
	uint64_t *addresses = malloc(LOOKUPS * sizeof(*addresses)), seed = 88172645463325252u, sum = 0;
	double best = 0;

	for (int i = 0; i < LOOKUPS; i++) {
		struct symbol symbol;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		symtab_get(table, seed % symtab_count(table), &symbol);
		addresses[i] = symbol.start + (symbol.end - symbol.start) / 2;
	}
	for (int pass = 0; pass < PASSES; pass++) {
		double begin = now_ms();

		for (int i = 0; i < LOOKUPS; i++) {
			struct symbol symbol;

			if (symtab_lookup(table, addresses[i], &symbol))
				sum += symbol.start;
		}
		keep_best(&best, begin);
	}
	free(addresses);
	return sum ? best * 1e6 / LOOKUPS : -1;
}

/* Distinct addresses of this program, 4 bytes apart; the first one opens the debug information. */
static void source_lines(double *ret_first_ms, double *ret_further_us)
{
	struct vpmu_symbolizer_opts opts = { .sz = sizeof(opts), .no_debuginfod = true, .cache_dir = "" };
	struct perf_mmap_record map = { .start = 0x10000000, .length_bytes = 1 << 30, .prot = PROT_EXEC };
	struct vpmu_symbolizer *s = NULL;
	struct vpmu_frame frame;
	char path[256] = {}, line[512];
	unsigned long start = 0, end = 0, offset = 0;
	uint32_t space, n = 0, named = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	double begin;

	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx r-xp %lx %*s %*s %255s", &start, &end, &offset, path) == 4)
			break;
	fclose(maps);
	map.path = path;
	if (symbolizer_new(&opts, &s, NULL) < 0)
		return;
	space = symbolizer_space_map(s, SPACE_NONE, &map);
	begin = now_ms();
	symbolizer_frame(s, VPMU_SIDE_HOST_USER, 0, space, map.start + offset + 0x400, true, &frame);
	*ret_first_ms = now_ms() - begin;
	begin = now_ms();
	for (uint64_t at = offset + 0x400; at < offset + (end - start); at += 4, n++) {
		symbolizer_frame(s, VPMU_SIDE_HOST_USER, 0, space, map.start + at, true, &frame);
		named += frame.src_file != NULL;
	}
	*ret_further_us = named > n / 4 ? (now_ms() - begin) * 1e3 / n : -1;
	symbolizer_free(s);
}

int main(void)
{
	char directory[] = "/tmp/vpmu-bench-XXXXXX", path[64];
	struct symtab *table = NULL;
	double first = -1, further = -1, made = make_table();
	size_t image_bytes;

	if (made < 0 ||
	    kallsyms_table_read(&(struct kallsyms_source){ .path = "/proc/kallsyms" }, &table, NULL) < 0) {
		fprintf(stderr, "cannot read /proc/kallsyms with its addresses: be root\n");
		return 77;
	}
	symtab_image(table, &image_bytes);
	printf("kallsyms read only        %8.2f ms\n", read_only());
	printf("kallsyms to a table       %8.2f ms  %zu symbols, %zu KiB\n", made, symtab_count(table),
	       image_bytes >> 10);
	if (mkdtemp(directory)) {
		printf("the same from the cache   %8.2f ms\n", from_cache(directory));
		snprintf(path, sizeof(path), "%s/host-kallsyms", directory);
		unlink(path);
		rmdir(directory);
	}
	printf("lookup, random address    %8.1f ns\n", lookup_ns(table));
	source_lines(&first, &further);
	printf("source line, first        %8.2f ms\n", first);
	printf("source line, further      %8.3f us\n", further);
	symtab_free(table);
	return 0;
}
