/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/config.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"
#include "util/strbuf.h"

static int parse(const char *text, struct config **ret_config, struct vpmu_error *error)
{
	return config_parse("x.conf", text, strlen(text), ret_config, error);
}

static void check_names(const config_names *a, const config_names *b)
{
	CHECK_EQ(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		CHECK_STR(a->items[i], b->items[i]);
}

static void check_same(const struct config *a, const struct config *b)
{
	CHECK_STR(a->socket, b->socket);
	CHECK_STR(a->libvirt, b->libvirt);
	CHECK_EQ(a->other_guests, b->other_guests);
	CHECK_EQ(a->workers, b->workers);
	CHECK_EQ(a->always_on, b->always_on);
	CHECK_EQ(a->always_on_hz, b->always_on_hz);
	CHECK_EQ(a->always_on_chains, b->always_on_chains);
	CHECK_STR(a->store_path, b->store_path);
	CHECK_EQ(a->store_max_bytes, b->store_max_bytes);
	CHECK_EQ(a->store_max_age_s, b->store_max_age_s);
	CHECK_STR(a->metrics_path, b->metrics_path);
	CHECK_EQ(a->metrics_interval_s, b->metrics_interval_s);
	CHECK_EQ(a->metrics_exits, b->metrics_exits);
	CHECK_EQ(a->metrics_time, b->metrics_time);
	check_names(&a->readers, &b->readers);
	check_names(&a->operators, &b->operators);
	CHECK_EQ(a->ties.n, b->ties.n);
	CHECK_EQ(a->max_connections, b->max_connections);
	CHECK_EQ(a->max_connections_per_user, b->max_connections_per_user);
	CHECK_EQ(a->max_sessions, b->max_sessions);
	CHECK_EQ(a->max_sessions_per_user, b->max_sessions_per_user);
	CHECK_EQ(a->max_subscriptions_per_user, b->max_subscriptions_per_user);
	CHECK_EQ(a->max_request_bytes, b->max_request_bytes);
	CHECK_EQ(a->max_queued_bytes, b->max_queued_bytes);
	CHECK_EQ(a->send_timeout_s, b->send_timeout_s);
}

/* The file with its "#key = value" lines made to count; how many there are. */
static int uncomment(const char *text, struct strbuf *out)
{
	int keys = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		bool key = line[0] == '#' && islower((unsigned char)line[1]);

		strbuf_add(out, line + key, (size_t)(strchr(line, '\n') + 1 - line) - key);
		keys += key;
	}
	return keys;
}

TEST(config_file_has_every_key_with_its_default)
{
	_cleanup_(config_freep) struct config *defaults = NULL, *as_is = NULL, *uncommented = NULL;
	_strbuf_ struct strbuf text = {};
	struct vpmu_error error;
	_free_ char *file = NULL;
	size_t n;

	CHECK_EQ(config_new(&defaults, NULL), 0);
	CHECK_EQ(io_read_file(AT_FDCWD, DAEMON_DIR "/vpmud.conf", 1 << 20, &file, &n), 0);
	CHECK_EQ(config_parse("vpmud.conf", file, n, &as_is, NULL), 0);
	check_same(defaults, as_is);
	/* All that check_same() compares, without the ties. */
	CHECK_EQ(uncomment(file, &text), 24);
	if (parse(text.text, &uncommented, &error) < 0)
		FAIL("%s", error.text);
	check_same(defaults, uncommented);
}

TEST(config_reads_values)
{
	_cleanup_(config_freep) struct config *config = NULL;

	CHECK_EQ(parse("# c\n\n [vpmud] \r\n\tsocket=/a b\nother-guests = no\n[store]\nmax-size = 3M\nmax-age=36h\npath = none\n"
		       "[metrics]\npath = /x/vpmud.prom\ninterval = 2m\nexits = no\n[access]\nreaders = root, @0 ,1000\n[user 1001]\nguests = a*,b  c\n"
		       "[user 1002]\nguests =\n[vpmud]\nlibvirt = none",
		       &config, NULL),
		 0);
	CHECK_STR(config->socket, "/a b");
	CHECK_STR(config->libvirt, "none");
	CHECK(!config->other_guests);
	CHECK_EQ(config->store_max_bytes, 3 << 20);
	CHECK_EQ(config->store_max_age_s, 36 * 3600);
	CHECK_STR(config->store_path, "none");
	CHECK_STR(config->metrics_path, "/x/vpmud.prom");
	CHECK_EQ(config->metrics_interval_s, 120);
	CHECK(!config->metrics_exits && config->metrics_time);
	CHECK_EQ(config->readers.n, 3);
	CHECK_STR(config->readers.items[1], "@0");
	CHECK_EQ(config->ties.n, 2);
	CHECK_EQ(config->ties.items[0].uid, 1001);
	CHECK_EQ(config->ties.items[0].guests.n, 3);
	CHECK_STR(config->ties.items[0].guests.items[2], "c");
	CHECK_EQ(config->ties.items[1].guests.n, 0);
}

TEST(config_refuses_what_is_wrong_and_says_where)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "[vpmud]\nsockets = /x\n", "x.conf:2: unknown key 'sockets' in [vpmud]" },
		{ "\n[server]\n", "x.conf:2: unknown section [server]" },
		{ "[user]\nguests = a\n", "x.conf:1: [user] needs a name: [user NAME]" },
		{ "[vpmud] # mine\n", "x.conf:1: nothing may stand behind a section's ']'; comments need lines of their own" },
		{ "socket = /x\n", "x.conf:1: 'socket' stands before the first section" },
		{ "[vpmud\n", "x.conf:1: a section needs its ']'" },
		{ "[vpmud]\nsocket\n", "x.conf:2: neither a [section]" },
		{ "[vpmud]\nsocket =\n", "x.conf:2: socket needs a value" },
		{ "[vpmud]\nsocket = run/x\n", "socket needs an absolute path, not 'run/x'" },
		{ "[vpmud]\nother-guests = maybe\n", "other-guests needs yes or no, not 'maybe'" },
		{ "[vpmud]\nworkers = 17\n", "workers needs a number from 1 to 16, not '17'" },
		{ "[vpmud]\nworkers = 2K\n", "not '2K'" },
		{ "[vpmud]\nworkers = -1\n", "not '-1'" },
		{ "[vpmud]\nworkers = 1\nworkers = 2\n", "x.conf:3: workers was set in line 2 already" },
		{ "[store]\nmax-size = 1023K\n", "max-size needs a size from 1M to 16T, not '1023K'" },
		{ "[store]\nmax-size = 99999999999999999999\n", "not '99999999999999999999'" },
		{ "[store]\nmax-size = 999999999999999999T\n", "not '999999999999999999T'" },
		{ "[store]\nmax-age = 1w\n", "max-age needs a time from 1h to 3650d, not '1w' (units: s, m, h, d)" },
		{ "[metrics]\npath = /x/metrics.txt\n", "ends in .prom" },
		{ "[access]\nreaders = no-such-user-here\n", "there is no user 'no-such-user-here'" },
		{ "[access]\nreaders = root @no-such-group\n", "there is no group 'no-such-group'" },
		{ "[user no-such-user-here]\n", "x.conf:1: there is no user" },
		{ "[user root]\n", "root sees all guests" },
		{ "[user 1001]\nguests = a\n[user 1001]\n", "x.conf:3: user '1001' has a section already" },
		{ "[user 1001]\nreaders = a\n", "'guests' is the only one" },
		{ "[user 1001]\nguests = pid:7\n", "cannot be tied to a process" },
		{ "[user 1001]\n\n[vpmud]\n", "[user 1001] before says no guests" },
		{ "[user 1001]\n", "[user 1001] before says no guests" },
		{ "[vpmud]\nlibvirt = a\x01" "b\n", "a control character (0x01)" },
	};
	struct vpmu_error error;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct config *config = NULL;

		CHECK_EQ(parse(wrong[i].text, &config, &error), -EINVAL);
		CHECK(!config);
		CHECK_CONTAINS(error.text, wrong[i].says);
	}
	CHECK_EQ(config_parse("x.conf", "[vpmud]\nlibvirt = a\0b\n", 22, NULL, &error), -EINVAL);
	CHECK_STR(error.text, "x.conf:2: a NUL byte");
}

TEST(config_file_may_be_missing_unless_it_was_named)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct vpmu_error error;

	CHECK_EQ(config_load("/nonexistent/vpmud.conf", true, &config, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent/vpmud.conf");
	CHECK_EQ(config_load("/nonexistent/vpmud.conf", false, &config, &error), 0);
	CHECK_EQ(config->always_on_hz, 19);
}

int main(void)
{
	return test_main();
}
