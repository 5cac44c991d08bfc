/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdatomic.h>
#include <time.h>

#include "minute.h"
#include "say.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

struct part {
	char *name, *uuid;
	void *bytes;
	size_t n_bytes;
};

enum progress { WAITING, WORKING, WORKED };

/* One minute on its way. Its job owns it; `minutes` is NULL once the parts are in the store, or nobody waits for them. */
struct minute {
	struct minutes *minutes;
	struct vpmu_profile *profile;
	int64_t minute_ms;
	atomic_int progress;
	VEC(struct part) parts;
	struct vpmu_error error;
};

struct minutes {
	struct jobs *jobs;
	struct store *store;
	VEC(struct minute *) under_way;
};

static void minute_free(struct minute *m)
{
	vec_for_each(part, &m->parts) {
		free(part->name);
		free(part->uuid);
		free(part->bytes);
	}
	vec_free(&m->parts);
	vpmu_profile_free(m->profile);
	free(m);
}

/* ---- in the pool ---- */

static void add_part(struct minute *m, const struct vpmu_profile_write_opts *opts, const char *name, const char *uuid)
{
	struct part part = { .name = strdup(name), .uuid = strdup(uuid) };

	if (!part.name || !part.uuid)
		error_oom(&m->error);
	else if (vpmu_profile_write(m->profile, opts, &part.bytes, &part.n_bytes, &m->error) == 0 && vec_push(&m->parts, part))
		return;
	free(part.name);
	free(part.uuid);
	free(part.bytes);
}

/* Most minutes have nothing that cannot be told apart by guest. */
static bool has_rest(const struct vpmu_profile *profile)
{
	struct vpmu_coverage c;

	vpmu_profile_coverage(profile, &c);
	return c.lost || c.throttled || c.truncated_chains || c.damaged_records || c.guest_chains || c.guest_processes ||
	       vpmu_profile_guest_samples(profile, VPMU_NO_GUEST);
}

static void take_apart(struct minute *m)
{
	const char *name, *uuid;

	for (uint32_t i = 0; vpmu_profile_guest(m->profile, i, &name, &uuid); i++) {
		VPMU_OPTS(vpmu_profile_write_opts, opts, .guests = &i, .n_guests = 1, .no_rest = true);

		if (vpmu_profile_guest_samples(m->profile, i))
			add_part(m, &opts, name, uuid);
	}
	if (has_rest(m->profile)) {
		const uint32_t nobody = 0;
		VPMU_OPTS(vpmu_profile_write_opts, opts, .guests = &nobody, .n_guests = 0);

		add_part(m, &opts, "", "");
	}
	m->profile = vpmu_profile_free(m->profile);
}

/* True if it was this caller who did it. */
static bool claim(struct minute *m)
{
	int waiting = WAITING;

	if (!atomic_compare_exchange_strong(&m->progress, &waiting, WORKING))
		return false;
	take_apart(m);
	m->progress = WORKED;
	return true;
}

static void work(void *data)
{
	(void)claim(data);
}

/* ---- in the loop ---- */

static void hand_over(struct minute *m, struct store *store)
{
	if (m->error.code)
		say_error(&m->error);
	vec_for_each(part, &m->parts) {
		if (store_put(store, part->name, part->uuid, m->minute_ms, take_ptr(part->bytes), part->n_bytes) < 0)
			say_warning("no memory to keep a minute of guest '%s'", part->name);
	}
}

static void end_of_work(void *data, bool cancelled)
{
	struct minute *m = data;
	struct minutes *minutes = m->minutes;

	(void)cancelled;
	for (size_t i = 0; minutes && i < minutes->under_way.n; i++)
		if (minutes->under_way.items[i] == m)
			minutes->under_way.items[i--] = minutes->under_way.items[--minutes->under_way.n];
	if (minutes && m->progress == WORKED)
		hand_over(m, minutes->store);
	minute_free(m);
}

struct minutes *minutes_new(struct jobs *jobs, struct store *store)
{
	struct minutes *minutes = calloc(1, sizeof(*minutes));

	if (!minutes)
		return NULL;
	minutes->jobs = jobs;
	minutes->store = store;
	return minutes;
}

struct minutes *minutes_free(struct minutes *minutes)
{
	if (!minutes)
		return NULL;
	vec_for_each(under_way, &minutes->under_way) {
		struct minute *m = *under_way;

		/* A thread of the pool is just at it: a matter of milliseconds. */
		while (!claim(m) && m->progress != WORKED)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		hand_over(m, minutes->store);
		m->minutes = NULL;
	}
	vec_free(&minutes->under_way);
	free(minutes);
	return NULL;
}

void minutes_keep(struct minutes *minutes, struct vpmu_profile *profile, int64_t minute_ms)
{
	struct minute *m = minutes->store ? calloc(1, sizeof(*m)) : NULL;

	if (!m || !vec_reserve(&minutes->under_way, 1)) {
		free(m);
		vpmu_profile_free(profile);
		return;
	}
	*m = (struct minute){ .minutes = minutes, .profile = profile, .minute_ms = minute_ms };
	if (jobs_run(minutes->jobs, work, end_of_work, m) < 0) {
		say_warning("the pool is full: a minute of all guests is lost");
		minute_free(m);
		return;
	}
	minutes->under_way.items[minutes->under_way.n++] = m;
}
