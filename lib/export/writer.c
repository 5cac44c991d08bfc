/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "export/writer.h"
#include "util/error.h"

static const struct export_writer *const writers[] = {
	&export_folded,
	&export_pprof,
	&export_speedscope,
	&export_flamegraph,
};

VPMU_API const char *vpmu_export_format(size_t i)
{
	return i < ARRAY_SIZE(writers) ? writers[i]->name : NULL;
}

static const struct export_writer *find_writer(const char *format, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf known = {};

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		if (streq(writers[i]->name, format))
			return writers[i];
		strbuf_addf(&known, "%s%s", i ? ", " : "", writers[i]->name);
	}
	error_set(reterr, -EINVAL, "unknown export format '%s': there are %s", format,
		  known.text ? known.text : "");
	return NULL;
}

static bool anything_selected(const struct export_job *job)
{
	for (size_t i = 0; i < job->view.n_entries; i++)
		if (selection_has(&job->selection, &job->view.entries[i]) &&
		    job->view.entries[i].samples)
			return true;
	return false;
}

static int nothing_selected(const struct export_job *job, struct vpmu_error *reterr)
{
	char described[128];

	selection_describe_sides(job->opts.sides, described, sizeof(described));
	error_set(reterr, -ENODATA, "nothing to export: no %ssamples in the profile", described);
	error_hint(reterr, "the coverage line of a report tells what was sampled");
	return -ENODATA;
}

static int run_job(struct export_job *job, const struct export_writer *writer,
		   struct vpmu_error *reterr)
{
	int r = writer->write(job), written = output_finish(&job->out);

	if (r == -ENOMEM || written == -ENOMEM)
		return error_oom(reterr);
	if (written < 0)
		return error_errno(reterr, written, "write the profile as", writer->name);
	return r;
}

VPMU_API int vpmu_export(const struct vpmu_profile *profile, const char *format,
			 const struct vpmu_export_opts *opts, int fd, struct vpmu_error *reterr)
{
	const struct export_writer *writer = find_writer(format, reterr);
	struct export_job job = { .profile = profile, .out.fd = fd };
	int r;

	if (!writer)
		return -EINVAL;
	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "vpmu_export_opts: a member that this library does not know");
	opts_take(&job.opts, opts);
	if (profile_view(profile, &job.view) < 0)
		return error_set(reterr, -EINVAL, "cannot export: the profile is not resolved yet");
	r = selection_init(&job.selection, &job.view, job.opts.event, job.opts.sides,
			   job.opts.guests, job.opts.n_guests, reterr);
	if (r < 0)
		return r;
	r = anything_selected(&job) ? run_job(&job, writer, reterr) : nothing_selected(&job, reterr);
	output_deinit(&job.out);
	selection_deinit(&job.selection);
	return r;
}

#define COMPARE(a, b)                                                                              \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

/* All members but the counts. Entries of one stack have one leaf, so the order of the last two does not matter. */
static int compare_entries(const void *pa, const void *pb)
{
	const struct profile_entry *a = pa, *b = pb;

	COMPARE(a->guest, b->guest);
	COMPARE(a->vcpu, b->vcpu);
	COMPARE(a->side, b->side);
	COMPARE(a->process, b->process);
	COMPARE(a->stack, b->stack);
	COMPARE(a->leaf, b->leaf);
	return 0;
}

int export_collect(const struct export_job *job, unsigned int by, export_entries *ret_entries)
{
	const struct profile_view *view = &job->view;
	export_entries all = {};
	size_t kept = 0;

	for (size_t i = 0; i < view->n_entries; i++) {
		struct profile_entry e = view->entries[i];

		if (!selection_has(&job->selection, &e) || !e.samples)
			continue;
		e.vcpu = by & EXPORT_BY_VCPU ? e.vcpu : VPMU_NO_VCPU;
		e.side = by & EXPORT_BY_SIDE ? e.side : VPMU_SIDE_UNKNOWN;
		e.process = by & EXPORT_BY_PROCESS ? e.process : 0;
		if (!vec_push(&all, e)) {
			vec_free(&all);
			return -ENOMEM;
		}
	}
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), compare_entries);
	for (size_t i = 0; i < all.n; i++) {
		if (kept && compare_entries(&all.items[kept - 1], &all.items[i]) == 0) {
			all.items[kept - 1].samples += all.items[i].samples;
			all.items[kept - 1].weight += all.items[i].weight;
		} else {
			all.items[kept++] = all.items[i];
		}
	}
	all.n = kept;
	*ret_entries = all;
	return 0;
}

const uint32_t *export_stack(const struct profile_view *view, const struct profile_entry *entry,
			     size_t *ret_n)
{
	const struct profile_stack *stack;

	if (entry->stack == PROFILE_NO_STACK) {
		*ret_n = 1;
		return &entry->leaf;
	}
	stack = &view->stacks[entry->stack];
	*ret_n = stack->n;
	return view->stack_frames + stack->first;
}

static const char *side_suffix(enum vpmu_side side)
{
	switch (side) {
	case VPMU_SIDE_HOST_KERNEL:
		return "_[k]";
	case VPMU_SIDE_HYPERVISOR:
		return "_[h]";
	case VPMU_SIDE_GUEST_KERNEL:
		return "_[gk]";
	case VPMU_SIDE_GUEST_USER:
		return "_[gu]";
	case VPMU_SIDE_HOST_USER:
	case VPMU_SIDE_UNKNOWN:
		break;
	}
	return "";
}

void export_place_name(const struct profile_view *view, const struct profile_frame *frame,
		       struct strbuf *b)
{
	const char *symbol = intern_string(view->strings, frame->symbol);
	const char *dso = intern_string(view->strings, frame->dso);

	if (frame->status != VPMU_FRAME_OK && starts_with(symbol, "0x") && dso[0]) {
		const char *slash = strrchr(dso, '/');

		strbuf_adds(b, slash ? slash + 1 : dso);
		strbuf_addc(b, '+');
	}
	strbuf_adds(b, symbol[0] ? symbol : "[unknown]");
}

void export_frame_name(const struct profile_view *view, const struct profile_frame *frame,
		       struct strbuf *b)
{
	export_place_name(view, frame, b);
	strbuf_adds(b, side_suffix(frame->side));
}

const char *export_guest_name(const struct profile_view *view, uint32_t guest)
{
	if (guest == VPMU_NO_GUEST)
		return "[no guest]";
	return intern_string(view->strings, view->guests[guest].name);
}
