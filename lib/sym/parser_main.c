/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nursery: a process without rights that makes parsers (guest/parser_process.h says why), and the beginning of each of them. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <vpmu/introspect.h>

#include "guest/confine.h"
#include "guest/parser_process.h"
#include "sym/parser_serve.h"
#include "util/macro.h"

/* Sanitizers have something to say. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* ---- a parser ---- */

static int receive(void *data, void *opaque, size_t n)
{
	const int *fd = data;
	char *bytes = opaque;

	while (n) {
		ssize_t got = read(*fd, bytes, n);

		if (got <= 0)
			return got < 0 && errno != ECONNRESET ? -errno : -EPIPE;
		bytes += got;
		n -= (size_t)got;
	}
	return 0;
}

static int send_all(void *data, const void *opaque, size_t n)
{
	const int *fd = data;
	const char *bytes = opaque;

	while (n) {
		ssize_t got = write(*fd, bytes, n);

		if (got < 0)
			return -errno;
		bytes += got;
		n -= (size_t)got;
	}
	return 0;
}

static int be_parser(int fd)
{
	const struct parser_link link = {receive, send_all, &fd};

	prctl(PR_SET_NAME, "vpmud-parser", 0, 0, 0);
	close(STDIN_FILENO); /* of the nursery: nobody else may tell it what to do */
	if (!SANITIZED) {
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	}
	return confine_parser() < 0 || parser_serve(&link) < 0;
}

/* ---- the nursery ---- */

#define HANG_UP_MS 1000

/* *ret_fd: -1 if none came with it. 0 = the other side hung up. */
static ssize_t take_question(struct nursery_question *question, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {question, sizeof(*question)};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	const struct cmsghdr *with;
	ssize_t n = recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	with = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (with && with->cmsg_type == SCM_RIGHTS && with->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(with), sizeof(int));
	return n;
}

/* Not one of ours, or there is none any more: 0. */
static nursery_answer end(pid_t pid, bool hung_up)
{
	static const struct timespec nap = {.tv_nsec = 1000000};
	int status = 0;
	pid_t ended = pid > 0 ? waitpid(pid, &status, WNOHANG) : -1;

	/* One that dies closes its socket a moment before it can be waited for. */
	for (unsigned int i = 0; i < HANG_UP_MS && hung_up && ended == 0; i++) {
		nanosleep(&nap, NULL);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended != 0)
		return ended == pid ? status : 0;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

VPMU_API int vpmu_parser_main(void)
{
	prctl(PR_SET_NAME, "vpmud-nursery", 0, 0, 0);
	if (confine_rights() < 0 || confine_nursery() < 0)
		return 1;
	for (;;) {
		struct nursery_question question = {};
		nursery_answer answer;
		int fd;

		if (take_question(&question, &fd) != sizeof(question))
			return 0;
		if (question.kind == NURSERY_START && fd >= 0) {
			pid_t pid = fork();

			if (pid == 0)
				return be_parser(fd);
			answer = pid < 0 ? -errno : pid;
		} else {
			answer = end(question.pid, question.hung_up);
		}
		if (fd >= 0)
			close(fd);
		if (write(STDIN_FILENO, &answer, sizeof(answer)) != sizeof(answer))
			return 0;
	}
}
