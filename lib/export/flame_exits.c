/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VM exits as a flame graph: the guest code that led to an exit, the exit's reason on top, as wide as there were exits or as they
 * took time.
 */
#include <errno.h>
#include <inttypes.h>

#include "export/flame_profile.h"
#include "util/cleanup.h"
#include "util/error.h"

struct adding {
	struct vpmu_exits *exits;
	struct flame *flame;
	struct strbuf name;
	bool has_time;
};

static uint32_t frame_at(struct adding *a, const struct vpmu_exit_stack *stack, size_t i)
{
	struct vpmu_frame frame = { .status = VPMU_FRAME_NO_SYMBOLS,
				    .side = stack->user ? VPMU_SIDE_GUEST_USER : VPMU_SIDE_GUEST_KERNEL };
	struct flame_frame made = {};

	if (!stack->nested) /* a guest's guest has other symbols */
		vpmu_exits_symbol(a->exits, stack->guest, stack->addresses[i], &frame);
	strbuf_clear(&a->name);
	if (frame.status == VPMU_FRAME_OK)
		strbuf_adds(&a->name, frame.symbol);
	else
		strbuf_addf(&a->name, "0x%" PRIx64, stack->addresses[i]);
	made.name = flame_string(a->flame, a->name.text ? a->name.text : "");
	made.file = frame.dso ? flame_string(a->flame, frame.dso) : 0;
	made.kind = frame.side == VPMU_SIDE_GUEST_KERNEL ? FLAME_GUEST_KERNEL : FLAME_GUEST_USER;
	made.status = (uint8_t)frame.status;
	return flame_frame(a->flame, &made);
}

static int add_stack(const struct vpmu_exit_stack *stack, void *data)
{
	struct adding *a = data;
	struct flame *flame = a->flame;

	if (!stack->count && !stack->total_ns)
		return 0;
	flame_push(flame, flame_label(flame, vpmu_exits_guest(a->exits, stack->guest)->name));
	if (stack->nested)
		flame_push(flame, flame_label(flame, "L2 (a guest of the guest)"));
	if (stack->is_cut && stack->n_addresses)
		flame_push(flame, flame_frame(flame, &(struct flame_frame){
			.name = flame_string(flame, "[truncated]"), .kind = FLAME_UNKNOWN, .status = VPMU_FRAME_TRUNCATED }));
	for (size_t i = stack->n_addresses; i--;)
		flame_push(flame, frame_at(a, stack, i));
	flame_push(flame, flame_frame(flame, &(struct flame_frame){
		.name = flame_string(flame, stack->reason), .kind = FLAME_EXIT }));
	flame_end_stack(flame, stack->count, stack->total_ns);
	a->has_time |= stack->total_ns > 0;
	return flame->failed || a->name.failed ? -ENOMEM : 0;
}

static void name_guests(const struct vpmu_exits *exits, struct strbuf *b)
{
	const struct vpmu_guest_info *guest;
	size_t n = 0;

	for (; (guest = vpmu_exits_guest(exits, n)); n++)
		flame_add_guest(b, n, guest->name);
	flame_end_guests(b, n);
}

static int write_page(const struct adding *a, const struct vpmu_flamegraph_opts *opts, struct output *out)
{
	_strbuf_ struct strbuf title = {}, note = {};
	const char *silent = vpmu_exits_silent(a->exits);

	name_guests(a->exits, &title);
	strbuf_adds(&title, *silent ? ": KVM events" : ": VM exits");
	strbuf_addf(&note, "of many exits some are sampled; each stands for as many as were passed over%s%s",
		    *silent ? "; " : "", silent);
	if (!title.text || title.failed || !note.text || note.failed)
		return -ENOMEM;
	struct flame_page page = {
		.kind = "exits",
		.title = opts->title ?: title.text,
		.notes = { note.text },
		.measures = { { *silent ? "events" : "exits", "" }, { "time", "ns" } },
		.n_measures = a->has_time ? 2 : 1,
		.measure = a->has_time && !opts->by_count,
	};
	flame_write_page(a->flame, &page, out);
	return output_finish(out);
}

VPMU_API int vpmu_flamegraph_exits(struct vpmu_exits *exits, const struct vpmu_flamegraph_opts *opts, int fd,
				   struct vpmu_error *reterr)
{
	struct output out = { .fd = fd };
	_flame_ struct flame flame = {};
	struct adding a = { .exits = exits, .flame = &flame };
	struct vpmu_flamegraph_opts o;
	int r;

	if (!opts_valid(opts, sizeof(*opts)))
		return error_set(reterr, -EINVAL, "vpmu_flamegraph_opts: a member that this library does not know");
	opts_take(&o, opts);
	if (flame_init(&flame) < 0)
		return error_oom(reterr);
	r = vpmu_exits_each_stack(exits, add_stack, &a);
	strbuf_deinit(&a.name);
	if (r == -EINVAL)
		return error_set(reterr, r, "no flame graph of exits: their stacks were not asked for");
	if (r == 0 && !flame.stacks.n)
		return error_set(reterr, -ENODATA, "no flame graph: no exits were sampled");
	if (r == 0)
		r = flame_grow(&flame, flame_label(&flame, "all"), FLAME_NODES_MAX);
	if (r == -ENOMEM)
		return error_oom(reterr);
	if (r < 0)
		return error_errno(reterr, r, "read", "the exits' stacks");
	r = write_page(&a, &o, &out);
	output_deinit(&out);
	return r < 0 ? error_errno(reterr, r, "write", "the flame graph") : 0;
}
