/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recordings. The first read surveys the file (recording_survey.c), then, as every read, walks
 * over it and hands each sample to the caller where it lies: nothing is allocated, sorted or kept
 * per sample.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "session/recording.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

VPMU_API struct vpmu_recording *vpmu_recording_free(struct vpmu_recording *rec)
{
	if (!rec)
		return NULL;
	guest_tasks_free(rec->tasks);
	processes_free(rec->processes);
	symbolizer_free(rec->symbolizer);
	recording_guests_deinit(&rec->guests);
	free(rec->boot_id);
	perf_data_free(rec->data);
	recording_file_close(&rec->file);
	vec_free(&rec->events);
	vec_free(&rec->event_infos);
	free(rec->source);
	free(rec->kernel_symbol);
	free(rec->hostname);
	free(rec->os_release);
	free(rec->arch);
	free(rec->cmdline);
	free(rec->producer);
	free(rec);
	return NULL;
}
DEFINE_CLEANUP(struct vpmu_recording *, vpmu_recording_free)

/* ---- what the header says ---- */

static bool is_clock(const struct perf_event_attr *attr)
{
	return attr->type == PERF_TYPE_SOFTWARE && (attr->config == PERF_COUNT_SW_CPU_CLOCK ||
						    attr->config == PERF_COUNT_SW_TASK_CLOCK);
}

static int take_events(struct vpmu_recording *rec)
{
	size_t n = perf_data_n_events(rec->data);

	rec->events.n = rec->event_infos.n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct perf_data_event *event = perf_data_event(rec->data, i);
		const struct perf_event_attr *attr = &event->attr;
		struct vpmu_event_info info = { .name = event->name, .is_clock = is_clock(attr),
						.excludes_guest = attr->exclude_guest };
		struct recording_event e = { .layout = &event->layout };

		if (attr->freq)
			info.frequency_hz = attr->sample_freq;
		else
			info.period = attr->sample_period;
		if (!(attr->sample_type & PERF_SAMPLE_PERIOD))
			e.weight = info.period ?: 1;
		e.max_chain = attr->sample_max_stack ?: PERF_MAX_STACK_DEFAULT;
		if (!vec_push(&rec->events, e) || !vec_push(&rec->event_infos, info))
			return -ENOMEM;
	}
	return 0;
}

static const char *take_string(struct vpmu_recording *rec, unsigned int feature, char **slot)
{
	free(*slot);
	*slot = perf_data_feature_string(rec->data, feature);
	return *slot ?: "";
}

/* perf's VERSION is a bare number. */
static const char *take_producer(struct vpmu_recording *rec)
{
	const char *version = take_string(rec, PERF_FEATURE_VERSION, &rec->producer);
	char *with_name;

	if (version[0] < '0' || version[0] > '9' || asprintf(&with_name, "perf %s", version) < 0)
		return version;
	free(rec->producer);
	return rec->producer = with_name;
}

int recording_take_header(struct vpmu_recording *rec)
{
	struct vpmu_recording_info *info = &rec->info;

	info->hostname = take_string(rec, PERF_FEATURE_HOSTNAME, &rec->hostname);
	info->os_release = take_string(rec, PERF_FEATURE_OSRELEASE, &rec->os_release);
	info->arch = take_string(rec, PERF_FEATURE_ARCH, &rec->arch);
	info->cmdline = take_string(rec, PERF_FEATURE_CMDLINE, &rec->cmdline);
	info->producer = take_producer(rec);
	return take_events(rec);
}

static void update_info(struct vpmu_recording *rec)
{
	struct vpmu_recording_info *info = &rec->info;
	const char *damage = perf_data_damage(rec->data, &info->damage_offset);

	info->n_events = rec->event_infos.n;
	info->n_guests = rec->guests.all.n;
	if (!damage && !perf_data_is_ended(rec->data)) {
		damage = "its recorder did not finish it: it was killed, ran out of space or is still running";
		info->damage_offset = rec->file.source.size_bytes;
	}
	info->damaged = damage;
	info->damage = damage ?: "";
	if (!damage)
		info->damage_offset = 0;
}

/* Events that nobody samples (perf's "dummy", which only carries side records) are no source. */
static void name_source(const struct vpmu_recording *rec, struct vpmu_coverage *coverage)
{
	_strbuf_ struct strbuf text = {};

	for (size_t i = 0; i < rec->event_infos.n; i++) {
		const struct vpmu_event_info *event = &rec->event_infos.items[i];

		if (rec->source || starts_with(event->name, "dummy"))
			continue;
		strbuf_addf(&text, "%s%s", text.n ? ", " : "", event->name);
		if (event->frequency_hz)
			strbuf_addf(&text, " %" PRIu64 " Hz", event->frequency_hz);
		else if (event->period > 1)
			strbuf_addf(&text, " period %" PRIu64, event->period);
	}
	snprintf(coverage->source, sizeof(coverage->source), "%s", rec->source ?: text.text ?: "");
}

/*
 * perf since 6.1 ends a recording with what each event counts as lost (LOST_SAMPLES), which are
 * the same losses that the rings told of (LOST); ours with what the rings did not tell.
 */
static void start_coverage(const struct vpmu_recording *rec, struct vpmu_coverage *coverage)
{
	*coverage = (struct vpmu_coverage){
		.guests_not_linux = rec->n_not_linux,
		.throttled = rec->throttled,
		.damaged_records = rec->damaged_side_records,
		.lost = rec->ours ? rec->lost_records + rec->lost_samples :
				    MAX(rec->lost_records, rec->lost_samples),
	};
	name_source(rec, coverage);
}

VPMU_API int vpmu_recording_open(const char *path, const struct vpmu_recording_opts *opts,
				 struct vpmu_recording **ret_recording, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_recording_freep) struct vpmu_recording *rec = NULL;
	struct vpmu_recording_opts o;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "recording options of a newer library version");
	opts_take(&o, opts);
	rec = calloc(1, sizeof(*rec));
	if (!rec)
		return error_oom(reterr);
	rec->file.fd = -1;
	r = recording_file_open(&rec->file, path, reterr);
	if (r == 0)
		r = perf_data_open(&rec->file.source, &rec->data, reterr);
	if (r == 0)
		r = symbolizer_new(o.symbolizer.sz ? &o.symbolizer : NULL, &rec->symbolizer,
				   reterr);
	if (r < 0)
		return r;
	rec->processes = processes_new(rec->symbolizer);
	if (rec->processes)
		rec->tasks = guest_tasks_new(rec->processes, rec->symbolizer);
	r = rec->tasks ? recording_take_header(rec) : -ENOMEM;
	if (r == 0)
		r = recording_take_guests(rec);
	if (r < 0)
		return r == -ENOMEM ? error_oom(reterr) :
				      error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	rec->info.size_bytes = rec->file.source.size_bytes;
	update_info(rec);
	start_coverage(rec, &rec->coverage);
	*ret_recording = take_ptr(rec);
	return 0;
}

/* ---- samples ---- */

/*
 * The record as a sample; false if it cannot be decoded. Strings and chain live until the next
 * record is read.
 */
static bool decode(struct vpmu_recording *rec, const struct perf_event_header *record,
		   struct vpmu_sample *sample)
{
	int event = perf_data_event_of(rec->data, record);
	const struct recording_event *e;
	struct perf_sample_record raw;
	struct process_view process;
	size_t n;

	if (unlikely(event < 0 || (size_t)event >= rec->events.n))
		return false;
	e = &rec->events.items[event];
	if (unlikely(perf_record_sample(e->layout, record, &raw) < 0))
		return false;
	processes_at(rec->processes, raw.pid, raw.tid, raw.time, &process);
	*sample = (struct vpmu_sample){
		.time_ns = raw.time,
		.weight = e->weight ?: raw.period,
		.ip = raw.ip,
		.pid = (pid_t)raw.pid,
		.tid = (pid_t)raw.tid,
		.cpu = raw.cpu,
		.event = (uint32_t)event,
		.side = raw.cpumode < VPMU_SIDE_COUNT ? (enum vpmu_side)raw.cpumode
						      : VPMU_SIDE_UNKNOWN,
		.comm = process.comm,
		.comm_id = process.comm_id,
		.space = process.space,
		.n_chain = raw.n_chain,
		.chain = raw.chain,
	};
	recording_guests_at(&rec->guests, raw.pid, raw.tid, raw.time, &sample->guest, &sample->vcpu);
	guest_sample_describe(record, rec->tasks, sample);
	rec->coverage.guest_processes += sample->guest_pid >= 0;
	n = guest_sample_read(record, raw.chain, raw.n_chain, rec->guest_chain);
	if (n) {
		sample->chain = rec->guest_chain;
		sample->n_chain = (uint32_t)n;
		guest_sample_count(sample->chain, n, 1, &rec->coverage);
	} else {
		rec->coverage.truncated_chains += perf_chain_is_cut(raw.chain, raw.n_chain, e->max_chain);
	}
	return true;
}

VPMU_API int vpmu_recording_read(struct vpmu_recording *rec, vpmu_sample_fn fn, void *data,
				 struct vpmu_error *reterr)
{
	const struct perf_event_header *record;
	struct vpmu_sample sample;
	int r;

	if (!rec->surveyed) {
		r = recording_survey(rec, reterr);
		if (r < 0)
			return r;
	}
	start_coverage(rec, &rec->coverage);
	perf_data_rewind(rec->data);
	while ((r = perf_data_next(rec->data, &record)) == 1) {
		if (unlikely(record->type != PERF_RECORD_SAMPLE))
			continue;
		if (unlikely(!decode(rec, record, &sample))) {
			rec->coverage.damaged_records++;
			continue;
		}
		rec->coverage.samples++;
		rec->coverage.sides[sample.side]++;
		fn(&sample, data);
	}
	update_info(rec);
	if (r < 0)
		return error_set(reterr, r, "cannot read the recording: %s", strerror(-r));
	return 0;
}

/* ---- questions ---- */

VPMU_API const struct vpmu_recording_info *vpmu_recording_info(const struct vpmu_recording *rec)
{
	return &rec->info;
}

VPMU_API void vpmu_recording_coverage(const struct vpmu_recording *rec,
				      struct vpmu_coverage *ret_coverage)
{
	*ret_coverage = rec->coverage;
}

VPMU_API const struct vpmu_event_info *vpmu_recording_event(const struct vpmu_recording *rec,
							    size_t i)
{
	return i < rec->event_infos.n ? &rec->event_infos.items[i] : NULL;
}

VPMU_API const struct vpmu_guest_info *vpmu_recording_guest(const struct vpmu_recording *rec,
							    size_t i)
{
	return i < rec->guests.all.n ? &rec->guests.all.items[i].info : NULL;
}

VPMU_API struct vpmu_symbolizer *vpmu_recording_symbolizer(struct vpmu_recording *rec)
{
	return rec->symbolizer;
}
