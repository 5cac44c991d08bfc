/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "session/count_rows.h"
#include "session/time_account.h"
#include "util/macro.h"

struct row_maker {
	struct count_rows *rows;
	struct vpmu_count common; /* what all rows of the target share */
};

static bool add(struct row_maker *maker, struct vpmu_count row)
{
	row.guest = maker->common.guest;
	row.vcpu = maker->common.vcpu;
	row.tid = maker->common.tid;
	row.ended = maker->common.ended;
	if (row.status >= VPMU_COUNT_NOT_COUNTED)
		row.value = 0;
	return vec_push(maker->rows, row);
}

static void set_ratio(struct vpmu_count *row, const char *base, uint64_t base_value)
{
	if (row->status >= VPMU_COUNT_NOT_COUNTED || !base_value)
		return;
	row->base = base;
	row->ratio = (double)row->value / (double)base_value;
}

/* ---- times ---- */

/* @row: of what the scheduler accounts; its value, if @has_value. */
static struct vpmu_count account_row(const struct row_maker *maker, uint64_t wall_ns,
				     bool has_value, const char *why_not, struct vpmu_count row)
{
	row.is_account = true;
	row.enabled_ns = row.running_ns = wall_ns;
	row.status = maker->common.status;
	row.why = maker->common.why;
	if (!has_value) {
		row.status = VPMU_COUNT_UNAVAILABLE;
		row.why = why_not;
	}
	return row;
}

static bool add_times(struct row_maker *maker, const struct count_reading *from,
		      const struct count_reading *to)
{
	uint64_t wall_ns = to->time_ns - from->time_ns, step_ns = vcpu_time_step_ns();
	bool switches = from->time.has_switches && to->time.has_switches, ok = true;
	struct time_account a;

	time_account(&from->time, &to->time, wall_ns, &a);
	/* The accounts may be ahead of the clock by what happened between the two looks. */
	wall_ns = a.run_ns + a.wait_ns + a.sleep_ns;

	const struct {
		const char *event, *why_not;
		bool has_value, is_time;
		unsigned int sides;
		uint64_t value, step_ns;
	} accounts[] = {
		{ "wall-time", NULL, true, true, 0, wall_ns, 0 },
		{ "guest-time", NULL, true, true, VPMU_SIDES_GUEST, a.guest_ns, step_ns },
		{ "user-time", NULL, true, true, 1u << VPMU_SIDE_HOST_USER, a.user_ns, step_ns },
		{ "system-time", NULL, true, true, 1u << VPMU_SIDE_HOST_KERNEL, a.system_ns,
		  step_ns },
		{ "wait-time",
		  "this kernel does not account it (schedstat): it is part of sleep-time",
		  a.has_wait, true, 0, a.wait_ns, 0 },
		{ "sleep-time", NULL, true, true, 0, a.sleep_ns, a.has_wait ? 0 : step_ns },
		{ "voluntary-switches", "/proc does not tell it", switches, false, VPMU_SIDES_ALL,
		  to->time.voluntary - from->time.voluntary, 0 },
		{ "involuntary-switches", "/proc does not tell it", switches, false, VPMU_SIDES_ALL,
		  to->time.involuntary - from->time.involuntary, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(accounts) && ok; i++) {
		struct vpmu_count row =
			account_row(maker, wall_ns, accounts[i].has_value, accounts[i].why_not,
				    (struct vpmu_count){ .event = accounts[i].event,
							 .is_time = accounts[i].is_time,
							 .sides = accounts[i].sides,
							 .value = accounts[i].value,
							 .step_ns = accounts[i].step_ns });

		if (i && row.is_time)
			set_ratio(&row, "wall-time", wall_ns);
		ok = add(maker, row);
	}
	return ok;
}

/* ---- events ---- */

static void set_counted(struct vpmu_count *row, const struct counter_value *counted)
{
	row->enabled_ns = counted->enabled_ns;
	row->running_ns = counted->running_ns;
	switch (counter_scale(counted, &row->value)) {
	case COUNTER_WHOLE:
		break;
	case COUNTER_SCALED:
		row->scaled = true;
		break;
	case COUNTER_NEVER:
		row->status = VPMU_COUNT_NOT_COUNTED;
		row->why = "the PMU had no room for it: others were counted all the time";
		break;
	}
}

static bool add_counter(struct row_maker *maker, const struct count_plan *plan,
			const struct intern *whys, const struct count_target *target,
			const struct count_reading *from, size_t i)
{
	const struct count_counter *counter = &plan->counters.items[i];
	const struct count_slot *slot = &target->slots[i];
	struct vpmu_count row = {
		.event = counter->spec.name,
		.sides = counter->sides,
		.is_time = counter->spec.is_clock,
	};

	if (slot->code) {
		row.status = VPMU_COUNT_UNAVAILABLE;
		row.why = intern_string(whys, slot->why);
	} else {
		struct counter_value counted =
			counter_since(&target->now->values[i], &from->values[i]);

		set_counted(&row, &counted);
	}
	return add(maker, row);
}

static bool add_stat(struct row_maker *maker, const struct count_plan *plan,
		     const struct intern *whys, const struct count_target *target,
		     const struct count_reading *from, size_t i)
{
	size_t value = plan->counters.n + i;
	const struct count_slot *slot = &target->slots[value];
	struct vpmu_count row = {
		.event = plan->stats.items[i].name,
		.sides = 1u << VPMU_SIDE_HOST_KERNEL,
		.is_time = target->stats[i].is_time,
		.value = target->now->values[value].value - from->values[value].value,
	};

	if (slot->code) {
		row.status = VPMU_COUNT_UNAVAILABLE;
		row.why = intern_string(whys, slot->why);
	}
	return add(maker, row);
}

/* @first: index of the target's row of the plan's first counter; @wall: of its wall time. */
static void set_counter_ratios(struct count_rows *rows, const struct count_plan *plan, size_t first,
			       size_t wall)
{
	for (size_t i = 0; i < plan->counters.n; i++) {
		size_t base = plan->counters.items[i].base;

		if (base != COUNT_NO_BASE)
			set_ratio(&rows->items[first + i], rows->items[first + base].event,
				  rows->items[first + base].value);
		else if (rows->items[first + i].is_time)
			set_ratio(&rows->items[first + i], rows->items[wall].event,
				  rows->items[wall].value);
	}
}

int count_rows_add(struct count_rows *rows, const struct count_plan *plan,
		   const struct intern *whys, const struct count_target *target,
		   const struct count_reading *from)
{
	struct row_maker maker = {
		.rows = rows,
		.common = { .guest = target->guest,
			    .vcpu = target->vcpu,
			    .tid = target->tid,
			    .ended = target->ended },
	};
	size_t first, wall = rows->n;

	if (target->time_slot.code) {
		maker.common.status = VPMU_COUNT_UNAVAILABLE;
		maker.common.why = intern_string(whys, target->time_slot.why);
	} else if (target->time_failed || target->ended) {
		maker.common.status = VPMU_COUNT_PARTIAL;
		maker.common.why = "the thread has ended: this is from the last look at it before";
	}
	if (!add_times(&maker, from, target->now))
		return -ENOMEM;
	first = rows->n;
	for (size_t i = 0; i < plan->counters.n; i++)
		if (!add_counter(&maker, plan, whys, target, from, i))
			return -ENOMEM;
	set_counter_ratios(rows, plan, first, wall);
	for (size_t i = 0; i < plan->stats.n; i++)
		if (!add_stat(&maker, plan, whys, target, from, i))
			return -ENOMEM;
	return 0;
}
