/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <vpmu/introspect.h>

#include "sym/guest_live.h"
#include "sym/kallsyms_table.h"
#include "util/log.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

struct guest_live {
	struct vpmu_guest_info info; /* pid and start_ticks: strings are not kept */
	struct vpmu_kernel *kernel;  /* NULL: not found yet */
	/* What the thread reads; kernel and these are its own as long as it runs. */
	pthread_t thread;
	bool begun; /* there is a thread, not yet joined */
	atomic_bool done;
	int result;
	struct symtab *table;
};

struct guest_live *guest_live_new(const struct vpmu_guest_info *info)
{
	struct guest_live *live = calloc(1, sizeof(*live));

	if (live)
		live->info = (struct vpmu_guest_info){
			.pid = info->pid,
			.start_ticks = info->start_ticks,
			.accel = info->accel,
		};
	return live;
}

static void join(struct guest_live *live)
{
	pthread_join(live->thread, NULL);
	live->begun = false;
}

struct guest_live *guest_live_free(struct guest_live *live)
{
	if (!live)
		return NULL;
	if (live->begun)
		join(live);
	symtab_free(live->table);
	vpmu_kernel_free(live->kernel);
	free(live);
	return NULL;
}

/* Per-CPU variables are offsets, not addresses; see kallsyms_table.c. */
#define UPPER_HALF (1ull << 63)

static int add_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	if (symbol->gva < UPPER_HALF || !kallsyms_counts(symbol->type, symbol->name[0]))
		return 0;
	return symtab_builder_add(data, symbol->gva, 0, symbol->type, symbol->name,
				  strlen(symbol->name), symbol->module,
				  symbol->module ? strlen(symbol->module) : 0);
}

static int add_module_end(const struct vpmu_kernel_module *module, void *data)
{
	return symtab_builder_module_end(data, module->name, strlen(module->name),
					 module->text_gva + module->size_bytes);
}

static int read_table(struct guest_live *live, struct symtab **ret_table, struct vpmu_error *reterr)
{
	_cleanup_(symtab_builder_freep) struct symtab_builder *builder = symtab_builder_new();
	int r;

	if (!builder)
		return -ENOMEM;
	/* Without type information the kernel's own symbols are still there. */
	r = vpmu_kernel_each_symbol(live->kernel, add_symbol, builder, reterr);
	if (r == 0)
		r = vpmu_kernel_each_module(live->kernel, add_module_end, builder, reterr);
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	return symtab_builder_finish(builder, NULL, 0, ret_table);
}

static int read_or_find(struct guest_live *live, struct symtab **ret_table,
			struct vpmu_error *reterr)
{
	int r = -ESTALE;

	if (live->kernel) {
		r = read_table(live, ret_table, reterr);
		if (r != -ESTALE)
			return r;
		live->kernel = vpmu_kernel_free(live->kernel);
	}
	r = vpmu_kernel_open(&live->info, NULL, &live->kernel, reterr);
	return r < 0 ? r : read_table(live, ret_table, reterr);
}

static int read_now(struct guest_live *live, struct symtab **ret_table)
{
	struct vpmu_error error = {.text = "out of memory"};
	int r = read_or_find(live, ret_table, &error);

	if (r < 0)
		log_debug("no symbols from the memory of process %d: %s", live->info.pid,
			  error.text);
	else
		log_debug("process %d runs Linux %s", live->info.pid,
			  vpmu_kernel_info(live->kernel)->release);
	return r;
}

static void *read_in_thread(void *data)
{
	struct guest_live *live = data;

	live->result = read_now(live, &live->table);
	live->done = true;
	return NULL;
}

void guest_live_begin(struct guest_live *live)
{
	sigset_t all, before;

	if (live->begun)
		return;
	live->done = false;
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	live->begun = pthread_create(&live->thread, NULL, read_in_thread, live) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool guest_live_ready(const struct guest_live *live)
{
	return !live->begun || live->done;
}

struct vpmu_kernel *guest_live_kernel(struct guest_live *live)
{
	return live->begun ? NULL : live->kernel;
}

int guest_live_read(struct guest_live *live, struct symtab **ret_table)
{
	if (!live->begun)
		return read_now(live, ret_table);
	join(live);
	if (live->result == 0)
		*ret_table = take_ptr(live->table);
	return live->result;
}
