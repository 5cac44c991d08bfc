/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Collapsed stacks, the format of FlameGraph, inferno and speedscope's importer: a line is a stack,
 * outermost frame first, `;` between frames, a blank, a count.
 *
 *	web1;guest-kernel;entry_SYSCALL_64_after_hwframe_[gk];do_syscall_64_[gk];ksys_read_[gk] 17
 *	web1;host-kernel;kvm_vcpu_ioctl;vmx_vcpu_run_[k] 4
 *
 * The first two "frames" are the guest and the side of the sample, so that a flame graph of the
 * node falls apart into guests first. There is no escape in the format. A `;` inside a name (Java
 * signatures have them) becomes a `:`, as the other collapsers do it, and a control character
 * becomes a `?`.
 */
#include <errno.h>

#include "export/writer.h"

static void add_escaped(struct strbuf *b, const char *name)
{
	size_t n = strlen(name);
	char *to = strbuf_reserve(b, n);

	if (!to)
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		to[i] = c == ';' ? ':' : c < 0x20 || c == 0x7f ? '?' : name[i];
	}
	b->n += n;
	b->text[b->n] = '\0';
}

/* The same few frames make up all stacks: their printed names, once. -ENOMEM. */
static int name_frames(const struct profile_view *view, struct intern *names, uint32_t **ret_ids)
{
	_free_ uint32_t *ids = calloc(view->n_frames + 1, sizeof(*ids));
	_strbuf_ struct strbuf plain = {}, escaped = {};

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_frames; i++) {
		const struct profile_frame *frame = &view->frames[i];

		strbuf_clear(&plain);
		strbuf_clear(&escaped);
		export_frame_name(view, frame, &plain);
		if (plain.failed)
			return -ENOMEM;
		add_escaped(&escaped, plain.text);
		if (escaped.failed)
			return -ENOMEM;
		ids[i] = intern_add_bytes(names, escaped.text, escaped.n);
		if (ids[i] == INTERN_FAILED)
			return -ENOMEM;
	}
	*ret_ids = take_ptr(ids);
	return 0;
}

static void write_line(struct export_job *job, const struct profile_entry *entry,
		       const struct intern *names, const uint32_t *ids)
{
	struct strbuf *b = &job->out.pending;
	size_t n;
	const uint32_t *frames = export_stack(&job->view, entry, &n);

	add_escaped(b, export_guest_name(&job->view, entry->guest));
	strbuf_addc(b, ';');
	strbuf_adds(b, vpmu_side_name(entry->side));
	while (n--) {
		strbuf_addc(b, ';');
		strbuf_adds(b, intern_string(names, ids[frames[n]]));
	}
	strbuf_addc(b, ' ');
	strbuf_add_u64(b, job->opts.by_weight ? entry->weight : entry->samples);
	strbuf_addc(b, '\n');
}

static int write_folded(struct export_job *job)
{
	_cleanup_(intern_freep) struct intern *names = intern_new();
	_free_ struct profile_entry *owned = NULL;
	_free_ uint32_t *ids = NULL;
	export_entries entries = {};

	if (!names || name_frames(&job->view, names, &ids) < 0 ||
	    export_collect(job, EXPORT_BY_SIDE, &entries) < 0)
		return -ENOMEM;
	owned = entries.items;
	for (size_t i = 0; i < entries.n && !job->out.error; i++) {
		write_line(job, &entries.items[i], names, ids);
		output_drain(&job->out);
	}
	return 0;
}

const struct export_writer export_folded = { .name = "folded", .write = write_folded };
