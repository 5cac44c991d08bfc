/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first walk. A recording is one ring buffer per CPU, emptied in turn: what a sample says
 * about its process may stand behind it in the file. perf keeps a queue of samples until it is
 * sure; here the file is walked twice, since skipping a sample costs no more than reading its
 * header, and no sample has to be kept.
 */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "format/vpmu_section.h"
#include "session/recording.h"
#include "util/error.h"
#include "util/macro.h"

#define KERNEL_PATH "[kernel.kallsyms]"
#define PID_KERNEL  UINT32_MAX

static unsigned int cpumode(const struct perf_event_header *record)
{
	return record->misc & PERF_RECORD_MISC_CPUMODE_MASK;
}

static bool of_guest(const struct perf_event_header *record)
{
	return cpumode(record) == PERF_RECORD_MISC_GUEST_KERNEL ||
	       cpumode(record) == PERF_RECORD_MISC_GUEST_USER;
}

/* All events of a recording have the same trailer on side records. */
static int record_time(const struct vpmu_recording *rec, const struct perf_event_header *record,
		       uint64_t *ret_time)
{
	struct perf_record_id id = {};
	int r = rec->events.n ? perf_record_id(rec->events.items[0].layout, record, &id) : 0;

	*ret_time = id.time;
	return r;
}

/*
 * The kernel's own mapping tells where it was: perf writes "[kernel.kallsyms]" followed by the
 * symbol that pgoff is the address of (tools/perf/util/synthetic-events.c,
 * __perf_event__synthesize_kernel_mmap()). One kernel ran; the first mapping counts.
 */
static int note_kernel(struct vpmu_recording *rec, const struct perf_mmap_record *map)
{
	if (rec->kernel_symbol || !starts_with(map->path, KERNEL_PATH) || !map->path[strlen(KERNEL_PATH)])
		return 0;
	rec->kernel_symbol = strdup(map->path + strlen(KERNEL_PATH));
	rec->kernel_address = map->pgoff_bytes;
	rec->kernel_build_id_bytes = map->build_id_bytes;
	memcpy(rec->kernel_build_id, map->build_id, map->build_id_bytes);
	return rec->kernel_symbol ? 0 : -ENOMEM;
}

static int take_mmap(struct vpmu_recording *rec, const struct perf_event_header *record,
		     uint64_t time)
{
	struct perf_mmap_record map;
	int r = perf_record_mmap(rec->events.items[0].layout, record, &map);

	if (r < 0)
		return r;
	if (map.pid == PID_KERNEL || cpumode(record) == PERF_RECORD_MISC_KERNEL)
		return note_kernel(rec, &map);
	return processes_mmap(rec->processes, time, &map);
}

static int take_comm(struct vpmu_recording *rec, const struct perf_event_header *record,
		     uint64_t time)
{
	struct perf_comm_record comm;
	int r = perf_record_comm(rec->events.items[0].layout, record, &comm);

	if (r == 0 && !rec->ours)
		r = recording_guests_note_comm(&rec->guests, comm.pid, comm.tid, comm.comm);
	return r < 0 ? r : processes_comm(rec->processes, time, &comm);
}

static int take_task(struct vpmu_recording *rec, const struct perf_event_header *record,
		     uint64_t time)
{
	struct perf_task_record task;
	int r = perf_record_task(record, &task);

	if (r < 0)
		return r;
	if (!time)
		time = task.time;
	if (record->type == PERF_RECORD_EXIT)
		return processes_exit(rec->processes, time, &task);
	return processes_fork(rec->processes, time, &task);
}

static int take_ksymbol(struct vpmu_recording *rec, const struct perf_event_header *record)
{
	struct perf_ksymbol_record symbol;
	int r = perf_record_ksymbol(rec->events.items[0].layout, record, &symbol);

	if (r < 0 || symbol.unregister)
		return r;
	return symbolizer_add_ksymbol(rec->symbolizer, symbol.address, symbol.length_bytes,
				      symbol.name);
}

/* `perf record --filter` (Linux 6.4) tells in the same kind of record how many samples its filter left out, as it was asked to. */
#define MISC_LOST_SAMPLES_BPF (1u << 15)

static int take_lost(struct vpmu_recording *rec, const struct perf_event_header *record)
{
	uint64_t lost;
	int r = perf_record_lost(record, &lost);

	if (r < 0 || (record->type == PERF_RECORD_LOST_SAMPLES && (record->misc & MISC_LOST_SAMPLES_BPF)))
		return r;
	if (record->type == PERF_RECORD_LOST)
		rec->lost_records += lost;
	else
		rec->lost_samples += lost;
	return 0;
}

/* Records about processes inside guests (perf inject writes such) say nothing about the host's. */
static int take_side_record(struct vpmu_recording *rec, const struct perf_event_header *record)
{
	uint64_t time;
	int r;

	switch (record->type) {
	case PERF_RECORD_THROTTLE:
		rec->throttled++;
		return 0;
	case PERF_RECORD_LOST:
	case PERF_RECORD_LOST_SAMPLES:
		return take_lost(rec, record);
	case PERF_RECORD_KSYMBOL:
		return take_ksymbol(rec, record);
	case PERF_RECORD_MMAP:
	case PERF_RECORD_MMAP2:
	case PERF_RECORD_COMM:
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		break;
	default:
		return 0;
	}
	if (of_guest(record))
		return 0;
	r = record_time(rec, record, &time);
	if (r < 0)
		return r;
	if (record->type == PERF_RECORD_COMM)
		return take_comm(rec, record, time);
	if (record->type == PERF_RECORD_FORK || record->type == PERF_RECORD_EXIT)
		return take_task(rec, record, time);
	return take_mmap(rec, record, time);
}

/* In what is not our recording, who has samples of a guest is one. */
static int take_guest_sample(struct vpmu_recording *rec, const struct perf_event_header *record)
{
	int event = perf_data_event_of(rec->data, record);
	struct perf_sample_record sample;

	if (event < 0 || (size_t)event >= rec->events.n ||
	    perf_record_sample(rec->events.items[event].layout, record, &sample) < 0)
		return 0; /* the second walk counts it as damaged */
	return recording_guests_note_sample(&rec->guests, sample.pid, sample.tid);
}

static int walk(struct vpmu_recording *rec)
{
	const struct perf_event_header *record;
	int r;

	perf_data_rewind(rec->data);
	while ((r = perf_data_next(rec->data, &record)) == 1) {
		if (likely(record->type == PERF_RECORD_SAMPLE)) {
			if (likely(!of_guest(record)))
				continue;
			if (perf_data_n_events(rec->data) != rec->events.n)
				r = recording_take_header(rec);
			if (r >= 0)
				r = take_guest_sample(rec, record);
		} else {
			/* In a pipe events are announced among the records. */
			if (perf_data_n_events(rec->data) != rec->events.n)
				r = recording_take_header(rec);
			if (r >= 0)
				r = rec->events.n ? take_side_record(rec, record) : -EBADMSG;
		}
		if (r == -EBADMSG)
			rec->damaged_side_records++;
		else if (r < 0)
			return r;
	}
	return r;
}

static int take_guests_section(struct vpmu_recording *rec)
{
	struct vpmu_section_guests section = {};
	_free_ void *bytes = NULL;
	size_t n;
	int r = perf_data_feature(rec->data, PERF_FEATURE_VPMU_GUESTS, &bytes, &n);

	if (r < 0 || !bytes || rec->ours)
		return r;
	r = vpmu_section_guests_decode(bytes, n, &section);
	if (r == -EBADMSG) {
		rec->damaged_side_records++;
		return 0;
	}
	for (size_t i = 0; i < section.n_guests && r == 0; i++) {
		rec->n_not_linux += section.lives[i].not_linux;
		r = recording_guests_declare(&rec->guests, &section.guests[i], section.lives[i].from_ns,
					     section.lives[i].until_ns);
	}
	rec->ours = true;
	rec->source = take_ptr(section.source);
	rec->boot_id = take_ptr(section.boot_id);
	vpmu_section_guests_deinit(&section);
	return r;
}

static int take_table(const struct vpmu_section_table *table, void *data)
{
	struct vpmu_recording *rec = data;
	int r = symbolizer_add_table(rec->symbolizer, table);

	if (r != -EBADMSG)
		return r;
	rec->damaged_side_records++;
	return 0;
}

static int take_symbols_section(struct vpmu_recording *rec)
{
	_free_ void *bytes = NULL;
	size_t n;
	int r = perf_data_feature(rec->data, PERF_FEATURE_VPMU_SYMBOLS, &bytes, &n);

	if (r < 0 || !bytes)
		return r;
	r = vpmu_section_tables_decode(bytes, n, take_table, rec);
	if (r == -EBADMSG) {
		rec->damaged_side_records++;
		r = 0;
	}
	return r;
}

static int take_tasks_section(struct vpmu_recording *rec)
{
	_free_ void *bytes = NULL;
	size_t n;
	int r = perf_data_feature(rec->data, PERF_FEATURE_VPMU_TASKS, &bytes, &n);

	if (r < 0 || !bytes || !rec->ours)
		return r;
	r = guest_tasks_load(rec->tasks, bytes, n);
	if (r == -EBADMSG) {
		rec->damaged_side_records++;
		r = 0;
	}
	return r;
}

static int take_build_ids(struct vpmu_recording *rec)
{
	for (size_t i = 0; i < perf_data_n_build_ids(rec->data); i++) {
		const struct perf_data_build_id *id = perf_data_build_id(rec->data, i);
		unsigned int mode = id->misc & PERF_RECORD_MISC_CPUMODE_MASK;
		int r;

		if (id->path[0] != '/' || mode == PERF_RECORD_MISC_GUEST_KERNEL ||
		    mode == PERF_RECORD_MISC_GUEST_USER)
			continue;
		r = symbolizer_set_build_id(rec->symbolizer, id->path, id->bytes, id->size_bytes);
		if (r < 0)
			return r;
	}
	return 0;
}

static void find_kernel_build_id(struct vpmu_recording *rec)
{
	for (size_t i = 0; !rec->kernel_build_id_bytes && i < perf_data_n_build_ids(rec->data); i++) {
		const struct perf_data_build_id *id = perf_data_build_id(rec->data, i);

		if (!streq(id->path, KERNEL_PATH) ||
		    (id->misc & PERF_RECORD_MISC_CPUMODE_MASK) != PERF_RECORD_MISC_KERNEL)
			continue;
		rec->kernel_build_id_bytes = id->size_bytes;
		memcpy(rec->kernel_build_id, id->bytes, id->size_bytes);
	}
}

static bool differs(const char *recorded, const char *here)
{
	return recorded[0] && !streq(recorded, here);
}

/*
 * A recorder that may not see kernel addresses writes no mapping of the kernel, but samples it
 * all the same. Then the boot must be this one: better no names than another kernel's, or the same
 * kernel's from another place.
 */
static void take_kernel(struct vpmu_recording *rec)
{
	struct utsname here;

	find_kernel_build_id(rec);
	symbolizer_set_boot(rec->symbolizer, rec->boot_id ?: "");
	if (rec->kernel_symbol || rec->kernel_build_id_bytes || uname(&here) < 0 ||
	    (!differs(rec->info.hostname, here.nodename) && !differs(rec->info.os_release, here.release)))
		symbolizer_set_host_kernel(rec->symbolizer, rec->kernel_build_id, rec->kernel_build_id_bytes,
					   rec->kernel_symbol, rec->kernel_address);
	else
		symbolizer_set_other_kernel(rec->symbolizer);
}

/* The section's guests come first, what else was noted behind them. */
int recording_take_guests(struct vpmu_recording *rec)
{
	int r = take_guests_section(rec);

	if (r == 0)
		r = recording_guests_settle(&rec->guests);
	for (uint32_t i = 0; r == 0 && i < rec->guests.all.n; i++)
		r = symbolizer_set_guest(rec->symbolizer, i, &rec->guests.all.items[i].info);
	return r;
}

int recording_survey(struct vpmu_recording *rec, struct vpmu_error *reterr)
{
	int r = walk(rec);

	/* What came through a pipe is complete only now. */
	if (r == 0)
		r = recording_take_header(rec);
	if (r == 0)
		r = recording_take_guests(rec);
	if (r == 0)
		r = take_build_ids(rec);
	if (r == 0)
		r = processes_settle(rec->processes);
	if (r == 0)
		take_kernel(rec);
	if (r == 0)
		r = take_tasks_section(rec);
	if (r == 0)
		r = take_symbols_section(rec);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r < 0)
		return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	rec->surveyed = true;
	return 0;
}
