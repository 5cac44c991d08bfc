/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vpmu/host.h>

#include "host/perf_open.h"
#include "session/count_plan.h"
#include "session/plan.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define DEFAULT_SOFTWARE "context-switches,cpu-migrations,page-faults"
#define DEFAULT_HARDWARE "cycles,instructions,branches,branch-misses"
#define STATS_MAX	 64 /* of KVM's: it has some fifty, and each is a row for every vCPU */

void count_plan_deinit(struct count_plan *plan)
{
	vec_free(&plan->counters);
	vec_free(&plan->groups);
	vec_free(&plan->stats);
}

/* ---- counters ---- */

void count_counter_withhold(struct count_counter *counter, int code, const char *why)
{
	counter->withheld_code = code;
	snprintf(counter->withheld, sizeof(counter->withheld), "%s", why);
}

/* Of the sides in @sides those that user and kernel mode filters leave. */
static unsigned int sides_in_mode(const struct perf_event_attr *attr, unsigned int sides)
{
	if (attr->exclude_user)
		sides &= ~(1u << VPMU_SIDE_GUEST_USER | 1u << VPMU_SIDE_HOST_USER);
	if (attr->exclude_kernel)
		sides &= ~(1u << VPMU_SIDE_GUEST_KERNEL | 1u << VPMU_SIDE_HOST_KERNEL);
	if (attr->exclude_hv)
		sides &= ~(1u << VPMU_SIDE_HYPERVISOR);
	return sides;
}

static bool add_side(struct count_plan *plan, const struct event_spec *spec, bool guest,
		     bool mediated)
{
	struct count_counter counter = { .spec = *spec, .base = COUNT_NO_BASE };
	struct perf_event_attr *attr = &counter.spec.attr;

	attr->exclude_host = guest;
	attr->exclude_guest = !guest;
	counter.sides = sides_in_mode(attr, guest ? VPMU_SIDES_GUEST : VPMU_SIDES_HOST);
	if (guest && mediated) /* see plan.c */
		count_counter_withhold(&counter, -EOPNOTSUPP,
				       "it would keep guests from starting: KVM's mediated vPMU is on here");
	return vec_push(&plan->counters, counter);
}

static bool add_both_sides(struct count_plan *plan, const struct event_spec *spec)
{
	struct count_counter counter = { .spec = *spec,
					 .sides = VPMU_SIDES_ALL,
					 .base = COUNT_NO_BASE };

	if (spec->is_tracepoint)
		counter.sides = 1u << VPMU_SIDE_HOST_KERNEL;
	return vec_push(&plan->counters, counter);
}

int count_plan_add(struct count_plan *plan, const struct event_spec *specs, size_t n, bool mediated)
{
	for (size_t i = 0; i < n; i++) {
		const struct perf_event_attr *attr = &specs[i].attr;
		bool ok = true;

		if (!specs[i].is_hardware)
			ok = add_both_sides(plan, &specs[i]);
		if (specs[i].is_hardware && !attr->exclude_guest)
			ok = add_side(plan, &specs[i], true, mediated);
		if (ok && specs[i].is_hardware && !attr->exclude_host)
			ok = add_side(plan, &specs[i], false, mediated);
		if (!ok)
			return -ENOMEM;
	}
	return 0;
}

/* ---- groups ---- */

/* The generic event that @attr is a proportion of: cycles for instructions, accesses for misses. */
static bool find_base(const struct perf_event_attr *attr, uint64_t *ret_config)
{
	static const uint64_t bases[PERF_COUNT_HW_MAX] = {
		[PERF_COUNT_HW_INSTRUCTIONS] = PERF_COUNT_HW_CPU_CYCLES + 1,
		[PERF_COUNT_HW_CACHE_MISSES] = PERF_COUNT_HW_CACHE_REFERENCES + 1,
		[PERF_COUNT_HW_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_INSTRUCTIONS + 1,
		[PERF_COUNT_HW_STALLED_CYCLES_FRONTEND] = PERF_COUNT_HW_CPU_CYCLES + 1,
		[PERF_COUNT_HW_STALLED_CYCLES_BACKEND] = PERF_COUNT_HW_CPU_CYCLES + 1,
	};

	if (attr->type == PERF_TYPE_HARDWARE && attr->config < PERF_COUNT_HW_MAX &&
	    bases[attr->config]) {
		*ret_config = bases[attr->config] - 1;
		return true;
	}
	/* Cache events: bits 16 to 23 are the result, a miss or (0) any access. */
	if (attr->type == PERF_TYPE_HW_CACHE &&
	    attr->config >> 16 == PERF_COUNT_HW_CACHE_RESULT_MISS) {
		*ret_config = attr->config & 0xffff;
		return true;
	}
	return false;
}

static bool same_scope(const struct perf_event_attr *a, const struct perf_event_attr *b)
{
	return a->exclude_host == b->exclude_host && a->exclude_guest == b->exclude_guest &&
	       a->exclude_user == b->exclude_user && a->exclude_kernel == b->exclude_kernel &&
	       a->exclude_hv == b->exclude_hv;
}

static void set_base(struct count_plan *plan, struct count_counter *counter)
{
	const struct perf_event_attr *attr = &counter->spec.attr;
	uint64_t config;

	if (!find_base(attr, &config))
		return;
	for (size_t i = 0; i < plan->counters.n; i++) {
		const struct perf_event_attr *other = &plan->counters.items[i].spec.attr;

		if (other->type == attr->type && other->config == config &&
		    same_scope(attr, other)) {
			counter->base = i;
			return;
		}
	}
}

/* Those that are divided by @leader follow it, as many as fit; the rest count for themselves. */
static bool add_group(struct count_plan *plan, size_t leader, bool *taken)
{
	struct count_group group = { .n = 1, .counters = { leader } };

	for (size_t i = 0; i < plan->counters.n && group.n < COUNT_GROUP_MAX; i++)
		if (plan->counters.items[i].base == leader && !taken[i]) {
			group.counters[group.n++] = i;
			taken[i] = true;
		}
	taken[leader] = true;
	return vec_push(&plan->groups, group);
}

int count_plan_group(struct count_plan *plan)
{
	_free_ bool *taken = calloc(plan->counters.n + 1, sizeof(*taken));

	if (!taken)
		return -ENOMEM;
	vec_for_each (counter, &plan->counters)
		set_base(plan, counter);
	for (size_t i = 0; i < plan->counters.n; i++)
		if (plan->counters.items[i].base == COUNT_NO_BASE && !add_group(plan, i, taken))
			return -ENOMEM;
	for (size_t i = 0; i < plan->counters.n; i++)
		if (!taken[i] && !add_group(plan, i, taken))
			return -ENOMEM;
	return 0;
}

/* ---- this machine ---- */

/* Tried without guest and kernel, so that the trial is in nobody's way and needs no rights. */
static bool exists_here(const struct event_spec *spec, struct count_plan *plan)
{
	struct perf_event_attr attr = spec->attr;
	struct vpmu_error why;
	_close_ int fd = -1;

	attr.size = sizeof(attr);
	attr.disabled = attr.exclude_guest = attr.exclude_kernel = attr.exclude_hv = 1;
	fd = perf_open(&attr, 0, -1);
	if (fd != -ENOENT && fd != -EOPNOTSUPP && fd != -ENODEV)
		return true;
	if (!plan->missing[0]) {
		event_open_error(spec, fd, "vCPU threads", &why);
		snprintf(plan->missing, sizeof(plan->missing), "%.255s", why.text);
	}
	return false;
}

static int add_default(struct count_plan *plan, bool mediated, struct vpmu_error *reterr)
{
	_free_ struct event_spec *software = NULL, *hardware = NULL;
	size_t n, kept = 0;
	int r;

	r = event_parse_list(DEFAULT_SOFTWARE, "", &software, &n, reterr);
	if (r < 0)
		return r;
	if (count_plan_add(plan, software, n, mediated) < 0)
		return error_oom(reterr);
	r = event_parse_list(DEFAULT_HARDWARE, "", &hardware, &n, reterr);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (exists_here(&hardware[i], plan))
			hardware[kept++] = hardware[i];
	return count_plan_add(plan, hardware, kept, mediated) < 0 ? error_oom(reterr) : 0;
}

static bool is_stat(const char *name, size_t n)
{
	const char *what = name + strlen("kvm:");

	return n > strlen("kvm:") && n < sizeof(((struct count_stat *)NULL)->name) &&
	       starts_with(name, "kvm:") && !starts_with(what, "kvm_") &&
	       !starts_with(what, "vcpu_") &&
	       strspn(what, "abcdefghijklmnopqrstuvwxyz0123456789_") >= n - strlen("kvm:");
}

/*
 * Takes the statistics out of the list: *events is what is left. Whether there are other events, or
 * -ENOMEM, -EINVAL.
 */
static int split_stats(struct count_plan *plan, const char *list, struct strbuf *events, struct vpmu_error *reterr)
{
	bool others = false;

	for (const char *p = list;; p++) {
		size_t n = event_name_length(p);

		if (is_stat(p, n)) {
			struct count_stat stat;

			snprintf(stat.name, sizeof(stat.name), "%.*s", (int)n, p);
			if (plan->stats.n == STATS_MAX)
				return error_set(reterr, -EINVAL, "more than %d of KVM's statistics", STATS_MAX);
			if (!vec_push(&plan->stats, stat))
				return error_oom(reterr);
		} else {
			strbuf_adds(events, others ? "," : "");
			strbuf_add(events, p, n);
			others = true;
		}
		p += n;
		if (!*p)
			break;
	}
	return events->failed ? error_oom(reterr) : others;
}

static int add_named(struct count_plan *plan, const char *list, bool mediated,
		     struct vpmu_error *reterr)
{
	_free_ struct event_spec *specs = NULL;
	_strbuf_ struct strbuf events = {};
	size_t n;
	int r;

	r = split_stats(plan, list, &events, reterr);
	if (r <= 0)
		return r;
	r = event_parse_list(events.n ? events.text : "", plan_tracefs_path(), &specs, &n, reterr);
	if (r < 0)
		return r;
	return count_plan_add(plan, specs, n, mediated) < 0 ? error_oom(reterr) : 0;
}

static void describe(struct count_plan *plan)
{
	vec_for_each (counter, &plan->counters)
		counter->info = (struct vpmu_event_info){
			.name = counter->spec.name,
			.is_clock = counter->spec.is_clock,
			.excludes_guest = counter->spec.attr.exclude_guest,
			.is_hardware = counter->spec.is_hardware,
			.is_tracepoint = counter->spec.is_tracepoint,
		};
}

int count_plan_init(struct count_plan *plan, const char *events, struct vpmu_error *reterr)
{
	const char *module;
	bool mediated = perf_mediated_pmu("/sys", &module) == 'Y';
	int r = 0;

	memset(plan, 0, sizeof(*plan));
	if (!events)
		r = add_default(plan, mediated, reterr);
	else if (*events)
		r = add_named(plan, events, mediated, reterr);
	if (r == 0 && count_plan_group(plan) < 0)
		r = error_oom(reterr);
	if (r < 0)
		count_plan_deinit(plan);
	describe(plan);
	return r;
}
