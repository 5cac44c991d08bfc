/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/exit_reason.h"
#include "session/clock_target.h"
#include "session/count_target.h"
#include "util/macro.h"

struct clock_target *clock_target_free(struct clock_target *target)
{
	if (!target)
		return NULL;
	vec_free(&target->competitors);
	vec_free(&target->reasons);
	vec_free(&target->rivals);
	free(target);
	return NULL;
}

static void read_clock(struct clock_target *target, const struct clock_probe *probe)
{
	struct clock_reading *now = &target->now;
	uint64_t now_ns = count_now_ns();

	if (target->clock < 0) {
		now->time_ns = now_ns;
		return;
	}
	/* If it cannot be read just now, what was read before stands. */
	if (clock_probe_read(probe, target->clock, now_ns, &now->clock) < 0)
		return;
	now->has_clock = true;
	now->kvm_tells = clock_probe_sees_entries(probe, &now->isa);
	now->time_ns = now->clock.since_ns; /* a thread that has ended has no later */
}

int clock_target_new(struct clock_probe *probe, pid_t tid, int proc_fd,
		     struct clock_target **ret_target)
{
	struct clock_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->tid = tid;
	target->clock = probe ? clock_probe_add(probe, tid) : -1;
	clock_target_look(target, probe, proc_fd);
	clock_target_begin(target);
	*ret_target = target;
	return 0;
}

void clock_target_begin(struct clock_target *target)
{
	target->base = target->last = target->now;
	target->competitors.n = 0;
}

void clock_target_told(struct clock_target *target)
{
	target->last = target->now;
	target->told = target->ended;
	vec_for_each (competitor, &target->competitors)
		competitor->last_ns = competitor->ns;
}

void clock_target_look(struct clock_target *target, const struct clock_probe *probe, int proc_fd)
{
	struct vcpu_time sched;

	if (target->ended)
		return;
	read_clock(target, probe);
	if (proc_fd < 0 || vcpu_time_read(proc_fd, target->tid, &sched) < 0)
		return;
	target->now.sched = sched;
	target->now.has_sched = true;
}

void clock_target_end(struct clock_target *target, struct clock_probe *probe)
{
	read_clock(target, probe);
	if (target->clock >= 0)
		clock_probe_remove(probe, target->clock);
	target->clock = -1;
	target->ended = true;
}

/* ---- rows ---- */

static int by_time(const void *a, const void *b)
{
	const struct vpmu_clock_reason *x = a, *y = b;
	uint64_t x_ns = x->exit_ns + x->qemu_ns, y_ns = y->exit_ns + y->qemu_ns;

	if (x_ns != y_ns)
		return x_ns > y_ns ? -1 : 1;
	return (x->code > y->code) - (x->code < y->code);
}

static uint64_t since(uint64_t to, uint64_t from)
{
	return to > from ? to - from : 0;
}

/* Number @i in the clock's table. */
static const char *name_reason(struct intern *names, const struct clock_reading *now, uint32_t i)
{
	uint32_t code = now->clock.reasons[i].code, id;
	const char *name = exit_reason_name((enum exit_isa)now->isa, code);
	char number[16];

	if (i == VPMU_BPF_CLOCK_REASONS)
		return "others";
	if (code == VPMU_BPF_CLOCK_NO_REASON)
		return "unknown";
	if (name)
		return name;
	snprintf(number, sizeof(number), "0x%" PRIx32, code);
	id = intern_add(names, number);
	return id == INTERN_FAILED ? NULL : intern_string(names, id);
}

static int list_reasons(struct clock_target *target, struct intern *names,
			const struct clock_reading *from)
{
	const struct vpmu_bpf_clock *to = &target->now.clock;

	target->reasons.n = 0;
	for (uint32_t i = 0; i <= VPMU_BPF_CLOCK_REASONS; i++) {
		const struct vpmu_bpf_clock_reason *a = &from->clock.reasons[i],
						   *b = &to->reasons[i];
		struct vpmu_clock_reason reason = {
			.code = i < VPMU_BPF_CLOCK_REASONS ? b->code : VPMU_BPF_CLOCK_NO_REASON,
			.count = since(b->count, a->count),
			.exit_ns = since(b->exit_ns, a->exit_ns),
			.qemu_ns = since(b->qemu_ns, a->qemu_ns),
		};

		if (!b->used || (!reason.count && !reason.exit_ns && !reason.qemu_ns))
			continue;
		reason.name = name_reason(names, &target->now, i);
		if (!reason.name || !vec_push(&target->reasons, reason))
			return -ENOMEM;
	}
	if (target->reasons.n)
		qsort(target->reasons.items, target->reasons.n, sizeof(*target->reasons.items),
		      by_time);
	return 0;
}

/* ---- who had the CPU ---- */

static struct clock_competitor *find_competitor(struct clock_target *target, pid_t tid,
						const char *comm)
{
	vec_for_each (competitor, &target->competitors)
		if (competitor->tid == tid && streq(competitor->comm, comm))
			return competitor;
	return NULL;
}

int clock_target_compete(struct clock_target *target, struct intern *names, uint32_t tid,
			 const struct vpmu_bpf_competitor *value)
{
	struct clock_competitor competitor = {.tid = (pid_t)tid, .pid = (pid_t)value->pid}, *had;
	char comm[sizeof(value->comm) + 1] = "";
	uint32_t id;

	memcpy(comm, value->comm, sizeof(value->comm));
	if (tid == 0) /* "swapper/3": each CPU has one */
		strcpy(comm, "idle");
	if (target->competitors.n >= CLOCK_COMPETITORS_MAX &&
	    !find_competitor(target, competitor.tid, comm)) {
		competitor.tid = competitor.pid = -1;
		strcpy(comm, "others");
	}
	had = find_competitor(target, competitor.tid, comm);
	if (had) {
		had->ns += value->ns;
		return 0;
	}
	id = intern_add(names, comm);
	if (id == INTERN_FAILED)
		return -ENOMEM;
	competitor.comm = intern_string(names, id);
	competitor.ns = value->ns;
	return vec_push(&target->competitors, competitor) ? 0 : -ENOMEM;
}

static int by_ns(const void *a, const void *b)
{
	const struct vpmu_clock_competitor *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int list_competitors(struct clock_target *target, enum vpmu_count_since from)
{
	target->rivals.n = 0;
	vec_for_each (competitor, &target->competitors) {
		struct vpmu_clock_competitor rival = {
			.tid = competitor->tid,
			.pid = competitor->pid,
			.comm = competitor->comm,
			.ns = competitor->ns - (from == VPMU_SINCE_LAST ? competitor->last_ns : 0),
		};

		if (rival.ns && !vec_push(&target->rivals, rival))
			return -ENOMEM;
	}
	if (target->rivals.n)
		qsort(target->rivals.items, target->rivals.n, sizeof(*target->rivals.items), by_ns);
	return 0;
}

int clock_target_row(struct clock_target *target, struct intern *names,
		     enum vpmu_count_since since_what, struct vpmu_clock_vcpu *ret_row)
{
	const struct clock_reading *from =
		since_what == VPMU_SINCE_LAST ? &target->last : &target->base;
	struct vpmu_clock_vcpu row = {
		.tid = target->tid,
		.guest = target->guest,
		.vcpu = target->vcpu,
		.ended = target->ended,
		.start_ns = from->time_ns,
		.wall_ns = since(target->now.time_ns, from->time_ns),
		.unpaired = since(target->now.clock.unpaired, from->clock.unpaired),
	};

	row.why = clock_parts(from, &target->now, row.parts);
	if (target->now.has_clock &&
	    (list_reasons(target, names, from) < 0 || list_competitors(target, since_what) < 0))
		return -ENOMEM;
	row.n_reasons = target->reasons.n;
	row.reasons = target->reasons.items;
	row.n_competitors = target->rivals.n;
	row.competitors = target->rivals.items;
	*ret_row = row;
	return 0;
}
