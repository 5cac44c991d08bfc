/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * speedscope's own JSON (www.speedscope.app/file-format-schema.json):
 *
 *	{"shared": {"frames": [{"name", "file", "line"}…]},
 *	 "profiles": [{"type": "sampled", "name", "unit", "startValue", "endValue",
 *	               "samples": [[frame, frame…]…], "weights": [number…]}…]}
 *
 * A sample lists its frames outermost first. One profile per guest and vCPU: speedscope shows one
 * at a time, with a menu to choose. The counts have lost their order in time, so a profile is a
 * sequence of distinct stacks; its "left heavy" view is the one to look at.
 */
#include <errno.h>

#include "export/writer.h"
#include "util/json_write.h"

#define UNUSED UINT32_MAX

static void write_frame(struct export_job *job, const struct profile_frame *frame,
			struct strbuf *name)
{
	const struct profile_view *view = &job->view;
	struct strbuf *b = &job->out.pending;

	strbuf_clear(name);
	export_frame_name(view, frame, name);
	if (name->failed) {
		job->out.error = -ENOMEM;
		return;
	}
	strbuf_adds(b, "{\"name\":");
	json_write_string(b, name->text);
	if (frame->src_file || frame->dso) {
		strbuf_adds(b, ",\"file\":");
		json_write_string(b, intern_string(view->strings,
						 frame->src_file ? frame->src_file : frame->dso));
	}
	if (frame->src_line)
		strbuf_addf(b, ",\"line\":%u", frame->src_line);
	strbuf_addc(b, '}');
}

/* Writes the frames that are used, numbered in the order of first use. */
static void write_frames(struct export_job *job, const export_entries *entries, uint32_t *numbers)
{
	_strbuf_ struct strbuf name = {};
	uint32_t next = 0;

	memset(numbers, 0xff, job->view.n_frames * sizeof(*numbers));
	for (size_t i = 0; i < entries->n && !job->out.error; i++) {
		size_t n;
		const uint32_t *frames = export_stack(&job->view, &entries->items[i], &n);

		for (size_t f = 0; f < n; f++) {
			if (numbers[frames[f]] != UNUSED)
				continue;
			strbuf_adds(&job->out.pending, next ? ",\n" : "\n");
			numbers[frames[f]] = next++;
			write_frame(job, &job->view.frames[frames[f]], &name);
		}
		output_drain(&job->out);
	}
}

static void write_stack(struct export_job *job, const struct profile_entry *entry,
			const uint32_t *numbers)
{
	struct strbuf *b = &job->out.pending;
	size_t n;
	const uint32_t *frames = export_stack(&job->view, entry, &n);

	strbuf_addc(b, '[');
	while (n--) {
		strbuf_add_u64(b, numbers[frames[n]]);
		if (n)
			strbuf_addc(b, ',');
	}
	strbuf_addc(b, ']');
	output_drain(&job->out);
}

static void write_name(struct export_job *job, const struct profile_entry *entry)
{
	_strbuf_ struct strbuf name = {};

	strbuf_adds(&name, export_guest_name(&job->view, entry->guest));
	if (entry->vcpu != VPMU_NO_VCPU)
		strbuf_addf(&name, " vCPU %u", entry->vcpu);
	else if (entry->guest != VPMU_NO_GUEST)
		strbuf_adds(&name, " other threads");
	json_write_string(&job->out.pending, name.text ? name.text : "");
}

/* Entries [first, end) are those of one guest and vCPU. */
static void write_profile(struct export_job *job, const struct profile_entry *first,
			  const struct profile_entry *end, const uint32_t *numbers)
{
	bool by_weight = job->opts.by_weight;
	struct strbuf *b = &job->out.pending;
	uint64_t sum = 0;

	strbuf_adds(b, "{\"type\":\"sampled\",\"name\":");
	write_name(job, first);
	strbuf_addf(b, ",\"unit\":\"%s\",\"startValue\":0,\n\"samples\":[",
		    by_weight && job->opts.is_clock ? "nanoseconds" : "none");
	for (const struct profile_entry *e = first; e < end && !job->out.error; e++) {
		if (e > first)
			strbuf_adds(b, ",\n");
		write_stack(job, e, numbers);
	}
	strbuf_adds(b, "],\n\"weights\":[");
	for (const struct profile_entry *e = first; e < end && !job->out.error; e++) {
		uint64_t count = by_weight ? e->weight : e->samples;

		sum += count;
		if (e > first)
			strbuf_addc(b, ',');
		strbuf_add_u64(b, count);
		output_drain(&job->out);
	}
	strbuf_adds(b, "],\n\"endValue\":");
	strbuf_add_u64(b, sum);
	strbuf_addc(b, '}');
}

static void write_document(struct export_job *job, const export_entries *entries, uint32_t *numbers)
{
	const struct profile_entry *end = entries->items + entries->n;
	struct strbuf *b = &job->out.pending;

	strbuf_adds(b, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
		       "\"exporter\":\"vpmu " VPMU_VERSION_STRING "\",\n\"name\":");
	json_write_string(b, job->opts.title ? job->opts.title : "vpmu");
	strbuf_adds(b, ",\n\"activeProfileIndex\":0,\n\"shared\":{\"frames\":[");
	write_frames(job, entries, numbers);
	strbuf_adds(b, "]},\n\"profiles\":[");
	for (const struct profile_entry *e = entries->items, *next; e < end; e = next) {
		for (next = e + 1; next < end; next++)
			if (next->guest != e->guest || next->vcpu != e->vcpu)
				break;
		strbuf_adds(b, e > entries->items ? ",\n" : "\n");
		write_profile(job, e, next, numbers);
	}
	strbuf_adds(b, "]}\n");
}

static int write_speedscope(struct export_job *job)
{
	_free_ uint32_t *numbers = calloc(job->view.n_frames + 1, sizeof(*numbers));
	_free_ struct profile_entry *owned = NULL;
	export_entries entries = {};

	if (!numbers || export_collect(job, EXPORT_BY_VCPU, &entries) < 0)
		return -ENOMEM;
	owned = entries.items;
	write_document(job, &entries, numbers);
	return 0;
}

const struct export_writer export_speedscope = { .name = "speedscope", .write = write_speedscope };
