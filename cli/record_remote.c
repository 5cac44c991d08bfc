/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <vpmu/vpmu.h>

#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"
#include "interrupt.h"
#include "json.h"
#include "json_read.h"
#include "new_file.h"
#include "progress.h"
#include "record_remote.h"
#include "record_summary.h"
#include "text.h"

DEFINE_CLEANUP(struct vpmu_recording *, vpmu_recording_free)

/* A recording in progress, as its replies tell of it. */
struct remote_recording {
	const struct record_remote_args *args;
	struct vpmu_error *reterr;
	struct progress progress;
	char *session; /* its name at vpmud */
	bool stopped;  /* by us */
	char *why;     /* vpmud ended it before its time */
	int fd;	       /* the file, once it is done */
};

static void remote_recording_deinit(struct remote_recording *recording)
{
	free(recording->session);
	free(recording->why);
	closep(&recording->fd);
}

/* ^C: vpmud ends the recording and hands out what there is. The connection waits for that, so this takes another. */
static int stop(struct remote_recording *recording)
{
	VPMU_OPTS(vpmu_client_opts, opts, .socket = recording->args->socket);
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	_reply_ struct json_object *reply = NULL;
	struct json_object *parameters;
	int r;

	r = vpmu_client_new(&opts, &client, recording->reterr);
	if (r < 0)
		return r;
	parameters = json_new_object();
	json_put_string(parameters, "name", recording->session);
	recording->stopped = true;
	r = remote_call(client, "StopSession", parameters, &reply, recording->reterr);
	return r == -ENOENT ? 0 : r; /* it ended by itself just now */
}

static void show_progress(struct remote_recording *recording, struct json_object *reply)
{
	if (progress_due(&recording->progress))
		progress_show(&recording->progress,
			      "recording: %" PRIu64 " s, %" PRIu64 " sample%s (guest %" PRIu64 "), %" PRIu64 " lost",
			      (now_ns() - recording->progress.begin_ns) / 1000000000, json_get_big(reply, "samples"),
			      text_s(json_get_big(reply, "samples")),
			      json_get_big(reply, "guest_samples"), json_get_big(reply, "lost"));
}

static int hear(struct json_object *reply, int fd, void *data)
{
	struct remote_recording *recording = data;
	_close_ int open = fd;

	if (reply && !recording->session && json_has(reply, "session")) {
		recording->session = strdup(json_get_string(reply, "session"));
		if (!recording->session)
			return error_oom(recording->reterr);
	}
	if (reply && !recording->why && json_has(reply, "why")) {
		recording->why = strdup(json_get_string(reply, "why"));
		if (!recording->why)
			return error_oom(recording->reterr);
	}
	if (reply && open >= 0 && recording->fd < 0)
		recording->fd = take_fd(&open);
	else if (reply)
		show_progress(recording, reply);
	if (interrupted && !recording->stopped && recording->session && recording->fd < 0)
		return stop(recording);
	return 0;
}

static struct json_object *parameters_of(const struct name_list *guests, const struct record_remote_args *args)
{
	struct json_object *parameters = json_new_object();

	json_put(parameters, "guests", remote_names(guests));
	if (args->events)
		json_put_string(parameters, "events", args->events);
	if (args->frequency_hz)
		json_put_int(parameters, "frequency_hz", (int64_t)args->frequency_hz);
	if (args->period)
		json_put_big(parameters, "period", args->period);
	json_put_string(parameters, "side", remote_side(args->sides));
	json_put_bool(parameters, "chains", args->chains);
	json_put_bool(parameters, "whole_process", args->whole_process);
	if (args->duration_ns)
		json_put_int(parameters, "duration_ms", (int64_t)((args->duration_ns + 999999) / 1000000));
	return parameters;
}

/* All of @fd, from its beginning, into @file. */
static int copy_file(int fd, struct new_file *file, struct vpmu_error *reterr)
{
	_progress_ struct progress progress;
	_free_ char *bytes = malloc(1 << 20);
	uint64_t done = 0;
	struct stat st;
	ssize_t n;
	int r;

	if (!bytes)
		return error_oom(reterr);
	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "read", "vpmud's recording");
	progress_begin(&progress);
	for (; (n = io_pread_full(fd, bytes, 1 << 20, done)) > 0; done += (uint64_t)n) {
		r = io_write_all(file->fd, bytes, (size_t)n);
		if (r < 0)
			return error_errno(reterr, r, "write", file->path);
		if (progress_due(&progress))
			progress_show(&progress, "copying: %" PRIu64 " of %" PRIu64 " MB", done / 1000000,
				      (uint64_t)st.st_size / 1000000);
	}
	return n < 0 ? error_errno(reterr, (int)n, "read", "vpmud's recording") : 0;
}

static void count_nothing(const struct vpmu_sample *sample, void *data)
{
	(void)sample;
	(void)data;
}

/* The file tells what is in it as well as the session that made it. */
static int sum_up(struct vpmu_recording *recording, struct record_summary *summary, struct vpmu_error *reterr)
{
	const struct vpmu_guest_info *guest;
	int r = vpmu_recording_read(recording, count_nothing, NULL, reterr);

	if (r < 0)
		return r;
	vpmu_recording_coverage(recording, &summary->coverage);
	summary->recorded = summary->coverage.samples;
	for (size_t i = 0; (guest = vpmu_recording_guest(recording, i)); i++)
		record_summary_guest(summary, guest);
	return 0;
}

/* *ret_why: the summary's. */
static int record(struct vpmu_client *client, const struct name_list *guests, const struct record_remote_args *args,
		  struct record_summary *summary, char **ret_why, struct vpmu_error *reterr)
{
	__attribute__((cleanup(remote_recording_deinit))) struct remote_recording recording = {
		.args = args, .reterr = reterr, .fd = -1 };
	_new_file_ struct new_file file = {};
	uint64_t begin_ns = now_ns();
	bool early;
	int r;

	/* First of all: a file that cannot be written is not to be found out afterwards. */
	/* For the owner alone, as without vpmud: it holds kernel addresses. */
	r = new_file_open(&file, args->path, 0600, reterr);
	if (r < 0)
		return r;
	progress_begin(&recording.progress);
	r = remote_stream(client, "Record", parameters_of(guests, args), hear, &recording, reterr);
	progress_end(&recording.progress);
	if (r == -ECONNRESET) {
		error_set(reterr, r, "vpmud closed the connection: nothing of the recording was kept");
		error_hint(reterr, "'journalctl -u vpmud' may tell why; --local does without it");
	}
	summary->elapsed_ns = now_ns() - begin_ns;
	/* Before its time, and vpmud does not say why: there was nobody left to record. */
	early = !recording.stopped && (!args->duration_ns || summary->elapsed_ns < args->duration_ns);
	summary->guests_gone = early && !recording.why;
	summary->why = *ret_why = early ? take_ptr(recording.why) : NULL;
	if (r >= 0 && recording.fd < 0)
		r = error_set(reterr, -EPROTO, "vpmud recorded, and handed out no file");
	if (r >= 0)
		r = copy_file(recording.fd, &file, reterr);
	if (r >= 0)
		r = new_file_keep(&file, reterr);
	return r;
}

enum status record_remote(struct vpmu_client *client, const struct name_list *guests,
			  const struct record_remote_args *args)
{
	_cleanup_(vpmu_recording_freep) struct vpmu_recording *recording = NULL;
	struct record_summary summary = { .path = args->path, .named_events = args->events,
					  .wants_guest = !args->sides || args->sides & VPMU_SIDES_GUEST };
	struct vpmu_error error = {};
	_free_ char *why = NULL;

	if (record(client, guests, args, &summary, &why, &error) < 0 ||
	    vpmu_recording_open(args->path, NULL, &recording, &error) < 0 ||
	    sum_up(recording, &summary, &error) < 0)
		return say_error(&error);
	(args->json ? record_summary_json : record_summary_text)(&summary);
	return STATUS_DONE;
}
