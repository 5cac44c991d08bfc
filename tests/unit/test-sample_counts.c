/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The maps that samples are counted in, filled by hand where the program would. That it does is for test-session and tests/lab/fast. */
#include <bpf/bpf.h>
#include <errno.h>

#include "host/sample_counts.h"
#include "test.h"

struct seen {
	uint64_t calls, samples, weight, n_chains, wrong;
};

static struct sample_seat take_seat(void)
{
	struct sample_seat seat = {};
	int r;

	SKIP_WITHOUT_BPF_IN_VALGRIND();
	r = sample_program_join(&seat);
	if (r < 0)
		skip("the kernel does not take the program");
	return seat;
}

static struct sample_counts *open_counts(const struct sample_seat *seat)
{
	struct sample_counts *counts = NULL;

	CHECK_EQ(sample_counts_open(seat, true, &counts), 0);
	return counts;
}

/* The map that the program finds in @outer_fd at this moment. */
static int current_map(const struct sample_seat *seat, int outer_fd)
{
	uint32_t generation = 0, index, id = 0;
	int fd;

	CHECK_EQ(bpf_map_lookup_elem(seat->generations_fd, &seat->session, &generation), 0);
	index = VPMU_BPF_GENERATION(seat->session, generation);
	CHECK_EQ(bpf_map_lookup_elem(outer_fd, &index, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	CHECK(fd >= 0);
	return fd;
}

/* Places [@from, @to), each with its chain, as often as its number says. */
static void count_places(const struct sample_seat *seat, uint32_t from, uint32_t to)
{
	int counts = current_map(seat, seat->counts_fd), chains = current_map(seat, seat->chains_fd);

	for (uint32_t i = from; i < to; i++) {
		struct vpmu_bpf_count_key key = { .ip = i, .chains = { i } };
		struct vpmu_bpf_count count = { .n = i, .weight = 10 * i };
		struct vpmu_bpf_sample chain = { .n_frames = 1, .frames = { i } };

		CHECK_EQ(bpf_map_update_elem(counts, &key, &count, BPF_NOEXIST), 0);
		CHECK_EQ(bpf_map_update_elem(chains, &key.chains[0], &chain, BPF_NOEXIST), 0);
	}
	close(counts);
	close(chains);
}

static int see(const struct sample_count *count, void *data)
{
	struct seen *seen = data;

	seen->calls++;
	seen->samples += count->count->n;
	seen->weight += count->count->weight;
	seen->n_chains += count->chains[0] != NULL;
	seen->wrong += count->chains[1] || !count->chains[0] || count->chains[0]->frames[0] != count->key->ip;
	return 0;
}

TEST(each_count_is_handed_over_once)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	struct seen seen = {};

	count_places(&seat, 1, 1001);
	CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
	CHECK_EQ(seen.calls, 1000);
	CHECK_EQ(seen.samples, 1000 * 1001 / 2);
	CHECK_EQ(seen.weight, 10 * seen.samples);
	CHECK_EQ(seen.wrong, 0);
	CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
	CHECK_EQ(seen.calls, 1000);
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

static int count_one_more(const struct sample_count *count, void *data)
{
	count_places(data, (uint32_t)count->key->ip + 1, (uint32_t)count->key->ip + 2);
	return 0;
}

TEST(what_comes_meanwhile_is_for_the_next_time)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	struct seen seen = {};

	count_places(&seat, 1, 2);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(sample_counts_drain(counts, count_one_more, &seat), 0);
	CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
	CHECK_EQ(seen.calls, 1);
	CHECK_EQ(seen.samples, 5);
	CHECK_EQ(seen.wrong, 0);
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

/* Both maps are filled to the last entry, emptied, and filled again. */
TEST(full_maps_are_emptied)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	struct vpmu_bpf_count_key key = { .ip = VPMU_BPF_MAX_COUNTED_CHAINS + 1 };
	struct vpmu_bpf_count count = { .n = 1 };

	for (int i = 0; i < 4; i++) {
		struct seen seen = {};
		int fd = current_map(&seat, seat.counts_fd);

		count_places(&seat, 1, VPMU_BPF_MAX_COUNTED_CHAINS + 1);
		for (; key.ip <= VPMU_BPF_MAX_COUNTS; key.ip++)
			CHECK_EQ(bpf_map_update_elem(fd, &key, &count, BPF_NOEXIST), 0);
		CHECK(bpf_map_update_elem(fd, &key, &count, BPF_NOEXIST) < 0);
		close(fd);
		key.ip = VPMU_BPF_MAX_COUNTED_CHAINS + 1;
		CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
		CHECK_EQ(seen.calls, VPMU_BPF_MAX_COUNTS);
		CHECK_EQ(seen.n_chains, VPMU_BPF_MAX_COUNTED_CHAINS);
	}
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

static int refuse(const struct sample_count *count, void *data)
{
	(void)count;
	(*(int *)data)++;
	return -ENOMEM;
}

TEST(who_cannot_take_them_is_not_asked_again)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	int calls = 0;

	count_places(&seat, 1, 500);
	CHECK_EQ(sample_counts_drain(counts, refuse, &calls), -ENOMEM);
	CHECK_EQ(sample_counts_drain(counts, refuse, &calls), 0);
	CHECK_EQ(calls, 1);
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

/* A seat's next owner begins with nothing. */
TEST(nothing_is_left_to_the_next_one)
{
	struct sample_seat keeper = take_seat(), seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	struct seen seen = {};

	count_places(&seat, 1, 10);
	sample_counts_free(counts);
	counts = open_counts(&seat);
	CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
	CHECK_EQ(seen.calls, 0);
	sample_counts_free(counts);
	sample_program_leave(&seat);
	sample_program_leave(&keeper);
}

int main(void)
{
	return test_main();
}
