/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "format/perf_record.h"
#include "session/guest_sample.h"
#include "session/intake.h"
#include "util/macro.h"

/* The record's cpumode, in the order of enum vpmu_side; what newer kernels may add is unknown. */
_Static_assert((int)VPMU_SIDE_GUEST_USER == PERF_RECORD_MISC_GUEST_USER, "sides are cpumodes");

void intake_deinit(struct intake *intake)
{
	hits_deinit(&intake->hits);
}

static enum vpmu_side side_of(const struct perf_event_header *record)
{
	unsigned int mode = record->misc & PERF_RECORD_MISC_CPUMODE_MASK;

	return mode < VPMU_SIDE_COUNT ? (enum vpmu_side)mode : VPMU_SIDE_UNKNOWN;
}

static bool wanted(const struct intake *intake, const struct target *target,
		   const struct plan_sample *sample)
{
	const struct plan *plan = intake->plan;

	return !plan->filters || (plan->events[target_event(target, plan, sample->id)].sides &
				  1u << side_of(&sample->header));
}

void intake_whose(const struct intake *intake, const struct target *target, pid_t pid, pid_t tid,
		  uint32_t *ret_guest, uint32_t *ret_vcpu)
{
	if (target->cpu >= 0) {
		roster_at(intake->roster, pid, tid, ret_guest, ret_vcpu);
		return;
	}
	*ret_guest = target->guest;
	*ret_vcpu = target->vcpu;
}

/* ---- first look ---- */

/* Words of the chain that are there. */
static uint64_t chain_words(const struct intake *intake, const struct plan_sample *sample)
{
	if (!intake->plan->chains || sample->header.size < sizeof(*sample))
		return 0;
	return MIN(sample->n_chain, (sample->header.size - sizeof(*sample)) / sizeof(uint64_t));
}

static void note_chain_hits(struct intake *intake, const struct plan_sample *sample)
{
	uint64_t n = chain_words(intake, sample), context = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (sample->chain[i] >= VPMU_CONTEXT_MAX)
			context = sample->chain[i];
		else if (context == VPMU_CONTEXT_USER)
			hits_user(&intake->hits, sample->pid, sample->tid, sample->chain[i],
				  sample->time_ns);
		else if (context == VPMU_CONTEXT_KERNEL)
			hits_host_kernel(&intake->hits, sample->chain[i]);
	}
}

/* A guest's chain, as guest_sample_read() gave it. @space: of its user addresses; SPACE_NONE = not known. */
static void note_guest_hits(struct intake *intake, uint32_t guest, uint32_t space, const uint64_t *chain, size_t n)
{
	bool user = false;

	for (size_t i = 0; i < n; i++) {
		if (chain[i] >= VPMU_CONTEXT_MAX)
			user = chain[i] == VPMU_CONTEXT_GUEST_USER;
		else if (user && space != SPACE_NONE)
			hits_guest_user(&intake->hits, space, chain[i]);
		else
			hits_guest(&intake->hits, guest, user, chain[i]);
	}
}

static void note_guest_hit(struct intake *intake, const struct plan_sample *sample, uint32_t guest,
			   enum vpmu_side side, const uint64_t *guest_chain, size_t n_guest_chain)
{
	struct guest_task_view task = {.space = SPACE_NONE};
	bool user = side == VPMU_SIDE_GUEST_USER;

	(void)guest_tasks_at(intake->tasks, guest_sample_task(&sample->header), &task);
	if (user && task.space != SPACE_NONE)
		hits_guest_user(&intake->hits, task.space, sample->ip);
	else
		hits_guest(&intake->hits, guest, user, sample->ip);
	note_guest_hits(intake, guest, task.space, guest_chain, n_guest_chain);
}

static void note_hit(struct intake *intake, const struct plan_sample *sample, uint32_t guest, enum vpmu_side side,
		     const uint64_t *guest_chain, size_t n_guest_chain)
{
	if (side == VPMU_SIDE_HOST_USER)
		hits_user(&intake->hits, sample->pid, sample->tid, sample->ip, sample->time_ns);
	else if (side == VPMU_SIDE_HOST_KERNEL)
		hits_host_kernel(&intake->hits, sample->ip);
	if (guest != VPMU_NO_GUEST)
		note_guest_hit(intake, sample, guest, side, guest_chain, n_guest_chain);
	if (!n_guest_chain)
		note_chain_hits(intake, sample);
}

/*
 * Counts @sample's chain. Returns how many words of it are a guest's, in @into as guest_sample_read() gives them; 0 if
 * it is the kernel's.
 */
static size_t count_chain(struct intake *intake, const struct plan_sample *sample,
			  uint64_t into[GUEST_SAMPLE_WORDS])
{
	struct vpmu_coverage *coverage = &intake->coverage;
	uint64_t words = chain_words(intake, sample);
	size_t n = guest_sample_read(&sample->header, sample->chain, words, into);

	if (n)
		guest_sample_count(into, n, 1 + intake->n_more, coverage);
	else if (perf_chain_is_cut(sample->chain, words, intake->plan->max_chain))
		coverage->truncated_chains += 1 + intake->n_more;
	return n;
}

static void count_sample(struct intake *intake, const struct target *target,
			 const struct plan_sample *sample)
{
	struct vpmu_coverage *coverage = &intake->coverage;
	enum vpmu_side side = side_of(&sample->header);
	uint64_t guest_chain[GUEST_SAMPLE_WORDS];
	size_t n = count_chain(intake, sample, guest_chain);
	uint32_t guest = VPMU_NO_GUEST, vcpu;
	uint64_t times = 1 + intake->n_more;

	coverage->samples += times;
	coverage->sides[side] += times;
	if ((sample->ip == 0 || sample->ip == VPMU_ADDRESS_NESTED) && (VPMU_SIDES_GUEST & 1u << side))
		coverage->opaque += times;
	if (!intake->first_time_ns || sample->time_ns < intake->first_time_ns)
		intake->first_time_ns = sample->time_ns;
	if (sample->time_ns > intake->last_time_ns)
		intake->last_time_ns = sample->time_ns;
	if (VPMU_SIDES_GUEST & 1u << side)
		intake_whose(intake, target, (pid_t)sample->pid, (pid_t)sample->tid, &guest, &vcpu);
	if (guest != VPMU_NO_GUEST) {
		if (guest_sample_task(&sample->header) != GUEST_TASK_NONE)
			coverage->guest_processes += times;
		intake->roster->guests.items[guest]->sampled = true;
	}
	if (intake->collect_hits && sample->ip != VPMU_ADDRESS_NESTED)
		note_hit(intake, sample, guest, side, guest_chain, n);
}

static int note_process(struct intake *intake, const struct perf_event_header *record)
{
	const struct perf_layout *layout = &intake->plan->events[0].layout;
	struct perf_ksymbol_record symbol;
	struct perf_record_id id = {};
	struct perf_mmap_record map;
	struct perf_comm_record comm;
	struct perf_task_record task;
	int r = perf_record_id(layout, record, &id);

	if (r < 0)
		return r;
	intake->unsettled = true;
	switch (record->type) {
	case PERF_RECORD_MMAP:
	case PERF_RECORD_MMAP2:
		if (side_of(record) == VPMU_SIDE_HOST_KERNEL)
			return 0;
		r = perf_record_mmap(layout, record, &map);
		return r < 0 ? r : processes_mmap(intake->processes, id.time, &map);
	case PERF_RECORD_COMM:
		r = perf_record_comm(layout, record, &comm);
		return r < 0 ? r : processes_comm(intake->processes, id.time, &comm);
	case PERF_RECORD_FORK:
		r = perf_record_task(record, &task);
		return r < 0 ? r : processes_fork(intake->processes, id.time, &task);
	case PERF_RECORD_EXIT:
		r = perf_record_task(record, &task);
		return r < 0 ? r : processes_exit(intake->processes, id.time, &task);
	default: /* PERF_RECORD_KSYMBOL */
		r = perf_record_ksymbol(layout, record, &symbol);
		if (r < 0 || symbol.unregister)
			return r;
		return symbolizer_add_ksymbol(intake->symbolizer, symbol.address,
					      symbol.length_bytes, symbol.name);
	}
}

static void note_lost(struct intake *intake, struct target *target,
		      const struct perf_event_header *record)
{
	uint64_t lost;

	if (perf_record_lost(record, &lost) < 0) {
		intake->coverage.damaged_records++;
		return;
	}
	intake->coverage.lost += lost;
	if (target && record->type == PERF_RECORD_LOST)
		target->lost += lost;
}

/* Everything about @record but copying it. false = it is not to be kept. */
static int look_at(struct intake *intake, struct target *target,
		   const struct perf_event_header *record, bool *ret_keep)
{
	int r = 0;

	*ret_keep = true;
	switch (record->type) {
	case PERF_RECORD_SAMPLE:
		*ret_keep = wanted(intake, target, (const void *)record);
		if (*ret_keep)
			count_sample(intake, target, (const void *)record);
		break;
	case PERF_RECORD_LOST:
	case PERF_RECORD_LOST_SAMPLES:
		note_lost(intake, target, record);
		break;
	case PERF_RECORD_THROTTLE:
		intake->coverage.throttled++;
		break;
	case PERF_RECORD_MMAP:
	case PERF_RECORD_MMAP2:
	case PERF_RECORD_COMM:
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
	case PERF_RECORD_KSYMBOL:
		r = note_process(intake, record);
		if (r == -EBADMSG)
			r = 0, intake->coverage.damaged_records++;
		break;
	}
	return r;
}

static int record_piece(struct intake *intake, const char *from, const char *to)
{
	return intake->recorder && to > from
		       ? recorder_append(intake->recorder, from, (size_t)(to - from))
		       : 0;
}

static int first_look(struct intake *intake, struct target *target, const char *p, const char *end)
{
	const char *unwritten = p;
	int r = 0;

	while (p < end && r == 0) {
		const struct perf_event_header *record = (const void *)p;
		bool keep;

		r = look_at(intake, target, record, &keep);
		p += record->size;
		if (!keep && r == 0) {
			r = record_piece(intake, unwritten, p - record->size);
			unwritten = p;
		}
	}
	return r < 0 ? r : record_piece(intake, unwritten, end);
}

/* ---- second look ---- */

static void deliver(struct intake *intake, const struct target *target,
		    const struct plan_sample *head)
{
	uint32_t event = target_event(target, intake->plan, head->id);
	struct perf_sample_record record;
	struct process_view process;
	uint64_t guest_chain[GUEST_SAMPLE_WORDS];
	struct vpmu_sample sample;
	size_t n;

	if (perf_record_sample(&intake->plan->events[event].layout, &head->header, &record) < 0) {
		intake->coverage.damaged_records++;
		return;
	}
	processes_at(intake->processes, record.pid, record.tid, record.time, &process);
	sample = (struct vpmu_sample){
		.time_ns = record.time,
		.weight = record.period,
		.ip = record.ip,
		.pid = (pid_t)record.pid,
		.tid = (pid_t)record.tid,
		.cpu = record.cpu,
		.event = event,
		.side = side_of(&head->header),
		.comm = process.comm,
		.comm_id = process.comm_id,
		.space = process.space,
		.n_chain = record.n_chain,
		.chain = record.chain,
		.n_more = intake->n_more,
	};
	n = guest_sample_read(&head->header, record.chain, record.n_chain, guest_chain);
	if (n) {
		sample.chain = guest_chain;
		sample.n_chain = (uint32_t)n;
	}
	intake_whose(intake, target, sample.pid, sample.tid, &sample.guest, &sample.vcpu);
	guest_sample_describe(&head->header, intake->tasks, &sample);
	intake->fn(&sample, intake->fn_data);
}

static int second_look(struct intake *intake, const struct target *target, const char *p,
		       const char *end)
{
	int r = 0;

	if (intake->unsettled)
		r = processes_settle(intake->processes);
	if (r < 0)
		return r;
	intake->unsettled = false;
	for (; p < end; p += ((const struct perf_event_header *)p)->size) {
		const struct plan_sample *sample = (const void *)p;

		if (sample->header.type == PERF_RECORD_SAMPLE && wanted(intake, target, sample))
			deliver(intake, target, sample);
	}
	return 0;
}

int intake_records(struct intake *intake, struct target *target, const void *records,
		   size_t n_bytes)
{
	const char *start = records, *end = start + n_bytes;
	int r;

	r = first_look(intake, target, start, end);
	if (r == 0 && intake->fn && target)
		r = second_look(intake, target, start, end);
	return r;
}

int intake_many(struct intake *intake, struct target *target, const struct perf_event_header *record, uint64_t n)
{
	int r;

	intake->n_more = n - 1;
	r = intake_records(intake, target, record, record->size);
	intake->n_more = 0;
	return r;
}

struct drain {
	struct intake *intake;
	struct target *target;
};

static int take_run(const void *records, size_t n_bytes, void *data)
{
	const struct drain *drain = data;

	return intake_records(drain->intake, drain->target, records, n_bytes);
}

int intake_drain(struct intake *intake, struct target *target)
{
	struct drain drain = {intake, target};

	return ring_drain(target->ring, take_run, &drain);
}

int intake_last(struct intake *intake, struct target *target)
{
	struct {
		struct perf_event_header header;
		uint64_t lost;
		struct plan_record_tail tail;
	} record = {
		.header = {.type = PERF_RECORD_LOST_SAMPLES, .size = sizeof(record)},
		.tail = {.pid = (uint32_t)target->pid,
			 .tid = (uint32_t)target->tid,
			 .id = target->ids[0]},
	};
	uint64_t lost;
	int r;

	do {
		r = intake_drain(intake, target);
	} while (r == 0 && ring_drained_bytes(target->ring) >= ring_size_bytes(target->ring));
	if (r < 0)
		return r;
	if (ring_lost(target->ring, &lost) < 0)
		lost = target->lost;
	lost += ring_cut(target->ring);
	if (lost <= target->lost)
		return 0;
	record.lost = lost - target->lost;
	record.tail.time_ns = intake->last_time_ns;
	return intake_records(intake, NULL, &record, sizeof(record));
}
