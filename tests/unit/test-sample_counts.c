/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The maps that samples are counted in, filled by hand where the program would. That it does is for test-session and tests/lab/fast. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>

#include "busy.h"
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

/* Places only. */
static void count_chainless(const struct sample_seat *seat, uint32_t from, uint32_t to)
{
	struct vpmu_bpf_count count = { .n = 1 };
	int fd = current_map(seat, seat->counts_fd);

	for (uint32_t i = from; i < to; i++) {
		struct vpmu_bpf_count_key key = { .ip = i };

		CHECK_EQ(bpf_map_update_elem(fd, &key, &count, BPF_NOEXIST), 0);
	}
	close(fd);
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

/* The program says so where it finds no room. */
TEST(who_has_no_room_is_visited_early)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	const struct vpmu_bpf_seen full = { .n_unfit = 1 };
	struct seen seen = {};

	CHECK(!sample_counts_overflowed(counts));
	CHECK_EQ(bpf_map_update_elem(seat.seen_fd, &seat.session, &full, BPF_ANY), 0);
	CHECK(sample_counts_overflowed(counts));
	CHECK_EQ(sample_counts_drain(counts, see, &seen), 0);
	CHECK(!sample_counts_overflowed(counts));
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

/* Both maps are filled to the last entry, emptied, and filled again. */
TEST(full_maps_are_emptied)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);

	for (int i = 0; i < 4; i++) {
		struct seen seen = {};

		count_places(&seat, 1, VPMU_BPF_MAX_COUNTED_CHAINS + 1);
		count_chainless(&seat, VPMU_BPF_MAX_COUNTED_CHAINS + 1, VPMU_BPF_MAX_COUNTS + 1);
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

/* The program on a thread's clock; nobody reads what it leaves to the kernel. Returns the event. */
static int sample_thread(const struct sample_seat *seat, pid_t tid, int *ret_link)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK, .sample_period = 1000000,
		.sample_type = PERF_SAMPLE_IP,
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = VPMU_BPF_COOKIE(7, seat->session) | VPMU_BPF_COOKIE_COUNT);
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		skip("perf events are not available here");
	*ret_link = bpf_link_create(seat->program_fd, fd, BPF_PERF_EVENT, &opts);
	if (*ret_link < 0)
		skip("the kernel does not attach the program");
	return fd;
}

static int see_event(const struct sample_count *count, void *data)
{
	struct seen *seen = data;

	if (count->key->event_id != 7)
		return 0;
	seen->samples += count->count->n;
	seen->wrong += count->key->guest || count->count->weight != count->count->n * 1000000;
	return 0;
}

TEST(a_full_map_is_noted_and_an_emptied_one_used)
{
	struct sample_seat seat = take_seat();
	struct sample_counts *counts = open_counts(&seat);
	struct seen before = {}, after = {};
	struct busy busy;
	int fd, link;

	count_chainless(&seat, 0, VPMU_BPF_MAX_COUNTS);
	busy_start(&busy);
	fd = sample_thread(&seat, busy.tid, &link);
	while (!sample_counts_overflowed(counts))
		pause_ms(10);
	CHECK_EQ(sample_counts_drain(counts, see_event, &before), 0);
	CHECK_EQ(before.samples, 0);
	while (!after.samples) {
		pause_ms(10);
		CHECK_EQ(sample_counts_drain(counts, see_event, &after), 0);
	}
	CHECK_EQ(after.wrong, 0);
	busy_stop(&busy);
	close(link);
	close(fd);
	sample_counts_free(counts);
	sample_program_leave(&seat);
}

int main(void)
{
	return test_main();
}
