/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <sys/stat.h>
#include <vpmu/export.h>
#include <vpmu/session.h>

#include "client/base64.h"
#include "client/shapes.h"
#include "profile_reply.h"
#include "spool.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

/* About what a row takes as JSON, and a frame of its chains: so that a reply that cannot be sent is not made. */
#define ROW_BYTES   256
#define FRAME_BYTES 64

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)
DEFINE_CLEANUP(struct vpmu_report *, vpmu_report_free)
DEFINE_CLEANUP(struct vpmu_diff *, vpmu_diff_free)

static inline void json_freep(struct json_object **object)
{
	json_object_put(*object);
}
#define _json_ _cleanup_(json_freep)

static int too_long(struct vpmu_error *reterr)
{
	error_set(reterr, -EMSGSIZE, "the answer is longer than 16 MiB");
	error_hint(reterr, "ask for less: a limit, fewer guests");
	return -EMSGSIZE;
}

/*
 * The loop is spared the work of writing numbers: it finds the text done. The members stay, for those who check replies.
 */
static int pre_render(struct json_object *reply, struct vpmu_error *reterr)
{
	size_t n;
	const char *text = json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	char *copy;

	if (text && n > PROFILE_REPLY_BYTES_MAX)
		return too_long(reterr);
	copy = text ? strdup(text) : NULL;
	if (!copy)
		return error_oom(reterr);
	json_object_set_serializer(reply, json_object_userdata_to_json_string, copy, json_object_free_userdata);
	return 0;
}

void profile_reply_kept(struct json_object *reply, const char *key, const struct store_kept *kept)
{
	struct json_object *object;

	if (!kept || !kept->minutes)
		return;
	object = json_new_object();
	json_put_int(object, "since_ms", kept->since_ms);
	json_put_int(object, "until_ms", kept->until_ms);
	json_put_int(object, "minutes", kept->minutes);
	json_put(reply, key, object);
}

/* Without a word about its events a profile has one. */
static uint32_t count_events(const struct vpmu_profile *profile)
{
	struct vpmu_event_info info;
	uint32_t n = 0;

	while (vpmu_profile_event(profile, n, &info))
		n++;
	return MAX(n, 1u);
}

/* ---- reports ---- */

static size_t chains_bytes(const struct vpmu_report *report, size_t i)
{
	size_t n, bytes = 0;
	const struct vpmu_chain *chains = vpmu_report_chains(report, i, &n);

	for (size_t k = 0; k < n; k++)
		bytes += FRAME_BYTES * (chains[k].n_frames + 1);
	return bytes;
}

static int add_rows(struct json_object *rows, const struct vpmu_report *report, const char *event, size_t *bytes,
		    struct vpmu_error *reterr)
{
	for (size_t i = 0; vpmu_report_row(report, i); i++) {
		*bytes += ROW_BYTES + chains_bytes(report, i);
		if (*bytes > PROFILE_REPLY_BYTES_MAX)
			return too_long(reterr);
		json_append(rows, shape_report_row(report, i, event));
	}
	return 0;
}

int profile_reply_report(const struct vpmu_profile *profile, const struct profile_reply_opts *opts,
			 struct json_object **ret_reply, struct vpmu_error *reterr)
{
	_json_ struct json_object *reply = json_new_object();
	struct json_object *rows = json_new_array();
	struct vpmu_report_opts report_opts = opts->report;
	struct vpmu_coverage coverage, shown = {};
	uint32_t n_events = count_events(profile);
	size_t bytes = 0;
	int r = 0;

	for (uint32_t i = 0; i < n_events && r == 0; i++) {
		_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
		struct vpmu_event_info info = {};

		report_opts.event = i;
		r = vpmu_report_new(profile, &report_opts, &report, reterr);
		if (r < 0)
			break;
		vpmu_report_coverage(report, &coverage);
		if (i == 0)
			shown = coverage;
		else
			shape_coverage_add(&shown, &coverage);
		(void)vpmu_profile_event(profile, i, &info);
		r = add_rows(rows, report, info.name, &bytes, reterr);
	}
	json_put(reply, "coverage", shape_coverage(&shown));
	profile_reply_kept(reply, "kept", opts->kept[0]);
	json_put(reply, "rows", rows);
	if (r == 0)
		r = reply ? pre_render(reply, reterr) : error_oom(reterr);
	if (r < 0)
		return r;
	*ret_reply = take_ptr(reply);
	return 0;
}

/* ---- comparisons ---- */

static uint64_t samples_of(const struct vpmu_profile *profile, uint32_t event, unsigned int sides)
{
	_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "side", .sides = sides, .event = event);

	if (vpmu_report_new(profile, &opts, &report, NULL) < 0)
		return 0;
	return vpmu_report_samples(report, true) + vpmu_report_samples(report, false);
}

/* The event with most samples of these sides. */
static uint32_t busiest(const struct vpmu_profile *profile, unsigned int sides)
{
	uint32_t n = count_events(profile), best = 0;
	uint64_t most = 0;

	for (uint32_t i = 0; n > 1 && i < n; i++) {
		uint64_t samples = samples_of(profile, i, sides);

		if (samples > most) {
			most = samples;
			best = i;
		}
	}
	return best;
}

/* The same event where both have samples of it, else each one's busiest. */
static void choose_events(const struct vpmu_profile *base, const struct vpmu_profile *other, struct vpmu_diff_opts *opts)
{
	struct vpmu_event_info of_base = {}, of_other;

	opts->base_event = busiest(base, opts->base_sides);
	opts->other_event = busiest(other, opts->other_sides);
	if (!vpmu_profile_event(base, opts->base_event, &of_base))
		return;
	for (uint32_t i = 0; vpmu_profile_event(other, i, &of_other); i++)
		if (streq(of_base.name, of_other.name) && samples_of(other, i, opts->other_sides))
			opts->other_event = i;
}

int profile_reply_diff(const struct vpmu_profile *base, const struct vpmu_profile *other,
		       const struct profile_reply_opts *opts, struct json_object **ret_reply, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_diff_freep) struct vpmu_diff *diff = NULL;
	_json_ struct json_object *reply = json_new_object();
	struct json_object *rows = json_new_array();
	struct vpmu_diff_opts diff_opts = opts->diff;
	const struct vpmu_diff_row *row;
	int r;

	json_put(reply, "rows", rows);
	choose_events(base, other, &diff_opts);
	r = vpmu_diff_new(base, other, &diff_opts, &diff, reterr);
	if (r < 0)
		return r;
	json_put_big(reply, "base_samples", vpmu_diff_samples(diff, true));
	json_put_big(reply, "other_samples", vpmu_diff_samples(diff, false));
	profile_reply_kept(reply, "base_kept", opts->kept[0]);
	profile_reply_kept(reply, "other_kept", opts->kept[1]);
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++) {
		if (i > PROFILE_REPLY_BYTES_MAX / ROW_BYTES)
			return too_long(reterr);
		json_append(rows, shape_diff_row(row));
	}
	r = reply ? pre_render(reply, reterr) : error_oom(reterr);
	if (r < 0)
		return r;
	*ret_reply = take_ptr(reply);
	return 0;
}

/* ---- exports ---- */

bool profile_reply_is_format(const char *format)
{
	const char *known;

	for (size_t i = 0; (known = vpmu_export_format(i)); i++)
		if (streq(known, format))
			return true;
	return streq(format, "vpmu");
}

static int write_own(const struct vpmu_profile *profile, unsigned int sides, int fd, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_profile_write_opts, opts, .sides = sides);
	_free_ void *bytes = NULL;
	size_t n;
	int r = vpmu_profile_write(profile, &opts, &bytes, &n, reterr);

	if (r < 0)
		return r;
	r = io_write_all(fd, bytes, n);
	return r < 0 ? error_errno(reterr, r, "write", "the profile") : 0;
}

static int write_foreign(const struct vpmu_profile *profile, const struct profile_reply_opts *opts, int fd,
			 struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_export_opts, export_opts, .sides = opts->report.sides, .title = opts->title);
	struct vpmu_event_info info = {};

	export_opts.event = busiest(profile, opts->report.sides);
	(void)vpmu_profile_event(profile, export_opts.event, &info);
	export_opts.is_clock = info.is_clock;
	return vpmu_export(profile, opts->format, &export_opts, fd, reterr);
}

int profile_reply_export(const struct vpmu_profile *profile, const struct profile_reply_opts *opts, int *ret_fd,
			 uint64_t *ret_bytes, struct vpmu_error *reterr)
{
	_close_ int fd = spool_open(reterr);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = streq(opts->format, "vpmu") ? write_own(profile, opts->report.sides, fd, reterr) :
					  write_foreign(profile, opts, fd, reterr);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "look at", "the export");
	r = spool_reopen(fd, reterr);
	if (r < 0)
		return r;
	*ret_bytes = (uint64_t)st.st_size;
	*ret_fd = r;
	return 0;
}

int profile_reply_inline(int fd, uint64_t bytes, char **ret_text, struct vpmu_error *reterr)
{
	_free_ char *text = NULL;
	_free_ void *all = NULL;
	ssize_t n;

	if (BASE64_LENGTH(bytes) > PROFILE_REPLY_BYTES_MAX - 4096)
		return too_long(reterr);
	all = malloc(bytes + 1);
	text = malloc(BASE64_LENGTH(bytes) + 1);
	if (!all || !text)
		return error_oom(reterr);
	n = io_pread_full(fd, all, bytes, 0);
	if (n != (ssize_t)bytes)
		return error_errno(reterr, n < 0 ? (int)n : -EIO, "read", "the export");
	base64_encode(all, bytes, text);
	*ret_text = take_ptr(text);
	return 0;
}

int profile_reply_reduce(struct vpmu_profile **profile, const uint32_t *guests, size_t n, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_profile_write_opts, opts, .guests = guests, .n_guests = n, .guests_only = true);
	struct vpmu_profile *reduced;
	_free_ void *bytes = NULL;
	size_t n_bytes;
	int r = vpmu_profile_write(*profile, &opts, &bytes, &n_bytes, reterr);

	if (r == 0)
		r = vpmu_profile_read(bytes, n_bytes, NULL, &reduced, reterr);
	if (r < 0)
		return r;
	vpmu_profile_free(*profile);
	*profile = reduced;
	return 0;
}
