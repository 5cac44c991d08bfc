/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of keys is all there is to know about vpmud.conf: section, name, kind, range, default. A default is written as it
 * would be in the file, and read the same way.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config.h"
#include "userdb.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

#define CONFIG_MAX_BYTES (1 << 20)
#define DEFAULT_READERS	 "@vpmu"
#define KIB		 (UINT64_C(1) << 10)
#define MIB		 (UINT64_C(1) << 20)
#define GIB		 (UINT64_C(1) << 30)
#define TIB		 (UINT64_C(1) << 40)
#define HOUR_S		 UINT64_C(3600)
#define DAY_S		 (24 * HOUR_S)
#define SESSIONS_MAX	 900 /* well below what the arbiter takes (node.c) */

enum kind {
	KIND_TEXT,
	KIND_PATH,	 /* absolute */
	KIND_PATH_OR_NONE,
	KIND_PROM_OR_NONE, /* as PATH_OR_NONE, ends in .prom */
	KIND_SOCKET,	 /* a path short enough for one */
	KIND_BOOL,
	KIND_COUNT,	 /* uint32_t */
	KIND_BYTES,	 /* uint64_t; K, M, G, T */
	KIND_TIME,	 /* uint32_t seconds; s, m, h, d */
	KIND_LONG_TIME,	 /* uint64_t seconds */
	KIND_ACCOUNTS,	 /* users and @groups */
};

struct key {
	const char *section, *name, *otherwise;
	enum kind kind;
	size_t offset;
	uint64_t min, max;
};

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
	{ "vpmud", "socket", "/run/vpmud/org.vpmu", KIND_SOCKET, FIELD(socket) },
	{ "vpmud", "libvirt", "qemu:///system", KIND_TEXT, FIELD(libvirt) },
	{ "vpmud", "other-guests", "yes", KIND_BOOL, FIELD(other_guests) },
	{ "vpmud", "workers", "2", KIND_COUNT, FIELD(workers), 1, 16 },
	{ "always-on", "enabled", "yes", KIND_BOOL, FIELD(always_on) },
	{ "always-on", "frequency", "19", KIND_COUNT, FIELD(always_on_hz), 1, 999 },
	{ "always-on", "chains", "no", KIND_BOOL, FIELD(always_on_chains) },
	{ "store", "path", "/var/lib/vpmud/store.db", KIND_PATH_OR_NONE, FIELD(store_path) },
	{ "store", "max-size", "1G", KIND_BYTES, FIELD(store_max_bytes), MIB, 16 * TIB },
	{ "store", "max-age", "7d", KIND_LONG_TIME, FIELD(store_max_age_s), HOUR_S, 3650 * DAY_S },
	{ "metrics", "path", "none", KIND_PROM_OR_NONE, FIELD(metrics_path) },
	{ "metrics", "interval", "15s", KIND_TIME, FIELD(metrics_interval_s), 1, HOUR_S },
	{ "metrics", "exits", "yes", KIND_BOOL, FIELD(metrics_exits) },
	{ "metrics", "time", "yes", KIND_BOOL, FIELD(metrics_time) },
	{ "access", "readers", DEFAULT_READERS, KIND_ACCOUNTS, FIELD(readers) },
	{ "access", "operators", "", KIND_ACCOUNTS, FIELD(operators) },
	{ "limits", "max-connections", "256", KIND_COUNT, FIELD(max_connections), 1, 65536 },
	{ "limits", "max-connections-per-user", "64", KIND_COUNT, FIELD(max_connections_per_user), 1, 65536 },
	{ "limits", "max-sessions", "64", KIND_COUNT, FIELD(max_sessions), 0, SESSIONS_MAX },
	{ "limits", "max-sessions-per-user", "8", KIND_COUNT, FIELD(max_sessions_per_user), 0, SESSIONS_MAX },
	{ "limits", "max-subscriptions-per-user", "32", KIND_COUNT, FIELD(max_subscriptions_per_user), 0, 65536 },
	{ "limits", "max-request", "1M", KIND_BYTES, FIELD(max_request_bytes), 4 * KIB, 16 * MIB },
	{ "limits", "max-queued", "32M", KIND_BYTES, FIELD(max_queued_bytes), 64 * KIB, GIB },
	{ "limits", "send-timeout", "10s", KIND_TIME, FIELD(send_timeout_s), 1, HOUR_S },
};

/* Where the reader is. */
struct reader {
	struct config *config;
	const char *name;
	unsigned int line;	/* 0: in the defaults */
	char section[64];	/* "" before the first */
	struct config_tie *tie; /* in a [user …] section */
	bool tie_has_guests;
	unsigned int seen[ARRAY_SIZE(keys)]; /* line of each key */
	struct vpmu_error *reterr;
};

static int refuse(const struct reader *reader, const char *format, ...) _printf_(2, 3);

static int refuse(const struct reader *reader, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(reader->reterr, -EINVAL, "%s:%u: %s", reader->name, reader->line, text);
}

static void free_names(config_names *names)
{
	vec_for_each(name, names)
		free(*name);
	vec_free(names);
}

/* ---- values ---- */

/* A whole number with at most one letter of @units behind it, each of which stands for @factors[i]. */
static bool read_number(const char *text, const char *units, const uint64_t *factors, uint64_t *ret_value)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit;
	uint64_t value;

	if (digits == 0 || digits > 18)
		return false;
	value = strtoull(text, NULL, 10);
	text += digits;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1] || __builtin_mul_overflow(value, factors[unit - units], &value))
			return false;
	}
	*ret_value = value;
	return true;
}

static void print_number(uint64_t value, const char *units, const uint64_t *factors, char *text, size_t room)
{
	size_t i = strlen(units);

	while (i > 0 && (value == 0 || value % factors[i - 1]))
		i--;
	if (i > 0)
		snprintf(text, room, "%" PRIu64 "%c", value / factors[i - 1], units[i - 1]);
	else
		snprintf(text, room, "%" PRIu64, value);
}

static int set_number(const struct reader *reader, const struct key *key, const char *text, uint64_t *ret_value)
{
	static const uint64_t bytes[] = { KIB, MIB, GIB, TIB }, seconds[] = { 1, 60, HOUR_S, DAY_S };
	bool size = key->kind == KIND_BYTES, time = key->kind == KIND_TIME || key->kind == KIND_LONG_TIME;
	const char *units = size ? "KMGT" : time ? "smhd" : "";
	const uint64_t *factors = size ? bytes : seconds;
	char min[32], max[32];
	uint64_t value;

	if (read_number(text, units, factors, &value) && value >= key->min && value <= key->max) {
		*ret_value = value;
		return 0;
	}
	print_number(key->min, units, factors, min, sizeof(min));
	print_number(key->max, units, factors, max, sizeof(max));
	return refuse(reader, "%s needs a %s from %s to %s, not '%s'%s", key->name, size ? "size" : time ? "time" : "number",
		      min, max, text, size ? " (units: K, M, G, T)" : time ? " (units: s, m, h, d)" : "");
}

static int set_bool(const struct reader *reader, const struct key *key, const char *text, bool *ret_value)
{
	if (!streq(text, "yes") && !streq(text, "no"))
		return refuse(reader, "%s needs yes or no, not '%s'", key->name, text);
	*ret_value = streq(text, "yes");
	return 0;
}

static int set_text(const struct reader *reader, const struct key *key, const char *text, char **ret_value)
{
	bool none = streq(text, "none") && (key->kind == KIND_PATH_OR_NONE || key->kind == KIND_PROM_OR_NONE);
	size_t n = strlen(text);
	char *copy;

	if (n == 0)
		return refuse(reader, "%s needs a value", key->name);
	if (key->kind != KIND_TEXT && !none && (text[0] != '/' || n >= PATH_MAX))
		return refuse(reader, "%s needs an absolute path, not '%s'", key->name, text);
	if (key->kind == KIND_SOCKET && n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return refuse(reader, "%s needs a path of at most %zu characters", key->name,
			      sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	if (key->kind == KIND_PROM_OR_NONE && !none && (n < 6 || !streq(text + n - 5, ".prom")))
		return refuse(reader, "%s needs a name that ends in .prom (others are not collected), not '%s'", key->name,
			      text);
	copy = strdup(text);
	if (!copy)
		return error_oom(reader->reterr);
	free(*ret_value);
	*ret_value = copy;
	return 0;
}

static int check_account(const struct reader *reader, const char *name)
{
	gid_t gid;
	uid_t uid;

	/* The group of the default need not exist. */
	if (reader->line == 0 || streq(name, DEFAULT_READERS))
		return 0;
	if (name[0] == '@' && group_find(name + 1, &gid) < 0)
		return refuse(reader, "there is no group '%s'", name + 1);
	if (name[0] != '@' && user_find(name, &uid) < 0)
		return refuse(reader, "there is no user '%s' (groups are written '@%s')", name, name);
	return 0;
}

static int check_guest(const struct reader *reader, const char *name)
{
	if (starts_with(name, "pid:"))
		return refuse(reader, "'%s': a user cannot be tied to a process, which comes and goes", name);
	return 0;
}

/* Words between blanks and commas. */
static int set_names(const struct reader *reader, const char *text,
		     int (*check)(const struct reader *reader, const char *name), config_names *names)
{
	static const char separators[] = " \t,";
	int r;

	free_names(names);
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t n = strcspn(text, separators);
		_free_ char *name = strndup(text, n);

		if (!name)
			return error_oom(reader->reterr);
		r = check(reader, name);
		if (r < 0)
			return r;
		if (!vec_push(names, name))
			return error_oom(reader->reterr);
		name = NULL; /* the list's */
		text += n;
	}
	return 0;
}

static int set_key(const struct reader *reader, const struct key *key, const char *text)
{
	void *field = (char *)reader->config + key->offset;
	uint64_t value;
	int r;

	switch (key->kind) {
	case KIND_BOOL:
		return set_bool(reader, key, text, field);
	case KIND_ACCOUNTS:
		return set_names(reader, text, check_account, field);
	case KIND_COUNT:
	case KIND_TIME:
		r = set_number(reader, key, text, &value);
		if (r == 0)
			*(uint32_t *)field = (uint32_t)value;
		return r;
	case KIND_BYTES:
	case KIND_LONG_TIME:
		return set_number(reader, key, text, field);
	default:
		return set_text(reader, key, text, field);
	}
}

/* ---- lines ---- */

/* [user NAME] */
static int enter_user(struct reader *reader, const char *name)
{
	struct config_tie tie = {};

	if (user_find(name, &tie.uid) < 0)
		return refuse(reader, "there is no user '%s'", name);
	if (tie.uid == 0)
		return refuse(reader, "root sees all guests and cannot be tied to some");
	vec_for_each(other, &reader->config->ties)
		if (other->uid == tie.uid)
			return refuse(reader, "user '%s' has a section already", name);
	if (!vec_push(&reader->config->ties, tie))
		return error_oom(reader->reterr);
	reader->tie = &reader->config->ties.items[reader->config->ties.n - 1];
	reader->tie_has_guests = false;
	return 0;
}

static int leave_section(struct reader *reader)
{
	if (reader->tie && !reader->tie_has_guests)
		return refuse(reader, "the section [%s] before says no guests; 'guests =' for none", reader->section);
	reader->tie = NULL;
	return 0;
}

static int read_section(struct reader *reader, char *line)
{
	size_t n = strlen(line);
	int r = leave_section(reader);

	if (r < 0)
		return r;
	if (strchr(line, ']') && line[n - 1] != ']')
		return refuse(reader, "nothing may stand behind a section's ']'; comments need lines of their own");
	if (line[n - 1] != ']')
		return refuse(reader, "a section needs its ']'");
	line[n - 1] = '\0';
	line++;
	snprintf(reader->section, sizeof(reader->section), "%s", line);
	if (starts_with(line, "user ")) {
		line += strlen("user ");
		return enter_user(reader, line + strspn(line, " \t"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (streq(keys[i].section, line))
			return 0;
	if (streq(line, "user"))
		return refuse(reader, "[user] needs a name: [user NAME]");
	return refuse(reader, "unknown section [%s]", line);
}

static int read_key(struct reader *reader, const char *name, const char *value)
{
	if (reader->tie) {
		if (!streq(name, "guests"))
			return refuse(reader, "unknown key '%s' in [%s]; 'guests' is the only one", name, reader->section);
		if (reader->tie_has_guests)
			return refuse(reader, "guests twice in [%s]", reader->section);
		reader->tie_has_guests = true;
		return set_names(reader, value, check_guest, &reader->tie->guests);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!streq(keys[i].section, reader->section) || !streq(keys[i].name, name))
			continue;
		if (reader->seen[i])
			return refuse(reader, "%s was set in line %u already", name, reader->seen[i]);
		reader->seen[i] = reader->line;
		return set_key(reader, &keys[i], value);
	}
	if (!reader->section[0])
		return refuse(reader, "'%s' stands before the first section", name);
	return refuse(reader, "unknown key '%s' in [%s]", name, reader->section);
}

static void cut_blanks(char **line)
{
	size_t n;

	*line += strspn(*line, " \t");
	for (n = strlen(*line); n > 0 && strchr(" \t\r", (*line)[n - 1]); n--)
		;
	(*line)[n] = '\0';
}

static int read_line(struct reader *reader, char *line)
{
	char *equals;

	cut_blanks(&line);
	for (const char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 && *c != '\t')
			return refuse(reader, "a control character (0x%02x)", (unsigned char)*c);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (line[0] == '[')
		return read_section(reader, line);
	equals = strchr(line, '=');
	if (!equals)
		return refuse(reader, "neither a [section], nor 'key = value', nor a # comment");
	*equals++ = '\0';
	cut_blanks(&line);
	cut_blanks(&equals);
	return read_key(reader, line, equals);
}

/* ---- the whole ---- */

int config_new(struct config **ret_config, struct vpmu_error *reterr)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	struct reader reader = { .config = config, .name = "defaults", .reterr = reterr };
	int r;

	if (!config)
		return error_oom(reterr);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		r = set_key(&reader, &keys[i], keys[i].otherwise);
		if (r < 0)
			return r;
	}
	*ret_config = take_ptr(config);
	return 0;
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	free(config->socket);
	free(config->libvirt);
	free(config->store_path);
	free(config->metrics_path);
	free_names(&config->readers);
	free_names(&config->operators);
	vec_for_each(tie, &config->ties)
		free_names(&tie->guests);
	vec_free(&config->ties);
	free(config);
	return NULL;
}

int config_parse(const char *name, const char *text, size_t n, struct config **ret_config, struct vpmu_error *reterr)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct reader reader = { .name = name, .reterr = reterr };
	const char *end = text + n;
	int r = config_new(&config, reterr);

	if (r < 0)
		return r;
	reader.config = config;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((newline ? newline : end) - text);
		_free_ char *line = strndup(text, length);

		if (!line)
			return error_oom(reterr);
		reader.line++;
		if (strlen(line) < length)
			return refuse(&reader, "a NUL byte");
		r = read_line(&reader, line);
		if (r < 0)
			return r;
		text += length + 1;
	}
	r = leave_section(&reader);
	if (r < 0)
		return r;
	*ret_config = take_ptr(config);
	return 0;
}

int config_load(const char *path, bool must_exist, struct config **ret_config, struct vpmu_error *reterr)
{
	_free_ char *text = NULL;
	size_t n;
	int r = io_read_file(AT_FDCWD, path, CONFIG_MAX_BYTES, &text, &n);

	if (r == -ENOENT && !must_exist)
		return config_new(ret_config, reterr);
	if (r < 0)
		return error_errno(reterr, r, "read", path);
	return config_parse(path, text, n, ret_config, reterr);
}
