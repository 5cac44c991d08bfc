/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Record: a session that writes a perf.data file (spool.h), and a call that lives as long.
 *
 *	started -> progress, once a second (with "more") -> ended -> the descriptor, or its bytes one piece after another
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "client/base64.h"
#include "client/json.h"
#include "methods.h"
#include "session_json.h"
#include "spool.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define PROGRESS_US	    1000000
/* Larger ones are no use to anybody, and the disk is not the caller's. */
#define RECORDING_MAX_BYTES (4ull << 30)
/* All of a user's together, until they have been handed over. */
#define USER_MAX_BYTES	    (8ull << 30)
/* 256 KiB in base64. */
#define PIECE_BYTES	    (192u * 1024)
/* So much waits to be read before the next piece is made; then we look again soon. */
#define QUEUED_MAX_BYTES    (1u << 20)
#define LOOK_AGAIN_US	    5000

struct recording {
	struct recording *next, **link; /* of all */
	struct call *call;
	struct manager *manager;
	struct session *session;
	sd_event_source *timer;
	int fd;
	bool stream, over;
	uint64_t n_sent;
	/* Once it is over. */
	struct runner_status status;
	char *why;
};

static struct recording *all; /* the loop's */

/* ---- life ---- */

static struct recording *recording_free(struct recording *recording)
{
	if (!recording)
		return NULL;
	*recording->link = recording->next;
	if (recording->next)
		recording->next->link = recording->link;
	call_on_gone(recording->call, NULL, NULL);
	call_unref(recording->call);
	if (recording->session) {
		session_forget_events(recording->session);
		/* -EALREADY: by somebody else. */
		(void)sessions_stop(recording->session, NULL, NULL);
		session_unref(recording->session);
	}
	sd_event_source_disable_unref(recording->timer);
	closep(&recording->fd);
	free(recording->why);
	free(recording);
	return NULL;
}
DEFINE_CLEANUP(struct recording *, recording_free)

/* What those of one user take of the disk. */
static uint64_t bytes_of(uid_t uid)
{
	uint64_t bytes = 0;

	for (const struct recording *recording = all; recording; recording = recording->next) {
		struct session_info info = { .status = recording->status };

		if (call_peer(recording->call)->uid != uid)
			continue;
		if (!recording->over && recording->session)
			session_info(recording->session, &info);
		bytes += info.status.bytes;
	}
	return bytes;
}

/* ---- replies ---- */

static struct json_object *reply_json(const struct recording *recording, const struct runner_status *status, bool done)
{
	struct json_object *reply = json_new_object();
	struct session_info info;

	session_info(recording->session, &info);
	json_put_bool(reply, "done", done);
	json_put_string(reply, "session", info.name);
	json_put_big(reply, "samples", status->coverage.samples);
	json_put_big(reply, "guest_samples", vpmu_coverage_guest(&status->coverage));
	json_put_big(reply, "lost", status->coverage.lost);
	json_put_big(reply, "bytes", status->bytes);
	if (!done && info.remaining_ms >= 0)
		json_put_int(reply, "remaining_ms", info.remaining_ms);
	if (done && recording->why)
		json_put_string(reply, "why", recording->why);
	return reply;
}

/* Returns whether there are more pieces. */
static bool send_piece(struct recording *recording)
{
	static char bytes[PIECE_BYTES], text[BASE64_LENGTH(PIECE_BYTES) + 1];
	uint64_t left = recording->status.bytes - recording->n_sent;
	size_t want = (size_t)MIN(left, sizeof(bytes));
	ssize_t n = pread(recording->fd, bytes, want, (off_t)recording->n_sent);
	struct json_object *reply;
	struct vpmu_error error;
	bool last = want == left;

	if (n < 0 || (size_t)n < want) {
		error_set(&error, n < 0 ? -errno : -EIO, "cannot read the recording: %s",
			  n < 0 ? strerror(errno) : "it became shorter");
		(void)call_fail_with(recording->call, &error, NULL);
		return false;
	}
	base64_encode(bytes, want, text);
	recording->n_sent += want;
	reply = reply_json(recording, &recording->status, last);
	json_put_string(reply, "data", text);
	(void)(last ? call_reply : call_reply_more)(recording->call, reply);
	return !last;
}

/* One piece a turn: others have their turns, too. */
static void send_pieces(struct recording *recording)
{
	bool room = call_queued_bytes(recording->call) < QUEUED_MAX_BYTES;

	if (room && !send_piece(recording)) {
		recording_free(recording);
		return;
	}
	(void)sd_event_source_set_time_relative(recording->timer, room ? 0 : LOOK_AGAIN_US);
	(void)sd_event_source_set_enabled(recording->timer, SD_EVENT_ONESHOT);
}

static void send_file(struct recording *recording)
{
	struct json_object *reply;
	struct vpmu_error error;
	int fd = spool_reopen(recording->fd, &error);

	if (fd < 0) {
		(void)call_fail_with(recording->call, &error, NULL);
		return;
	}
	reply = reply_json(recording, &recording->status, true);
	json_put_int(reply, "file", 0);
	(void)call_reply_file(recording->call, reply, fd);
}

/* ---- what happens ---- */

static void on_ended(struct session *session, void *data)
{
	struct recording *recording = data;
	struct session_info info;
	struct vpmu_error error;

	session_info(session, &info);
	recording->over = true;
	recording->status = info.status;
	recording->why = info.why ? strdup(info.why) : NULL;
	/* Its name is free again; what is written is ours. */
	session_forget_events(session);
	if (sessions_stop(session, NULL, NULL) == -EALREADY && !recording->why)
		recording->why = strdup("it was stopped"); /* by who called StopSession */
	if (info.state == SESSION_FAILED && info.status.coverage.samples == 0) {
		error_set(&error, -EIO, "%s", recording->why ? recording->why : "the recording failed");
		(void)call_fail_with(recording->call, &error, NULL);
	} else if (recording->stream) {
		send_pieces(recording);
		return;
	} else {
		send_file(recording);
	}
	recording_free(recording);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *data)
{
	struct recording *recording = data;
	struct session_info info;

	(void)now_us;
	if (recording->over) {
		send_pieces(recording);
		return 0;
	}
	session_info(recording->session, &info);
	if (info.status.bytes >= RECORDING_MAX_BYTES)
		session_end_early(recording->session, "it has reached 4 GiB");
	else if (bytes_of(call_peer(recording->call)->uid) >= USER_MAX_BYTES)
		session_end_early(recording->session, "the user's recordings have reached 8 GiB");
	else if (!spool_has_room(recording->fd))
		session_end_early(recording->session, "the disk is nearly full");
	/* Who does not read hears less often. */
	if (call_wants_more(recording->call) && call_queued_bytes(recording->call) < QUEUED_MAX_BYTES)
		(void)call_reply_more(recording->call, reply_json(recording, &info.status, false));
	(void)sd_event_source_set_time_relative(source, PROGRESS_US);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void on_started(struct session *session, const struct vpmu_error *error, void *data)
{
	struct recording *recording = data;

	if (session) {
		(void)on_timer(recording->timer, 0, recording);
		return;
	}
	(void)call_fail_with(recording->call, error, NULL);
	recording_free(recording);
}

static void on_gone(struct call *call, void *data)
{
	(void)call;
	recording_free(data);
}

/* ---- the method ---- */

/* As `vpmu record` would be called for it, for the file's header. */
static void add_cmdline(const struct session_wishes *wishes, struct strbuf *out)
{
	strbuf_adds(out, "vpmu record");
	if (wishes->sides == VPMU_SIDES_GUEST || wishes->sides == VPMU_SIDES_HOST)
		strbuf_addf(out, " --side %s", wishes->sides == VPMU_SIDES_GUEST ? "guest" : "host");
	if (wishes->events)
		strbuf_addf(out, " -e %s", wishes->events);
	if (wishes->period)
		strbuf_addf(out, " -c %" PRIu64, wishes->period);
	if (wishes->frequency_hz)
		strbuf_addf(out, " -F %" PRIu32, wishes->frequency_hz);
	if (wishes->chains)
		strbuf_adds(out, " -g");
	if (wishes->whole_process)
		strbuf_adds(out, " --whole-process");
	for (size_t i = 0; i < wishes->n_guests; i++)
		strbuf_addf(out, " %s", wishes->guests[i]);
}

static int recording_new(struct call *call, struct manager *manager, struct recording **ret_recording,
			 struct vpmu_error *reterr)
{
	_cleanup_(recording_freep) struct recording *recording = calloc(1, sizeof(*recording));
	int r;

	if (!recording)
		return error_oom(reterr);
	recording->call = call_ref(call);
	recording->link = &all;
	recording->next = all;
	if (all)
		all->link = &recording->next;
	all = recording;
	recording->manager = manager;
	recording->stream = call_bool(call, "stream");
	recording->fd = -1;
	if (bytes_of(call_peer(call)->uid) >= USER_MAX_BYTES)
		return error_set(reterr, -EDQUOT, "the user's recordings have reached 8 GiB");
	recording->fd = spool_open(reterr);
	if (recording->fd < 0)
		return recording->fd;
	r = sd_event_add_time_relative(manager->loop, &recording->timer, CLOCK_MONOTONIC, PROGRESS_US, 0, on_timer,
				       recording);
	if (r >= 0)
		r = sd_event_source_set_enabled(recording->timer, SD_EVENT_OFF);
	if (r < 0)
		return error_errno(reterr, r, "set", "a timer");
	*ret_recording = take_ptr(recording);
	return 0;
}

int method_record(struct call *call, struct manager *manager)
{
	static const struct session_events events = { .started = on_started, .ended = on_ended };
	_cleanup_(recording_freep) struct recording *recording = NULL;
	_strbuf_ struct strbuf cmdline = {};
	_free_ const char **guests = NULL;
	struct session_wishes wishes;
	struct session_refusal refusal;
	struct session *session;
	struct vpmu_error error;
	int r;

	if (call_bool(call, "stream") && !call_wants_more(call))
		return call_bad_value(call, "stream", "a stream takes many replies: call with \"more\"");
	r = session_wishes_take(call, &wishes, &guests);
	if (r <= 0)
		return r;
	if (recording_new(call, manager, &recording, &error) < 0)
		return call_fail_with(call, &error, NULL);
	wishes.whole_process = call_bool(call, "whole_process");
	wishes.connection = call_connection(call);
	add_cmdline(&wishes, &cmdline);
	wishes.cmdline = cmdline.failed ? NULL : cmdline.text;
	wishes.record_fd = fcntl(recording->fd, F_DUPFD_CLOEXEC, 0);
	if (wishes.record_fd < 0)
		return call_fail_with(call, &(struct vpmu_error){ .code = -errno, .text = "too many open files" }, NULL);
	r = sessions_start(manager->sessions, &wishes, &events, recording, &session, &refusal);
	if (r < 0) {
		r = session_refuse(call, &wishes, &refusal);
	} else {
		recording->session = session_ref(session);
		call_on_gone(call, on_gone, recording);
		recording = NULL; /* its callbacks' */
	}
	session_refusal_deinit(&refusal);
	return r;
}
