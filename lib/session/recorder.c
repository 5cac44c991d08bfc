/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/perf_data.h"
#include "format/perf_data_write.h"
#include "session/recorder.h"
#include "session/recorder_sections.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"
#include "util/macro.h"

#define WRITE_AT_BYTES (256 * 1024)
/* A recording that is killed loses no more than this. */
#define WRITE_AFTER_NS 1000000000ull

struct recorder {
	int fd;
	char *path; /* as messages call it */
	bool is_ours; /* was made by us: goes again if nothing was written */
	char *old_path; /* where the file that was there went; NULL = there was none */
	char *cmdline;
	bool no_symbols, started, finished;
	uint64_t head_bytes;   /* where the records start */
	uint64_t data_bytes;   /* of records in the file */
	uint64_t n_samples;    /* among them */
	size_t *n_early_ids;   /* by event: ids that stand in the head */
	struct strbuf pending; /* whole records, not yet written */
	uint64_t written_ns;   /* when something was written last */
	bool round_open;       /* records since the last end of a round */
	int error;	       /* writing ended with this */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- life ---- */

/*
 * Puts the file that is at @path out of the way; *ret_exclusive: there is none any more, so one must be made. An empty one is
 * replaced too: somebody else may own it, and read what is written. Devices (/dev/null) are not ours to move, nor is what
 * /dev/fd leads to.
 */
static int make_way(struct recorder *recorder, const char *path, bool *ret_exclusive,
		    struct vpmu_error *reterr)
{
	struct stat st;

	*ret_exclusive = true;
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_errno(reterr, -errno, "write", path);
	}
	if (S_ISDIR(st.st_mode))
		return error_set(reterr, -EISDIR, "cannot write '%s': it is a directory", path);
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return error_set(reterr, -ESPIPE, "cannot write '%s': a recording is no stream", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		*ret_exclusive = S_ISREG(st.st_mode) && unlink(path) == 0;
		return 0;
	}
	if (asprintf(&recorder->old_path, "%s.old", path) < 0) {
		recorder->old_path = NULL;
		return error_oom(reterr);
	}
	if (rename(path, recorder->old_path) < 0) {
		int r = error_set(reterr, -errno, "cannot rename '%s' to '%s': %s", path,
				  recorder->old_path, strerror(errno));

		free(take_ptr(recorder->old_path));
		return r;
	}
	return 0;
}

static struct recorder *new_recorder(const struct vpmu_record_opts *opts, const char *path)
{
	_cleanup_(recorder_freep) struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return NULL;
	recorder->fd = -1;
	recorder->no_symbols = opts->no_symbols;
	recorder->cmdline = opts->cmdline ? strdup(opts->cmdline) : NULL;
	recorder->path = strdup(path);
	if ((opts->cmdline && !recorder->cmdline) || !recorder->path)
		return NULL;
	return take_ptr(recorder);
}

int recorder_new(const char *path, const struct vpmu_record_opts *opts,
		 struct recorder **ret_recorder, struct vpmu_error *reterr)
{
	_cleanup_(recorder_freep) struct recorder *recorder = new_recorder(opts, path);
	bool exclusive;
	int r;

	if (!recorder)
		return error_oom(reterr);
	r = make_way(recorder, path, &exclusive, reterr);
	if (r < 0)
		return r;
	/* For the owner alone: it holds kernel addresses. */
	recorder->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (exclusive ? O_EXCL : 0),
			    0600);
	if (recorder->fd < 0) {
		r = error_errno(reterr, -errno, "create", path);
		if (recorder->old_path)
			(void)rename(recorder->old_path, path);
		return r;
	}
	recorder->is_ours = true;
	*ret_recorder = take_ptr(recorder);
	return 0;
}

int recorder_new_fd(int fd, const struct vpmu_record_opts *opts, struct recorder **ret_recorder,
		    struct vpmu_error *reterr)
{
	_cleanup_(recorder_freep) struct recorder *recorder = NULL;
	char name[32];
	struct stat st;
	int flags;

	snprintf(name, sizeof(name), "descriptor %d", fd);
	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "write to", name);
	if (!S_ISREG(st.st_mode))
		return error_set(reterr, -ESPIPE, "cannot write to %s: it is no regular file", name);
	/* With O_APPEND pwrite() does not care where it is told to write (pwrite(2), BUGS). */
	flags = fcntl(fd, F_GETFL);
	if ((flags & O_ACCMODE) == O_RDONLY || flags & O_APPEND)
		return error_set(reterr, -EINVAL, "cannot write to %s: it was opened for %s only", name,
				 flags & O_APPEND ? "appending" : "reading");
	recorder = new_recorder(opts, name);
	if (!recorder)
		return error_oom(reterr);
	if (ftruncate(fd, 0) < 0)
		return error_errno(reterr, -errno, "empty", name);
	recorder->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (recorder->fd < 0)
		return error_errno(reterr, -errno, "duplicate", name);
	*ret_recorder = take_ptr(recorder);
	return 0;
}

struct recorder *recorder_free(struct recorder *recorder)
{
	struct stat st;

	if (!recorder)
		return NULL;
	if (recorder->is_ours && !recorder->started &&
	    fstat(recorder->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		unlink(recorder->path);
		if (recorder->old_path)
			(void)rename(recorder->old_path, recorder->path);
	}
	if (recorder->fd >= 0)
		close(recorder->fd);
	strbuf_deinit(&recorder->pending);
	free(recorder->path);
	free(recorder->old_path);
	free(recorder->cmdline);
	free(recorder->n_early_ids);
	free(recorder);
	return NULL;
}

bool recorder_wants_symbols(const struct recorder *recorder)
{
	return !recorder->no_symbols;
}

int recorder_error(const struct recorder *recorder, struct vpmu_error *reterr)
{
	if (!recorder->error)
		return 0;
	error_set(reterr, recorder->error, "cannot go on writing '%s': %s", recorder->path,
		  strerror(-recorder->error));
	error_hint(reterr, "what was recorded until then is in the file and can be read");
	return recorder->error;
}

/* ---- the head ---- */

/* The plan's events as the format wants them. @ids_offset: where all ids stand; 0 = in the head. */
static struct perf_data_write_event *write_events(const struct recorder *recorder,
						  const struct plan *plan, uint64_t ids_offset)
{
	struct perf_data_write_event *events = calloc(plan->n_events, sizeof(*events));

	for (size_t i = 0; events && i < plan->n_events; i++) {
		const struct plan_event *event = &plan->events[i];

		events[i] = (struct perf_data_write_event){
			.attr = event->spec.attr,
			.name = event->spec.name,
			.ids = event->ids.items,
			.n_ids = ids_offset ? event->ids.n : recorder->n_early_ids[i],
			.n_early_ids = recorder->n_early_ids[i],
			.ids_offset = ids_offset,
		};
		if (ids_offset)
			ids_offset += event->ids.n * sizeof(uint64_t);
	}
	return events;
}

static int write_head(struct recorder *recorder, const struct plan *plan, uint64_t ids_offset,
		      const struct perf_data_section *sections, size_t n_sections)
{
	_free_ struct perf_data_write_event *events = write_events(recorder, plan, ids_offset);
	_strbuf_ struct strbuf head = {};
	int r;

	if (!events)
		return -ENOMEM;
	r = perf_data_header(events, plan->n_events, recorder->data_bytes, sections, n_sections,
			     &head);
	if (r < 0)
		return r;
	recorder->head_bytes = head.n;
	return io_pwrite_all(recorder->fd, head.text, head.n, 0);
}

int recorder_start(struct recorder *recorder, const struct plan *plan, struct vpmu_error *reterr)
{
	int r;

	recorder->n_early_ids = calloc(plan->n_events, sizeof(*recorder->n_early_ids));
	if (!recorder->n_early_ids)
		return error_oom(reterr);
	for (size_t i = 0; i < plan->n_events; i++)
		recorder->n_early_ids[i] = plan->events[i].ids.n;
	r = write_head(recorder, plan, 0, NULL, 0);
	if (r < 0)
		return error_errno(reterr, r, "write", recorder->path);
	recorder->started = true;
	recorder->written_ns = now_ns();
	return 0;
}

/* ---- records ---- */

uint64_t recorder_samples(const struct recorder *recorder)
{
	return recorder->n_samples;
}

/* Bytes of whole records among the first @n of @records; the samples among them are added to *n_samples. */
static size_t whole_records(const char *records, size_t n, uint64_t *n_samples)
{
	struct perf_event_header header;
	size_t whole = 0;

	while (n - whole >= sizeof(header)) {
		memcpy(&header, records + whole, sizeof(header));
		if (header.size < sizeof(header) || header.size > n - whole)
			break;
		*n_samples += header.type == PERF_RECORD_SAMPLE;
		whole += header.size;
	}
	return whole;
}

/* Writing failed somewhere in the pending records: keeps what is whole. */
static void cut(struct recorder *recorder)
{
	uint64_t end = recorder->head_bytes + recorder->data_bytes;
	struct stat st;

	if (fstat(recorder->fd, &st) == 0 && (uint64_t)st.st_size > end)
		recorder->data_bytes +=
			whole_records(recorder->pending.text,
				      MIN((uint64_t)st.st_size - end, recorder->pending.n),
				      &recorder->n_samples);
	if (ftruncate(recorder->fd, (off_t)(recorder->head_bytes + recorder->data_bytes)) < 0)
		log_debug("%s: ignoring that it cannot be cut: %s", recorder->path,
			  strerror(errno));
}

static int write_pending(struct recorder *recorder)
{
	struct strbuf *pending = &recorder->pending;
	int r;

	if (recorder->error || pending->n == 0)
		return recorder->error;
	r = io_pwrite_all(recorder->fd, pending->text, pending->n,
			  recorder->head_bytes + recorder->data_bytes);
	if (r == 0)
		recorder->data_bytes += whole_records(pending->text, pending->n, &recorder->n_samples);
	else
		cut(recorder);
	strbuf_clear(pending);
	recorder->error = r;
	/* In place, so this needs no room on the disk. */
	r = io_pwrite_all(recorder->fd, &recorder->data_bytes, sizeof(recorder->data_bytes),
			  PERF_DATA_SIZE_OFFSET_BYTES);
	if (!recorder->error)
		recorder->error = r;
	recorder->written_ns = now_ns();
	return recorder->error;
}

int recorder_append(struct recorder *recorder, const void *records, size_t n_bytes)
{
	if (recorder->error)
		return recorder->error;
	strbuf_add(&recorder->pending, records, n_bytes);
	if (recorder->pending.failed)
		return recorder->error = -ENOMEM;
	recorder->round_open = true;
	return recorder->pending.n >= WRITE_AT_BYTES ? write_pending(recorder) : 0;
}

int recorder_end_round(struct recorder *recorder)
{
	static const struct perf_event_header end = {.type = PERF_USER_FINISHED_ROUND,
						     .size = sizeof(end)};
	int r = recorder->error;

	if (recorder->round_open)
		r = recorder_append(recorder, &end, sizeof(end));
	recorder->round_open = false;
	if (r == 0 && recorder->pending.n && now_ns() - recorder->written_ns >= WRITE_AFTER_NS)
		r = write_pending(recorder);
	return r;
}

/* ---- the end ---- */

/*
 * Writes the first @n_sections of @sections behind the records, then all ids if there are more
 * than the head has, then the head.
 */
static int write_end(struct recorder *recorder, const struct plan *plan,
		     const struct recorder_sections *sections, size_t n_sections)
{
	uint64_t end = recorder->head_bytes + recorder->data_bytes, ids_offset = 0;
	_strbuf_ struct strbuf tail = {};
	bool late_ids = false;
	int r;

	r = perf_data_features(end, sections->items, n_sections, &tail);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->n_events; i++)
		late_ids |= plan->events[i].ids.n > recorder->n_early_ids[i];
	if (late_ids) {
		ids_offset = end + tail.n;
		for (size_t i = 0; i < plan->n_events; i++)
			strbuf_add(&tail, (const char *)plan->events[i].ids.items,
				   plan->events[i].ids.n * sizeof(uint64_t));
	}
	if (tail.failed)
		return -ENOMEM;
	r = io_pwrite_all(recorder->fd, tail.text, tail.n, end);
	if (r == 0)
		r = write_head(recorder, plan, ids_offset, sections->items, n_sections);
	if (r < 0 && ftruncate(recorder->fd, (off_t)end) < 0)
		log_debug("%s: ignoring that it cannot be cut: %s", recorder->path,
			  strerror(errno));
	return r;
}

int recorder_finish(struct recorder *recorder, const struct recorder_facts *facts,
		    struct vpmu_error *reterr)
{
	_sections_ struct recorder_sections sections = {};
	_free_ struct perf_data_write_event *events = NULL;
	size_t n;
	int r;

	if (!recorder->started || recorder->finished)
		return recorder_error(recorder, reterr);
	recorder->finished = true;
	(void)write_pending(recorder);
	events = write_events(recorder, facts->plan,
			      UINT64_MAX); /* with all ids; the place does not matter */
	if (!events)
		return error_oom(reterr);
	r = recorder_sections_make(&sections, facts, events, recorder->cmdline,
				   !recorder->no_symbols);
	if (r < 0)
		return error_oom(reterr);
	n = sections.n;
	r = write_end(recorder, facts->plan, &sections, n);
	/* Symbol tables are the large ones, and come last. */
	if (r < 0 && sections.items[n - 1].feature == PERF_FEATURE_VPMU_SYMBOLS)
		n = write_end(recorder, facts->plan, &sections, n - 1) == 0 ? n - 1 : 0;
	if (r < 0 && n != sections.n - 1)
		(void)write_end(recorder, facts->plan, &sections, 0);
	if (!recorder->error)
		recorder->error = r;
	return recorder_error(recorder, reterr);
}
