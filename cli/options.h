/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options as data. A command describes each of its options once, in a table; parsing, the text of
 * `-h` and its synopsis all come from there (tests/cli/man-synopsis holds the man pages to the
 * same).
 *
 * Values land in a struct of the command's, zeroed beforehand: zero is the default, as in the
 * library's option structs. Tables are grouped, so that commands that read recordings, say, share
 * those options and the struct they are stored in.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/error.h>
#include "util/strbuf.h"

struct option_spec;

/*
 * Stores @value (NULL for an option without one) in @field. -EINVAL with a text that names
 * neither the command nor the option: "needs a number from 1 to 10, not 'x'".
 */
typedef int (*option_set_fn)(const struct option_spec *spec, const char *value, void *field,
			     struct vpmu_error *reterr);

struct option_spec {
	char letter;	   /* 0 = none */
	const char *name;  /* long form; a spec without one ends the table */
	const char *arg;   /* what stands for the value in help; NULL: takes none */
	const char *help;
	option_set_fn set;
	size_t offset;	   /* of the field, in the struct of the group */
	uint64_t min, max; /* of numbers; option_flag stores max */
	bool alternative;  /* to the one before it: they share brackets in the synopsis */
	bool required;	   /* has no brackets there; the command refuses to go without */
};

struct option_group {
	const struct option_spec *specs;
	size_t base; /* of the group's struct in the command's */
};

/* Words that may come several times: operands, files. */
#define NAME_LIST_MAX 128
struct name_list {
	const char *items[NAME_LIST_MAX];
	size_t n;
};

/* Setters. The field's type is in the name; durations are in nanoseconds, percentages doubles. */
int option_flag(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr);
int option_string(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr);
int option_name_list(const struct option_spec *spec, const char *value, void *field,
		     struct vpmu_error *reterr);
int option_u64(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr);
int option_duration_ns(const struct option_spec *spec, const char *value, void *field,
		       struct vpmu_error *reterr);
int option_percent(const struct option_spec *spec, const char *value, void *field,
		   struct vpmu_error *reterr);

struct command;

/*
 * Parses the words behind the command's name. Options and operands may be mixed; "--" ends the
 * options. Errors: -EINVAL with a text for the user; -E2BIG (more operands than any command
 * takes).
 */
int options_parse(const struct command *command, int argc, char **argv, void *args,
		  struct name_list *ret_operands, struct vpmu_error *reterr);

/* "vpmu record [-e EVENT] … GUEST...": one line. */
void options_synopsis(const struct command *command, struct strbuf *out);

/* What -h prints: synopsis, summary, one paragraph per option; filled to @width columns. */
void options_help(const struct command *command, unsigned int width, struct strbuf *out);

#endif
