/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "kernels.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

/*
 * Firmware and boot loader take seconds, a first boot may take a minute. Looks come 3 s after the start, 15 s after that, and
 * once more after 75 s.
 */
#define FIRST_LOOK_MS 3000
#define LOOKS_MAX     3
#define LOOK_FACTOR   5
/* Where so many guests wait (vpmud started, on a busy node) looks take this part of a CPU at most: 0.5 %. */
#define WAITS_MANY    8
#define COST_PART     200

/* A guest in which no kernel was found yet. */
struct wait {
	uint64_t id; /* the domain's */
	uint64_t due_ms, pause_ms;
	unsigned int n_looks;
};

struct kernels {
	sd_event *loop;
	struct jobs *jobs;
	struct domains *domains;
	int listener;
	uint32_t first_look_ms;
	sd_event_source *timer;
	VEC(struct wait) waits;
	struct look *under_way;
	uint64_t not_before_ms; /* because of what the last look cost */
};

/* What the pool works on. */
struct look {
	struct kernels *kernels; /* the loop's; NULL: nobody wants to know any more */
	uint64_t id;
	struct vpmu_guest_info guest;
	char *name, *uuid, *exe;
	int result;
	uint64_t cost_ns;
	char release[128];
	struct vpmu_error error;
};

static struct look *look_free(struct look *look)
{
	if (look) {
		free(look->name);
		free(look->uuid);
		free(look->exe);
		free(look);
	}
	return NULL;
}
DEFINE_CLEANUP(struct look *, look_free)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static struct wait *find_wait(struct kernels *kernels, uint64_t id)
{
	vec_for_each(wait, &kernels->waits)
		if (wait->id == id)
			return wait;
	return NULL;
}

static void drop_wait(struct kernels *kernels, uint64_t id)
{
	struct wait *wait = find_wait(kernels, id);

	if (wait)
		*wait = kernels->waits.items[--kernels->waits.n];
}

static void schedule(struct kernels *kernels)
{
	const struct wait *next = NULL;
	uint64_t now = now_ms(), due;

	vec_for_each(wait, &kernels->waits)
		if (!next || wait->due_ms < next->due_ms)
			next = wait;
	if (!next || kernels->under_way) {
		sd_event_source_set_enabled(kernels->timer, SD_EVENT_OFF);
		return;
	}
	due = MAX(next->due_ms, kernels->not_before_ms);
	sd_event_source_set_time_relative(kernels->timer, due > now ? (due - now) * 1000 : 0);
	sd_event_source_set_enabled(kernels->timer, SD_EVENT_ONESHOT);
}

/* ---- a look ---- */

static void work(void *data)
{
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *kernel = NULL;
	struct look *look = data;
	uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	look->result = vpmu_kernel_open(&look->guest, NULL, &kernel, &look->error);
	if (look->result == 0)
		strncat(look->release, vpmu_kernel_info(kernel)->release, sizeof(look->release) - 1);
	look->cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
}

/* Not there yet; or the process that parses what is there failed, and the guest may have other things in its memory later. */
static bool may_pass(int result)
{
	return result == -ENOENT || result == -EIO || result == -EAGAIN;
}

/*
 * What is not found now may be there later, but only so often; what may not be read stays so. The reason is told at once: a guest
 * without Linux has it for as long as it runs, one that boots until the next look.
 */
static void judge(struct kernels *kernels, const struct look *look)
{
	struct wait *wait = find_wait(kernels, look->id);
	const struct domain *domain = domains_by_id(kernels->domains, look->id);

	if (!wait || !domain || domain->guest.pid != look->guest.pid ||
	    domain->guest.start_ticks != look->guest.start_ticks)
		return; /* it stopped meanwhile; if it runs again, the new one has its own wait */
	if (may_pass(look->result) && ++wait->n_looks < LOOKS_MAX) {
		wait->pause_ms *= LOOK_FACTOR;
		wait->due_ms = now_ms() + wait->pause_ms;
	} else {
		drop_wait(kernels, look->id);
	}
	if (look->result == 0)
		domains_set_kernel(kernels->domains, look->id, look->release, NULL);
	else if (look->result != -ESRCH)
		domains_set_kernel(kernels->domains, look->id, NULL, look->error.text);
}

static void end(void *data, bool cancelled)
{
	_cleanup_(look_freep) struct look *look = data;
	struct kernels *kernels = look->kernels;

	if (!kernels)
		return;
	kernels->under_way = NULL;
	if (cancelled)
		return;
	judge(kernels, look);
	if (kernels->waits.n > WAITS_MANY)
		kernels->not_before_ms = now_ms() + look->cost_ns * COST_PART / 1000000;
	schedule(kernels);
}

static struct look *look_new(struct kernels *kernels, const struct domain *domain)
{
	_cleanup_(look_freep) struct look *look = calloc(1, sizeof(*look));

	if (!look)
		return NULL;
	look->kernels = kernels;
	look->id = domain->id;
	look->name = strdup(domain->guest.name);
	look->uuid = strdup(domain->guest.uuid);
	look->exe = strdup(domain->guest.exe);
	if (!look->name || !look->uuid || !look->exe)
		return NULL;
	look->guest = (struct vpmu_guest_info){
		.pid = domain->guest.pid,
		.start_ticks = domain->guest.start_ticks,
		.accel = domain->guest.accel,
		.name = look->name,
		.uuid = look->uuid,
		.exe = look->exe,
	};
	return take_ptr(look);
}

static int begin(struct kernels *kernels, const struct domain *domain)
{
	_cleanup_(look_freep) struct look *look = look_new(kernels, domain);
	int r;

	if (!look)
		return -ENOMEM;
	r = jobs_run(kernels->jobs, work, end, look);
	if (r == 0)
		kernels->under_way = take_ptr(look);
	return r;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	struct kernels *kernels = data;
	uint64_t now = now_ms();

	(void)source;
	(void)now_us;
	vec_for_each(wait, &kernels->waits) {
		const struct domain *domain = domains_by_id(kernels->domains, wait->id);

		if (MAX(wait->due_ms, kernels->not_before_ms) > now || kernels->under_way)
			continue;
		/* No memory, or the pool is full: later. */
		if (!domain || begin(kernels, domain) < 0)
			wait->due_ms = now + kernels->first_look_ms;
	}
	schedule(kernels);
	return 0;
}

static void expect(struct kernels *kernels, const struct domain *domain)
{
	struct wait wait = { .id = domain->id, .pause_ms = kernels->first_look_ms };

	wait.due_ms = now_ms() + wait.pause_ms;
	drop_wait(kernels, domain->id);
	if (vec_push(&kernels->waits, wait))
		schedule(kernels);
}

static void on_change(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		      void *data)
{
	struct kernels *kernels = data;

	(void)vcpu;
	if (change == DOMAIN_STARTED)
		expect(kernels, domain);
	else if (change == DOMAIN_STOPPED)
		drop_wait(kernels, domain->id);
	else if (change == DOMAIN_CHANGED && domain->running && !domain->kernel && !domain->why &&
		 !find_wait(kernels, domain->id))
		expect(kernels, domain); /* it booted anew */
}

int kernels_new(sd_event *loop, struct jobs *jobs, struct domains *domains, uint32_t first_look_ms,
		struct kernels **ret_kernels, struct vpmu_error *reterr)
{
	_cleanup_(kernels_freep) struct kernels *kernels = calloc(1, sizeof(*kernels));
	const struct domain *domain;
	int r;

	if (!kernels)
		return error_oom(reterr);
	kernels->loop = sd_event_ref(loop);
	kernels->jobs = jobs;
	kernels->domains = domains;
	kernels->first_look_ms = first_look_ms ? first_look_ms : FIRST_LOOK_MS;
	r = sd_event_add_time_relative(loop, &kernels->timer, CLOCK_MONOTONIC, 0, 100000, on_timer, kernels);
	if (r < 0)
		return error_errno(reterr, r, "set", "a timer");
	kernels->listener = domains_listen(domains, on_change, kernels);
	if (kernels->listener < 0)
		return error_oom(reterr);
	for (size_t i = 0; (domain = domains_get(domains, i)); i++)
		if (domain->running)
			expect(kernels, domain);
	*ret_kernels = take_ptr(kernels);
	return 0;
}

struct kernels *kernels_free(struct kernels *kernels)
{
	if (!kernels)
		return NULL;
	if (kernels->under_way)
		kernels->under_way->kernels = NULL;
	if (kernels->listener > 0)
		domains_unlisten(kernels->domains, kernels->listener);
	sd_event_source_disable_unref(kernels->timer);
	vec_free(&kernels->waits);
	sd_event_unref(kernels->loop);
	free(kernels);
	return NULL;
}
