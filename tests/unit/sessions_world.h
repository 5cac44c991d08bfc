/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of sessions share: a vpmud around them, over processes that look like QEMU's. Needs perf events, but no KVM. */
#ifndef TESTS_UNIT_SESSIONS_WORLD_H
#define TESTS_UNIT_SESSIONS_WORLD_H

#include <errno.h>

#include "daemon/access.h"
#include "daemon/domains.h"
#include "daemon/sessions.h"
#include "qemu_process.h"
#include "test.h"
#include "util/macro.h"

/* A vpmud without server, on a node with as many counters as the story wants, and what was heard. */
struct world {
	struct manager manager;
	int started, failed, ended, stopped, looks;
	struct session *last_started;
	struct vpmu_error error;
	struct vpmu_coverage coverage; /* of the last look */
};

static inline void on_grant(uint64_t request, size_t event, const struct grant *grant, void *data)
{
	struct world *world = data;

	sessions_grant_changed(world->manager.sessions, request, event, grant);
}

static inline struct world *world_new(void)
{
	struct arbiter_node node = { .n_counters = 0, .max_requests = 20 };
	struct world *world = calloc(1, sizeof(*world));
	struct manager *m = &world->manager;
	struct vpmu_error error;

	CHECK(world);
	CHECK_EQ(config_new(&m->config, NULL), 0);
	m->config->max_sessions_per_user = 3;
	m->config->max_sessions = 5;
	m->config->other_guests = true;
	if (sd_event_new(&m->loop) < 0 || jobs_new(m->loop, 2, &m->jobs, &error) < 0 ||
	    access_new(m->config, &m->access, &error) < 0 ||
	    domains_new(m->loop, m->config, NULL, &m->domains, &error) < 0 ||
	    arbiter_new(&node, on_grant, world, &m->arbiter) < 0 || sessions_new(m, &m->sessions, &error) < 0)
		FAIL("%s", error.text);
	return world;
}

static inline struct world *world_free(struct world *world)
{
	struct manager *m = &world->manager;

	m->sessions = sessions_free(m->sessions);
	CHECK_EQ(access_charged(m->access, CHARGE_SESSION), 0);
	arbiter_free(m->arbiter);
	domains_free(m->domains);
	jobs_free(m->jobs);
	access_free(m->access);
	sd_event_unref(m->loop);
	config_free(m->config);
	free(world);
	return NULL;
}

static inline void on_started(struct session *session, const struct vpmu_error *error, void *data)
{
	struct world *world = data;

	CHECK_EQ(session == NULL, error != NULL);
	world->last_started = session;
	world->started += session != NULL;
	world->failed += session == NULL;
	if (error)
		world->error = *error;
}

static inline void on_ended(struct session *session, void *data)
{
	struct world *world = data;

	(void)session;
	world->ended++;
}

static inline void on_stopped(struct session *session, void *data)
{
	struct world *world = data;

	(void)session;
	world->stopped++;
}

static inline void on_look(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct world *world = data;

	CHECK_EQ(profile == NULL, error != NULL);
	world->looks++;
	world->error = error ? *error : (struct vpmu_error){};
	if (profile)
		vpmu_profile_coverage(profile, &world->coverage);
	vpmu_profile_free(profile);
}

static inline void turn(struct world *world)
{
	CHECK_CMP(sd_event_run(world->manager.loop, 10000), >=, 0);
}

static inline void wait_for(struct world *world, const int *count, int n)
{
	WAIT_UNTIL(*count >= n, turn(world));
	CHECK_EQ(*count, n);
}

__attribute__((unused)) static const struct session_events events = { .started = on_started, .ended = on_ended };
__attribute__((unused)) static const struct peer root = { .uid = 0 }, nobody = { .uid = 65534, .gid = 65534 };

/* 0, or why not. */
static inline int start(struct world *world, const struct session_wishes *wishes, struct session_refusal *refusal)
{
	struct session_wishes all = *wishes;
	struct session *session;
	int r;

	if (!all.owner)
		all.owner = &root;
	if (!all.events)
		all.events = "cpu-clock";
	if (!all.frequency_hz)
		all.frequency_hz = 1000;
	all.sides = VPMU_SIDES_ALL;
	if (!all.record_fd)
		all.record_fd = -1;
	r = sessions_start(world->manager.sessions, &all, &events, world, &session, refusal);
	return r;
}

static inline struct session *must_start(struct world *world, const struct session_wishes *wishes)
{
	int started = world->started, failed = world->failed;
	struct session_refusal refusal;

	if (start(world, wishes, &refusal) < 0)
		FAIL("%s", refusal.error.text);
	session_refusal_deinit(&refusal);
	WAIT_UNTIL(world->started != started || world->failed != failed, turn(world));
	if (world->failed > failed && (world->error.code == -EACCES || world->error.code == -EPERM))
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	if (world->failed > failed)
		FAIL("%s", world->error.text);
	CHECK_EQ(world->started, started + 1);
	return world->last_started;
}

static inline struct session_info wait_for_samples(struct world *world, const struct session *session, uint64_t n)
{
	struct session_info info;

	WAIT_UNTIL((session_info(session, &info), info.status.coverage.samples >= n), turn(world));
	return info;
}

/* A guest and its pattern. */
static inline const char *guest_name(const char *name)
{
	static char text[4][64];
	static unsigned int at;

	at = (at + 1) % ARRAY_SIZE(text);
	snprintf(text[at], sizeof(text[at]), "unit-%d-%s", (int)getpid(), name);
	return text[at];
}

/* A grant as the arbiter takes it back; events of a PMU are not to be had everywhere. */
static inline void take_away(struct world *world, struct session *session, enum grant_status status, size_t event)
{
	struct session_info info;
	struct grant grant = { status, "taken" };

	(void)session;
	session_info(session, &info);
	CHECK_EQ(info.plan->grants[event].status, GRANT_GRANTED);
	sessions_grant_changed(world->manager.sessions, 1, event, &grant);
}

#endif
