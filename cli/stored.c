/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"
#include "json.h"
#include "json_read.h"
#include "stored.h"
#include "text.h"

#define STORED_MAX (UINT64_C(256) << 20) /* of a profile on its way here; a day of a busy node is a few MB */

#define MINUTE_MS INT64_C(60000)
#define FIELD(name) offsetof(struct stored_args, name)
#define SINCE                                                                                       \
	{ .name = "since", .arg = "WHEN", .set = option_string, .offset = FIELD(since),                     \
	  .help = "not a recording, but what vpmud has kept since WHEN: 1h (ago), 10:30, yesterday, "       \
		  "'2026-11-20 10:30'" }
#define UNTIL                                                                                       \
	{ .name = "until", .arg = "WHEN", .set = option_string, .offset = FIELD(until),                     \
	  .help = "the end of that time (default now)" }
#define SESSION                                                                                     \
	{ .name = "session", .arg = "NAME", .set = option_string, .offset = FIELD(session),                 \
	  .alternative = true, .help = "not a recording, but what vpmud's session NAME has seen" }
#define SOCKET                                                                                      \
	{ .name = "socket", .arg = "PATH", .set = option_string, .offset = FIELD(socket),                   \
	  .help = "where vpmud listens (default /run/vpmud/org.vpmu)" }

const struct option_spec stored_options[] = { SINCE, SESSION, UNTIL, SOCKET, {} };

const struct option_spec two_stored_options[] = {
	SINCE, SESSION, UNTIL,
	{ .name = "base", .arg = "WHEN", .set = option_string, .offset = FIELD(base),
	  .help = "compare with a period of the same length: that much earlier (yesterday, 1h, 1w), or one "
		  "that begins at a time" },
	SOCKET, {},
};

bool stored_wanted(const struct stored_args *args)
{
	return args->since || args->until || args->session || args->base;
}

void stored_close(struct stored *stored)
{
	stored->client = vpmu_client_free(stored->client);
}

/* STATUS_DONE: all that was given makes sense. */
static enum status read_times(const struct stored_args *args, struct stored *stored)
{
	struct vpmu_error error = {};
	int64_t now_ms = period_now_ms();

	stored->session = args->session;
	if (args->session && (args->since || args->until || args->base))
		return say_usage("--session has no periods: --since, --until and --base are of what vpmud keeps");
	if (args->session)
		return STATUS_DONE;
	if (!args->since)
		return say_usage("%s needs --since, the beginning of the time", args->base ? "--base" : "--until");
	stored->period.until_ms = now_ms;
	if (period_point(args->since, now_ms, &stored->period.since_ms, &error) < 0)
		return say_usage("--since %s", error.text);
	if (args->until && period_point(args->until, now_ms, &stored->period.until_ms, &error) < 0)
		return say_usage("--until %s", error.text);
	if (stored->period.since_ms >= stored->period.until_ms)
		return say_usage("--since is not before %s", args->until ? "--until" : "now");
	if (args->base && period_base(args->base, &stored->period, now_ms, &stored->base, &error) < 0)
		return say_usage("--base %s", error.text);
	period_whole(&stored->period, now_ms);
	return STATUS_DONE;
}

/* 0: it has nothing, or tells only those who see all guests. Whatever else is wrong, the next call says. */
static int64_t ask_for_oldest(struct vpmu_client *client)
{
	_reply_ struct json_object *reply = NULL;
	struct json_object *usage;

	if (remote_call(client, "Stats", NULL, &reply, NULL) < 0)
		return 0;
	usage = json_member(reply, "usage");
	return json_get_int(usage, "store_oldest_ms", 0);
}

enum status stored_open(const struct stored_args *args, const struct input_args *files,
			const struct guest_file_args *names, struct stored *ret_stored)
{
	VPMU_OPTS(vpmu_client_opts, opts, .socket = args->socket, .timeout_ms = 300000); /* a month is a lot to merge */
	struct vpmu_error error = {};
	enum status status;

	*ret_stored = (struct stored){};
	if (files->files.n)
		return say_usage("-i names a recording; what vpmud has is none");
	if (names->kallsyms.n || names->modules.n || names->vmlinux.n || names->kaslr.n || names->images.n ||
	    names->roots.n)
		return say_usage("what vpmud has got its symbols when it was sampled: no files with them are needed");
	status = read_times(args, ret_stored);
	if (status != STATUS_DONE)
		return status;
	if (vpmu_client_new(&opts, &ret_stored->client, &error) < 0)
		return say_error(&error);
	if (!args->session)
		ret_stored->oldest_ms = ask_for_oldest(ret_stored->client);
	return STATUS_DONE;
}

/* ---- fetching ---- */

static struct json_object *parameters_of(const struct stored *stored, const struct period *period,
					 const struct name_list *guests, unsigned int sides)
{
	struct json_object *parameters = json_new_object(), *source = json_new_object();

	if (stored->session)
		json_put_string(source, "session", stored->session);
	if (guests->n)
		json_put(source, "guests", remote_names(guests));
	if (!stored->session) {
		json_put_int(source, "since_ms", period->since_ms);
		json_put_int(source, "until_ms", period->until_ms);
	}
	json_put_string(source, "side", remote_side(sides));
	json_put(parameters, "source", source);
	json_put_string(parameters, "format", "vpmu");
	return parameters;
}

/* Vpmud's file may be changed by nobody, or by vpmud: it is read, not mapped. */
static int read_profile(int fd, struct vpmu_profile **ret_profile, struct vpmu_error *reterr)
{
	_free_ void *bytes = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_errno(reterr, -errno, "read", "vpmud's profile");
	if ((uint64_t)st.st_size > STORED_MAX)
		return error_set(reterr, -EFBIG, "vpmud's profile is larger than %d MiB; ask for a shorter time",
				 (int)(STORED_MAX >> 20));
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return error_oom(reterr);
	n = io_pread_full(fd, bytes, (size_t)st.st_size, 0);
	if (n < 0)
		return error_errno(reterr, (int)n, "read", "vpmud's profile");
	return vpmu_profile_read(bytes, (size_t)n, NULL, ret_profile, reterr);
}

/* What the reply tells of the time; an older vpmud told nothing: then it is taken for all that was asked for. */
static struct input_time time_of(const struct stored *stored, const struct period *period, struct json_object *reply)
{
	struct json_object *kept = json_member(reply, "kept");
	int64_t until_ms = MIN(period->until_ms, period_now_ms() / MINUTE_MS * MINUTE_MS);
	int64_t since_ms = MAX(period->since_ms, MIN(stored->oldest_ms, until_ms));
	struct input_time time = { .asked = *period, .kept = *period };

	if (stored->session)
		return (struct input_time){};
	time.asked_minutes = MAX(until_ms - since_ms, 0) / MINUTE_MS;
	time.minutes = time.asked_minutes;
	if (kept) {
		time.kept.since_ms = json_get_int(kept, "since_ms", period->since_ms);
		time.kept.until_ms = json_get_int(kept, "until_ms", period->until_ms);
		time.minutes = json_get_int(kept, "minutes", 0);
	}
	return time;
}

/* "2026-11-20 09:12 to 10:00": what there is, which may be less than was asked for. */
static char *name_of(const struct stored *stored, const struct period *asked, const struct period *kept)
{
	_strbuf_ struct strbuf name = {};

	if (stored->session)
		strbuf_addf(&name, "session %s", stored->session);
	else
		period_text(kept, &name);
	if (!stored->session && asked->since_ms < stored->oldest_ms && stored->oldest_ms < asked->until_ms)
		strbuf_adds(&name, " (nothing older is kept)");
	return strbuf_take(&name);
}

void stored_gaps_text(const struct input *input, struct strbuf *out)
{
	const struct input_time *time = &input->time;

	if (time->minutes >= time->asked_minutes)
		return;
	strbuf_addf(out, "vpmud: %" PRId64 " of the %" PRId64 " minute%s asked for %s no profile: vpmud was not there, "
		    "or the guests did not run\n", time->asked_minutes - time->minutes, time->asked_minutes,
		    text_s((uint64_t)time->asked_minutes),
		    time->asked_minutes - time->minutes == 1 ? "has" : "have");
}

struct json_object *stored_time_json(const struct input *input)
{
	const struct input_time *time = &input->time;
	struct json_object *object;

	if (!time->minutes)
		return NULL;
	object = json_new_object();
	json_put_int(object, "since_ms", time->asked.since_ms);
	json_put_int(object, "until_ms", time->asked.until_ms);
	json_put_int(object, "minutes", time->asked_minutes);
	json_put_int(object, "kept_since_ms", time->kept.since_ms);
	json_put_int(object, "kept_until_ms", time->kept.until_ms);
	json_put_int(object, "kept_minutes", time->minutes);
	return object;
}

int stored_input(const struct stored *stored, const struct period *period, const struct name_list *guests,
		 unsigned int sides, struct input *ret_input, struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	_reply_ struct json_object *reply = NULL;
	struct input_time time;
	_free_ char *name = NULL;
	_close_ int fd = -1;
	int r;

	r = remote_fetch(stored->client, "Export", parameters_of(stored, period, guests, sides), &reply, &fd, reterr);
	if (r == -ENODATA && reterr) {
		struct vpmu_error plain = *reterr;

		name = name_of(stored, period, period);
		error_set(reterr, r, "%s: %s", name ? name : "", plain.text);
		memcpy(reterr->hint, plain.hint, sizeof(plain.hint));
	}
	if (r >= 0)
		r = read_profile(fd, &profile, reterr);
	if (r < 0)
		return r;
	time = time_of(stored, period, reply);
	name = name_of(stored, period, &time.kept);
	if (!name)
		return error_oom(reterr);
	r = input_take_profile(take_ptr(profile), take_ptr(name), ret_input, reterr);
	if (r >= 0)
		ret_input->time = time;
	return r;
}

static enum status profile_of_stored(const struct profile_source *source, const struct name_list *operands,
				     struct input *ret_input, struct vpmu_profile **ret_profile)
{
	_stored_ struct stored stored = {};
	struct vpmu_error error = {};
	enum status status;

	status = stored_open(source->stored, source->input, source->files, &stored);
	if (status != STATUS_DONE)
		return status;
	if (stored_input(&stored, &stored.period, operands, source->sides, ret_input, &error) < 0 ||
	    input_profile(ret_input, NULL, NULL, ret_profile, &error) < 0)
		return say_error(&error);
	return STATUS_DONE;
}

enum status profile_open(const struct profile_source *source, const struct name_list *operands,
			 const struct vpmu_profile_opts *opts, struct input *ret_input,
			 struct vpmu_profile **ret_profile, struct name_list *ret_guests)
{
	struct vpmu_error error = {};

	*ret_guests = (struct name_list){};
	if (stored_wanted(source->stored)) /* samples of other guests do not come */
		return profile_of_stored(source, operands, ret_input, ret_profile);
	if (input_open(source->input, 0, ret_input, &error) < 0) {
		input_hint_at_files(source->input, operands, &error);
		return say_error(&error);
	}
	if (input_profile(ret_input, source->files, opts, ret_profile, &error) < 0 ||
	    input_check_guests(ret_input, operands, &error) < 0)
		return say_error(&error);
	input_guest_names(ret_input, operands, ret_guests);
	return STATUS_DONE;
}
