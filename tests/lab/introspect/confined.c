/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's symbols as this process reads them, and as a parser without rights tells them: the same bytes. So are those that the C library of
 * PROCESS in the guest exports. Prints what each takes.
 * usage: confined PID PROCESS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/code_areas.h"
#include "guest/confined.h"
#include "guest/tasks.h"
#include "sym/guest_tables.h"

#define MOST_BYTES 8000000u /* of a kernel, with what looking up needs */

struct look {
	struct symtab *kernel, *modules, *exported;
	struct kernel_facts facts;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Told by the look of this process, which may read tasks. */
static struct parser_process process;

static int find_process(const struct guest_task *task, void *data)
{
	(void)data;
	if (task->pid == process.tgid)
		process = (struct parser_process){task->gva, task->mm_gva, task->tgid};
	return 0;
}

struct exports {
	struct vpmu_kernel *kernel;
	struct symtab *table;
};

static int take_exports(const struct code_area *area, void *data)
{
	struct exports *exports = data;
	size_t n;

	if (!strstr(area->path, "/libc.so"))
		return 0;
	(void)guest_tables_exported(exports->kernel, &process, area, &exports->table, &n);
	return 1;
}

static struct symtab *look_for_exports(struct vpmu_kernel *kernel)
{
	struct exports exports = {.kernel = kernel};

	if (!kernel->confined)
		tasks_each(kernel, find_process, NULL);
	code_areas_each(kernel, process.task_gva, (int32_t)process.tgid, process.mm_gva, take_exports, &exports);
	if (!exports.table) {
		printf("FAILED: process %d exports nothing\n", (int)process.tgid);
		exit(1);
	}
	return exports.table;
}

static struct look look_at(pid_t pid, const char *how)
{
	const struct vpmu_guest_info guest = {.pid = pid, .name = "", .uuid = "", .accel = VPMU_ACCEL_TCG};
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};
	struct look look = {};
	double begun = now_ms(), found;
	int r = vpmu_kernel_open(&guest, NULL, &kernel, &error);

	found = now_ms();
	if (r == 0)
		r = guest_tables_kernel(kernel, &look.kernel, &error);
	if (r == 0)
		r = guest_tables_modules(kernel, &look.modules, &error);
	if (r < 0) {
		printf("FAILED: %s: %s\n", how, error.text);
		exit(1);
	}
	printf("%s: found in %.0f ms, tables in %.0f ms\n", how, found - begun, now_ms() - found);
	begun = now_ms();
	look.exported = look_for_exports(kernel);
	printf("\t%zu functions of a library in %.1f ms\n", symtab_count(look.exported), now_ms() - begun);
	if (kernel->confined)
		look.facts = *confined_facts(kernel->confined);
	vpmu_kernel_free(kernel);
	return look;
}

static void forget(struct look *look)
{
	symtab_free(look->kernel);
	symtab_free(look->modules);
	symtab_free(look->exported);
}

static bool equal(const struct symtab *a, const struct symtab *b)
{
	size_t n_a, n_b;
	const void *bytes_a = symtab_image(a, &n_a), *bytes_b = symtab_image(b, &n_b);

	return n_a == n_b && memcmp(bytes_a, bytes_b, n_a) == 0;
}

int main(int argc, char **argv)
{
	static const char *const nursery[] = {"confined", "--parser", NULL};
	struct look here, there;
	size_t n;

	if (argc == 2 && strcmp(argv[1], nursery[1]) == 0)
		return vpmu_parser_main();
	if (argc != 3)
		return 2;
	process.tgid = atoi(argv[2]);
	here = look_at(atoi(argv[1]), "in one process");
	vpmu_parser_use("/proc/self/exe", nursery);
	there = look_at(atoi(argv[1]), "by a parser, the first");
	forget(&there);
	there = look_at(atoi(argv[1]), "by a parser");
	symtab_image(there.kernel, &n);
	n += symtab_count(there.kernel) * sizeof(uint64_t) / 7; /* the levels above the addresses: symtab.c */
	printf("%zu symbols of the kernel take at most %.1f MB, for all guests that run it\n",
	       symtab_count(there.kernel), (double)n / 1e6);
	if (!equal(here.kernel, there.kernel) || !equal(here.modules, there.modules) ||
	    !equal(here.exported, there.exported) || !there.facts.has_types ||
	    n > MOST_BYTES) {
		puts("FAILED: a parser tells something else, or too much");
		return 1;
	}
	forget(&here);
	forget(&there);
	return 0;
}
