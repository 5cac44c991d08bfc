/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "guest/parser_process.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

/* One that fails at once would fail again at once; of one that has lived for a while a new one takes the place. */
#define PAUSE_NS     1000000000ull
#define PAUSE_MAX_NS 60000000000ull
#define LIVED_NS     2000000000ull
#define ANSWER_MS    10000 /* it answers in less than one; a machine may be busy */

static struct {
	pthread_mutex_t lock;
	const char *path, *const *argv;
	int fd; /* -1: none runs */
	pid_t pid;
	uint64_t pause_ns, not_before_ns, started_ns;
} nursery = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static atomic_bool used, stopped;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool parser_processes_used(void)
{
	return used;
}

bool parser_processes_stopped(void)
{
	return stopped;
}

static _Thread_local const atomic_uint_least64_t *awaited_until_ns;

void parser_processes_await_until(const atomic_uint_least64_t *until_ns)
{
	awaited_until_ns = until_ns;
}

bool parser_processes_awaited(void)
{
	uint64_t until_ns = awaited_until_ns ? *awaited_until_ns : 0;

	return !until_ns || now_ns() < until_ns;
}

/* ---- the nursery, with the lock held ---- */

static void lose(void)
{
	if (nursery.fd < 0)
		return;
	close(take_fd(&nursery.fd));
	kill(nursery.pid, SIGKILL);
	waitpid(nursery.pid, NULL, 0);
	if (now_ns() - nursery.started_ns > LIVED_NS) {
		nursery.pause_ns = nursery.not_before_ns = 0;
		return;
	}
	nursery.pause_ns = nursery.pause_ns ? MIN(nursery.pause_ns * 2, PAUSE_MAX_NS) : PAUSE_NS;
	nursery.not_before_ns = now_ns() + nursery.pause_ns;
}

VPMU_API void vpmu_parser_use(const char *path, const char *const argv[])
{
	pthread_mutex_lock(&nursery.lock);
	lose();
	nursery.path = path;
	nursery.argv = argv;
	nursery.pause_ns = nursery.not_before_ns = 0;
	used |= path != NULL;
	stopped = !path;
	pthread_mutex_unlock(&nursery.lock);
}

/* Its end of the socket is its standard input; it has nothing else open but what it may complain to. */
static int spawn(int fd, pid_t *ret_pid)
{
	static char *const no_environment[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	r = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawn(ret_pid, nursery.path, &actions, &attributes,
				(char *const *)nursery.argv, no_environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int need_nursery(struct vpmu_error *reterr)
{
	_close_ int ours = -1, theirs = -1;
	int pair[2], r;

	if (nursery.fd >= 0)
		return 0;
	if (!nursery.path)
		return error_set(reterr, -ESHUTDOWN, "guests' memory is not parsed any more");
	if (now_ns() < nursery.not_before_ns)
		return error_set(reterr, -EAGAIN, "the process that starts those that parse guests' memory failed a moment ago");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(reterr, -errno, "make", "a socket pair");
	ours = pair[0];
	theirs = pair[1];
	r = spawn(theirs, &nursery.pid);
	if (r < 0)
		return error_errno(reterr, r, "start", nursery.path);
	nursery.started_ns = now_ns();
	nursery.fd = take_fd(&ours);
	return 0;
}

static int send_question(const struct nursery_question *question, int with_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {(void *)question, sizeof(*question)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &with_fd, sizeof(int));
	}
	return sendmsg(nursery.fd, &message, MSG_NOSIGNAL) == sizeof(*question) ? 0 : -EPIPE;
}

/* The program's signals may come meanwhile. */
static bool is_answered(void)
{
	struct pollfd wait = {nursery.fd, POLLIN, 0};
	int n;

	do
		n = poll(&wait, 1, ANSWER_MS);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static int ask(const struct nursery_question *question, int with_fd, nursery_answer *ret)
{
	int r = send_question(question, with_fd);

	if (r == 0 && is_answered() && recv(nursery.fd, ret, sizeof(*ret), 0) == sizeof(*ret))
		return 0;
	log_warn("the process that starts those that parse guests' memory is gone; a new one is started");
	lose();
	return -EPIPE;
}

/* ---- parsers ---- */

static int start(int fd, pid_t *ret_pid, struct vpmu_error *reterr)
{
	const struct nursery_question question = {.kind = NURSERY_START};
	nursery_answer answer;
	int r = need_nursery(reterr);

	if (r < 0)
		return r;
	r = ask(&question, fd, &answer);
	if (r == -EPIPE) {
		r = need_nursery(reterr);
		if (r < 0)
			return r;
		r = ask(&question, fd, &answer);
	}
	if (r == 0 && answer < 0)
		r = answer;
	if (r < 0)
		return error_errno(reterr, r, "start", "a process to parse a guest's memory");
	*ret_pid = answer;
	return 0;
}

int parser_process_start(int *ret_fd, pid_t *ret_pid, struct vpmu_error *reterr)
{
	_close_ int ours = -1, theirs = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(reterr, -errno, "make", "a socket pair");
	ours = pair[0];
	theirs = pair[1];
	fcntl(ours, F_SETFL, O_NONBLOCK); /* ours alone: the other end blocks */
	pthread_mutex_lock(&nursery.lock);
	r = start(theirs, ret_pid, reterr);
	pthread_mutex_unlock(&nursery.lock);
	if (r == 0)
		*ret_fd = take_fd(&ours);
	return r;
}

void parser_process_end(int fd, pid_t pid, bool hung_up, char how[PARSER_HOW_BYTES])
{
	const struct nursery_question question = {.kind = NURSERY_END, .pid = pid, .hung_up = hung_up};
	nursery_answer status = 0;

	how[0] = '\0';
	pthread_mutex_lock(&nursery.lock);
	if (nursery.fd >= 0 && ask(&question, -1, &status) == 0 && status > 0) {
		if (WIFSIGNALED(status))
			snprintf(how, PARSER_HOW_BYTES, "was ended by signal %d (%s)", WTERMSIG(status),
				 sigdescr_np(WTERMSIG(status)));
		else if (WIFEXITED(status))
			snprintf(how, PARSER_HOW_BYTES, "ended with status %d", WEXITSTATUS(status));
	}
	pthread_mutex_unlock(&nursery.lock);
	close(fd); /* one whose nursery is gone ends by this */
}
