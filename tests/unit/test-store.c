/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <vpmu/profile.h>

#include "daemon/store.h"
#include "profile_fixture.h"
#include "util/io.h"

#define MINUTE INT64_C(60000)

/* A loop, a pool, a store, and what it answered. */
struct stage {
	char directory[64], path[96];
	sd_event *loop;
	struct jobs *jobs;
	struct config config;
	struct store *store;
	struct vpmu_profile *answer;
	struct store_kept kept;
	struct vpmu_error error;
	bool answered;
};

static void enter(struct stage *s)
{
	snprintf(s->directory, sizeof(s->directory), "/tmp/vpmu-store-XXXXXX");
	CHECK(mkdtemp(s->directory));
	snprintf(s->path, sizeof(s->path), "%s/store.db", s->directory);
	CHECK_CMP(sd_event_new(&s->loop), >=, 0);
	CHECK_EQ(jobs_new(s->loop, 2, &s->jobs, NULL), 0);
	s->config = (struct config){ .store_path = s->path, .store_max_bytes = 64 << 20, .store_max_age_s = 7 * 86400 };
}

static void open_store(struct stage *s)
{
	CHECK_EQ(store_new(s->jobs, &s->config, &s->store, NULL), 0);
}

static void leave(struct stage *s)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	store_free(s->store);
	jobs_free(s->jobs);
	sd_event_unref(s->loop);
	vpmu_profile_free(s->answer);
	/* SQLite leaves log and index where a reader was the last to close. */
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s%s", s->path, ends[i]);
		unlink(name);
	}
	CHECK_EQ(rmdir(s->directory), 0);
}

/* The minute in which the story began, and so many before. */
static int64_t minute(int ago)
{
	static int64_t now_ms;

	if (!now_ms)
		now_ms = (int64_t)time(NULL) / 60 * MINUTE;
	return now_ms - ago * MINUTE;
}

static void put(struct stage *s, const char *guest, int64_t minute_ms, const char *symbol, uint64_t samples)
{
	struct vpmu_profile *p = new_profile();
	uint32_t frame = put_frame(p, VPMU_SIDE_GUEST_KERNEL, symbol, "[kernel]");
	uint32_t id = profile_put_guest(p, guest, "");
	void *bytes;
	size_t n;

	put_hit(p, &(struct hit){ .guest = id, .side = VPMU_SIDE_GUEST_KERNEL, .samples = samples, .stack = &frame,
				  .n_stack = 1 });
	CHECK_EQ(vpmu_profile_write(p, NULL, &bytes, &n, NULL), 0);
	CHECK_EQ(store_put(s->store, guest, "", minute_ms, bytes, n), 0);
	vpmu_profile_free(p);
}

static void on_answer(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct stage *s = data;

	s->answer = vpmu_profile_free(s->answer);
	s->answer = profile;
	s->error = error ? *error : (struct vpmu_error){};
	s->answered = true;
}

/* Samples of @guest since @since_ms; negative: the error. */
static int64_t ask(struct stage *s, const char *guest, int64_t since_ms)
{
	struct store_guest one = { .name = guest, .uuid = "" };
	struct store_query query = { .guests = &one, .n_guests = 1, .since_ms = since_ms, .until_ms = INT64_MAX,
				     .ret_kept = &s->kept };
	struct vpmu_coverage coverage;

	s->answered = false;
	CHECK_EQ(store_get(s->store, &query, on_answer, s), 0);
	while (!s->answered)
		CHECK_CMP(sd_event_run(s->loop, UINT64_MAX), >=, 0);
	if (!s->answer)
		return s->error.code;
	vpmu_profile_coverage(s->answer, &coverage);
	return (int64_t)coverage.samples;
}

/* Until what was put in is in the file, or found not to fit there. */
static void settle(struct stage *s, uint64_t profiles, uint64_t errors)
{
	struct store_stats stats;

	WAIT_UNTIL((store_stats(s->store, &stats), stats.profiles >= profiles && stats.errors >= errors),
		   CHECK_CMP(sd_event_run(s->loop, 10000), >=, 0));
}

TEST(minutes_are_merged_when_asked_for)
{
	struct store_guest guest;
	struct stage s = {};

	enter(&s);
	open_store(&s);
	CHECK_EQ(ask(&s, "web1", 0), -ENODATA);
	put(&s, "web1", minute(3), "f", 2);
	put(&s, "web1", minute(2), "f", 30);
	put(&s, "web1", minute(2), "g", 400);
	put(&s, "web2", minute(2), "f", 7);
	settle(&s, 4, 0);
	CHECK_EQ(ask(&s, "web1", 0), 432);
	CHECK_EQ(ask(&s, "web1", minute(2)), 430);
	CHECK_EQ(ask(&s, "web2", 0), 7);
	CHECK_EQ(ask(&s, "web3", 0), -ENODATA);
	/* The loop hears of them when the file has them. */
	WAIT_UNTIL(store_guest(s.store, 1, &guest), CHECK_CMP(sd_event_run(s.loop, 10000), >=, 0));
	CHECK_STR(guest.name, "web2");
	CHECK(!store_guest(s.store, 2, &guest));
	leave(&s);
}

/* The clock is this machine's; the minutes are of two days ago. */
TEST(who_asks_hears_what_there_was_of_the_time)
{
	struct store_guest both[] = { { .name = "web1", .uuid = "" }, { .name = "web2", .uuid = "" } };
	int64_t now_ms = minute(0);
	struct stage s = {};
	struct store_query query = { .guests = both, .n_guests = 2, .since_ms = now_ms - 60 * MINUTE, .until_ms = INT64_MAX,
				     .ret_kept = &s.kept };

	enter(&s);
	open_store(&s);
	put(&s, "web1", now_ms - 20 * MINUTE, "f", 1);
	put(&s, "web1", now_ms - 19 * MINUTE, "f", 1);
	put(&s, "web1", now_ms - 10 * MINUTE, "f", 1);
	put(&s, "web2", now_ms - 19 * MINUTE, "f", 1);
	put(&s, "web2", now_ms - 5 * MINUTE, "f", 1);
	settle(&s, 5, 0);
	CHECK_EQ(ask(&s, "web1", now_ms - 60 * MINUTE), 3);
	CHECK_EQ(s.kept.since_ms, now_ms - 20 * MINUTE);
	CHECK_EQ(s.kept.until_ms, now_ms - 9 * MINUTE);
	CHECK_EQ(s.kept.minutes, 3);
	s.answered = false;
	CHECK_EQ(store_get(s.store, &query, on_answer, &s), 0);
	while (!s.answered)
		CHECK_CMP(sd_event_run(s.loop, UINT64_MAX), >=, 0);
	CHECK_EQ(s.kept.until_ms, now_ms - 4 * MINUTE);
	CHECK_EQ(s.kept.minutes, 4); /* the one that both have counts once */
	leave(&s);
}

TEST(after_a_day_the_minutes_of_an_hour_are_one)
{
	int64_t hour = (int64_t)time(NULL) / 3600 * 3600000 - 48 * 60 * MINUTE;
	struct stage s = {};

	enter(&s);
	open_store(&s);
	for (int i = 0; i < 60; i++)
		put(&s, "web1", hour + i * MINUTE, "f", 1);
	put(&s, "web1", minute(1), "f", 100);
	WAIT_UNTIL(ask(&s, "web1", hour + 59 * MINUTE) == 160, {
		put(&s, "web2", minute(1), "f", 1);
		CHECK_CMP(sd_event_run(s.loop, 200000), >=, 0);
	});
	CHECK_EQ(ask(&s, "web1", hour + 60 * MINUTE), 100);
	leave(&s);
}

#define LARGE_SYMBOLS 5120

/* A minute whose symbols are its own, of a KiB each: 5 MiB. */
static void put_large(struct stage *s, int64_t minute_ms)
{
	struct vpmu_profile *p = new_profile();
	uint32_t id = profile_put_guest(p, "web1", "");
	char symbol[1024];
	void *bytes;
	size_t n;

	memset(symbol, 'x', sizeof(symbol));
	for (int i = 0; i < LARGE_SYMBOLS; i++) {
		uint32_t frame;

		n = (size_t)snprintf(symbol, sizeof(symbol), "f_%lld_%d_", (long long)minute_ms, i);
		symbol[n] = 'x';
		symbol[sizeof(symbol) - 1] = '\0';
		frame = put_frame(p, VPMU_SIDE_GUEST_KERNEL, symbol, "[kernel]");
		put_hit(p, &(struct hit){ .guest = id, .side = VPMU_SIDE_GUEST_KERNEL, .samples = 1, .stack = &frame,
					  .n_stack = 1 });
	}
	CHECK_EQ(vpmu_profile_write(p, NULL, &bytes, &n, NULL), 0);
	CHECK_EQ(store_put(s->store, "web1", "", minute_ms, bytes, n), 0);
	vpmu_profile_free(p);
}

/* 35 MiB of names: more than is read at once. Each minute is added to its hour as it comes. */
TEST(an_hour_that_was_made_can_be_read)
{
	int64_t hour = (int64_t)time(NULL) / 3600 * 3600000 - 48 * 60 * MINUTE;
	struct store_stats before, stats;
	struct stage s = {};

	if (under_valgrind())
		skip("so much takes valgrind minutes, more than an answer may take");
	enter(&s);
	s.config.store_max_bytes = 256 << 20;
	open_store(&s);
	for (int i = 0; i < 7; i++) {
		store_stats(s.store, &before);
		put_large(&s, hour + i * MINUTE);
		WAIT_UNTIL((store_stats(s.store, &stats), stats.bytes != before.bytes),
			   CHECK_CMP(sd_event_run(s.loop, 10000), >=, 0));
	}
	CHECK_EQ(ask(&s, "web1", hour + 59 * MINUTE), 7 * LARGE_SYMBOLS);
	store_stats(s.store, &stats);
	CHECK_EQ(stats.errors, 0);
	CHECK_CMP(stats.profiles, <, 7);
	leave(&s);
}

TEST(what_was_handed_in_last_is_there_after_a_restart)
{
	struct stage s = {};

	enter(&s);
	open_store(&s);
	put(&s, "web1", minute(1), "f", 2);
	store_free(s.store);
	open_store(&s);
	CHECK_EQ(ask(&s, "web1", 0), 2);
	leave(&s);
}

TEST(a_file_that_cannot_be_had_is_said_and_tried_again)
{
	struct store_stats stats;
	struct stage s = {};

	enter(&s);
	CHECK_EQ(mkdir(s.path, 0700), 0);
	open_store(&s);
	store_stats(s.store, &stats);
	CHECK_CONTAINS(stats.last_error, s.path);
	CHECK_EQ(stats.errors, 1);
	put(&s, "web1", minute(2), "f", 2);
	settle(&s, 0, 2);
	CHECK_EQ(ask(&s, "web1", 0), -EISDIR);
	CHECK_EQ(rmdir(s.path), 0);
	put(&s, "web1", minute(1), "f", 30);
	settle(&s, 2, 0);
	store_stats(s.store, &stats);
	CHECK_STR(stats.last_error, "");
	CHECK_EQ(ask(&s, "web1", 0), 32);
	leave(&s);
}

/* Of what waits for a disk the newest are kept, a quarter of what the store may take. */
TEST(what_waits_in_memory_is_bounded)
{
	struct store_stats stats;
	struct stage s = {};

	enter(&s);
	s.config.store_max_bytes = 1 << 20;
	CHECK_EQ(mkdir(s.path, 0700), 0);
	open_store(&s);
	for (int i = 20; i > 1; i--) {
		void *bytes = calloc(1, 60 << 10);

		CHECK_EQ(store_put(s.store, "web1", "", minute(i), bytes, 60 << 10), 0);
	}
	put(&s, "web1", minute(1), "f", 30);
	CHECK_EQ(rmdir(s.path), 0);
	put(&s, "web1", minute(0), "f", 2);
	/* A write of before may find the path free already, and leave the last one to the next. */
	WAIT_UNTIL(ask(&s, "web1", 0) == 32, CHECK_CMP(sd_event_run(s.loop, 10000), >=, 0));
	store_stats(s.store, &stats);
	/* Of twenty-one: four are in the hands of the writer, if it just found the path free, and four and the two small ones wait. */
	CHECK_CMP(stats.profiles, <=, 10);
	CHECK_CMP(stats.errors, >=, 11);
	leave(&s);
}

TEST(a_profile_that_is_damaged_is_one_that_is_missing)
{
	struct store_stats stats;
	struct stage s = {};

	enter(&s);
	open_store(&s);
	put(&s, "web1", minute(1), "f", 2);
	CHECK_EQ(store_put(s.store, "web1", "", minute(1), strdup("vpmuprof, or not"), 16), 0);
	settle(&s, 2, 0);
	CHECK_EQ(ask(&s, "web1", 0), 2);
	store_stats(s.store, &stats);
	CHECK_EQ(stats.errors, 1);
	leave(&s);
}

TEST(those_who_wait_hear_of_the_end)
{
	struct store_guest one = { .name = "web1", .uuid = "" };
	struct store_query query = { .guests = &one, .n_guests = 1, .until_ms = INT64_MAX };
	struct stage s = {};

	enter(&s);
	open_store(&s);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(store_get(s.store, &query, on_answer, &s), 0);
	s.store = store_free(s.store);
	s.jobs = jobs_free(s.jobs);
	CHECK(s.answered);
	CHECK(s.error.code == -ECANCELED || s.error.code == -ENODATA);
	leave(&s);
}

/* One reads at a time here; the others wait for their turn. */
TEST(who_is_gone_is_not_read_for)
{
	struct store_guest one = { .name = "web1", .uuid = "" };
	struct store_query query = { .guests = &one, .n_guests = 1, .until_ms = INT64_MAX };
	struct stage s = {}, gone[50] = {};

	enter(&s);
	open_store(&s);
	put(&s, "web1", minute(1), "f", 2);
	settle(&s, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		CHECK_EQ(store_get(s.store, &query, on_answer, &gone[i]), 0);
	for (size_t i = 1; i < ARRAY_SIZE(gone); i++) {
		store_cancel(s.store, &gone[i]);
		CHECK(gone[i].answered);
		CHECK_EQ(gone[i].error.code, -ECANCELED);
	}
	store_cancel(s.store, &gone[0]); /* under way: it ends soon, one way or another */
	store_cancel(s.store, &s);
	CHECK_EQ(ask(&s, "web1", 0), 2);
	CHECK(gone[0].answered);
	vpmu_profile_free(gone[0].answer);
	leave(&s);
}

int main(void)
{
	return test_main();
}
