/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "guest/kernel_types.h"
#include "guest/parser_process.h"
#include "sym/guest_live.h"
#include "util/log.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

struct guest_live {
	struct vpmu_guest_info info; /* pid and start_ticks: strings are not kept */
	char *types_path;	     /* NULL: the kernel has its own types */
	struct vpmu_kernel *kernel;  /* NULL: not found yet */
	struct shared_table *own;    /* the kernel's own symbols, which are read once for each boot */
	/* What the thread reads; kernel and these are its own as long as it runs. */
	pthread_t thread;
	bool begun; /* there is a thread, not yet joined */
	atomic_bool done;
	atomic_uint_least64_t until_ns; /* how long it waits for parsers */
	bool cancelled; /* behind the lock of turns, as the next */
	bool left;	/* it is the thread's to free */
	int result;
	struct guest_names names;
};

void guest_names_deinit(struct guest_names *names)
{
	shared_table_unref(names->kernel);
	symtab_free(names->modules);
	*names = (struct guest_names){};
}

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

int guest_live_types(struct guest_live *live, const char *path)
{
	char *copy;

	if (live->begun)
		return -EBUSY; /* the thread reads the path */
	copy = path ? strdup(path) : NULL;
	if (path && !copy)
		return -ENOMEM;
	free(live->types_path);
	live->types_path = copy;
	return 0;
}

/*
 * A session with many guests begins as many look-ups at once. They take turns, so that who has to end waits for a few of them and
 * not for all.
 */
#define TURNS	4
#define LOOK_NS 100000000 /* between two looks at the clock */

static pthread_mutex_t turns_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turns_changed = PTHREAD_COND_INITIALIZER;
static unsigned int n_turns;

static bool take_turn(const struct guest_live *live)
{
	bool taken;

	pthread_mutex_lock(&turns_lock);
	while (n_turns >= TURNS && !live->cancelled)
		pthread_cond_wait(&turns_changed, &turns_lock);
	taken = !live->cancelled;
	n_turns += taken;
	pthread_mutex_unlock(&turns_lock);
	return taken;
}

static void end_turn(void)
{
	pthread_mutex_lock(&turns_lock);
	n_turns--;
	pthread_cond_broadcast(&turns_changed);
	pthread_mutex_unlock(&turns_lock);
}

void guest_live_cancel(struct guest_live *live)
{
	pthread_mutex_lock(&turns_lock);
	live->cancelled = true;
	live->until_ns = 1; /* which is over */
	pthread_cond_broadcast(&turns_changed);
	pthread_mutex_unlock(&turns_lock);
}

static void join(struct guest_live *live)
{
	pthread_join(live->thread, NULL);
	live->begun = false;
}

static void forget_kernel(struct guest_live *live)
{
	live->kernel = vpmu_kernel_free(live->kernel);
	live->own = shared_table_unref(live->own);
}

struct guest_live *guest_live_free(struct guest_live *live)
{
	if (!live)
		return NULL;
	if (live->begun) {
		guest_live_cancel(live);
		join(live);
	}
	guest_names_deinit(&live->names);
	forget_kernel(live);
	free(live->types_path);
	free(live);
	return NULL;
}

void guest_live_leave(struct guest_live *live)
{
	bool goes_on;

	if (!live)
		return;
	pthread_mutex_lock(&turns_lock);
	goes_on = live->begun && !live->done;
	if (goes_on) {
		live->left = live->cancelled = true;
		pthread_detach(live->thread);
		pthread_cond_broadcast(&turns_changed);
	}
	pthread_mutex_unlock(&turns_lock);
	if (!goes_on)
		guest_live_free(live);
}

static int read_own(struct guest_live *live, struct vpmu_error *reterr)
{
	struct symtab *table;
	int r = guest_tables_kernel(live->kernel, &table, reterr);

	return r < 0 ? r : shared_table_of(table, &live->own, reterr);
}

static int read_names(struct guest_live *live, struct guest_names *ret, struct vpmu_error *reterr)
{
	struct symtab *modules;
	int r = live->own ? 0 : read_own(live, reterr);

	if (r == 0)
		r = guest_tables_modules(live->kernel, &modules, reterr);
	if (r < 0)
		return r;
	*ret = (struct guest_names){
		.kernel = shared_table_ref(live->own),
		.kernel_gva = vpmu_kernel_info(live->kernel)->text_gva,
		.modules = modules,
	};
	return 0;
}

static void take_types(struct guest_live *live)
{
	struct vpmu_error error = {};

	if (kernel_types_load_file(live->kernel, live->types_path, &error) < 0)
		log_warn("no processes of the guest in process %d: %s", live->info.pid, error.text);
}

static int read_or_find(struct guest_live *live, struct guest_names *ret, struct vpmu_error *reterr)
{
	int r = -ESTALE;

	if (live->kernel) {
		r = read_names(live, ret, reterr);
		if (r != -ESTALE)
			return r;
		forget_kernel(live);
	}
	r = vpmu_kernel_open(&live->info, NULL, &live->kernel, reterr);
	if (r < 0)
		return r;
	if (live->types_path)
		take_types(live);
	return read_names(live, ret, reterr);
}

static int read_now(struct guest_live *live, struct guest_names *ret)
{
	struct vpmu_error error = {.text = "out of memory"};
	int r = read_or_find(live, ret, &error);

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
	bool left;

	live->result = -ECANCELED;
	if (take_turn(live)) {
		parser_processes_await_until(&live->until_ns);
		live->result = read_now(live, &live->names);
		parser_processes_await_until(NULL);
		end_turn();
	}
	pthread_mutex_lock(&turns_lock);
	live->done = true;
	pthread_cond_broadcast(&turns_changed);
	left = live->left;
	pthread_mutex_unlock(&turns_lock);
	if (left) {
		live->begun = false;
		guest_live_free(live);
	}
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

bool guest_live_is_not_linux(const struct guest_live *live)
{
	return !live->begun && !live->kernel && live->result == -ENOENT;
}

struct vpmu_kernel *guest_live_kernel(struct guest_live *live)
{
	return live->begun ? NULL : live->kernel;
}

/* What was begun is let go as soon as nobody may wait any more, which may be said meanwhile. */
static void wait_until_done(struct guest_live *live, const atomic_uint_least64_t *until_ns)
{
	parser_processes_await_until(until_ns);
	pthread_mutex_lock(&turns_lock);
	while (!live->done && parser_processes_awaited()) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += LOOK_NS;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		(void)pthread_cond_clockwait(&turns_changed, &turns_lock, CLOCK_MONOTONIC, &t);
	}
	pthread_mutex_unlock(&turns_lock);
	if (!live->done && parser_processes_used())
		guest_live_cancel(live);
	parser_processes_await_until(NULL);
}

int guest_live_read(struct guest_live *live, const atomic_uint_least64_t *until_ns, struct guest_names *ret)
{
	if (!live->begun) {
		parser_processes_await_until(until_ns);
		live->result = read_now(live, ret);
		parser_processes_await_until(NULL);
		return live->result;
	}
	wait_until_done(live, until_ns);
	join(live);
	if (live->result == 0) {
		*ret = live->names;
		live->names = (struct guest_names){};
	}
	return live->result;
}
