/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access.h"
#include "pattern.h"
#include "say.h"
#include "userdb.h"
#include "util/error.h"
#include "util/macro.h"

/* [access] with numbers for names. */
struct accounts {
	VEC(uid_t) users;
	VEC(gid_t) groups;
};

struct rules {
	struct accounts readers, operators;
	VEC(struct config_tie) ties;
	uint32_t max_total[CHARGE_COUNT], max_each[CHARGE_COUNT];
	uint64_t max_queued_bytes;
};

/* What one user has in use; forgotten when that is nothing. */
struct user {
	uid_t uid;
	uint32_t counts[CHARGE_COUNT];
	uint64_t queued_bytes;
};

struct access {
	struct rules rules;
	uid_t own_uid;
	VEC(struct user) users;
	uint32_t totals[CHARGE_COUNT];
};

/* ---- rules ---- */

static void deinit_rules(struct rules *rules)
{
	vec_free(&rules->readers.users);
	vec_free(&rules->readers.groups);
	vec_free(&rules->operators.users);
	vec_free(&rules->operators.groups);
	vec_for_each(tie, &rules->ties) {
		vec_for_each(guest, &tie->guests)
			free(*guest);
		vec_free(&tie->guests);
	}
	vec_free(&rules->ties);
}

static int add_account(struct accounts *accounts, const char *name)
{
	uid_t uid;
	gid_t gid;

	if (name[0] == '@') {
		if (group_find(name + 1, &gid) < 0) {
			say_warning("ignoring the group '%s' in [access]: there is none of this name", name + 1);
			return 0;
		}
		return vec_push(&accounts->groups, gid) ? 0 : -ENOMEM;
	}
	if (user_find(name, &uid) < 0) {
		say_warning("ignoring the user '%s' in [access]: there is none of this name", name);
		return 0;
	}
	return vec_push(&accounts->users, uid) ? 0 : -ENOMEM;
}

static int add_tie(struct rules *rules, const struct config_tie *tie)
{
	struct config_tie copy = { .uid = tie->uid };

	if (!vec_push(&rules->ties, copy))
		return -ENOMEM;
	vec_for_each(guest, &tie->guests) {
		config_names *guests = &rules->ties.items[rules->ties.n - 1].guests;
		_free_ char *name = strdup(*guest);

		if (!name || !vec_push(guests, name))
			return -ENOMEM;
		name = NULL; /* the list's */
	}
	return 0;
}

static int read_rules(const struct config *config, struct rules *rules)
{
	int r = 0;

	vec_for_each(name, &config->readers)
		r = r < 0 ? r : add_account(&rules->readers, *name);
	vec_for_each(name, &config->operators)
		r = r < 0 ? r : add_account(&rules->operators, *name);
	vec_for_each(tie, &config->ties)
		r = r < 0 ? r : add_tie(rules, tie);
	rules->max_total[CHARGE_CONNECTION] = config->max_connections;
	rules->max_each[CHARGE_CONNECTION] = config->max_connections_per_user;
	rules->max_total[CHARGE_SESSION] = config->max_sessions;
	rules->max_each[CHARGE_SESSION] = config->max_sessions_per_user;
	rules->max_total[CHARGE_STREAM] = UINT32_MAX;
	rules->max_each[CHARGE_STREAM] = config->max_subscriptions_per_user;
	rules->max_queued_bytes = config->max_queued_bytes;
	return r;
}

int access_new(const struct config *config, struct access **ret_access, struct vpmu_error *reterr)
{
	_cleanup_(access_freep) struct access *access = calloc(1, sizeof(*access));

	if (!access)
		return error_oom(reterr);
	access->own_uid = geteuid();
	if (read_rules(config, &access->rules) < 0)
		return error_oom(reterr);
	*ret_access = take_ptr(access);
	return 0;
}

struct access *access_free(struct access *access)
{
	if (!access)
		return NULL;
	deinit_rules(&access->rules);
	vec_free(&access->users);
	free(access);
	return NULL;
}

int access_reload(struct access *access, const struct config *config, struct vpmu_error *reterr)
{
	_cleanup_(deinit_rules) struct rules rules = {};
	struct rules before;

	if (read_rules(config, &rules) < 0)
		return error_oom(reterr);
	before = access->rules;
	access->rules = rules;
	rules = before; /* which go now */
	return 0;
}

/* ---- rights ---- */

static bool unbound(const struct access *access, uid_t uid)
{
	return uid == 0 || uid == access->own_uid;
}

static bool has(const struct accounts *accounts, const struct peer *peer)
{
	vec_for_each(uid, &accounts->users)
		if (*uid == peer->uid)
			return true;
	vec_for_each(gid, &accounts->groups) {
		if (*gid == peer->gid)
			return true;
		for (size_t i = 0; i < peer->n_groups; i++)
			if (*gid == peer->groups[i])
				return true;
	}
	return false;
}

static const struct config_tie *tie_of(const struct access *access, const struct peer *peer)
{
	if (unbound(access, peer->uid))
		return NULL;
	vec_for_each(tie, &access->rules.ties)
		if (tie->uid == peer->uid)
			return tie;
	return NULL;
}

bool access_may(const struct access *access, const struct peer *peer, enum right right)
{
	if (unbound(access, peer->uid) || has(&access->rules.operators, peer))
		return true;
	return right == RIGHT_READ && (has(&access->rules.readers, peer) || tie_of(access, peer));
}

bool access_sees_all(const struct access *access, const struct peer *peer)
{
	return access_may(access, peer, RIGHT_READ) && !tie_of(access, peer);
}

bool access_may_see(const struct access *access, const struct peer *peer, const char *name, const char *uuid)
{
	const struct config_tie *tie = tie_of(access, peer);

	if (!tie)
		return access_may(access, peer, RIGHT_READ);
	vec_for_each(pattern, &tie->guests)
		if (pattern_means(*pattern, name, uuid, 0))
			return true;
	return false;
}

/* ---- accounts ---- */

static struct user *find_user(const struct access *access, uid_t uid)
{
	vec_for_each(user, &access->users)
		if (user->uid == uid)
			return user;
	return NULL;
}

static struct user *get_user(struct access *access, uid_t uid)
{
	struct user *user = find_user(access, uid);

	if (user)
		return user;
	if (!vec_push(&access->users, (struct user){ .uid = uid }))
		return NULL;
	return &access->users.items[access->users.n - 1];
}

static void forget_idle(struct access *access, struct user *user)
{
	for (int what = 0; what < CHARGE_COUNT; what++)
		if (user->counts[what])
			return;
	if (user->queued_bytes == 0)
		*user = access->users.items[--access->users.n];
}

int access_charge(struct access *access, uid_t uid, enum charge what, uint32_t *ret_limit)
{
	const struct rules *rules = &access->rules;
	struct user *user = get_user(access, uid);

	if (!user)
		return -ENOMEM;
	if (user->counts[what] >= rules->max_each[what]) {
		*ret_limit = rules->max_each[what];
		forget_idle(access, user);
		return -EDQUOT;
	}
	if (access->totals[what] >= rules->max_total[what] && !unbound(access, uid)) {
		*ret_limit = rules->max_total[what];
		forget_idle(access, user);
		return -EDQUOT;
	}
	user->counts[what]++;
	access->totals[what]++;
	return 0;
}

void access_discharge(struct access *access, uid_t uid, enum charge what)
{
	struct user *user = find_user(access, uid);

	user->counts[what]--;
	access->totals[what]--;
	forget_idle(access, user);
}

uint32_t access_charged(const struct access *access, enum charge what)
{
	return access->totals[what];
}

int access_charge_bytes(struct access *access, uid_t uid, size_t n)
{
	struct user *user = get_user(access, uid);

	if (!user)
		return -ENOMEM;
	if (user->queued_bytes + n > access->rules.max_queued_bytes) {
		forget_idle(access, user);
		return -EDQUOT;
	}
	user->queued_bytes += n;
	return 0;
}

void access_discharge_bytes(struct access *access, uid_t uid, size_t n)
{
	struct user *user = find_user(access, uid);

	user->queued_bytes -= n;
	forget_idle(access, user);
}
