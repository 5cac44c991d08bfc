/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "profile/profile.h"
#include "recording_maker.h"

static struct vpmu_profile *profile_new(void)
{
	struct vpmu_profile *p = NULL;

	CHECK_EQ(vpmu_profile_new(NULL, &p, NULL), 0);
	return p;
}

/* One entry: @samples of @symbol called by @caller in guest @guest. */
static void put(struct vpmu_profile *p, const char *guest, const char *symbol, const char *caller,
		uint64_t samples)
{
	struct profile_frame f = { .dso = profile_put_string(p, "app"),
				   .symbol = profile_put_string(p, symbol),
				   .side = VPMU_SIDE_GUEST_USER };
	struct profile_frame g = f;
	struct profile_entry e = {
		.side = VPMU_SIDE_GUEST_USER, .samples = samples, .weight = samples * 3};
	uint32_t stack[2];

	g.symbol = profile_put_string(p, caller);
	stack[0] = e.leaf = profile_put_frame(p, &f);
	stack[1] = profile_put_frame(p, &g);
	e.stack = profile_put_stack(p, stack, 2);
	e.guest = profile_put_guest(p, guest, "");
	e.process = profile_put_string(p, "CPU 0/KVM");
	CHECK_EQ(profile_put(p, &e), 0);
}

TEST(equal_things_are_stored_once)
{
	struct vpmu_profile *p = profile_new();
	struct vpmu_coverage coverage;
	struct profile_view view;

	CHECK_EQ(profile_view(p, &view), -EINVAL);
	for (int i = 0; i < 3; i++) {
		put(p, "vm", "f", "main", 2);
		put(p, "vm", "g", "main", 1);
	}
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_guests, 1);
	CHECK_EQ(view.n_frames, 3);
	CHECK_EQ(view.n_stacks, 2);
	CHECK_EQ(view.n_entries, 2);
	CHECK_EQ(view.entries[0].samples, 6);
	CHECK_EQ(view.entries[0].weight, 18);
	vpmu_profile_coverage(p, &coverage);
	CHECK_EQ(coverage.samples, 9);
	CHECK_EQ(vpmu_coverage_guest(&coverage), 9);
	CHECK_EQ(coverage.resolved, 9);
	CHECK(!vpmu_profile_free(p));
}

TEST(many_entries_keep_their_counts)
{
	struct vpmu_profile *p = profile_new();
	struct profile_view view;
	char name[16];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			put(p, "vm", name, "main", (uint64_t)i);
		}
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 5000);
	for (size_t i = 0; i < 5000; i++)
		CHECK_EQ(view.entries[i].samples, 2 * i);
	vpmu_profile_free(p);
}

TEST(merge_matches_by_names)
{
	struct vpmu_profile *a = profile_new(), *b = profile_new(), *sum = profile_new();
	struct vpmu_coverage coverage;
	struct profile_view view;

	put(a, "vm1", "f", "main", 2);
	put(b, "vm2", "g", "main", 10);
	put(b, "vm2", "f", "main", 20);
	put(b, "vm1", "f", "main", 30);
	CHECK_EQ(vpmu_profile_merge(sum, a, NULL), 0);
	CHECK_EQ(vpmu_profile_merge(sum, b, NULL), 0);
	vpmu_profile_free(a);
	vpmu_profile_free(b);
	CHECK_EQ(profile_view(sum, &view), 0);
	CHECK_EQ(view.n_entries, 3);
	CHECK_EQ(view.n_stacks, 2);
	CHECK_EQ(view.entries[0].samples, 32);
	CHECK_STR(intern_string(view.strings, view.guests[view.entries[1].guest].name), "vm2");
	CHECK_STR(intern_string(view.strings, view.frames[view.entries[1].leaf].symbol), "g");
	CHECK_EQ(view.entries[2].weight, 60);
	vpmu_profile_coverage(sum, &coverage);
	CHECK_EQ(coverage.samples, 62);
	vpmu_profile_free(sum);
}

/* Of a session whose event was taken away and which went on with another. */
TEST(merge_matches_events_by_name)
{
	static const struct vpmu_event_info cycles = { .name = "cycles" }, clock = { .name = "cpu-clock", .is_clock = true };
	struct vpmu_profile *a = profile_new(), *b = profile_new();
	struct vpmu_event_info info;
	struct profile_view view;

	CHECK_EQ(vpmu_profile_add_event(a, &cycles, NULL), 0);
	CHECK_EQ(vpmu_profile_add_event(b, &clock, NULL), 0);
	CHECK_EQ(vpmu_profile_add_event(b, &cycles, NULL), 0);
	put(a, "vm", "f", "main", 1);
	put(b, "vm", "f", "main", 10);
	CHECK_EQ(vpmu_profile_merge(a, b, NULL), 0);
	CHECK_EQ(profile_view(a, &view), 0);
	CHECK_EQ(view.n_entries, 2);
	CHECK_EQ(view.entries[0].event, 0);
	CHECK_EQ(view.entries[1].event, 1);
	CHECK_EQ(view.entries[1].samples, 10);
	CHECK(vpmu_profile_event(a, 1, &info));
	CHECK_STR(info.name, "cpu-clock");
	CHECK(!vpmu_profile_event(a, 2, &info));
	vpmu_profile_free(a);
	vpmu_profile_free(b);
}

TEST(merge_refuses_what_is_not_resolved_and_itself)
{
	struct vpmu_profile *a = profile_new(), *b = profile_new();
	struct vpmu_error error;

	put(a, "vm", "f", "main", 1);
	CHECK_EQ(vpmu_profile_merge(a, b, &error), -EINVAL);
	CHECK_EQ(vpmu_profile_merge(a, a, &error), -EINVAL);
	vpmu_profile_free(a);
	vpmu_profile_free(b);
}

/*
 * A recording of its own is where a profile gets a symbolizer from: kernel symbols are those that
 * it carries.
 */
static struct vpmu_profile *profile_of(struct maker *m, bool with_chains,
				       struct vpmu_coverage *ret_coverage)
{
	VPMU_OPTS(vpmu_profile_opts, opts, .chains = with_chains);
	struct vpmu_recording *rec;
	struct vpmu_profile *p;
	struct vpmu_coverage coverage;

	make_ksymbol(m, 0xffffffffc0001000, 0x100, "bpf_prog_a");
	make_ksymbol(m, 0xffffffffc0002000, 0x100, "bpf_prog_b");
	rec = make_open(make_file(m));
	CHECK_EQ(vpmu_profile_new(&opts, &p, NULL), 0);
	CHECK_EQ(vpmu_recording_read(rec, vpmu_profile_add, p, NULL), 0);
	vpmu_recording_coverage(rec, &coverage);
	CHECK_EQ(vpmu_profile_resolve(p, vpmu_recording_symbolizer(rec), &coverage, NULL), 0);
	CHECK_EQ(vpmu_profile_resolve(p, vpmu_recording_symbolizer(rec), &coverage, NULL), -EINVAL);
	vpmu_recording_free(rec);
	vpmu_profile_coverage(p, ret_coverage);
	return p;
}

#define A(offset) (0xffffffffc0001000 + (offset))
#define B(offset) (0xffffffffc0002000 + (offset))

static const struct made in_a = {
	.side = VPMU_SIDE_HOST_KERNEL, .ip = A(4), .pid = 1, .tid = 1, .period = 10};

TEST(samples_become_frames_and_stacks)
{
	const uint64_t one[] = { VPMU_CONTEXT_KERNEL, A(4), B(8), VPMU_CONTEXT_USER, 0x400000 };
	const uint64_t same[] = { VPMU_CONTEXT_KERNEL, A(4), B(12), VPMU_CONTEXT_USER, 0x400000 };
	const uint64_t other[] = { VPMU_CONTEXT_KERNEL, A(4), B(8) };
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;
	const uint32_t *frames;

	make_sample(&m, &in_a, 5, one);
	make_sample(&m, &in_a, 5, same);
	make_sample(&m, &in_a, 3, other);
	p = profile_of(&m, true, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 2);
	CHECK_EQ(view.entries[0].samples, 2);
	CHECK_EQ(view.entries[0].weight, 20);
	CHECK_EQ(view.stacks[view.entries[0].stack].n, 3);
	frames = view.stack_frames + view.stacks[view.entries[0].stack].first;
	CHECK_STR(intern_string(view.strings, view.frames[frames[0]].symbol), "bpf_prog_a");
	CHECK_STR(intern_string(view.strings, view.frames[frames[1]].symbol), "bpf_prog_b");
	CHECK_STR(intern_string(view.strings, view.frames[frames[2]].symbol), "0x400000");
	CHECK_EQ(view.frames[frames[2]].side, VPMU_SIDE_HOST_USER);
	CHECK_EQ(view.frames[frames[2]].status, VPMU_FRAME_UNMAPPED);
	CHECK_EQ(view.stacks[view.entries[1].stack].n, 2);
	CHECK_EQ(coverage.samples, 3);
	CHECK_EQ(coverage.resolved, 3);
	vpmu_profile_free(p);
	maker_deinit(&m);
}

/* A session's coverage knows them already, from the records. */
TEST(opaque_samples_are_counted_once)
{
	struct vpmu_coverage coverage = { .samples = 2, .opaque = 2, .sides[VPMU_SIDE_GUEST_KERNEL] = 2,
					  .lost = 4 };
	VPMU_OPTS(vpmu_report_opts, opts, .sides = VPMU_SIDES_HOST);
	struct vpmu_report *report;
	const struct made opaque = { .side = VPMU_SIDE_GUEST_KERNEL, .pid = 9, .tid = 9 };
	struct vpmu_recording *rec;
	struct vpmu_profile *p;
	struct maker m = {};

	make_sample(&m, &opaque, 0, NULL);
	make_sample(&m, &opaque, 0, NULL);
	rec = make_open(make_file(&m));
	CHECK_EQ(vpmu_profile_new(NULL, &p, NULL), 0);
	CHECK_EQ(vpmu_recording_read(rec, vpmu_profile_add, p, NULL), 0);
	CHECK_EQ(vpmu_profile_resolve(p, vpmu_recording_symbolizer(rec), &coverage, NULL), 0);
	vpmu_profile_coverage(p, &coverage);
	CHECK_EQ(coverage.opaque, 2);
	CHECK_EQ(coverage.lost, 4);
	CHECK_EQ(vpmu_report_new(p, &opts, &report, NULL), 0);
	vpmu_report_coverage(report, &coverage);
	CHECK_EQ(coverage.samples, 0);
	CHECK_EQ(coverage.opaque, 0);
	CHECK_EQ(coverage.lost, 4);
	vpmu_report_free(report);
	vpmu_profile_free(p);
	vpmu_recording_free(rec);
	maker_deinit(&m);
}

TEST(samples_in_nested_guests_have_no_address_of_the_guests)
{
	const struct made nested = {.side = VPMU_SIDE_GUEST_KERNEL, .ip = VPMU_ADDRESS_NESTED, .pid = 9, .tid = 9};
	struct vpmu_coverage coverage;
	struct profile_view view;
	struct vpmu_profile *p;
	struct maker m = {};

	make_sample(&m, &nested, 0, NULL);
	p = profile_of(&m, false, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 1);
	CHECK_EQ(view.frames[view.entries[0].leaf].status, VPMU_FRAME_NESTED);
	CHECK_STR(intern_string(view.strings, view.frames[view.entries[0].leaf].symbol), "[nested guest]");
	CHECK_EQ(coverage.opaque, 1);
	CHECK_EQ(coverage.resolved, 0);
	vpmu_profile_free(p);
	maker_deinit(&m);
}

TEST(without_chains_only_the_leaf_counts)
{
	const uint64_t one[] = { VPMU_CONTEXT_KERNEL, A(4), B(8) };
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;
	struct made elsewhere = in_a;

	elsewhere.ip = A(5);
	make_sample(&m, &in_a, 3, one);
	make_sample(&m, &in_a, 0, one);
	make_sample(&m, &elsewhere, 0, one);
	p = profile_of(&m, false, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 1);
	CHECK_EQ(view.n_stacks, 0);
	CHECK_EQ(view.entries[0].stack, PROFILE_NO_STACK);
	CHECK_EQ(view.entries[0].samples, 3);
	vpmu_profile_free(p);
	maker_deinit(&m);
}

TEST(markers_change_sides_and_unknown_ones_end_the_chain)
{
	const uint64_t odd[] = { VPMU_CONTEXT_KERNEL, A(4), (uint64_t)-3000, B(8) };
	const uint64_t deferred[] = {VPMU_CONTEXT_KERNEL, A(4), B(8), VPMU_CONTEXT_USER_DEFERRED,
				     77};
	const uint64_t guest[] = { VPMU_CONTEXT_KERNEL, VPMU_CONTEXT_USER };
	struct made in_guest = { .side = VPMU_SIDE_GUEST_USER, .ip = 0x5000, .pid = 9, .tid = 9 };
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;

	make_sample(&m, &in_a, 4, odd);
	make_sample(&m, &in_a, 5, deferred);
	make_sample(&m, &in_guest, 2, guest);
	p = profile_of(&m, true, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 3);
	CHECK_EQ(view.stacks[view.entries[0].stack].n, 2);
	CHECK_EQ(
		view.frames[view.stack_frames[view.stacks[view.entries[0].stack].first + 1]].status,
		VPMU_FRAME_TRUNCATED);
	CHECK_EQ(view.stacks[view.entries[1].stack].n, 2);
	CHECK_EQ(view.entries[2].stack, PROFILE_NO_STACK);
	CHECK_STR(intern_string(view.strings, view.guests[view.entries[2].guest].name), "pid:9");
	CHECK_EQ(vpmu_coverage_guest(&coverage), 1);
	vpmu_profile_free(p);
	maker_deinit(&m);
}

TEST(callers_that_are_nowhere_are_one_frame)
{
	const uint64_t one[] = { VPMU_CONTEXT_USER, 0x400010, 0x5000001, 0x6000001, 0x400020 };
	const uint64_t same[] = { VPMU_CONTEXT_USER, 0x400010, 0x7000001, 0x400020 };
	const uint64_t leaf[] = { VPMU_CONTEXT_USER, 0x7000001 };
	struct made in_file = {
		.side = VPMU_SIDE_HOST_USER, .ip = 0x400010, .pid = 1, .tid = 1, .time = 9};
	struct made nowhere = in_file;
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;
	const uint32_t *frames;

	nowhere.ip = 0x7000001;
	make_mmap(&m, 1, 1, 0x400000, 0x1000, "//anon");
	make_sample(&m, &in_file, 5, one);
	make_sample(&m, &in_file, 4, same);
	make_sample(&m, &nowhere, 2, leaf);
	p = profile_of(&m, true, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 2);
	CHECK_EQ(view.entries[0].samples, 2);
	CHECK_EQ(view.stacks[view.entries[0].stack].n, 3);
	frames = view.stack_frames + view.stacks[view.entries[0].stack].first;
	CHECK_STR(intern_string(view.strings, view.frames[frames[1]].symbol), "[unmapped]");
	CHECK_STR(intern_string(view.strings, view.frames[frames[2]].dso), "//anon");
	CHECK_STR(intern_string(view.strings, view.frames[view.entries[1].leaf].symbol),
		  "0x7000001");
	vpmu_profile_free(p);
	maker_deinit(&m);
}

TEST(callers_of_an_unknown_side_are_one_frame)
{
	const uint64_t chain[] = { 0x400010, 0x5000001, 0x6000001, VPMU_CONTEXT_KERNEL, A(4) };
	struct made unknown = in_a;
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;

	unknown.side = VPMU_SIDE_UNKNOWN;
	unknown.ip = 0x400010;
	make_sample(&m, &unknown, 5, chain);
	p = profile_of(&m, true, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, 1);
	CHECK_EQ(view.stacks[view.entries[0].stack].n, 3); /* the leaf, [truncated], the kernel's */
	vpmu_profile_free(p);
	maker_deinit(&m);
}

/*
 * More distinct chains than fit a chunk, each seen three times, in between others; some longer
 * than the queue's room.
 */
TEST(many_raw_stacks_keep_their_counts)
{
	enum { STACKS = 30000, WORDS = 300 };
	uint64_t chain[WORDS] = { VPMU_CONTEXT_KERNEL, A(4) };
	struct maker m = {};
	struct vpmu_coverage coverage;
	struct vpmu_profile *p;
	struct profile_view view;

	for (uint64_t round = 0; round < 3; round++)
		for (uint64_t i = 0; i < STACKS; i++) {
			chain[2] = 0xffffffff80000000 + i * 16;
			chain[3] = i % 100 ? VPMU_CONTEXT_USER : B(1);
			make_sample(&m, &in_a, i % 1000 == 0 ? WORDS : 4, chain);
		}
	p = profile_of(&m, true, &coverage);
	CHECK_EQ(profile_view(p, &view), 0);
	CHECK_EQ(view.n_entries, STACKS);
	for (size_t i = 0; i < view.n_entries; i++) {
		CHECK_EQ(view.entries[i].samples, 3);
		CHECK_EQ(view.entries[i].weight, 30);
	}
	CHECK_EQ(coverage.samples, 3 * STACKS);
	vpmu_profile_free(p);
	maker_deinit(&m);
}

TEST(a_profile_goes_with_its_last_owner)
{
	struct vpmu_profile *p = profile_new(), *q;
	struct vpmu_coverage coverage;

	put(p, "web1", "f", "main", 3);
	q = vpmu_profile_ref(p);
	CHECK(q == p);
	vpmu_profile_free(p);
	vpmu_profile_coverage(q, &coverage);
	CHECK_EQ(coverage.samples, 3);
	vpmu_profile_free(q);
}

int main(void)
{
	return test_main();
}
