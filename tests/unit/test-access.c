/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "daemon/access.h"
#include "test.h"
#include "util/macro.h"

static struct access *access_of(const char *text)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct access *access = NULL;

	CHECK_EQ(config_parse("x.conf", text, strlen(text), &config, NULL), 0);
	CHECK_EQ(access_new(config, &access, NULL), 0);
	return access;
}

static const gid_t staff[] = { 60, 50 };
static const struct peer root = { .uid = 0 }, reader = { .uid = 2001, .gid = 9 }, operator= { .uid = 2002, .gid = 9 },
			 tied = { .uid = 2003, .gid = 9 }, stranger = { .uid = 2004, .gid = 9 },
			 by_group = { .uid = 2005, .gid = 50 },
			 by_other_group = { .uid = 2006, .gid = 9, .groups = staff, .n_groups = 2 };
static const char rules[] = "[access]\nreaders = 2001 @50\noperators = 2002\n[user 2003]\nguests = web* 6f3a1b52-8a55-4f2e-9c1a-0d7c0f9f5b11\n";

TEST(access_is_by_user_and_by_group)
{
	_cleanup_(access_freep) struct access *access = access_of(rules);
	static const struct {
		const struct peer *peer;
		bool read, operate, all;
	} expected[] = { { &root, true, true, true },	       { &reader, true, false, true },
			 { &operator, true, true, true },      { &tied, true, false, false },
			 { &stranger, false, false, false },   { &by_group, true, false, true },
			 { &by_other_group, true, false, true } };

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		CHECK_EQ(access_may(access, expected[i].peer, RIGHT_READ), expected[i].read);
		CHECK_EQ(access_may(access, expected[i].peer, RIGHT_OPERATE), expected[i].operate);
		CHECK_EQ(access_sees_all(access, expected[i].peer), expected[i].all);
	}
}

TEST(access_of_tied_users_is_to_their_guests)
{
	_cleanup_(access_freep) struct access *access = access_of(rules);

	CHECK(access_may_see(access, &tied, "web1", ""));
	CHECK(access_may_see(access, &tied, "db1", "6F3A1B52-8A55-4F2E-9C1A-0D7C0F9F5B11"));
	CHECK(!access_may_see(access, &tied, "db1", ""));
	CHECK(!access_may_see(access, &tied, "aweb1", "00000000-0000-0000-0000-000000000000"));
	CHECK(access_may_see(access, &reader, "db1", ""));
	CHECK(access_may_see(access, &root, "db1", ""));
	CHECK(!access_may_see(access, &stranger, "web1", ""));
}

TEST(access_changes_with_a_reload)
{
	_cleanup_(access_freep) struct access *access = access_of(rules);
	_cleanup_(config_freep) struct config *config = NULL;
	static const char other[] = "[access]\nreaders = 2004\n[limits]\nmax-sessions-per-user = 1\n";
	uint32_t limit = 0;

	CHECK_EQ(access_charge(access, 2004, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(config_parse("x.conf", other, strlen(other), &config, NULL), 0);
	CHECK_EQ(access_reload(access, config, NULL), 0);
	CHECK(access_may(access, &stranger, RIGHT_READ));
	CHECK(!access_may(access, &reader, RIGHT_READ));
	/* What was charged before still counts. */
	CHECK_EQ(access_charge(access, 2004, CHARGE_SESSION, &limit), -EDQUOT);
	CHECK_EQ(limit, 1);
}

TEST(access_accounts_are_by_user_and_for_all)
{
	_cleanup_(access_freep) struct access *access =
		access_of("[limits]\nmax-sessions = 3\nmax-sessions-per-user = 2\n");
	uint32_t limit = 0;

	CHECK_EQ(access_charge(access, 2001, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charge(access, 2001, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charge(access, 2001, CHARGE_SESSION, &limit), -EDQUOT);
	CHECK_EQ(limit, 2);
	CHECK_EQ(access_charge(access, 2001, CHARGE_STREAM, &limit), 0);
	CHECK_EQ(access_charge(access, 2002, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charge(access, 2002, CHARGE_SESSION, &limit), -EDQUOT);
	CHECK_EQ(limit, 3);
	/* Others' use does not lock root out; its own limit holds. */
	CHECK_EQ(access_charge(access, 0, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charge(access, 0, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charge(access, 0, CHARGE_SESSION, &limit), -EDQUOT);
	CHECK_EQ(access_charged(access, CHARGE_SESSION), 5);
	for (int i = 0; i < 2; i++) {
		access_discharge(access, 2001, CHARGE_SESSION);
		access_discharge(access, 0, CHARGE_SESSION);
	}
	CHECK_EQ(access_charge(access, 2002, CHARGE_SESSION, &limit), 0);
	CHECK_EQ(access_charged(access, CHARGE_SESSION), 2);
}

TEST(access_bounds_what_waits_for_a_user)
{
	_cleanup_(access_freep) struct access *access = access_of("[limits]\nmax-queued = 64K\n");

	CHECK_EQ(access_charge_bytes(access, 2001, 65536), 0);
	CHECK_EQ(access_charge_bytes(access, 2001, 1), -EDQUOT);
	CHECK_EQ(access_charge_bytes(access, 2002, 65537), -EDQUOT);
	CHECK_EQ(access_charge_bytes(access, 2002, 65536), 0);
	access_discharge_bytes(access, 2001, 10);
	CHECK_EQ(access_charge_bytes(access, 2001, 10), 0);
}

int main(void)
{
	return test_main();
}
