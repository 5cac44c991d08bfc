/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Profiles that vpmud has: of a period, out of its store, or of one of its sessions. They come resolved and are then what a
 * recording's profile is; no option of report, diff and export needs to know the difference.
 */
#ifndef CLI_STORED_H
#define CLI_STORED_H

#include "input.h"
#include "output.h"
#include "period.h"
#include "remote.h"

struct stored_args {
	const char *since, *until, *session;
	const char *base; /* of diff */
	const char *socket;
};
extern const struct option_spec stored_options[], two_stored_options[];

/* Is vpmud to be asked, and not a file? */
bool stored_wanted(const struct stored_args *args);

/* What was asked for. */
struct stored {
	struct vpmu_client *client;
	struct period period, base; /* 0 to 0 = of a session; base.until_ms = 0 = none */
	int64_t oldest_ms;	    /* when what vpmud has begins; 0 = it has nothing, or does not tell this user */
	const char *session;
};
void stored_close(struct stored *stored);
#define _stored_ __attribute__((cleanup(stored_close)))

/*
 * stored_open - check the options, connect. @files: recordings, which exclude it; @names: files with guests' symbols, too.
 * Returns STATUS_USAGE or STATUS_FAILED, having said why.
 */
enum status stored_open(const struct stored_args *args, const struct input_args *files,
			const struct guest_file_args *names, struct stored *ret_stored);

/* stored_input - fetch what samples of @guests (all, if it is empty) there are in @period, or of the session. */
int stored_input(const struct stored *stored, const struct period *period, const struct name_list *guests,
		 unsigned int sides, struct input *ret_input, struct vpmu_error *reterr);

struct json_object;

/* For people, a line, if minutes that were asked for have no profile. */
void stored_gaps_text(const struct input *input, struct strbuf *out);
/* For programs: which time was asked for, and of which there is something. NULL: it is of a session. */
struct json_object *stored_time_json(const struct input *input);

/* Where a profile comes from: what vpmud has if that was asked for, else a recording. */
struct profile_source {
	const struct stored_args *stored;
	const struct input_args *input;
	const struct guest_file_args *files;
	unsigned int sides;
};

/*
 * profile_open - the resolved profile of @source. *ret_guests: which of its guests @operands mean, as reports take them; none =
 * all of them. Says what is wrong.
 */
enum status profile_open(const struct profile_source *source, const struct name_list *operands,
			 const struct vpmu_profile_opts *opts, struct input *ret_input,
			 struct vpmu_profile **ret_profile, struct name_list *ret_guests);

#endif
