/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recording as a command reads it: opened, with the names that the user has for its guests'
 * addresses, counted while it is read. Or a profile that came from vpmud (stored.h), which takes a
 * recording's place.
 *
 * Guests of a recording that stock perf made are known only once it was read, so the order is
 * open, read, name; a command that needs names while reading (script) calls input_name() first
 * and gets an extra silent pass if that is what it takes.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <vpmu/vpmu.h>
#include "options.h"
#include "period.h"
#include "progress.h"
#include "util/cleanup.h"

/* Where guests' names come from: "[GUEST=]FILE" each. */
struct guest_file_args {
	struct name_list kallsyms, modules, vmlinux, kaslr, images, roots;
	struct name_list types; /* of guests that run: guest_types_options */
};
extern const struct option_spec guest_file_options[], guest_types_options[];

/* Which guest is meant: its index. -ENOENT. */
struct guest_finder {
	int (*find)(void *data, const char *spec, uint32_t *ret_guest, struct vpmu_error *reterr);
	void *data;
};

/* Hands the files in @args to @symbolizer. */
int guest_files_name(const struct guest_file_args *args, struct vpmu_symbolizer *symbolizer,
		     const struct guest_finder *finder, struct vpmu_error *reterr);

/* Hands them to the symbolizer of a session whose guests were added, and has not started. */
int guest_files_name_live(const struct guest_file_args *args, struct vpmu_session *session, const struct vpmu_guests *guests,
			  struct vpmu_error *reterr);

struct input_args {
	struct name_list files;
};
extern const struct option_spec input_options[], two_input_options[];

#define INPUT_EVENTS_MAX 64

struct input {
	const char *path;
	struct vpmu_recording *recording;
	/* Instead: a resolved profile, its events, and what it is called. */
	struct vpmu_profile *stored;
	struct vpmu_event_info *stored_events;
	size_t n_stored_events;
	struct vpmu_coverage totals;
	char *stored_name;
	/* Of what time it is: what was asked for, and what there was; minutes = 0: it is of no time, but of a session. */
	struct input_time {
		struct period asked, kept;
		int64_t asked_minutes, minutes; /* that are over, and not before all that vpmud has; of which there is something */
	} time;
	struct progress progress;
	uint64_t n_read;
	/*
	 * Samples by event and half (1 = guest), counted by input_read(); events beyond the last
	 * share it.
	 */
	uint64_t n_samples[INPUT_EVENTS_MAX][2];
	vpmu_sample_fn fn;
	void *data;
};

/* Opens the file @i of @args, or the default one if there is none. */
int input_open(const struct input_args *args, size_t i, struct input *ret_input, struct vpmu_error *reterr);
/* After that failed: was one of @operands meant to be the recording, as it is for other programs? Then the hint says so. */
void input_hint_at_files(const struct input_args *args, const struct name_list *operands, struct vpmu_error *error);
void input_close(struct input *input);
#define _input_ __attribute__((cleanup(input_close)))

/* A resolved profile as input; both are taken. */
int input_take_profile(struct vpmu_profile *profile, char *name, struct input *ret_input,
		       struct vpmu_error *reterr);

/* Of either kind: events (NULL beyond the end), totals. */
const struct vpmu_event_info *input_event_info(const struct input *input, size_t i);
size_t input_events(const struct input *input);
void input_coverage(const struct input *input, struct vpmu_coverage *ret_coverage);

/* Everything to @fn, with progress; damage is said. */
int input_read(struct input *input, vpmu_sample_fn fn, void *data, struct vpmu_error *reterr);

/* Hands the files in @args to the recording's symbolizer. */
int input_name(struct input *input, const struct guest_file_args *args, struct vpmu_error *reterr);

/*
 * Makes sure that the guests which @args and @names mention are known, by reading everything once
 * if need be. For those who want names while they read; standard input can be read once only, and
 * then such guests are not found.
 */
int input_know_guests(struct input *input, const struct guest_file_args *args,
		      const struct name_list *names, struct vpmu_error *reterr);

/* Which guests @names means: *ret_chosen[i] for guest i, to be freed; NULL for all. */
int input_select(const struct input *input, const struct name_list *names, bool **ret_chosen,
		 size_t *ret_n, struct vpmu_error *reterr);

/* Guest @spec (name, UUID, pid:N) of the recording; -ENOENT, the hint lists those there are. */
int input_find_guest(const struct input *input, const char *spec, uint32_t *ret_guest,
		     struct vpmu_error *reterr);

/* The same for all @names. */
int input_check_guests(const struct input *input, const struct name_list *names, struct vpmu_error *reterr);

/*
 * A profile knows guests by name and UUID: in *ret_names (its strings are the recording's and those of
 * @names) "pid:N" and a UUID in capitals are what the profile has for them. What means no guest stays.
 */
void input_guest_names(const struct input *input, const struct name_list *names,
		       struct name_list *ret_names);

/* Reads everything into a new, resolved profile; a stored one is given away. */
int input_profile(struct input *input, const struct guest_file_args *files,
		  const struct vpmu_profile_opts *opts, struct vpmu_profile **ret_profile,
		  struct vpmu_error *reterr);

/*
 * The event that @spec means (a name, or a number from 0); -ENOENT, the text lists those there
 * are.
 */
int input_event(const struct input *input, const char *spec, uint32_t *ret_event,
		struct vpmu_error *reterr);

/* The event that has the most samples on both halves; false if none has any on both. */
bool input_common_event(const struct input *input, uint32_t *ret_event);

/* The event with the most samples on the halves of @sides. */
uint32_t input_busiest_event(const struct input *input, unsigned int sides);

DEFINE_CLEANUP(struct vpmu_profile *, vpmu_profile_free)
DEFINE_CLEANUP(struct vpmu_report *, vpmu_report_free)
DEFINE_CLEANUP(struct vpmu_diff *, vpmu_diff_free)

#endif
