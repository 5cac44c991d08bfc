/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmud's errors, as errnos and words. */
#ifndef CLIENT_CLIENT_ERROR_H
#define CLIENT_CLIENT_ERROR_H

#include <vpmu/error.h>

struct json_object;

/*
 * Fills @reterr for the varlink error @name ("org.vpmu.GuestNotFound") that came with @parameters (a JSON object or NULL) in
 * answer to @method. What they say is vpmud's, and still taken with care: it is cut and cleaned. Returns the negative errno.
 */
int client_error(const char *name, struct json_object *parameters, const char *method, struct vpmu_error *reterr);

#endif
