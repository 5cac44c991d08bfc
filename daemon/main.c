/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmud: options, the socket that systemd may have made, the process's own limits. manager.c does the rest. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <vpmu/vpmu.h>

#include "manager.h"
#include "say.h"
#include "util/error.h"
#include "util/macro.h"

#define DEFAULT_CONFIG "/etc/vpmud.conf"

enum status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct args {
	const char *config, *socket;
	bool check_config, check_replies, verbose, help, version;
};

static const char usage[] =
	"usage: vpmud [--config FILE] [--socket PATH] [--check-config] [--verbose]\n"
	"\n"
	"Profiles every KVM guest of this node and answers questions about them over a socket.\n"
	"\n"
	"  -c, --config FILE     instead of " DEFAULT_CONFIG "; FILE must exist\n"
	"  -s, --socket PATH     instead of the configured one\n"
	"      --check-config    read the configuration, say what is wrong, and end\n"
	"      --check-replies   for tests: turn own answers that the interface does not allow\n"
	"                        into errors\n"
	"  -v, --verbose         say what was decided on the way\n"
	"  -V, --version         print the version\n"
	"  -h, --help            print this\n"
	"\n"
	"SIGHUP reads the configuration again, SIGTERM and SIGINT end vpmud. See vpmud(8), vpmud.conf(5).\n";

enum { OPTION_CHECK_CONFIG = 256, OPTION_CHECK_REPLIES };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "socket", required_argument, NULL, 's' },
	{ "check-config", no_argument, NULL, OPTION_CHECK_CONFIG },
	{ "check-replies", no_argument, NULL, OPTION_CHECK_REPLIES },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{},
};

static int parse_args(int argc, char **argv, struct args *args)
{
	int option;

	while ((option = getopt_long(argc, argv, "c:s:vVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			args->config = optarg;
			break;
		case 's':
			args->socket = optarg;
			break;
		case OPTION_CHECK_CONFIG:
			args->check_config = true;
			break;
		case OPTION_CHECK_REPLIES:
			args->check_replies = true;
			break;
		case 'v':
			args->verbose = true;
			break;
		case 'V':
			args->version = true;
			break;
		case 'h':
			args->help = true;
			break;
		default:
			fputs("vpmud: 'vpmud --help' tells what there is\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vpmud: '%s' is no option; 'vpmud --help' tells what there is\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static void print_log(enum vpmu_log_level level, const char *format, va_list args, void *data)
{
	char line[1024];

	(void)data;
	vsnprintf(line, sizeof(line), format, args);
	if (level == VPMU_LOG_WARN)
		say_warning("%s", line);
	else
		say_info("%s", line);
}

/* Each vCPU takes a file for each event. */
static void allow_open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* -1 = systemd gave none. */
static int take_listen_fd(int *ret_fd, struct vpmu_error *reterr)
{
	int n = sd_listen_fds(1), flags;

	if (n < 0)
		return error_errno(reterr, n, "take over", "the sockets of systemd");
	*ret_fd = -1;
	if (n == 0)
		return 0;
	if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
		return error_set(reterr, -EINVAL, "systemd must hand over one listening UNIX stream socket, not something else");
	flags = fcntl(SD_LISTEN_FDS_START, F_GETFL);
	if (flags < 0 || fcntl(SD_LISTEN_FDS_START, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_errno(reterr, -errno, "prepare", "the socket of systemd");
	*ret_fd = SD_LISTEN_FDS_START;
	return 0;
}

static enum status check_config(const struct manager_opts *opts)
{
	_cleanup_(config_freep) struct config *config = NULL;
	struct vpmu_error error;

	if (config_load(opts->config_path, opts->config_must_exist, &config, &error) < 0) {
		say_error(&error);
		return STATUS_FAILED;
	}
	printf("%s is right\n", opts->config_path);
	return STATUS_DONE;
}

static enum status serve(struct manager_opts *opts)
{
	_cleanup_(manager_freep) struct manager *manager = NULL;
	struct vpmu_error error;
	int r = take_listen_fd(&opts->listen_fd, &error);

	if (r == 0)
		r = manager_new(opts, &manager, &error);
	if (r < 0) {
		say_error(&error);
		return STATUS_FAILED;
	}
	r = manager_run(manager);
	if (r < 0) {
		error_errno(&error, r, "wait in", "the event loop");
		say_error(&error);
	}
	return r < 0 ? STATUS_FAILED : STATUS_DONE;
}

/* How vpmud starts itself once more, for what is in guests' memory (vpmu/introspect.h). Not for users. */
static const char *const parser[] = { "vpmud", "--parser", NULL };

int main(int argc, char **argv)
{
	struct manager_opts opts = { .config_path = DEFAULT_CONFIG, .listen_fd = -1 };
	struct args args = {};

	if (argc == 2 && streq(argv[1], parser[1]))
		return vpmu_parser_main();
	if (parse_args(argc, argv, &args) < 0)
		return STATUS_USAGE;
	if (args.help) {
		fputs(usage, stdout);
		return STATUS_DONE;
	}
	if (args.version) {
		printf("vpmud %s\n", vpmu_version());
		return STATUS_DONE;
	}
	if (args.config) {
		opts.config_path = args.config;
		opts.config_must_exist = true;
	}
	opts.socket = args.socket;
	opts.check_replies = args.check_replies;
	if (args.check_config)
		return check_config(&opts);
	signal(SIGPIPE, SIG_IGN);
	allow_open_files();
	vpmu_log_set(print_log, NULL, args.verbose ? VPMU_LOG_DEBUG : VPMU_LOG_WARN);
	vpmu_parser_use("/proc/self/exe", parser);
	return serve(&opts);
}
