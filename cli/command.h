/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main.c knows of a command: one of these per cmd_*.c. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>
#include "options.h"

/* Exit statuses, the same for every command. */
enum status {
	STATUS_DONE = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
};

struct command {
	const char *name;
	const char *summary;  /* one line, for the list of commands */
	const char *operands; /* "GUEST...", "[GUEST...]"; NULL = takes none */
	const struct option_group *groups; /* ends with one that has no specs */
	size_t args_bytes;    /* the struct that the groups' options are stored in; handed in zeroed */
	enum status (*run)(const void *args, const struct name_list *operands);
};

extern const struct command command_list, command_doctor, command_record, command_report, command_diff,
	command_script, command_export, command_stat, command_time, command_exits, command_top,
	command_session;
extern const struct command command_kallsyms, command_maps, command_modules,
	command_ps; /* look into a guest */

/* Options of every command: -h, --json, -v. */
struct common_args {
	bool help, json, verbose;
};
extern const struct option_spec common_options[];

#endif
