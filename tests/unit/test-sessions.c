/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <sys/mman.h>

#include "sessions_world.h"

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
	WAIT_UNTIL(!sessions_get(world->manager.sessions, 1), turn(world));
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

TEST(a_session_goes_on_with_what_is_left_and_ends_without)
{
	pid_t guest = qemu_start(guest_name("a"), 1);
	struct world *world = world_new();
	struct session_wishes wishes = { .events = "cpu-clock,task-clock" };
	struct session *session = must_start(world, &wishes);
	struct session_info info = {};
	uint64_t lost;

	wait_for_samples(world, session, 50);
	take_away(world, session, GRANT_REFUSED, 0);
	WAIT_UNTIL(info.why, {
		turn(world);
		session_info(session, &info);
	});
	CHECK_CONTAINS(info.why, "more important");
	/* What it took before stays among what all did: metrics never count backwards. */
	CHECK_CMP(sessions_samples(world->manager.sessions, &lost), >=, 50 + info.status.coverage.samples);
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

/* Others start guests on this machine, too, and each running one has a descriptor (unless this is valgrind, which makes none). */
static int count_own_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		char path[300], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		n += readlink(path, target, sizeof(target) - 1) > 0 && !strstr(target, "pidfd");
	}
	closedir(dir);
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
		WAIT_UNTIL(!sessions_get(world->manager.sessions, 0), turn(world));
		if (i == 0) {
			wait_for(world, &world->looks, 1);
			fds = count_own_fds();
		}
	}
	wait_for(world, &world->looks, 14); /* each, whatever became of the session */
	/* What is done for nobody any more may have files open for a moment. */
	WAIT_UNTIL(count_own_fds() <= fds, turn(world));
	qemu_end(guest);
	world_free(world);
}

int main(int argc, char **argv)
{
	qemu_process_main(argc, argv);
	return test_main();
}
