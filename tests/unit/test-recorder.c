/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session writes, read back: recordings of this process and its children. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "format/perf_data.h"
#include "format/vpmu_section.h"
#include "self_guest.h"
#include "test.h"
#include "util/io.h"

/* ---- reading back ---- */

struct file {
	char *bytes;
	size_t n;
};

static ssize_t read_at(void *data, void *bytes, size_t n, uint64_t offset)
{
	const struct file *file = data;

	if (offset >= file->n)
		return 0;
	n = MIN(n, file->n - offset);
	memcpy(bytes, file->bytes + offset, n);
	return (ssize_t)n;
}

struct content {
	uint64_t samples, side_records, lost, strange_ids;
	size_t n_ids;
	bool damaged, is_tail_cut, has_guests, has_symbols;
	char source[64], guest[32];
};

static void read_guests(struct perf_data *data, struct content *content)
{
	struct vpmu_section_guests guests;
	void *bytes;
	size_t n;

	CHECK_EQ(perf_data_feature(data, PERF_FEATURE_VPMU_GUESTS, &bytes, &n), 0);
	content->has_guests = bytes != NULL;
	if (!bytes)
		return;
	CHECK_EQ(vpmu_section_guests_decode(bytes, n, &guests), 0);
	snprintf(content->source, sizeof(content->source), "%s", guests.source);
	CHECK_EQ(guests.n_guests, 1);
	snprintf(content->guest, sizeof(content->guest), "%s", guests.guests[0].name);
	vpmu_section_guests_deinit(&guests);
	free(bytes);
}

static struct content read_recording(const char *path)
{
	struct content content = {};
	struct vpmu_error error = {};
	struct file file;
	struct perf_data_source source = {.data = &file, .read_at = read_at};
	const struct perf_event_header *record;
	struct perf_data *data = NULL;
	uint64_t offset_bytes;
	const char *damage;
	void *symbols;
	size_t n;

	CHECK_EQ(io_read_file(AT_FDCWD, path, 64 << 20, &file.bytes, &file.n), 0);
	source.size_bytes = file.n;
	if (perf_data_open(&source, &data, &error) < 0)
		FAIL("%s: %s", path, error.text);
	while (perf_data_next(data, &record) == 1) {
		content.samples += record->type == PERF_RECORD_SAMPLE;
		content.lost += record->type == PERF_RECORD_LOST ||
				record->type == PERF_RECORD_LOST_SAMPLES;
		content.side_records +=
			record->type == PERF_RECORD_COMM || record->type == PERF_RECORD_MMAP2;
		content.strange_ids += perf_data_event_of(data, record) < 0;
	}
	content.n_ids = perf_data_event(data, 0)->n_ids;
	damage = perf_data_damage(data, &offset_bytes);
	content.damaged = damage != NULL;
	content.is_tail_cut = damage && strncmp(damage, "the last record is cut off", 26) == 0;
	read_guests(data, &content);
	CHECK_EQ(perf_data_feature(data, PERF_FEATURE_VPMU_SYMBOLS, &symbols, &n), 0);
	content.has_symbols = symbols != NULL;
	free(symbols);
	perf_data_free(data);
	free(file.bytes);
	return content;
}

/* ---- a place for recordings ---- */

static char directory[64];

static const char *file_path(const char *name)
{
	static char path[2][128];
	static int turn;

	if (!directory[0]) {
		strcpy(directory, "recorder-test-XXXXXX");
		CHECK(mkdtemp(directory));
	}
	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", directory, name);
	return path[turn];
}

static void clean_up(void)
{
	static const char *const names[] = {"data", "data.old"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(file_path(names[i]));
	CHECK_EQ(rmdir(directory), 0);
}

static struct vpmu_session *record_self(struct vpmu_session_opts *opts,
					const struct vpmu_record_opts *record_opts)
{
	struct vpmu_session *session = clock_session(opts);
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct vpmu_error error = {};

	add_self(session, &info, true);
	if (vpmu_session_record(session, file_path("data"), record_opts, &error) < 0 ||
	    vpmu_session_start(session, &error) < 0)
		FAIL("%s", error.text);
	return session;
}

static struct vpmu_record_opts no_symbols = {.sz = sizeof(no_symbols), .no_symbols = true};

/* ---- stories ---- */

TEST(a_recording_has_every_sample_and_says_where_they_come_from)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000);
	struct vpmu_coverage coverage;
	struct vpmu_session *session;
	struct content content;
	struct busy busy;
	struct stat st;

	busy_start(&busy);
	session = record_self(&opts, &no_symbols);
	CHECK_CMP(poll_until(session, 50), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_coverage(session, &coverage);
	vpmu_session_free(session);
	busy_stop(&busy);
	content = read_recording(file_path("data"));
	CHECK_CMP(content.samples, >=, 50);
	CHECK_EQ(content.samples, coverage.samples);
	CHECK_CMP(content.side_records, >=, 3); /* two threads' names, a mapping */
	CHECK(!content.damaged && content.has_guests && !content.has_symbols);
	CHECK_STR(content.source, "cpu-clock 2000 Hz");
	CHECK_STR(content.guest, "self");
	CHECK_EQ(stat(file_path("data"), &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	clean_up();
}

TEST(symbol_tables_travel_along)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000);
	struct vpmu_session *session;
	struct busy busy;

	busy_start(&busy);
	session = record_self(&opts, NULL);
	CHECK_CMP(poll_until(session, 50), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	busy_stop(&busy);
	CHECK(read_recording(file_path("data")).has_symbols);
	clean_up();
}

/* Says how much is in the file, once that is something. */
static _Noreturn void record_for_ever(int say_fd)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000);
	struct vpmu_session *session;
	struct busy busy;
	uint64_t written;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	busy_start(&busy);
	session = record_self(&opts, &no_symbols);
	while (vpmu_session_poll(session, 50, NULL) >= 0) {
		written = vpmu_session_recorded(session);
		if (written > 100 && write(say_fd, &written, sizeof(written)) < 0)
			break;
	}
	_exit(1);
}

TEST(a_recording_whose_writer_is_killed_can_be_read)
{
	struct content content;
	uint64_t written;
	int said[2], status;
	pid_t writer;

	file_path("data"); /* makes the directory, for both */
	CHECK_EQ(pipe(said), 0);
	writer = fork();
	CHECK(writer >= 0);
	if (writer == 0)
		record_for_ever(said[1]);
	close(said[1]);
	if (read(said[0], &written, sizeof(written)) != sizeof(written)) {
		CHECK_EQ(waitpid(writer, &status, 0), writer);
		CHECK_EQ(WEXITSTATUS(status), 77);
		skip("perf events are not available here");
	}
	pause_ms(300);
	end_child(writer);
	close(said[0]);
	content = read_recording(file_path("data"));
	CHECK_CMP(content.samples, >=, written);
	/* Killed in the middle of a write(): the kernel stops between two pages of the file. */
	CHECK(!content.damaged || content.is_tail_cut);
	CHECK(!content.has_guests);
	clean_up();
}

TEST(threads_that_come_late_have_their_ids_in_the_file)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000, .events = "cpu-clock,task-clock");
	struct vpmu_session *session = record_self(&opts, &no_symbols);
	struct content content;
	struct busy busy;

	busy_start(&busy);
	CHECK_CMP(poll_for(session, 600), >=, 0); /* it looks for threads each fifth of a second */
	CHECK_CMP(poll_until(session, 100), >=, 0);
	busy_stop(&busy);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	content = read_recording(file_path("data"));
	CHECK_EQ(content.n_ids, 2);
	CHECK_CMP(content.samples, >, 20);
	CHECK_EQ(content.strange_ids, 0);
	CHECK(!content.damaged);
	clean_up();
}

TEST(sides_that_were_not_asked_for_are_not_in_the_file)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000, .sides = VPMU_SIDES_GUEST);
	struct vpmu_session *session;
	struct content content;
	struct busy busy;

	busy_start(&busy);
	session = record_self(&opts, &no_symbols);
	CHECK_CMP(poll_for(session, 200), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_free(session);
	busy_stop(&busy);
	content = read_recording(file_path("data"));
	CHECK_EQ(content.samples, 0);
	CHECK_CMP(content.side_records, >=, 3);
	CHECK(!content.damaged);
	clean_up();
}

TEST(a_disk_that_fills_up_leaves_a_readable_file)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 5000);
	struct rlimit limit = {30000, 30000};
	uint64_t recorded;
	struct vpmu_session *session;
	struct vpmu_coverage coverage;
	struct vpmu_error error = {};
	struct content content;
	struct busy busy;
	ssize_t r = 0;

	signal(SIGXFSZ,
	       SIG_IGN); /* then the write fails as on a full disk, if with another errno */
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	busy_start(&busy);
	session = record_self(&opts, NULL);
	WAIT_UNTIL(r < 0, r = vpmu_session_poll(session, 50, &error));
	CHECK_EQ(r, -EFBIG);
	CHECK_CONTAINS(error.text, "data");
	CHECK_CONTAINS(error.hint, "can be read");
	CHECK_EQ(vpmu_session_stop(session, &error), -EFBIG);
	vpmu_session_coverage(session, &coverage);
	recorded = vpmu_session_recorded(session);
	vpmu_session_free(session);
	busy_stop(&busy);
	content = read_recording(file_path("data"));
	CHECK(!content.damaged);
	CHECK_CMP(content.samples, >, 100);
	CHECK_CMP(content.samples, <, coverage.samples);
	CHECK_EQ(content.samples, recorded);
	clean_up();
}

TEST(a_session_that_is_freed_finishes_its_recording)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct content content;
	struct busy busy;
	struct vpmu_session *session;

	busy_start(&busy);
	session = record_self(&opts, &no_symbols);
	busy_run_ms(&busy, 100);
	vpmu_session_free(session);
	busy_stop(&busy);
	content = read_recording(file_path("data"));
	CHECK(content.has_guests && !content.damaged);
	CHECK_CMP(content.samples, >, 0);
	clean_up();
}

TEST(the_file_that_was_there_is_kept)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct vpmu_session *session;
	struct vpmu_error error = {};
	char *text;
	size_t n;

	CHECK_EQ(io_write_file_atomic(file_path("data"), "precious", 8, 0644), 0);
	/* A recording that never starts leaves everything as it was … */
	session = clock_session(&opts);
	CHECK_EQ(vpmu_session_record(session, file_path("data"), &no_symbols, NULL), 0);
	CHECK_EQ(access(file_path("data.old"), F_OK), 0);
	CHECK_EQ(vpmu_session_record(session, file_path("data"), &no_symbols, &error), -EINVAL);
	vpmu_session_free(session);
	CHECK(access(file_path("data.old"), F_OK) < 0);
	CHECK_EQ(io_read_file(AT_FDCWD, file_path("data"), 100, &text, &n), 0);
	CHECK_STR(text, "precious");
	free(text);
	/* … one that does moves it. */
	vpmu_session_free(record_self(&opts, &no_symbols));
	CHECK_EQ(io_read_file(AT_FDCWD, file_path("data.old"), 100, &text, &n), 0);
	CHECK_STR(text, "precious");
	free(text);
	clean_up();
}

TEST(a_recording_is_never_written_into_what_somebody_prepared)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_error error = {};
	struct stat st;

	/* A link to nowhere yet would choose where the file is made. */
	CHECK_EQ(symlink("elsewhere", file_path("data")), 0);
	CHECK_EQ(vpmu_session_record(session, file_path("data"), &no_symbols, &error), -EEXIST);
	CHECK_EQ(unlink(file_path("data")), 0);
	CHECK_EQ(mkfifo(file_path("data"), 0666), 0);
	CHECK_EQ(vpmu_session_record(session, file_path("data"), &no_symbols, &error), -ESPIPE);
	CHECK_CONTAINS(error.text, "stream");
	CHECK_EQ(unlink(file_path("data")), 0);
	/* An empty file that everybody may read is not what is written to. */
	CHECK_EQ(io_write_file_atomic(file_path("data"), "", 0, 0666), 0);
	vpmu_session_free(session);
	vpmu_session_free(record_self(&opts, &no_symbols));
	CHECK_EQ(stat(file_path("data"), &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	clean_up();
}

TEST(paths_that_cannot_be_written_are_refused)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_session_record(session, "/", &no_symbols, &error), -EISDIR);
	CHECK_CONTAINS(error.text, "directory");
	CHECK_EQ(vpmu_session_record(session, "/nonexistent/data", &no_symbols, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent/data");
	vpmu_session_free(session);
}

TEST(a_recording_goes_into_an_open_file)
{
	VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 2000);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_guest_info info = self_guest(getpid(), NULL);
	struct vpmu_coverage coverage;
	struct content content;
	struct busy busy;
	int fd = open(file_path("data"), O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK_EQ(write(fd, "what was there", 14), 14);
	busy_start(&busy);
	add_self(session, &info, true);
	CHECK_EQ(vpmu_session_record_fd(session, fd, &no_symbols, NULL), 0);
	CHECK_EQ(vpmu_session_record_fd(session, fd, &no_symbols, NULL), -EINVAL); /* one */
	close(fd);
	CHECK_EQ(vpmu_session_start(session, NULL), 0);
	CHECK_CMP(poll_until(session, 50), >=, 0);
	CHECK_EQ(vpmu_session_stop(session, NULL), 0);
	vpmu_session_coverage(session, &coverage);
	vpmu_session_free(session);
	busy_stop(&busy);
	content = read_recording(file_path("data"));
	CHECK_EQ(content.samples, coverage.samples);
	CHECK(!content.damaged && content.has_guests);
	clean_up();
}

TEST(descriptors_that_cannot_take_a_recording_are_refused)
{
	VPMU_OPTS(vpmu_session_opts, opts);
	struct vpmu_session *session = clock_session(&opts);
	struct vpmu_error error;
	int ends[2], fd;

	CHECK_EQ(vpmu_session_record_fd(session, -1, NULL, &error), -EBADF);
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(vpmu_session_record_fd(session, ends[1], NULL, &error), -ESPIPE);
	close(ends[0]);
	close(ends[1]);
	fd = open(file_path("data"), O_RDWR | O_CREAT | O_APPEND, 0600);
	CHECK_EQ(write(fd, "kept", 4), 4);
	CHECK_EQ(vpmu_session_record_fd(session, fd, NULL, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "appending");
	close(fd);
	fd = open(file_path("data"), O_RDONLY);
	CHECK_EQ(vpmu_session_record_fd(session, fd, NULL, &error), -EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 4);
	close(fd);
	vpmu_session_free(session);
	clean_up();
}

int main(void)
{
	return test_main();
}
