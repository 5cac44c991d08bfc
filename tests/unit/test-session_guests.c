/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sessions_world.h"

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

TEST(a_guest_that_gets_a_name_of_the_pattern_is_profiled)
{
	const char *name = guest_name("a"), *other = guest_name("b"), *pattern = guest_name("b*");
	pid_t guest = qemu_start(name, 1);
	struct world *world = world_new();
	struct session *session;
	struct session_info info;

	libvirt_calls_it(world, guest, name);
	session = must_start(world, &(struct session_wishes){ .guests = &pattern, .n_guests = 1 });
	session_info(session, &info);
	CHECK_EQ(info.status.n_guests, 0);
	libvirt_calls_it(world, guest, other);
	info = wait_for_samples(world, session, 20);
	CHECK_EQ(info.status.n_guests, 1);
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

int main(int argc, char **argv)
{
	qemu_process_main(argc, argv);
	return test_main();
}
