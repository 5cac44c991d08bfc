/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions over processes that look like QEMU's: needs perf events, but no KVM. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

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

static void on_grant(uint64_t request, size_t event, const struct grant *grant, void *data)
{
	struct world *world = data;

	sessions_grant_changed(world->manager.sessions, request, event, grant);
}

static struct world *world_new(void)
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

static struct world *world_free(struct world *world)
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

static void on_started(struct session *session, const struct vpmu_error *error, void *data)
{
	struct world *world = data;

	CHECK_EQ(session == NULL, error != NULL);
	world->last_started = session;
	world->started += session != NULL;
	world->failed += session == NULL;
	if (error)
		world->error = *error;
}

static void on_ended(struct session *session, void *data)
{
	struct world *world = data;

	(void)session;
	world->ended++;
}

static void on_stopped(struct session *session, void *data)
{
	struct world *world = data;

	(void)session;
	world->stopped++;
}

static void on_look(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct world *world = data;

	CHECK_EQ(profile == NULL, error != NULL);
	world->looks++;
	world->error = error ? *error : (struct vpmu_error){};
	if (profile)
		vpmu_profile_coverage(profile, &world->coverage);
	vpmu_profile_free(profile);
}

static void turn(struct world *world)
{
	CHECK_CMP(sd_event_run(world->manager.loop, 10000), >=, 0);
}

static void wait_for(struct world *world, const int *count, int n)
{
	for (int i = 0; i < 2000 && *count < n; i++)
		turn(world);
	CHECK_EQ(*count, n);
}

static const struct session_events events = { .started = on_started, .ended = on_ended };
static const struct peer root = { .uid = 0 }, nobody = { .uid = 65534, .gid = 65534 };

/* 0, or why not. */
static int start(struct world *world, const struct session_wishes *wishes, struct session_refusal *refusal)
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

static struct session *must_start(struct world *world, const struct session_wishes *wishes)
{
	int started = world->started, failed = world->failed;
	struct session_refusal refusal;

	if (start(world, wishes, &refusal) < 0)
		FAIL("%s", refusal.error.text);
	session_refusal_deinit(&refusal);
	for (int i = 0; i < 2000 && world->started == started && world->failed == failed; i++)
		turn(world);
	if (world->failed > failed && (world->error.code == -EACCES || world->error.code == -EPERM))
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
	if (world->failed > failed)
		FAIL("%s", world->error.text);
	CHECK_EQ(world->started, started + 1);
	return world->last_started;
}

static struct session_info wait_for_samples(struct world *world, const struct session *session, uint64_t n)
{
	struct session_info info;

	for (int i = 0; i < 2000; i++) {
		session_info(session, &info);
		if (info.status.coverage.samples >= n)
			return info;
		turn(world);
	}
	FAIL("%" PRIu64 " samples, not %" PRIu64, info.status.coverage.samples, n);
}

/* A guest and its pattern. */
static const char *guest_name(const char *name)
{
	static char text[2][64];
	static int at;

	at = !at;
	snprintf(text[at], sizeof(text[at]), "unit-%d-%s", (int)getpid(), name);
	return text[at];
}

static void count_guest(const struct domain *domain, void *data)
{
	CHECK(domain->running);
	++*(int *)data;
}

TEST(a_session_sees_the_guests_of_now_and_those_that_come)
{
	pid_t first = qemu_start(guest_name("a"), 1), second;
	struct world *world = world_new();
	const char *pattern = guest_name("*");
	struct session *session = must_start(world, &(struct session_wishes){ .guests = &pattern, .n_guests = 1 });
	struct session_info info;
	int active = 0;

	wait_for_samples(world, session, 20);
	session_active_guests(session, count_guest, &active);
	CHECK_EQ(active, 1);
	second = qemu_start(guest_name("b"), 1);
	domains_look(world->manager.domains);
	for (info.status.n_guests = 0; info.status.n_guests < 2; session_info(session, &info))
		turn(world);
	qemu_end(first);
	info = wait_for_samples(world, session, info.status.coverage.samples + 50);
	CHECK_EQ(info.state, SESSION_RUNNING);
	CHECK_EQ(info.remaining_ms, -1);
	CHECK_CONTAINS(info.name, "session-");
	CHECK_STR(info.source, "cpu-clock 1000 Hz");
	CHECK_EQ(sessions_stop(session, on_stopped, world), 0);
	CHECK_EQ(sessions_stop(session, on_stopped, world), -EALREADY);
	wait_for(world, &world->stopped, 1);
	CHECK_EQ(world->ended, 1);
	CHECK(!sessions_get(world->manager.sessions, 0));
	qemu_end(second);
	world_free(world);
}

TEST(looks_add_up_and_outlive_the_sessions_time)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session_wishes wishes = { .duration_ns = 300000000, .name = "mine" };
	struct session *session = must_start(world, &wishes);
	struct session_info info;
	uint64_t before;

	wait_for_samples(world, session, 30);
	CHECK_EQ(session_look(session, on_look, world), 0);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 2);
	CHECK_EQ(world->error.code, 0);
	before = world->coverage.samples;
	CHECK_CMP(before, >=, 30);
	wait_for(world, &world->ended, 1);
	session_info(session, &info);
	CHECK_EQ(info.state, SESSION_DONE);
	CHECK_EQ(info.remaining_ms, 0);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 3);
	CHECK_CMP(world->coverage.samples, >=, before);
	CHECK_EQ(world->coverage.samples, info.status.coverage.samples);
	CHECK(sessions_find(world->manager.sessions, &root, "mine") == session);
	CHECK(!sessions_find(world->manager.sessions, &root, "other"));
	CHECK_EQ(sessions_stop(session, on_stopped, world), 0);
	CHECK_EQ(world->stopped, 1);
	CHECK(!sessions_find(world->manager.sessions, &root, "mine"));
	qemu_end(guest);
	world_free(world);
}

static void keep_look(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct vpmu_profile **kept = data;

	CHECK(!error);
	*kept = profile;
}

/* How many look is no matter of memory. The first is served by itself, before the loop hears of the others. */
TEST(who_looks_at_the_same_time_gets_the_same_profile)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session *session = must_start(world, &(struct session_wishes){ .duration_ns = 200000000 });
	struct vpmu_profile *kept[3] = {};

	wait_for(world, &world->ended, 1);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		CHECK_EQ(session_look(session, keep_look, &kept[i]), 0);
	while (!kept[1] || !kept[2])
		turn(world);
	CHECK(kept[1] == kept[2]);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		vpmu_profile_free(kept[i]);
	qemu_end(guest);
	world_free(world);
}

TEST(the_connections_end_is_its_sessions_end)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session *lasting;

	must_start(world, &(struct session_wishes){ .connection = 7 });
	must_start(world, &(struct session_wishes){ .connection = 7, .duration_ns = 1 });
	lasting = must_start(world, &(struct session_wishes){ .connection = 0 });
	wait_for(world, &world->ended, 1);
	sessions_connection_gone(world->manager.sessions, 8);
	CHECK(sessions_get(world->manager.sessions, 2));
	sessions_connection_gone(world->manager.sessions, 7);
	for (int i = 0; i < 2000 && sessions_get(world->manager.sessions, 1); i++)
		turn(world);
	CHECK(sessions_get(world->manager.sessions, 0) == lasting);
	CHECK_EQ(access_charged(world->manager.access, CHARGE_SESSION), 1);
	qemu_end(guest);
	world_free(world);
}

static void check_refused(struct world *world, const struct session_wishes *wishes, int code, const char *subject)
{
	struct session_refusal refusal;

	CHECK_EQ(start(world, wishes, &refusal), code);
	CHECK_EQ(refusal.error.code, code);
	CHECK(refusal.error.text[0]);
	if (subject)
		CHECK_STR(refusal.subject, subject);
	session_refusal_deinit(&refusal);
}

TEST(what_cannot_be_is_refused_and_costs_nothing)
{
	const char *unknown = guest_name("unknown");
	struct world *world = world_new();
	int fd = memfd_create("recording", MFD_CLOEXEC);

	must_start(world, &(struct session_wishes){ .name = "taken" });
	check_refused(world, &(struct session_wishes){ .name = "taken" }, -EEXIST, NULL);
	check_refused(world, &(struct session_wishes){ .name = "white space" }, -EINVAL, "name");
	check_refused(world, &(struct session_wishes){ .name = "" }, -EINVAL, "name");
	check_refused(world, &(struct session_wishes){ .priority = 101 }, -EINVAL, "priority");
	check_refused(world, &(struct session_wishes){ .events = "no-such" }, -EINVAL, "events");
	check_refused(world, &(struct session_wishes){ .guests = &unknown, .n_guests = 1 }, -ENOENT, unknown);
	check_refused(world, &(struct session_wishes){ .guests = &unknown, .n_guests = 1, .node_wide = true }, -EINVAL,
		      "guests");
	/* The descriptor is taken all the same. */
	check_refused(world, &(struct session_wishes){ .guests = &unknown, .n_guests = 1, .record_fd = fd }, -ENOENT,
		      unknown);
	CHECK_EQ(access_charged(world->manager.access, CHARGE_SESSION), 1);
	must_start(world, &(struct session_wishes){});
	must_start(world, &(struct session_wishes){});
	check_refused(world, &(struct session_wishes){}, -EDQUOT, NULL);
	world_free(world);
}

TEST(what_the_arbiter_does_not_take_is_refused_with_its_limit)
{
	struct world *world = world_new();
	struct session_refusal refusal;

	world->manager.config->max_sessions = world->manager.config->max_sessions_per_user = 50;
	CHECK_EQ(access_reload(world->manager.access, world->manager.config, NULL), 0);
	for (int i = 0; i < 20; i++)
		must_start(world, &(struct session_wishes){ .connection = 0 });
	CHECK_EQ(start(world, &(struct session_wishes){ .connection = 0 }, &refusal), -EDQUOT);
	CHECK_EQ(refusal.limit, 20);
	session_refusal_deinit(&refusal);
	world_free(world);
}

TEST(others_sessions_are_not_seen)
{
	struct world *world = world_new();
	struct session *session = must_start(world, &(struct session_wishes){ .name = "roots" });

	CHECK(session_may_see(session, &root));
	CHECK(!session_may_see(session, &nobody));
	CHECK(!sessions_find(world->manager.sessions, &nobody, "roots"));
	world_free(world);
}

/* Nobody may see what is called @name, and nothing else. */
static void tie_nobody(struct world *world, const char *name)
{
	_cleanup_(config_freep) struct config *config = NULL;
	char text[256];

	snprintf(text, sizeof(text), "[access]\noperators = 65534\n[user 65534]\nguests = %s\n", name);
	CHECK_EQ(config_parse("x.conf", text, strlen(text), &config, NULL), 0);
	CHECK_EQ(access_reload(world->manager.access, config, NULL), 0);
	sessions_reload(world->manager.sessions);
}

static bool is_known(const struct world *world, const char *name)
{
	for (size_t i = 0; i < domains_count(world->manager.domains); i++)
		if (streq(domains_get(world->manager.domains, i)->name, name))
			return true;
	return false;
}

static void libvirt_calls_it(struct world *world, pid_t guest, const char *name)
{
	const struct libvirt_domain domain = { name, "6f3a1b52-8a55-4f2e-9c1a-0d7c0f9f5b11", "running", guest };

	CHECK_EQ(domains_libvirt_has(world->manager.domains, &domain), 0);
}

TEST(who_is_tied_to_a_name_loses_the_guest_with_it)
{
	const char *name = guest_name("a"), *other = guest_name("b");
	pid_t guest = qemu_start(name, 1);
	struct world *world = world_new();
	struct session *session;

	tie_nobody(world, name);
	libvirt_calls_it(world, guest, name);
	session = must_start(world, &(struct session_wishes){ .owner = &nobody });
	wait_for_samples(world, session, 20);
	libvirt_calls_it(world, guest, other);
	wait_for(world, &world->ended, 1);
	CHECK(!sessions_get(world->manager.sessions, 0));
	qemu_end(guest);
	world_free(world);
}

TEST(what_was_seen_of_a_guest_that_is_gone_goes_with_the_right_to_it)
{
	const char *name = guest_name("a");
	pid_t guest = qemu_start(name, 1);
	struct world *world = world_new();
	struct session *session;

	tie_nobody(world, name);
	session = must_start(world, &(struct session_wishes){ .owner = &nobody });
	wait_for_samples(world, session, 20);
	qemu_end(guest);
	while (is_known(world, name))
		turn(world);
	tie_nobody(world, name);
	CHECK(sessions_get(world->manager.sessions, 0) == session);
	tie_nobody(world, "another");
	wait_for(world, &world->ended, 1);
	CHECK(!sessions_get(world->manager.sessions, 0));
	world_free(world);
}

TEST(a_recording_ends_with_its_guest)
{
	pid_t guest = qemu_start(guest_name("a"), 2);
	const char *name = guest_name("a");
	int fd = memfd_create("recording", MFD_CLOEXEC), kept = dup(fd);
	struct world *world = world_new();
	struct session_wishes wishes = { .guests = &name, .n_guests = 1, .record_fd = fd };
	struct session *session = must_start(world, &wishes);
	struct session_info info;

	wait_for_samples(world, session, 50);
	CHECK_EQ(session_look(session, on_look, world), -EINVAL);
	qemu_end(guest);
	wait_for(world, &world->ended, 1);
	session_info(session, &info);
	CHECK_EQ(info.state, SESSION_DONE);
	CHECK_EQ(info.status.bytes, lseek(kept, 0, SEEK_END));
	CHECK_CMP(info.status.bytes, >, 50 * 40);
	close(kept);
	world_free(world);
}

/* A grant as the arbiter takes it back; events of a PMU are not to be had everywhere. */
static void take_away(struct world *world, struct session *session, enum grant_status status, size_t event)
{
	struct session_info info;
	struct grant grant = { status, "taken" };

	(void)session;
	session_info(session, &info);
	CHECK_EQ(info.plan->grants[event].status, GRANT_GRANTED);
	sessions_grant_changed(world->manager.sessions, 1, event, &grant);
}

TEST(a_session_goes_on_with_what_is_left_and_ends_without)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session_wishes wishes = { .events = "cpu-clock,task-clock" };
	struct session *session = must_start(world, &wishes);
	struct session_info info = {};

	wait_for_samples(world, session, 50);
	take_away(world, session, GRANT_REFUSED, 0);
	for (int i = 0; i < 2000 && !info.why; i++) {
		turn(world);
		session_info(session, &info);
	}
	CHECK_CONTAINS(info.why, "more important");
	info = wait_for_samples(world, session, 20);
	CHECK_EQ(info.state, SESSION_RUNNING);
	CHECK_EQ(info.plan->grants[0].status, GRANT_REFUSED);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 1);
	CHECK_CONTAINS(world->coverage.source, "task-clock");
	CHECK_EQ(world->ended, 0);
	take_away(world, session, GRANT_REFUSED, 1);
	wait_for(world, &world->ended, 1);
	session_info(session, &info);
	CHECK_EQ(info.state, SESSION_FAILED);
	CHECK_CONTAINS(info.why, "all its counters");
	qemu_end(guest);
	world_free(world);
}

static int count_session_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	char path[300], name[32];
	int n = 0;

	while ((entry = readdir(dir))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		n += fgets(name, sizeof(name), f) && streq(name, "session\n");
		fclose(f);
	}
	closedir(dir);
	return n;
}

/* The runner is over, but the loop has not heard so: the cut comes behind the end, and goes with the runner. */
TEST(who_looks_at_a_session_that_begins_anew_is_answered)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session *session = must_start(world, &(struct session_wishes){ .events = "cpu-clock,task-clock" });
	struct session_info info;

	wait_for_samples(world, session, 20);
	take_away(world, session, GRANT_REFUSED, 0);
	session_end_early(session, "its runner is to end now");
	while (count_session_threads())
		usleep(1000);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 1);
	session_info(session, &info);
	CHECK_CONTAINS(info.why, "more important");
	wait_for_samples(world, session, 20);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 2);
	CHECK_EQ(world->error.code, 0);
	qemu_end(guest);
	world_free(world);
}

static void wait_for_gate(void *data)
{
	pthread_mutex_lock(data);
	pthread_mutex_unlock(data);
}

static void no_end(void *data, bool cancelled)
{
	(void)data;
	(void)cancelled;
}

TEST(a_look_is_answered_later_even_if_the_pool_is_full)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session *session = must_start(world, &(struct session_wishes){ .duration_ns = 100000000 });

	wait_for(world, &world->ended, 1);
	pthread_mutex_lock(&gate);
	while (jobs_run(world->manager.jobs, wait_for_gate, no_end, &gate) == 0)
		;
	CHECK_EQ(session_look(session, on_look, world), 0);
	CHECK_EQ(world->looks, 0);
	wait_for(world, &world->looks, 1);
	pthread_mutex_unlock(&gate);
	qemu_end(guest);
	world_free(world);
}

/* Others start guests on this machine, too, and each running one has a descriptor. */
static int count_own_fds(const struct world *world)
{
	int n = count_fds();

	for (size_t i = 0; i < domains_count(world->manager.domains); i++)
		n -= domains_get(world->manager.domains, i)->running;
	return n;
}

TEST(many_sessions_leave_nothing_behind)
{
	pid_t guest = qemu_start(guest_name("a"), 2);
	struct world *world = world_new();
	int fds = 0;

	/* More than the arbiter takes, should a connection's end leave it any. */
	for (int i = 0; i < 40; i++) {
		struct session *session = must_start(world, &(struct session_wishes){ .connection = 7 });

		if (i % 3 == 0)
			CHECK_EQ(session_look(session, on_look, world), 0);
		sessions_connection_gone(world->manager.sessions, 7);
		for (int j = 0; j < 2000 && sessions_get(world->manager.sessions, 0); j++)
			turn(world);
		if (i == 0)
			fds = count_own_fds(world);
	}
	CHECK_EQ(count_own_fds(world), fds);
	wait_for(world, &world->looks, 14); /* each, whatever became of the session */
	qemu_end(guest);
	world_free(world);
}

int main(int argc, char **argv)
{
	qemu_process_main(argc, argv);
	return test_main();
}
