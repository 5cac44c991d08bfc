/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vpmu: where does my VM's time go? The table of commands, and what they have in common: finding
 * the command that was meant, parsing its options, help, the exit status.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/macro.h"
#include "command.h"
#include "nearest.h"
#include "output.h"

static const struct command *const commands[] = {
	&command_list,
	&command_doctor,
	&command_record,
	&command_report,
	&command_diff,
	&command_script,
	&command_export,
	&command_top,
	&command_stat,
	&command_time,
	&command_exits,
	&command_session,
	&command_kallsyms,
	&command_modules,
	&command_ps,
	&command_maps,
};

const struct option_spec common_options[] = {
	{ .name = "json", .help = "print JSON instead of text", .set = option_flag, .max = 1,
	  .offset = offsetof(struct common_args, json) },
	{ .letter = 'v', .name = "verbose", .help = "say what was decided on the way", .set = option_flag,
	  .max = 1, .offset = offsetof(struct common_args, verbose) },
	{ .letter = 'h', .name = "help", .help = "print this", .set = option_flag, .max = 1,
	  .offset = offsetof(struct common_args, help) },
	{},
};

static void print_overview(struct strbuf *out)
{
	strbuf_adds(out, "usage: vpmu COMMAND [OPTION...] [GUEST...]\n\n"
			 "Where does my VM's time go? Answered from the host, with nothing installed "
			 "in the guest.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		strbuf_addf(out, "  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	strbuf_adds(out, "\n'vpmu help COMMAND' tells more. GUEST is a name or UUID, or pid:N for any "
			 "process with KVM vCPUs.\n'vpmu --version' (-V) tells which vpmu this is.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static enum status refuse_command(const char *name)
{
	const char *names[ARRAY_SIZE(commands) + 1] = { "help" }, *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i + 1] = commands[i]->name;
	near = nearest(name, names, ARRAY_SIZE(names));
	if (near)
		return say_usage("unknown command '%s', did you mean '%s'?", name, near);
	return say_usage(name[0] == '-' ? "unknown option '%s'" : "unknown command '%s'", name);
}

static enum status print_help(const char *name)
{
	_strbuf_ struct strbuf text = {};
	const struct command *command = name ? find_command(name) : NULL;

	if (name && !command)
		return refuse_command(name);
	if (command)
		options_help(command, output_width() ? output_width() : 80, &text);
	else
		print_overview(&text);
	output_write(&text);
	return STATUS_DONE;
}

static void print_log(enum vpmu_log_level level, const char *format, va_list args, void *data)
{
	char line[1024];

	(void)level;
	(void)data;
	vsnprintf(line, sizeof(line), format, args);
	say_warning("%s", line);
}

static enum status run_command(const struct command *command, int argc, char **argv)
{
	_free_ struct common_args *args = calloc(1, command->args_bytes);
	struct name_list operands = {};
	struct vpmu_error error;

	say_as(command->name);
	if (!args) {
		say_warning("out of memory");
		return STATUS_FAILED;
	}
	if (options_parse(command, argc, argv, args, &operands, &error) < 0)
		return say_usage("%s", error.text);
	if (args->help)
		return print_help(command->name);
	vpmu_log_set(print_log, NULL, args->verbose ? VPMU_LOG_DEBUG : VPMU_LOG_WARN);
	return command->run(args, &operands);
}

static enum status run(int argc, char **argv)
{
	_strbuf_ struct strbuf text = {};
	const struct command *command;

	if (argc < 2) {
		say_usage("which command?");
		return STATUS_USAGE;
	}
	if (streq(argv[1], "--version") || streq(argv[1], "-V")) {
		strbuf_addf(&text, "vpmu %s\n", vpmu_version());
		output_write(&text);
		return STATUS_DONE;
	}
	if (streq(argv[1], "help") || streq(argv[1], "--help") || streq(argv[1], "-h"))
		return print_help(argc > 2 ? argv[2] : NULL);
	command = find_command(argv[1]);
	if (!command)
		return refuse_command(argv[1]);
	return run_command(command, argc - 1, argv + 1);
}

/*
 * An event takes a file for each vCPU: sixty-four vCPUs and sixteen events are more than the usual soft limit of 1024, which is low for
 * the sake of programs that use select().
 */
static void allow_open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
	enum status status, written;

	/*
	 * A parent that ignores SIGPIPE hands that on; writing to a closed pipe then gives EPIPE,
	 * which output.c knows.
	 */
	signal(SIGPIPE, SIG_DFL);
	output_init();
	allow_open_files();
	status = run(argc, argv);
	written = output_finish();
	return status == STATUS_DONE ? written : status;
}
