/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <pthread.h>

#include "sessions_world.h"

TEST(looks_add_up_and_outlive_the_sessions_time)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session_wishes wishes = { .duration_ns = 500000000, .name = "mine" };
	struct session *session = must_start(world, &wishes);
	struct session_info info;
	uint64_t before;

	wait_for_samples(world, session, 1); /* a busy machine may have no time for more */
	CHECK_EQ(session_look(session, on_look, world), 0);
	CHECK_EQ(session_look(session, on_look, world), 0);
	wait_for(world, &world->looks, 2);
	CHECK_EQ(world->error.code, 0);
	before = world->coverage.samples;
	CHECK_CMP(before, >=, 1);
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
	struct session *session = must_start(world, &(struct session_wishes){ .duration_ns = 500000000 });
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

int main(int argc, char **argv)
{
	qemu_process_main(argc, argv);
	return test_main();
}
