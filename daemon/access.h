/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may do what: the configuration's [access] applied to a peer. Users and groups are looked up when the configuration is
 * read; which groups a peer is in, the kernel told when it connected.
 *
 * Also what each user has in use (account): connections, sessions, streams, bytes that wait for it. Every charge is given back
 * exactly once.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include "call.h"
#include "config.h"

struct access;

int access_new(const struct config *config, struct access **ret_access, struct vpmu_error *reterr);
struct access *access_free(struct access *access);
DEFINE_CLEANUP(struct access *, access_free)
/* After a reload: rights as in @config from now on; what is charged stays. */
int access_reload(struct access *access, const struct config *config, struct vpmu_error *reterr);

bool access_may(const struct access *access, const struct peer *peer, enum right right);
/* May @peer see a guest with this name and UUID? Those who are tied to certain guests see no others. */
bool access_may_see(const struct access *access, const struct peer *peer, const char *name, const char *uuid);
/* Sees all guests: may open node-wide sessions and see what is not of a guest. */
bool access_sees_all(const struct access *access, const struct peer *peer);

enum charge { CHARGE_CONNECTION, CHARGE_SESSION, CHARGE_STREAM, CHARGE_COUNT };
/*
 * -EDQUOT: the user, or all users together, have that many; *ret_limit says how many. What all have together does not bind root
 * and vpmud's own user, so that somebody can always look.
 */
int access_charge(struct access *access, uid_t uid, enum charge what, uint32_t *ret_limit);
void access_discharge(struct access *access, uid_t uid, enum charge what);
/* Of all users. */
uint32_t access_charged(const struct access *access, enum charge what);

/* Bytes that wait to be read by this user. -EDQUOT: too many, nothing was charged. */
int access_charge_bytes(struct access *access, uid_t uid, size_t n);
void access_discharge_bytes(struct access *access, uid_t uid, size_t n);

#endif
