/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Report, Diff, Export: profiles are fetched (profile_source.h), then the answer is made in the pool (profile_reply.h), then it is
 * sent. Everything about one such call is in a struct answer, which whoever is at it hands on.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdatomic.h>

#include "jobs.h"
#include "methods.h"
#include "profile_reply.h"
#include "profile_source.h"
#include "util/error.h"
#include "util/macro.h"

#define LIMIT_DEFAULT 100

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)

struct answer {
	struct manager *manager;
	struct call *call;
	atomic_bool gone; /* the client is: no need to go on */
	struct profile_source sources[2];
	struct vpmu_profile *profiles[2];
	size_t n_sources, n_got;
	struct profile_reply_opts opts;
	char *sort, *format; /* that opts point to */
	bool inline_bytes;

	/* The pool's word. */
	int (*work)(struct answer *answer);
	struct json_object *reply;
	char *text; /* of an inline export */
	int fd;
	uint64_t bytes;
	const char *subject;
	struct vpmu_error error; /* code 0 = none */
};

static struct answer *answer_free(struct answer *answer)
{
	if (!answer)
		return NULL;
	call_unref(answer->call);
	for (size_t i = 0; i < ARRAY_SIZE(answer->sources); i++) {
		profile_source_deinit(&answer->sources[i]);
		vpmu_profile_free(answer->profiles[i]);
	}
	free(answer->sort);
	free(answer->format);
	free(answer->text);
	json_object_put(answer->reply);
	closep(&answer->fd);
	free(answer);
	return NULL;
}
DEFINE_CLEANUP(struct answer *, answer_free)

static void on_gone(struct call *call, void *data)
{
	struct answer *answer = data;

	(void)call;
	answer->gone = true;
	profile_source_cancel(answer->manager, answer);
}

/* ---- in the pool ---- */

static int reduce(struct answer *answer, size_t i)
{
	_free_ uint32_t *guests = NULL;
	size_t n;
	int r = profile_source_choose(&answer->sources[i], answer->profiles[i], &guests, &n, &answer->subject, &answer->error);

	return r < 0 || !guests ? r : profile_reply_reduce(&answer->profiles[i], guests, n, &answer->error);
}

static void work(void *data)
{
	struct answer *answer = data;
	int r = 0;

	if (answer->gone)
		return;
	for (size_t i = 0; r == 0 && i < answer->n_sources; i++)
		r = reduce(answer, i);
	if (r == 0)
		r = answer->work(answer);
	if (r == 0)
		answer->error = (struct vpmu_error){};
}

static int make_report(struct answer *answer)
{
	return profile_reply_report(answer->profiles[0], &answer->opts, &answer->reply, &answer->error);
}

static int make_diff(struct answer *answer)
{
	return profile_reply_diff(answer->profiles[0], answer->profiles[1], &answer->opts, &answer->reply, &answer->error);
}

static int make_export(struct answer *answer)
{
	int r = profile_reply_export(answer->profiles[0], &answer->opts, &answer->fd, &answer->bytes, &answer->error);

	if (r == 0 && answer->inline_bytes)
		r = profile_reply_inline(answer->fd, answer->bytes, &answer->text, &answer->error);
	return r;
}

/* ---- in the loop ---- */

static void reply_export(struct answer *answer)
{
	struct json_object *reply = json_new_object();

	json_put_big(reply, "bytes", answer->bytes);
	profile_reply_kept(reply, "kept", answer->opts.kept[0]);
	if (answer->inline_bytes) {
		json_put_string(reply, "data", answer->text);
		call_reply(answer->call, reply);
	} else {
		json_put_int(reply, "file", 0);
		call_reply_file(answer->call, reply, take_fd(&answer->fd));
	}
}

/* What a report or a comparison says is wrong with its options is wrong with "sort". */
static void fail(struct answer *answer, const struct vpmu_error *error)
{
	const char *subject = answer->subject ? answer->subject : error->code == -EINVAL ? "sort" : NULL;

	call_fail_with(answer->call, error, subject);
}

static void end_of_work(void *data, bool cancelled)
{
	_cleanup_(answer_freep) struct answer *answer = data;

	call_on_gone(answer->call, NULL, NULL);
	if (cancelled)
		error_set(&answer->error, -ECANCELED, "vpmud is being stopped");
	if (answer->gone)
		return;
	if (answer->error.code)
		fail(answer, &answer->error);
	else if (answer->reply)
		call_reply(answer->call, take_ptr(answer->reply));
	else
		reply_export(answer);
}

static int fetch_next(struct answer *answer);

/* The answer is over, with an error that the call has not been answered with yet. */
static void give_up(struct answer *answer, int code)
{
	struct vpmu_error error;

	call_on_gone(answer->call, NULL, NULL);
	if (code == -EBUSY)
		error_set(&error, code, "vpmud has too much to do; try again later");
	else
		error_set(&error, code, "%s", strerror(-code));
	call_fail_with(answer->call, &error, NULL);
	answer_free(answer);
}

static void on_profile(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct answer *answer = data;
	int r;

	if (error || answer->gone) {
		vpmu_profile_free(profile);
		call_on_gone(answer->call, NULL, NULL);
		if (error)
			fail(answer, error);
		answer_free(answer);
		return;
	}
	answer->profiles[answer->n_got++] = profile;
	r = answer->n_got < answer->n_sources ? fetch_next(answer) :
						jobs_run(answer->manager->jobs, work, end_of_work, answer);
	if (r < 0)
		give_up(answer, r);
}

/* Takes @answer, unless it fails. */
static int fetch_next(struct answer *answer)
{
	int r = profile_source_get(&answer->sources[answer->n_got], answer->call, answer->manager, on_profile, answer);

	if (r == 0) { /* the call has been answered */
		call_on_gone(answer->call, NULL, NULL);
		answer_free(answer);
	}
	return r < 0 ? r : 0;
}

/* ---- parameters ---- */

/* 1; 0 if the call has been answered. */
static int parse_rows(struct call *call, size_t *ret_limit, double *ret_min_percent)
{
	int64_t limit = call_int(call, "limit", LIMIT_DEFAULT);
	double min_percent = call_float(call, "min_percent", 0);

	if (limit < 0 || limit > UINT32_MAX)
		return call_bad_value(call, "limit", "a number of rows, or 0 for all"), 0;
	if (!(min_percent >= 0 && min_percent <= 100))
		return call_bad_value(call, "min_percent", "is between 0 and 100"), 0;
	*ret_limit = (size_t)limit;
	*ret_min_percent = min_percent;
	return 1;
}

static int parse_sort(struct call *call, struct answer *answer)
{
	const char *sort = call_string(call, "sort");

	if (!sort)
		return 1;
	answer->sort = strdup(sort);
	answer->opts.report.sort = answer->sort;
	return answer->sort ? 1 : -ENOMEM;
}

static struct answer *answer_new(struct call *call, struct manager *manager, int (*make)(struct answer *answer))
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->manager = manager;
	answer->call = call_ref(call);
	answer->work = make;
	answer->fd = -1;
	answer->opts.report.sz = sizeof(answer->opts.report);
	answer->opts.diff.sz = sizeof(answer->opts.diff);
	answer->opts.title = "vpmud";
	for (size_t i = 0; i < ARRAY_SIZE(answer->sources); i++)
		answer->opts.kept[i] = &answer->sources[i].kept;
	return answer;
}

/* @r: of the parameters: 1 = all is well. Takes @answer. */
static int begin(struct answer *answer, int r)
{
	struct call *call = answer->call;

	if (r <= 0) {
		answer_free(answer);
		return r;
	}
	call_on_gone(call, on_gone, answer);
	r = fetch_next(answer);
	if (r < 0)
		give_up(answer, r);
	return 0;
}

int method_report(struct call *call, struct manager *manager)
{
	struct answer *answer = answer_new(call, manager, make_report);
	struct vpmu_report_opts *opts;
	int r;

	if (!answer)
		return -ENOMEM;
	opts = &answer->opts.report;
	answer->n_sources = 1;
	r = profile_source_parse(call, "source", &answer->sources[0]);
	if (r > 0)
		r = parse_rows(call, &opts->limit, &opts->min_percent);
	if (r > 0)
		r = parse_sort(call, answer);
	opts->sides = answer->sources[0].sides;
	opts->children = call_bool(call, "children");
	opts->chains = call_bool(call, "chains");
	return begin(answer, r);
}

int method_diff(struct call *call, struct manager *manager)
{
	struct answer *answer = answer_new(call, manager, make_diff);
	struct vpmu_diff_opts *opts;
	int r;

	if (!answer)
		return -ENOMEM;
	opts = &answer->opts.diff;
	answer->n_sources = 2;
	r = profile_source_parse(call, "base", &answer->sources[0]);
	if (r > 0)
		r = profile_source_parse(call, "other", &answer->sources[1]);
	if (r > 0)
		r = parse_rows(call, &opts->limit, &opts->min_percent);
	opts->base_sides = answer->sources[0].sides;
	opts->other_sides = answer->sources[1].sides;
	opts->by_dso = call_bool(call, "by_dso");
	return begin(answer, r);
}

int method_export(struct call *call, struct manager *manager)
{
	struct answer *answer = answer_new(call, manager, make_export);
	const char *format = call_string(call, "format");
	int r;

	if (!answer)
		return -ENOMEM;
	answer->n_sources = 1;
	r = profile_source_parse(call, "source", &answer->sources[0]);
	if (r > 0 && !profile_reply_is_format(format)) {
		call_bad_value(call, "format", "an unknown format: '%s'", format);
		r = 0;
	}
	answer->opts.report.sides = answer->sources[0].sides;
	answer->inline_bytes = call_bool(call, "inline");
	answer->format = strdup(format);
	answer->opts.format = answer->format;
	return begin(answer, answer->format ? r : -ENOMEM);
}
