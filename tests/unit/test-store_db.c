/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's file: what goes in comes out, in its bounds, and whatever happens to it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/store_db.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define NOW    INT64_C(1790000000000) /* a moment; whole minutes */
#define MiB    (1u << 20)

static const struct store_limits roomy = { .max_bytes = 64 * MiB, .max_age_s = 7 * 86400 };
static char directory[64], path[96];

static void make_directory(void)
{
	snprintf(directory, sizeof(directory), "/tmp/vpmu-store-XXXXXX");
	CHECK(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/store.db", directory);
}

static void remove_directory(void)
{
	static const char *const ends[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		char name[128];

		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	CHECK_EQ(rmdir(directory), 0);
}

static struct store_db *open_store(bool to_write)
{
	struct vpmu_error error = {};
	struct store_db *db = NULL;

	if (store_db_open(path, to_write, &db, &error) < 0)
		FAIL("store_db_open: %s", error.text);
	return db;
}

static struct store_part part_at(const char *name, const char *uuid, int64_t start_ms, const void *bytes, size_t n)
{
	return (struct store_part){ .name = name, .uuid = uuid, .start_ms = start_ms, .end_ms = start_ms + MINUTE,
				    .bytes = bytes, .n_bytes = n };
}

static void put_text(struct store_db *db, const char *name, const char *uuid, int64_t start_ms, const char *text)
{
	struct store_part part = part_at(name, uuid, start_ms, text, strlen(text));
	struct vpmu_error error = {};

	if (store_db_put(db, &part, 1, &roomy, NOW, &error) < 0)
		FAIL("store_db_put: %s", error.text);
}

struct looking {
	const char *name; /* NULL = all */
	struct strbuf got;
};

static bool is_name(const char *name, const char *uuid, void *data)
{
	const struct looking *looking = data;

	(void)uuid;
	return !looking->name || streq(name, looking->name);
}

static int add_text(const struct store_part *part, void *data)
{
	struct looking *looking = data;

	strbuf_addf(&looking->got, "%s:%.*s ", part->name, (int)part->n_bytes, (const char *)part->bytes);
	return 0;
}

static void check_texts(struct store_db *db, const char *name, int64_t since_ms, int64_t until_ms, const char *expected)
{
	struct looking looking = { .name = name };
	struct vpmu_error error = {};

	if (store_db_each(db, is_name, since_ms, until_ms, add_text, &looking, &error) < 0)
		FAIL("store_db_each: %s", error.text);
	CHECK_STR(looking.got.text ? looking.got.text : "", expected);
	strbuf_deinit(&looking.got);
}

static void name_guest(const char *name, const char *uuid, void *data)
{
	strbuf_addf(data, "%s/%s ", name, uuid);
}

TEST(what_goes_in_comes_out_by_guest_and_time)
{
	_strbuf_ struct strbuf guests = {};
	struct store_db *db, *reader;

	make_directory();
	db = open_store(true);
	put_text(db, "web1", "u1", NOW - 3 * MINUTE, "a");
	put_text(db, "web1", "u1", NOW - 2 * MINUTE, "b");
	put_text(db, "web2", "", NOW - 2 * MINUTE, "c");
	put_text(db, "", "", NOW - 2 * MINUTE, "rest");
	put_text(db, "web1", "u1", NOW - 2 * MINUTE, "again");
	reader = open_store(false);
	check_texts(reader, "web1", 0, NOW, "web1:a web1:b web1:again ");
	check_texts(reader, "web1", NOW - 3 * MINUTE, NOW - 2 * MINUTE, "web1:a ");
	check_texts(reader, "web1", NOW - 2 * MINUTE - 1, NOW - 2 * MINUTE, "web1:a ");
	check_texts(reader, "web1", NOW - 2 * MINUTE + 1, NOW, "web1:b web1:again ");
	check_texts(reader, NULL, NOW - 2 * MINUTE, NOW, "web1:b web1:again web2:c :rest ");
	check_texts(reader, "", 0, NOW, "");
	check_texts(reader, "nobody", 0, NOW, "");
	CHECK_EQ(store_db_guests(reader, name_guest, &guests, NULL), 0);
	CHECK_STR(guests.text, "web1/u1 web2/ ");
	store_db_close(reader);
	store_db_close(db);
	db = open_store(true);
	check_texts(db, "web2", 0, NOW, "web2:c ");
	store_db_close(db);
	remove_directory();
}

TEST(others_cannot_read_it)
{
	struct store_db *db;
	struct stat st;

	make_directory();
	db = open_store(true);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	store_db_close(db);
	remove_directory();
}

static uint64_t bytes_on_disk(void)
{
	uint64_t bytes = 0;
	struct stat st;
	char log_path[128];

	snprintf(log_path, sizeof(log_path), "%s-wal", path);
	if (stat(path, &st) == 0)
		bytes += (uint64_t)st.st_size;
	if (stat(log_path, &st) == 0)
		bytes += (uint64_t)st.st_size;
	return bytes;
}

/* Eight guests' worth of a minute, 3 KiB each. */
static int put_minute(struct store_db *db, int64_t start_ms, const struct store_limits *limits, struct vpmu_error *reterr)
{
	struct store_part parts[8];
	static char bytes[3072];
	char names[8][8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(start_ms / MINUTE + (int64_t)i * 7);
	for (size_t i = 0; i < 8; i++) {
		snprintf(names[i], sizeof(names[i]), "vm%zu", i);
		parts[i] = part_at(names[i], "", start_ms, bytes, sizeof(bytes));
	}
	return store_db_put(db, parts, 8, limits, start_ms + MINUTE, reterr);
}

TEST(the_oldest_go_when_it_is_full_and_the_file_stays_within_its_limit)
{
	const struct store_limits tight = { .max_bytes = MiB, .max_age_s = 7 * 86400 };
	struct store_db_stats stats;
	struct store_db *db;

	make_directory();
	db = open_store(true);
	for (int64_t i = 0; i < 200; i++) {
		CHECK_EQ(put_minute(db, NOW + i * MINUTE, &tight, NULL), 0);
		CHECK_CMP(bytes_on_disk(), <=, MiB);
	}
	CHECK_EQ(store_db_stats(db, &stats, NULL), 0);
	CHECK_EQ(stats.bytes, bytes_on_disk());
	CHECK_CMP(stats.bytes, >, MiB / 2);
	CHECK_CMP(stats.profiles, >, 100);
	CHECK_EQ(stats.profiles % 8, 0);
	CHECK_EQ(stats.oldest_ms, NOW + (200 - (int64_t)stats.profiles / 8) * MINUTE);
	store_db_close(db);
	remove_directory();
}

TEST(a_lower_limit_gives_pages_back)
{
	const struct store_limits tight = { .max_bytes = MiB, .max_age_s = 7 * 86400 };
	struct store_db *db;

	make_directory();
	db = open_store(true);
	for (int64_t i = 0; i < 200; i++)
		CHECK_EQ(put_minute(db, NOW + i * MINUTE, &roomy, NULL), 0);
	CHECK_CMP(bytes_on_disk(), >, 4 * MiB);
	for (int64_t i = 200; i < 205; i++)
		CHECK_EQ(put_minute(db, NOW + i * MINUTE, &tight, NULL), 0);
	CHECK_CMP(bytes_on_disk(), <=, MiB);
	store_db_close(db);
	remove_directory();
}

TEST(what_is_too_old_goes)
{
	const struct store_limits young = { .max_bytes = 64 * MiB, .max_age_s = 3600 };
	struct store_db_stats stats;
	struct store_db *db;

	make_directory();
	db = open_store(true);
	for (int64_t i = 0; i < 100; i++)
		CHECK_EQ(put_minute(db, NOW + i * MINUTE, &young, NULL), 0);
	CHECK_EQ(store_db_stats(db, &stats, NULL), 0);
	CHECK_EQ(stats.profiles, 8 * 60);
	CHECK_EQ(stats.oldest_ms, NOW + 40 * MINUTE);
	store_db_close(db);
	remove_directory();
}

TEST(a_batch_that_cannot_fit_is_refused)
{
	const struct store_limits tight = { .max_bytes = MiB, .max_age_s = 3600 };
	struct vpmu_error error = {};
	struct store_db *db;
	char *bytes = calloc(1, MiB);
	struct store_part part = part_at("web1", "", NOW, bytes, MiB);

	make_directory();
	db = open_store(true);
	CHECK_EQ(store_db_put(db, &part, 1, &tight, NOW, &error), -EFBIG);
	CHECK_CONTAINS(error.text, "max-size");
	free(bytes);
	store_db_close(db);
	remove_directory();
}

/* ---- thinning ---- */

static int join_texts(const struct store_part *part, void **ret_bytes, size_t *ret_n, void *data)
{
	struct strbuf *sum = data;

	if (part) {
		strbuf_add(sum, part->bytes, part->n_bytes);
		return 0;
	}
	*ret_n = sum->n;
	*ret_bytes = strbuf_take(sum);
	return 0;
}

TEST(minutes_of_an_hour_that_is_over_become_one)
{
	const int64_t hour = NOW / HOUR * HOUR;
	_strbuf_ struct strbuf sum = {};
	struct store_db *db;

	make_directory();
	db = open_store(true);
	put_text(db, "a", "", hour - 2 * HOUR, "1");
	put_text(db, "a", "", hour - 2 * HOUR + 59 * MINUTE, "2");
	put_text(db, "b", "", hour - 2 * HOUR + 3 * MINUTE, "x");
	put_text(db, "a", "", hour - HOUR, "3");
	put_text(db, "a", "", hour, "4");
	CHECK_EQ(store_db_thin(db, hour, join_texts, &sum, NULL), 1);
	check_texts(db, "a", hour - 2 * HOUR + 30 * MINUTE, NOW + HOUR, "a:12 a:3 a:4 ");
	CHECK_EQ(store_db_thin(db, hour, join_texts, &sum, NULL), 1);
	CHECK_EQ(store_db_thin(db, hour, join_texts, &sum, NULL), 1);
	CHECK_EQ(store_db_thin(db, hour, join_texts, &sum, NULL), 0);
	check_texts(db, NULL, 0, NOW + HOUR, "a:12 a:3 a:4 b:x ");
	store_db_close(db);
	remove_directory();
}

/* No more than three letters in one. */
static int join_some(const struct store_part *part, void **ret_bytes, size_t *ret_n, void *data)
{
	struct strbuf *sum = data;

	if (!part || sum->n == 3)
		join_texts(NULL, ret_bytes, ret_n, sum);
	if (part)
		strbuf_add(sum, part->bytes, part->n_bytes);
	return 0;
}

TEST(an_hour_may_become_more_than_one)
{
	const int64_t hour = NOW / HOUR * HOUR - HOUR;
	_strbuf_ struct strbuf sum = {};
	struct store_db *db;

	make_directory();
	db = open_store(true);
	for (int i = 0; i < 8; i++)
		put_text(db, "a", "", hour + i * MINUTE, (char[]){ (char)('1' + i), '\0' });
	CHECK_EQ(store_db_thin(db, hour + HOUR, join_some, &sum, NULL), 1);
	check_texts(db, "a", hour + 59 * MINUTE, NOW, "a:123 a:456 a:78 ");
	CHECK_EQ(store_db_thin(db, hour + HOUR, join_some, &sum, NULL), 0);
	store_db_close(db);
	remove_directory();
}

static int refuse_a(const struct store_part *part, void **ret_bytes, size_t *ret_n, void *data)
{
	if (part && streq(part->name, "a"))
		return -E2BIG;
	return join_texts(part, ret_bytes, ret_n, data);
}

/* Until the file is opened anew: the cause may be gone. */
TEST(an_hour_that_cannot_be_made_does_not_keep_others_from_it)
{
	const int64_t hour = NOW / HOUR * HOUR - HOUR;
	_strbuf_ struct strbuf sum = {};
	struct store_db *db;

	make_directory();
	db = open_store(true);
	put_text(db, "a", "", hour, "1");
	put_text(db, "a", "", hour + MINUTE, "2");
	put_text(db, "b", "", hour, "x");
	put_text(db, "b", "", hour + MINUTE, "y");
	CHECK_EQ(store_db_thin(db, hour + HOUR, refuse_a, &sum, NULL), -ENOTRECOVERABLE);
	CHECK_EQ(store_db_thin(db, hour + HOUR, refuse_a, &sum, NULL), 1);
	CHECK_EQ(store_db_thin(db, hour + HOUR, refuse_a, &sum, NULL), 0);
	check_texts(db, NULL, 0, NOW, "a:1 a:2 b:xy ");
	store_db_close(db);
	db = open_store(true);
	CHECK_EQ(store_db_thin(db, hour + HOUR, join_texts, &sum, NULL), 1);
	check_texts(db, NULL, 0, NOW, "a:12 b:xy ");
	store_db_close(db);
	remove_directory();
}

/* ---- files that are none of ours ---- */

static void check_refused(int expected, const char *text)
{
	struct vpmu_error error = {};
	struct store_db *db = NULL;

	CHECK_EQ(store_db_open(path, true, &db, &error), expected);
	CHECK(!db);
	CHECK_CONTAINS(error.text, text);
	CHECK_CONTAINS(error.text, path);
}

static void write_file(const void *bytes, size_t n)
{
	CHECK_EQ(io_write_file_atomic(path, bytes, n, 0600), 0);
}

TEST(what_is_not_ours_is_left_alone)
{
	static const char text[] = "not a database at all, but longer than its header, which has a hundred bytes: "
				   "so that it is looked at and found to be none";
	char *after;
	size_t n;

	make_directory();
	write_file(text, sizeof(text));
	check_refused(-EUCLEAN, "no store of vpmud's");
	CHECK_EQ(io_read_file(AT_FDCWD, path, MiB, &after, &n), 0);
	CHECK(n == sizeof(text) && memcmp(after, text, n) == 0);
	free(after);
	remove_directory();
}

static void patch(off_t offset, const void *bytes, size_t n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, bytes, n, offset), (ssize_t)n);
	close(fd);
}

/* Bytes 68 to 71 of an SQLite file are the application's id, 60 to 63 its version (sqlite.org/fileformat2.html). */
TEST(another_programs_database_and_a_later_version_are_refused)
{
	struct store_db *db;

	make_directory();
	db = open_store(true);
	put_text(db, "a", "", NOW, "1");
	store_db_close(db);
	patch(60, "\0\0\0\2", 4);
	check_refused(-EUCLEAN, "another version of vpmud (2)");
	patch(68, "mail", 4);
	check_refused(-EUCLEAN, "another program's database");
	remove_directory();
}

TEST(damage_is_an_error_and_no_crash)
{
	struct vpmu_error error = {};
	struct store_db *db;
	char noise[4096];
	int refused = 0;

	make_directory();
	db = open_store(true);
	for (int64_t i = 0; i < 20; i++)
		CHECK_EQ(put_minute(db, NOW + i * MINUTE, &roomy, NULL), 0);
	store_db_close(db);
	memset(noise, 0xa5, sizeof(noise));
	for (off_t page = 1; page < 8; page++)
		patch(page * 4096, noise, sizeof(noise));
	if (store_db_open(path, true, &db, &error) < 0) {
		CHECK_CONTAINS(error.text, "damaged");
	} else {
		struct looking looking = {};

		refused += put_minute(db, NOW + 20 * MINUTE, &roomy, &error) == -EUCLEAN;
		CHECK_CONTAINS(error.text, "damaged");
		CHECK_CONTAINS(error.hint, "move it away");
		refused += store_db_each(db, is_name, 0, NOW * 2, add_text, &looking, &error) == -EUCLEAN;
		CHECK_EQ(refused, 2);
		strbuf_deinit(&looking.got);
		store_db_close(db);
	}
	remove_directory();
}

TEST(places_where_there_can_be_no_file)
{
	make_directory();
	CHECK_EQ(mkdir(path, 0700), 0);
	check_refused(-EISDIR, "Is a directory");
	CHECK_EQ(rmdir(path), 0);
	CHECK_EQ(mkfifo(path, 0600), 0);
	check_refused(-EUCLEAN, "no regular file");
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(symlink("elsewhere", path), 0);
	check_refused(-ELOOP, "symbolic links");
	remove_directory();
	check_refused(-ENOENT, "No such file");
}

/* ---- full disk ---- */

static void mount_small(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("vpmu-small", directory, "tmpfs", 0, "size=512k") < 0) {
		rmdir(directory);
		skip("no right to mount a small file system: CAP_SYS_ADMIN");
	}
}

TEST(a_full_disk_is_said_and_what_was_there_stays)
{
	struct vpmu_error error = {};
	struct store_db_stats before, after;
	struct store_db *db;
	int64_t i = 0;
	int r;

	make_directory();
	mount_small();
	db = open_store(true);
	while ((r = put_minute(db, NOW + i * MINUTE, &roomy, &error)) == 0 && i < 1000) {
		CHECK_EQ(store_db_stats(db, &before, NULL), 0);
		i++;
	}
	CHECK_EQ(r, -ENOSPC);
	CHECK_CONTAINS(error.text, "No space left on device");
	CHECK_CMP(i, >, 2);
	CHECK_EQ(store_db_stats(db, &after, NULL), 0);
	CHECK_EQ(before.profiles, after.profiles);
	store_db_close(db);
	db = open_store(true);
	CHECK_EQ(store_db_stats(db, &after, NULL), 0);
	CHECK_EQ(before.profiles, after.profiles);
	/* Somebody made room: it goes on. */
	CHECK_EQ(mount("vpmu-small", directory, "tmpfs", MS_REMOUNT, "size=2m"), 0);
	CHECK_EQ(put_minute(db, NOW + i * MINUTE, &roomy, &error), 0);
	store_db_close(db);
	CHECK_EQ(umount(directory), 0);
	CHECK_EQ(rmdir(directory), 0);
}

/* ---- kill -9 ---- */

/* Puts minute after minute, and says each time how many are in. */
static _Noreturn void write_for_ever(int64_t first, int fd)
{
	struct store_db *db = open_store(true);

	for (int64_t i = first;; i++) {
		int64_t done = i + 1;

		if (put_minute(db, NOW + i * MINUTE, &roomy, NULL) < 0 || write(fd, &done, sizeof(done)) < 0)
			_exit(1);
	}
}

/* Returns how many minutes the writer said were in when it was killed. @writes: not before the first of its own was in. */
static int64_t write_and_kill(int64_t first, bool writes, unsigned int after_us)
{
	int64_t done = first, said;
	int fds[2], status;
	pid_t pid;

	CHECK_EQ(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		write_for_ever(first, fds[1]);
	}
	CHECK(pid > 0);
	close(fds[1]);
	if (writes && read(fds[0], &said, sizeof(said)) == sizeof(said))
		done = said;
	nanosleep(&(struct timespec){ .tv_nsec = after_us * 1000l }, NULL);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	while (read(fds[0], &said, sizeof(said)) == sizeof(said))
		done = said;
	close(fds[0]);
	return done;
}

static int check_whole(const struct store_part *part, void *data)
{
	const unsigned char *bytes = part->bytes;

	CHECK_EQ(part->n_bytes, 3072);
	for (size_t i = 0; i < part->n_bytes; i++)
		CHECK_EQ(bytes[i], (unsigned char)(part->start_ms / MINUTE + (int64_t)i * 7));
	++*(uint64_t *)data;
	return 0;
}

static bool everybody(const char *name, const char *uuid, void *data)
{
	(void)name;
	(void)uuid;
	(void)data;
	return true;
}

TEST(killed_fifty_times_it_opens_and_has_all_but_the_last_minute)
{
	unsigned int seed = (unsigned int)time(NULL);
	int64_t done = 0;

	printf("seed %u\n", seed);
	make_directory();
	for (int round = 0; round < 50; round++) {
		struct store_db_stats stats;
		uint64_t whole = 0;
		struct store_db *db;

		/* Every other one perhaps while it opens: on a slow machine all would be. */
		done = write_and_kill(done, round % 2, 1000 + (unsigned int)rand_r(&seed) % 60000);
		db = open_store(true);
		CHECK_EQ(store_db_stats(db, &stats, NULL), 0);
		CHECK_CMP(stats.profiles, >=, 8 * (uint64_t)done);
		CHECK_CMP(stats.profiles, <=, 8 * (uint64_t)done + 8);
		CHECK_EQ(store_db_each(db, everybody, 0, INT64_MAX, check_whole, &whole, NULL), 0);
		CHECK_EQ(whole, stats.profiles);
		done = (int64_t)stats.profiles / 8;
		store_db_close(db);
	}
	CHECK_CMP(done, >=, 25);
	remove_directory();
}

int main(void)
{
	return test_main();
}
