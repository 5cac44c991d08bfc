/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/exit_stacks.h"
#include "test.h"

static struct vpmu_bpf_sample sample(uint64_t ip, unsigned int n_frames, uint32_t one_in, uint64_t ns)
{
	struct vpmu_bpf_sample s = {
		.event_id = VPMU_BPF_EXIT_ID(0x72, 0, 2, 0),
		.period = ns,
		.ip = ip,
		.cpu = one_in,
		.n_frames = (uint16_t)n_frames,
	};

	for (unsigned int i = 0; i < n_frames; i++)
		s.frames[i] = 0x1000 + i;
	return s;
}

TEST(samples_of_one_stack_add_up_by_what_they_stand_for)
{
	struct exit_stacks stacks = {};
	struct vpmu_bpf_sample a = sample(0x400000, 2, 4, 100), b = sample(0x400000, 2, 1, 50);

	CHECK_EQ(exit_stacks_add(&stacks, 0, &a), 0);
	CHECK_EQ(exit_stacks_add(&stacks, 0, &b), 0);
	CHECK_EQ(stacks.items.n, 1);
	CHECK_EQ(stacks.items.items[0].samples, 2);
	CHECK_EQ(stacks.items.items[0].count, 5);
	CHECK_EQ(stacks.items.items[0].total_ns, 450);
	CHECK_EQ(stacks.items.items[0].n_addresses, 3);
	CHECK_EQ(stacks.addresses.items[stacks.items.items[0].first], 0x400000);
	exit_stacks_deinit(&stacks);
}

TEST(stacks_differ_by_thread_reason_place_and_depth)
{
	struct exit_stacks stacks = {};
	struct vpmu_bpf_sample s = sample(0x400000, 2, 1, 0);

	exit_stacks_add(&stacks, 0, &s);
	exit_stacks_add(&stacks, 1, &s);
	s.event_id = VPMU_BPF_EXIT_ID(0x72, 1, 2, 0);
	exit_stacks_add(&stacks, 0, &s);
	s.ip = 0x400001;
	exit_stacks_add(&stacks, 0, &s);
	s.n_frames = 1;
	exit_stacks_add(&stacks, 0, &s);
	s.user = 1;
	exit_stacks_add(&stacks, 0, &s);
	CHECK_EQ(stacks.items.n, 6);
	exit_stacks_deinit(&stacks);
}

TEST(an_exit_at_an_unknown_place_has_no_addresses)
{
	struct exit_stacks stacks = {};
	struct vpmu_bpf_sample s = sample(0, 0, 8, 10);

	exit_stacks_add(&stacks, 0, &s);
	exit_stacks_add(&stacks, 0, &s);
	CHECK_EQ(stacks.items.n, 1);
	CHECK_EQ(stacks.items.items[0].n_addresses, 0);
	CHECK_EQ(stacks.items.items[0].count, 16);
	exit_stacks_deinit(&stacks);
}

TEST(what_finds_no_room_is_counted)
{
	struct exit_stacks stacks = { .max = 10 };

	for (uint64_t ip = 1; ip <= 13; ip++) {
		struct vpmu_bpf_sample s = sample(ip, 0, 2, 0);

		CHECK_EQ(exit_stacks_add(&stacks, 0, &s), 0);
	}
	CHECK_EQ(stacks.items.n, 10);
	CHECK_EQ(stacks.n_unfit, 6);
	exit_stacks_deinit(&stacks);
}

int main(void)
{
	return test_main();
}
