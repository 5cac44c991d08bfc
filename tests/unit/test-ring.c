/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings on threads of our own, with the software clock: needs no PMU and no guest. */
#include <errno.h>

#include "busy.h"
#include "host/ring.h"
#include "test.h"

static struct perf_event_attr clock_attr(uint64_t frequency_hz)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = frequency_hz,
		.sample_type = PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID |
			       PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.task = 1,
	};
}

static struct ring *open_on(pid_t tid, uint64_t frequency_hz, size_t ring_bytes, uint64_t *ret_id)
{
	struct perf_event_attr attr = clock_attr(frequency_hz);
	struct ring *ring = NULL;
	size_t failed;
	int r = ring_open(&attr, 1, tid, -1, ring_bytes, &ring, ret_id, &failed);

	if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ENOSYS)
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	CHECK_EQ(r, 0);
	CHECK_EQ(failed, 1);
	return ring;
}

struct seen {
	uint64_t runs, bytes, samples, lost, other, wrong_id, id;
};

static int look(const void *records, size_t n_bytes, void *data)
{
	struct seen *seen = data;
	const char *p = records, *end = p + n_bytes;

	seen->runs++;
	seen->bytes += n_bytes;
	while (p < end) {
		const struct perf_event_header *header = (const void *)p;

		if (header->type == PERF_RECORD_SAMPLE) {
			uint64_t id;

			memcpy(&id, header + 1, sizeof(id));
			seen->samples++;
			seen->wrong_id += id != seen->id;
		} else if (header->type == PERF_RECORD_LOST) {
			uint64_t lost;

			memcpy(&lost, (const char *)(header + 1) + 8, sizeof(lost));
			seen->lost += lost;
		} else {
			seen->other++;
		}
		p += header->size;
	}
	CHECK(p == end);
	return 0;
}

/* Of the thread that drains: it is never late, however busy the machine, so that nothing is lost. */
TEST(samples_arrive_in_runs_of_whole_records)
{
	struct seen seen = {};
	struct ring *ring = open_on((pid_t)syscall(SYS_gettid), 10000, 64 * 1024, &seen.id);

	CHECK_EQ(ring_size_bytes(ring), 64 * 1024);
	CHECK_EQ(ring_enable(ring), 0);
	/* Several times around the ring, so that records straddle its end. */
	WAIT_UNTIL(seen.bytes >= 5 * 64 * 1024, {
		burn_ms(20);
		CHECK_EQ(ring_drain(ring, look, &seen), 0);
	});
	CHECK_EQ(ring_disable(ring), 0);
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	CHECK_CMP(seen.samples, >, 100);
	CHECK_CMP(seen.runs, <, seen.samples / 2);
	CHECK_EQ(seen.wrong_id, 0);
	CHECK_EQ(seen.lost, 0);
	CHECK(ring_free(ring) == NULL);
}

/* Ends with the stack's bytes and how many of them are true. */
static int look_at_stacks(const void *records, size_t n_bytes, void *data)
{
	const char *p = records, *end = p + n_bytes;
	struct seen *seen = data;
	uint64_t true_bytes;

	seen->bytes += n_bytes;
	for (const struct perf_event_header *h; p < end; p += h->size) {
		h = (const void *)p;
		if (h->type != PERF_RECORD_SAMPLE || h->size < 8192)
			continue;
		memcpy(&true_bytes, p + h->size - sizeof(true_bytes), sizeof(true_bytes));
		seen->samples++;
		seen->other += true_bytes == 0 || true_bytes > 8192;
	}
	return 0;
}

TEST(a_large_record_across_the_rings_end_comes_whole_or_is_counted)
{
	struct perf_event_attr attr = clock_attr(2000);
	struct seen seen = {};
	struct ring *ring;
	struct busy busy;
	size_t failed;

	busy_start(&busy);
	ring_free(open_on(busy.tid, 1000, 4096, &seen.id)); /* or skip */
	attr.sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
	attr.sample_regs_user = 1;
	attr.sample_stack_user = 8192;
	CHECK_EQ(ring_open(&attr, 1, busy.tid, -1, 64 * 1024, &ring, &seen.id, &failed), 0);
	CHECK_EQ(ring_enable(ring), 0);
	WAIT_UNTIL(seen.bytes >= 5 * 64 * 1024, {
		pause_ms(2);
		CHECK_EQ(ring_drain(ring, look_at_stacks, &seen), 0);
	});
	CHECK_EQ(ring_disable(ring), 0);
	busy_stop(&busy);
	CHECK_CMP(seen.samples, >, 20);
	CHECK_EQ(seen.other, 0);
	ring_free(ring);
}

TEST(nothing_counts_before_enable_and_after_disable)
{
	struct seen seen = {};
	struct ring *ring;
	struct busy busy;

	busy_start(&busy);
	ring = open_on(busy.tid, 1000, 64 * 1024, &seen.id);
	busy_run_ms(&busy, 20);
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	CHECK_EQ(seen.bytes, 0);
	CHECK_EQ(ring_enable(ring), 0);
	CHECK_EQ(ring_disable(ring), 0);
	ring_drain(ring, look, &seen);
	seen.bytes = 0;
	busy_run_ms(&busy, 20);
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	CHECK_EQ(seen.bytes, 0);
	busy_stop(&busy);
	ring_free(ring);
}

TEST(a_full_ring_says_what_it_lost)
{
	struct seen seen = {};
	struct ring *ring;
	struct busy busy;
	uint64_t lost = 0;
	int r = 0;

	busy_start(&busy);
	ring = open_on(busy.tid, 10000, 4096, &seen.id);
	ring_enable(ring);
	WAIT_UNTIL((r = ring_lost(ring, &lost)) < 0 || lost, pause_ms(50));
	CHECK_EQ(ring_disable(ring), 0);
	busy_stop(&busy);
	if (r == -EOPNOTSUPP)
		skip("PERF_FORMAT_LOST needs Linux 6.0");
	CHECK_EQ(r, 0);
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	CHECK_CMP(seen.samples, >, 0);
	CHECK_CMP(ring_drained_bytes(ring), >, 3000);
	CHECK_CMP(lost, >, 0);
	ring_free(ring);
}

TEST(a_thread_that_ends_hangs_up_and_leaves_its_records)
{
	struct seen seen = {};
	struct ring *ring;
	struct busy busy;

	busy_start(&busy);
	ring = open_on(busy.tid, 1000, 64 * 1024, &seen.id);
	ring_enable(ring);
	busy_run_ms(&busy, 50);
	CHECK(!ring_hung_up(ring));
	busy_stop(&busy);
	/* Before Linux 6.16 a thread's events end after those who join it are woken. */
	WAIT_UNTIL(ring_hung_up(ring), pause_ms(1));
	CHECK(ring_hung_up(ring));
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	CHECK_CMP(seen.samples, >, 0);
	CHECK_CMP(seen.other, >=, 1); /* PERF_RECORD_EXIT */
	CHECK_EQ(ring_drain(ring, look, &seen), 0);
	ring_free(ring);
}

TEST(the_refused_event_is_named)
{
	struct perf_event_attr attrs[2] = {clock_attr(1000), clock_attr(1000)};
	struct ring *ring = NULL;
	uint64_t ids[2];
	size_t failed;
	struct busy busy;

	busy_start(&busy);
	ring_free(open_on(busy.tid, 1000, 4096, ids));
	attrs[1].type = 0x7ffffff0; /* no such PMU */
	CHECK_EQ(ring_open(attrs, 2, busy.tid, -1, 4096, &ring, ids, &failed), -ENOENT);
	CHECK_EQ(failed, 1);
	CHECK(ring == NULL);
	busy_stop(&busy);
	/* Nobody has this thread id: it is above the kernel's limit. */
	CHECK_EQ(ring_open(attrs, 1, 0x7ffffff0, -1, 4096, &ring, ids, &failed), -ESRCH);
	CHECK_EQ(failed, 0);
}

static int refuse(const void *records, size_t n_bytes, void *data)
{
	(void)records, (void)n_bytes;
	++*(int *)data;
	return -ENOSPC;
}

TEST(a_consumer_that_fails_stops_the_drain)
{
	struct ring *ring;
	struct busy busy;
	uint64_t id;
	int calls = 0;

	busy_start(&busy);
	ring = open_on(busy.tid, 5000, 64 * 1024, &id);
	ring_enable(ring);
	busy_run_ms(&busy, 50);
	CHECK_EQ(ring_drain(ring, refuse, &calls), -ENOSPC);
	CHECK_EQ(calls, 1);
	busy_stop(&busy);
	ring_free(ring);
}

int main(void)
{
	return test_main();
}
