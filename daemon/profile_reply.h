/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From profiles to what goes to the client: for the pool, since it may take seconds. Sizes are bounded: -EMSGSIZE. */
#ifndef DAEMON_PROFILE_REPLY_H
#define DAEMON_PROFILE_REPLY_H

#include <vpmu/profile.h>
#include "client/json.h"
#include "store.h"

/* What a reply may be long at most (org.vpmu, Report). */
#define PROFILE_REPLY_BYTES_MAX (16u << 20)

struct profile_reply_opts {
	struct vpmu_report_opts report; /* sides, sort, …; the event is chosen here */
	struct vpmu_diff_opts diff;	/* likewise */
	const char *format;		/* of an export */
	const char *title;
	const struct store_kept *kept[2]; /* of what was asked for; of a comparison, base and other */
};

/* How much of the time that was asked for there was; nothing if it was of a session. */
void profile_reply_kept(struct json_object *reply, const char *key, const struct store_kept *kept);

/* {coverage, kept, rows}: of each event in turn. */
int profile_reply_report(const struct vpmu_profile *profile, const struct profile_reply_opts *opts,
			 struct json_object **ret_reply, struct vpmu_error *reterr);

/* {base_samples, other_samples, base_kept, other_kept, rows} */
int profile_reply_diff(const struct vpmu_profile *base, const struct vpmu_profile *other,
		       const struct profile_reply_opts *opts, struct json_object **ret_reply, struct vpmu_error *reterr);

/* One of vpmu_export_format(), or "vpmu". */
bool profile_reply_is_format(const char *format);

/* A file that can only be read (spool.h), at its beginning: the caller's to close. */
int profile_reply_export(const struct vpmu_profile *profile, const struct profile_reply_opts *opts, int *ret_fd,
			 uint64_t *ret_bytes, struct vpmu_error *reterr);

/* The file's bytes in base64, the caller's to free(). */
int profile_reply_inline(int fd, uint64_t bytes, char **ret_text, struct vpmu_error *reterr);

/* Only these guests of @profile; what cannot be told apart stays. *profile is freed and replaced. */
int profile_reply_reduce(struct vpmu_profile **profile, const uint32_t *guests, size_t n, struct vpmu_error *reterr);

#endif
