/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lib/guest sees in a guest that no command prints, as lines for compare.py:
 *
 *	kernel TEXT-GVA TEXT-GPA	by the page tables
 *	note TEXT-GVA TEXT-GPA		by VMCOREINFO
 *	running CPU PID NAME		on each CPU, again and again
 *	exported PATH OFFSET SIZE NAME	the functions of every file that process PROCESS has mapped
 *
 * usage: inside PID|FILE CPUS PROCESS
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vpmu/introspect.h>

#include "guest/code_areas.h"
#include "guest/current.h"
#include "guest/kernel_types.h"
#include "guest/linux_note.h"
#include "guest/tasks.h"

#define LOOKS 50

static int accept(const struct linux_image *image, void *data)
{
	(void)data;
	printf("note %llx %llx\n", (unsigned long long)image->text_gva, (unsigned long long)image->text_gpa);
	return 0;
}

static void look_who_runs(struct vpmu_kernel *kernel, unsigned int n_cpus)
{
	struct guest_task task;

	for (int look = 0; look < LOOKS; look++, usleep(20000))
		for (unsigned int cpu = 0; cpu < n_cpus; cpu++)
			if (current_read(kernel, cpu, &task) == 0)
				printf("running %u %d %s\n", cpu, task.pid, task.comm);
}

static int see_symbol(const struct elf_dynamic_symbol *symbol, void *data)
{
	printf("exported %s %llx %llx %s\n", (const char *)data, (unsigned long long)symbol->offset_bytes,
	       (unsigned long long)symbol->n_bytes, symbol->name);
	return 0;
}

static int see_area(const struct code_area *area, void *data)
{
	size_t n;

	(void)data;
	(void)code_area_symbols(area, see_symbol, (void *)area->path, &n);
	return 0;
}

struct wanted {
	struct vpmu_kernel *kernel;
	int pid;
};

static int see_task(const struct guest_task *task, void *data)
{
	const struct wanted *wanted = data;

	return task->pid == wanted->pid ?
		       code_areas_each(wanted->kernel, task->gva, task->tgid, task->mm_gva, see_area, NULL) :
		       0;
}

int main(int argc, char **argv)
{
	struct vpmu_guest_info guest = {.pid = argc == 4 ? atoi(argv[1]) : 0, .accel = VPMU_ACCEL_TCG};
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest.pid ? NULL : argv[1]);
	struct vpmu_error error = {};
	struct vpmu_kernel *kernel;
	struct wanted wanted;

	if (argc != 4) {
		fprintf(stderr, "usage: %s PID|FILE CPUS PROCESS\n", argv[0]);
		return 2;
	}
	if (vpmu_kernel_open(guest.pid ? &guest : NULL, &opts, &kernel, &error) < 0 ||
	    kernel_types_load(kernel, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	printf("kernel %llx %llx\n", (unsigned long long)kernel->image.text_gva, (unsigned long long)kernel->image.text_gpa);
	linux_note_find(kernel->memory, accept, NULL);
	look_who_runs(kernel, (unsigned int)atoi(argv[2]));
	wanted = (struct wanted){kernel, atoi(argv[3])};
	kernel_look_again(kernel, NULL);
	tasks_each(kernel, see_task, &wanted);
	vpmu_kernel_free(kernel);
	return 0;
}
