/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A Source of the interface (org.vpmu): which samples a call is about; and how its profile is had, from a session or from
 * the store. What the caller may not see does not come.
 */
#ifndef DAEMON_PROFILE_SOURCE_H
#define DAEMON_PROFILE_SOURCE_H

#include <vpmu/profile.h>
#include "call.h"
#include "manager.h"
#include "store.h"
#include "util/vec.h"

struct json_object;

struct profile_source {
	char *session;	       /* NULL = the store */
	VEC(char *) patterns;  /* guests; none = all that the caller may see */
	int64_t since_ms, until_ms;
	unsigned int sides;    /* 0 = all */
	struct store_kept kept; /* what there was of that time, once the profile is there; minutes = 0: of a session */
};
void profile_source_deinit(struct profile_source *source);

/*
 * profile_source_parse - the parameter @name of @call (its types were checked). 1 and *ret_source; 0 if it makes no sense and the call
 * has been answered; -ENOMEM.
 */
int profile_source_parse(struct call *call, const char *name, struct profile_source *ret_source);

/*
 * profile_source_get - @fn gets the profile, in the loop, its to free and to read only; or NULL and an error. 1 if it will be called; 0 if the call has
 * been answered instead; -ENOMEM, -EBUSY. Of a session it is the whole profile: profile_source_choose().
 */
typedef void (*profile_source_fn)(struct vpmu_profile *profile, const struct vpmu_error *error, void *data);
int profile_source_get(struct profile_source *source, struct call *call, struct manager *manager, profile_source_fn fn,
		       void *data);

/* Nobody wants to know any more what profile_source_get() was asked for with @data: fn may be called from here. */
void profile_source_cancel(const struct manager *manager, const void *data);

/*
 * profile_source_choose - the guests of @profile that are meant, by number, *ret_guests, to be freed; NULL if all are, and what
 * belongs to none. Any thread. -ENOENT (none: @reterr, the guest is *ret_subject, the source's), -ENOMEM.
 */
int profile_source_choose(const struct profile_source *source, const struct vpmu_profile *profile, uint32_t **ret_guests,
			  size_t *ret_n, const char **ret_subject, struct vpmu_error *reterr);

#endif
