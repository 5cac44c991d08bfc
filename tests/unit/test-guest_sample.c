/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/guest_sample.h"
#include "test.h"

static struct vpmu_bpf_sample a_sample(unsigned int n, enum vpmu_bpf_end end)
{
	struct vpmu_bpf_sample sample = {
		.event_id = 7, .time_ns = 1234, .ip = 0x401005, .period = 1001001, .cpu = 1, .user = 1,
		.end = (__u8)end, .n_frames = (__u8)n,
	};

	for (unsigned int i = 0; i < n; i++)
		sample.frames[i] = 0x402000 + i;
	return sample;
}

static struct guest_chain chain_of(const struct vpmu_bpf_sample *sample)
{
	struct guest_chain chain;

	guest_unwind(NULL, NULL, sample, &chain);
	return chain;
}

static size_t read_back(const union guest_sample_record *record, uint64_t *chain)
{
	return guest_sample_read(&record->sample.header, record->sample.chain, record->sample.n_chain, chain);
}

TEST(what_is_written_is_read_back)
{
	struct vpmu_bpf_sample sample = a_sample(3, VPMU_BPF_END_COMPLETE);
	struct guest_chain written = chain_of(&sample);
	uint64_t chain[GUEST_SAMPLE_WORDS];
	struct vpmu_coverage coverage = {};
	union guest_sample_record record;

	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(record.sample.header.misc, PERF_RECORD_MISC_GUEST_USER);
	CHECK_EQ(record.sample.header.size, sizeof(record.sample) + 5 * 8);
	CHECK_EQ(record.sample.pid, 10);
	CHECK_EQ(record.sample.tid, 11);
	CHECK_EQ(record.sample.chain[0], VPMU_CONTEXT_USER); /* what perf takes */
	CHECK_EQ(read_back(&record, chain), 5);
	CHECK_EQ(chain[0], VPMU_CONTEXT_GUEST_USER); /* what it means */
	CHECK_EQ(chain[1], 0x401005);
	CHECK_EQ(chain[4], 0x402002);
	guest_sample_count(chain, 5, 1, &coverage);
	CHECK_EQ(coverage.guest_chains, 1);
	CHECK_EQ(coverage.chain_ends[VPMU_CHAIN_COMPLETE], 1);
	CHECK_EQ(coverage.truncated_chains, 0);
}

TEST(a_cut_chain_says_why_where_perf_does_not_look)
{
	struct vpmu_bpf_sample sample = a_sample(126, VPMU_BPF_END_DEPTH);
	struct guest_chain written = chain_of(&sample);
	uint64_t chain[GUEST_SAMPLE_WORDS];
	struct vpmu_coverage coverage = {};
	union guest_sample_record record;

	sample.user = 0;
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(record.sample.n_chain, 128);
	CHECK_EQ(record.sample.header.size, sizeof(record.sample) + 129 * 8);
	CHECK_EQ(read_back(&record, chain), 129);
	CHECK_EQ(chain[0], VPMU_CONTEXT_GUEST_KERNEL);
	CHECK_EQ(chain[128], VPMU_CONTEXT_CUT + VPMU_CHAIN_DEPTH);
	guest_sample_count(chain, 129, 1, &coverage);
	CHECK_EQ(coverage.chain_ends[VPMU_CHAIN_DEPTH], 1);
	CHECK_EQ(coverage.truncated_chains, 1);
}

TEST(a_kernels_chain_may_go_on_in_user_mode)
{
	struct vpmu_bpf_sample sample = a_sample(0, VPMU_BPF_END_COMPLETE);
	struct guest_chain written = {.words = {0xffffffff81000010, VPMU_CONTEXT_USER, 0x401000, 0x402000}, .n = 4};
	uint64_t chain[GUEST_SAMPLE_WORDS];
	union guest_sample_record record;

	sample.user = 0;
	sample.ip = 0xffffffff81000000;
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(record.sample.chain[3], VPMU_CONTEXT_USER); /* what perf takes */
	CHECK_EQ(read_back(&record, chain), 6);
	CHECK_EQ(chain[0], VPMU_CONTEXT_GUEST_KERNEL);
	CHECK_EQ(chain[3], VPMU_CONTEXT_GUEST_USER);
	CHECK_EQ(chain[5], 0x402000);
	/* Nothing behind it, another marker, or from user mode: none of ours. */
	written.n = 2;
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(read_back(&record, chain), 0);
	written = (struct guest_chain){.words = {VPMU_CONTEXT_KERNEL, 1}, .n = 2};
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(read_back(&record, chain), 0);
	written.words[0] = VPMU_CONTEXT_USER;
	sample.user = 1;
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(read_back(&record, chain), 0);
}

TEST(a_sample_in_a_nested_guest_says_so_and_nothing_else)
{
	struct vpmu_bpf_sample sample = a_sample(0, VPMU_BPF_END_NESTED);
	struct guest_chain written;
	uint64_t chain[GUEST_SAMPLE_WORDS];
	struct vpmu_coverage coverage = {};
	union guest_sample_record record;

	sample.ip = VPMU_BPF_NESTED_IP;
	written = chain_of(&sample);
	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	CHECK_EQ(record.sample.ip, VPMU_ADDRESS_NESTED);
	CHECK_EQ(read_back(&record, chain), 3);
	CHECK_EQ(chain[1], VPMU_ADDRESS_NESTED);
	CHECK_EQ(chain[2], VPMU_CONTEXT_CUT + VPMU_CHAIN_NESTED);
	guest_sample_count(chain, 3, 1, &coverage);
	CHECK_EQ(coverage.chain_ends[VPMU_CHAIN_NESTED], 1);
	CHECK_EQ(coverage.truncated_chains, 1);
}

TEST(chains_of_the_kernel_are_left_alone)
{
	struct vpmu_bpf_sample sample = a_sample(3, VPMU_BPF_END_COMPLETE);
	struct guest_chain written = chain_of(&sample);
	uint64_t chain[GUEST_SAMPLE_WORDS];
	union guest_sample_record record;

	guest_sample_write(&sample, 10, 11, &written, GUEST_TASK_NONE, &record);
	record.sample.header.misc = PERF_RECORD_MISC_USER;
	CHECK_EQ(read_back(&record, chain), 0);
	/* An unpatched kernel's chain of a guest sample: two markers. */
	record.sample.header.misc = PERF_RECORD_MISC_GUEST_USER;
	record.sample.chain[0] = VPMU_CONTEXT_KERNEL;
	record.sample.chain[1] = VPMU_CONTEXT_USER;
	record.sample.n_chain = 2;
	CHECK_EQ(read_back(&record, chain), 0);
	record.sample.n_chain = GUEST_SAMPLE_WORDS; /* longer than any of ours */
	record.sample.chain[0] = VPMU_CONTEXT_USER;
	record.sample.chain[1] = 1;
	CHECK_EQ(read_back(&record, chain), 0);
}

TEST(a_task_stands_behind_everything)
{
	struct vpmu_bpf_sample sample = a_sample(126, VPMU_BPF_END_DEPTH);
	struct guest_chain written = chain_of(&sample);
	uint64_t chain[GUEST_SAMPLE_WORDS];
	union guest_sample_record record;

	guest_sample_write(&sample, 10, 11, &written, 77, &record);
	CHECK(record.sample.header.size <= sizeof(record));
	CHECK_EQ(guest_sample_task(&record.sample.header), 77);
	CHECK_EQ(read_back(&record, chain), 129);
	CHECK_EQ(chain[128], VPMU_CONTEXT_CUT + VPMU_CHAIN_DEPTH);
	sample.end = VPMU_BPF_END_COMPLETE;
	written = chain_of(&sample);
	guest_sample_write(&sample, 10, 11, &written, 0, &record);
	CHECK_EQ(guest_sample_task(&record.sample.header), 0);
	CHECK_EQ(read_back(&record, chain), 128);
	/* Without chains the kernel's samples end with the period. */
	guest_sample_write(&sample, 10, 11, NULL, GUEST_TASK_NONE, &record);
	CHECK_EQ(record.sample.header.size, offsetof(struct plan_sample, n_chain));
	CHECK_EQ(guest_sample_task(&record.sample.header), GUEST_TASK_NONE);
	guest_sample_write(&sample, 10, 11, NULL, 5, &record);
	CHECK_EQ(record.sample.header.size, offsetof(struct plan_sample, n_chain) + 8);
	CHECK_EQ(guest_sample_task(&record.sample.header), 5);
	record.sample.header.misc = PERF_RECORD_MISC_USER;
	CHECK_EQ(guest_sample_task(&record.sample.header), GUEST_TASK_NONE);
}

int main(void)
{
	return test_main();
}
