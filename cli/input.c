/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "util/error.h"
#include "util/macro.h"
#include "input.h"
#include "output.h"

#define INPUT_IS "; - is standard input (default: the newest of perf.data.kvm, perf.data.guest, " \
		 "perf.data.host and perf.data)"

const struct option_spec input_options[] = {
	{ .letter = 'i', .name = "input", .arg = "FILE", .set = option_name_list,
	  .help = "the recording" INPUT_IS },
	{},
};

const struct option_spec two_input_options[] = {
	{ .letter = 'i', .name = "input", .arg = "FILE", .set = option_name_list,
	  .help = "the recording; given twice, the second is compared with the first" INPUT_IS },
	{},
};

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/*
 * What record and perf call their files. The newest is the one that somebody who names none has
 * in mind.
 */
static const char *newest_recording(void)
{
	static const char *const names[] = {
		"perf.data.kvm", "perf.data.guest", "perf.data.host", "perf.data",
	};
	const char *newest = NULL;
	struct timespec when = {};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (stat(names[i], &st) < 0)
			continue;
		if (newest && !later(&st.st_mtim, &when))
			continue;
		newest = names[i];
		when = st.st_mtim;
	}
	return newest;
}

/* What is wrong with a recording is found out by code that sees bytes, not names. */
static void name_file(const char *path, struct vpmu_error *error)
{
	struct vpmu_error plain = *error;
	_strbuf_ struct strbuf quoted = {};

	strbuf_addf(&quoted, "'%s'", path);
	if (!quoted.failed && strstr(plain.text, quoted.text))
		return;
	if (streq(path, "-"))
		error_set(error, plain.code, "standard input: %s", plain.text);
	else
		error_set(error, plain.code, "'%s': %s", path, plain.text);
	memcpy(error->hint, plain.hint, sizeof(error->hint));
}

int input_open(const struct input_args *args, size_t i, struct input *ret_input, struct vpmu_error *reterr)
{
	int r;

	*ret_input = (struct input){};
	ret_input->path = i < args->files.n ? args->files.items[i] : newest_recording();
	if (!ret_input->path) {
		error_set(reterr, -ENOENT, "there is no recording in this directory");
		error_hint(reterr, "make one with 'vpmu record GUEST', or name one with -i FILE");
		return -ENOENT;
	}
	if (i >= args->files.n)
		say("reading %s", ret_input->path);
	r = vpmu_recording_open(ret_input->path, NULL, &ret_input->recording, reterr);
	if (r < 0)
		name_file(ret_input->path, reterr);
	return r;
}

/* As perf diff takes them. */
static bool hint_at_file(const char *operand, struct vpmu_error *error)
{
	struct stat st;

	if (stat(operand, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	error_hint(error, "'%.200s' is a file: recordings are named with -i", operand);
	return true;
}

void input_hint_at_files(const struct input_args *args, const struct name_list *operands, struct vpmu_error *error)
{
	for (size_t i = 0; !args->files.n && i < operands->n; i++)
		if (hint_at_file(operands->items[i], error))
			return;
}

void input_close(struct input *input)
{
	input->recording = vpmu_recording_free(input->recording);
	input->stored = vpmu_profile_free(input->stored);
	free(take_ptr(input->stored_events));
	free(take_ptr(input->stored_name));
}

/* How many samples each event has on either half, as reading a recording counts them. */
static int count_samples(struct input *input, struct vpmu_error *reterr)
{
	for (uint32_t i = 0; i < input->n_stored_events; i++) {
		VPMU_OPTS(vpmu_report_opts, opts, .sort = "side", .event = i);
		_cleanup_(vpmu_report_freep) struct vpmu_report *report = NULL;
		int r = vpmu_report_new(input->stored, &opts, &report, reterr);

		if (r < 0)
			return r;
		for (int half = 0; half < 2; half++)
			input->n_samples[MIN(i, INPUT_EVENTS_MAX - 1u)][half] += vpmu_report_samples(report, half);
	}
	return 0;
}

int input_take_profile(struct vpmu_profile *profile, char *name, struct input *ret_input,
		       struct vpmu_error *reterr)
{
	_input_ struct input input = { .stored = profile, .stored_name = name, .path = name };
	struct vpmu_event_info info;
	int r;

	while (vpmu_profile_event(profile, input.n_stored_events, &info))
		input.n_stored_events++;
	input.stored_events = calloc(input.n_stored_events + 1, sizeof(info));
	if (!input.stored_events)
		return error_oom(reterr);
	for (size_t i = 0; i < input.n_stored_events; i++)
		vpmu_profile_event(profile, i, &input.stored_events[i]);
	vpmu_profile_coverage(profile, &input.totals);
	r = count_samples(&input, reterr);
	if (r < 0)
		return r;
	*ret_input = input;
	input = (struct input){};
	return 0;
}

const struct vpmu_event_info *input_event_info(const struct input *input, size_t i)
{
	if (input->recording)
		return vpmu_recording_event(input->recording, i);
	return i < input->n_stored_events ? &input->stored_events[i] : NULL;
}

size_t input_events(const struct input *input)
{
	return input->recording ? vpmu_recording_info(input->recording)->n_events : input->n_stored_events;
}

void input_coverage(const struct input *input, struct vpmu_coverage *ret_coverage)
{
	*ret_coverage = input->totals;
	if (input->recording)
		vpmu_recording_coverage(input->recording, ret_coverage);
}

static void read_one(const struct vpmu_sample *sample, void *data)
{
	struct input *input = data;
	bool of_guest = VPMU_SIDES_GUEST >> sample->side & 1;

	input->n_samples[MIN(sample->event, INPUT_EVENTS_MAX - 1u)][of_guest]++;
	if (++input->n_read % 65536 == 0 && progress_due(&input->progress))
		progress_show(&input->progress, "reading %.60s: %" PRIu64 " samples", input->path,
			      input->n_read);
	if (input->fn)
		input->fn(sample, input->data);
}

int input_read(struct input *input, vpmu_sample_fn fn, void *data, struct vpmu_error *reterr)
{
	const struct vpmu_recording_info *info;
	int r;

	input->fn = fn;
	input->data = data;
	input->n_read = 0;
	memset(input->n_samples, 0, sizeof(input->n_samples));
	progress_begin(&input->progress);
	r = vpmu_recording_read(input->recording, read_one, input, reterr);
	progress_end(&input->progress);
	info = vpmu_recording_info(input->recording);
	if (r >= 0 && info->damaged)
		say_warning("'%s' is damaged at byte %" PRIu64 ": %s; what could be read is used", input->path,
			    info->damage_offset, info->damage);
	return r;
}

int input_profile(struct input *input, const struct guest_file_args *files,
		  const struct vpmu_profile_opts *opts, struct vpmu_profile **ret_profile,
		  struct vpmu_error *reterr)
{
	_cleanup_(vpmu_profile_freep) struct vpmu_profile *profile = NULL;
	struct vpmu_coverage coverage;
	int r;

	if (input->stored) {
		*ret_profile = take_ptr(input->stored);
		return 0;
	}
	r = vpmu_profile_new(opts, &profile, reterr);
	if (r < 0)
		return r;
	r = input_read(input, vpmu_profile_add, profile, reterr);
	if (r < 0)
		return r;
	r = input_name(input, files, reterr);
	for (size_t i = 0; r >= 0 && i < input_events(input); i++)
		r = vpmu_profile_add_event(profile, input_event_info(input, i), reterr);
	if (r < 0)
		return r;
	vpmu_recording_coverage(input->recording, &coverage);
	r = vpmu_profile_resolve(profile, vpmu_recording_symbolizer(input->recording), &coverage, reterr);
	if (r < 0)
		return r;
	*ret_profile = take_ptr(profile);
	return 0;
}

int input_event(const struct input *input, const char *spec, uint32_t *ret_event, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf names = {};
	const struct vpmu_event_info *event;
	char number[16];

	for (uint32_t i = 0; (event = input_event_info(input, i)); i++) {
		snprintf(number, sizeof(number), "%" PRIu32, i);
		if (streq(spec, event->name) || streq(spec, number)) {
			*ret_event = i;
			return 0;
		}
		strbuf_addf(&names, "%s%s", i ? ", " : "", event->name);
	}
	return error_set(reterr, -ENOENT, "'%s' has no event '%s' (it has: %s)", input->path, spec,
			 names.text ? names.text : "none");
}

static bool is_guest(const struct vpmu_guest_info *guest, const char *spec)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "pid:%d", guest->pid);
	return streq(spec, guest->name) || (guest->uuid[0] && strcasecmp(spec, guest->uuid) == 0) ||
	       streq(spec, pid);
}

void input_guest_names(const struct input *input, const struct name_list *names,
		       struct name_list *ret_names)
{
	const struct vpmu_guest_info *guest;

	*ret_names = *names;
	for (size_t n = 0; n < names->n; n++)
		for (uint32_t i = 0; (guest = vpmu_recording_guest(input->recording, i)); i++)
			if (is_guest(guest, names->items[n]) && !streq(names->items[n], guest->name)) {
				ret_names->items[n] = guest->uuid[0] ? guest->uuid : guest->name;
				break;
			}
}

int input_find_guest(const struct input *input, const char *spec, uint32_t *ret_guest,
		     struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf names = {};
	const struct vpmu_guest_info *guest;

	for (uint32_t i = 0; (guest = vpmu_recording_guest(input->recording, i)); i++) {
		if (is_guest(guest, spec)) {
			*ret_guest = i;
			return 0;
		}
		strbuf_addf(&names, "%s%s", i ? ", " : "", guest->name);
	}
	error_set(reterr, -ENOENT, "'%s' has no guest '%s'", input->path, spec);
	if (!hint_at_file(spec, reterr))
		error_hint(reterr, names.n ? "it has: %.200s" : "it names no guests", names.text);
	return -ENOENT;
}

int input_check_guests(const struct input *input, const struct name_list *names, struct vpmu_error *reterr)
{
	uint32_t guest;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < names->n; i++)
		r = input_find_guest(input, names->items[i], &guest, reterr);
	return r;
}

int input_select(const struct input *input, const struct name_list *names, bool **ret_chosen,
		 size_t *ret_n, struct vpmu_error *reterr)
{
	size_t n = vpmu_recording_info(input->recording)->n_guests;
	_free_ bool *chosen = NULL;
	uint32_t guest;

	if (!names->n) {
		*ret_chosen = NULL;
		*ret_n = 0;
		return 0;
	}
	chosen = calloc(n ? n : 1, sizeof(*chosen));
	if (!chosen)
		return error_oom(reterr);
	for (size_t i = 0; i < names->n; i++) {
		int r = input_find_guest(input, names->items[i], &guest, reterr);

		if (r < 0)
			return r;
		/* Guests may have the same name: all of them are meant, as in a report. */
		for (const struct vpmu_guest_info *info; (info = vpmu_recording_guest(input->recording, guest)); guest++)
			chosen[guest] |= is_guest(info, names->items[i]);
	}
	*ret_chosen = take_ptr(chosen);
	*ret_n = n;
	return 0;
}

bool input_common_event(const struct input *input, uint32_t *ret_event)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < INPUT_EVENTS_MAX && input_event_info(input, i); i++) {
		uint64_t n = MIN(input->n_samples[i][0], input->n_samples[i][1]);

		if (n > most) {
			most = n;
			*ret_event = i;
		}
	}
	return most > 0;
}

uint32_t input_busiest_event(const struct input *input, unsigned int sides)
{
	uint32_t best = 0;
	uint64_t most = 0;

	for (uint32_t i = 0; i < INPUT_EVENTS_MAX && input_event_info(input, i); i++) {
		uint64_t n = 0;

		if (!sides || sides & VPMU_SIDES_GUEST)
			n += input->n_samples[i][1];
		if (!sides || sides & VPMU_SIDES_HOST)
			n += input->n_samples[i][0];
		if (n > most) {
			most = n;
			best = i;
		}
	}
	return best;
}
