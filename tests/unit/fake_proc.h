/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A /proc of a test's own, in a temporary directory that goes away with the test. */
#ifndef TESTS_UNIT_FAKE_PROC_H
#define TESTS_UNIT_FAKE_PROC_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "test.h"

static char fake_root[] = "/tmp/vpmu-test.XXXXXX";

static int fake_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void fake_cleanup(void)
{
	nftw(fake_root, fake_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* The tree's root; made at the first call. */
static const char *fake_dir(void)
{
	static bool made;

	if (!made) {
		CHECK(mkdtemp(fake_root));
		CHECK_EQ(chmod(fake_root, 0755), 0);
		atexit(fake_cleanup);
		made = true;
	}
	return fake_root;
}

/* A path in the tree; its folders are made. Good until the next call. */
__attribute__((format(printf, 1, 2))) static const char *fake_path(const char *format, ...)
{
	static char path[PATH_MAX];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s/", fake_dir());
	va_list args;

	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - n, format, args);
	va_end(args);
	for (char *slash = path + n; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(path, 0755);
	}
	return path;
}

/* At once, as the kernel's files change: a thread of what is tested may read it at this moment. */
static void fake_write(const char *path, const void *bytes, size_t n)
{
	char new[PATH_MAX];
	FILE *f;

	snprintf(new, sizeof(new), "%s/new", fake_dir());
	f = fopen(new, "w");
	CHECK(f);
	CHECK_EQ(fwrite(bytes, 1, n, f), n);
	CHECK_EQ(fclose(f), 0);
	CHECK_EQ(rename(new, path), 0);
}

__attribute__((unused)) static void fake_text(const char *path, const char *text)
{
	fake_write(path, text, strlen(text));
}

/* A stat file as the kernel writes it, with what matters here. */
static void fake_stat(const char *path, int id, const char *comm, unsigned int flags, int n_threads,
		      unsigned long start_ticks, unsigned long guest_ticks)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "%d (%s) S 1 2 3 0 -1 %u 5 0 0 0 7 8 0 0 20 0 %d 0 %lu 1000 10 18446744073709551615 "
			 "1 2 3 0 0 0 4096 0 0 0 0 0 17 1 0 0 0 %lu 0 1 2 3 4 5 6 7 0\n",
			 id, comm, flags, n_threads, start_ticks, guest_ticks);

	fake_write(path, text, (size_t)n);
}

/* Started in the far future, so that it is young at every look. */
#define FAKE_YOUNG 1000000000000ul

__attribute__((unused)) static void fake_user(int pid, unsigned int uid)
{
	char text[128];

	snprintf(text, sizeof(text), "Name:\tqemu\nUid:\t%u\t0\t0\t0\nGid:\t0\t0\t0\t0\n", uid);
	fake_text(fake_path("%d/status", pid), text);
}

/* It is root's. */
__attribute__((unused)) static void fake_process(int pid, const char *comm, int n_threads)
{
	fake_user(pid, 0);
	fake_stat(fake_path("%d/stat", pid), pid, comm, 0x400000, n_threads, FAKE_YOUNG, 0);
	fake_stat(fake_path("%d/task/%d/stat", pid, pid), pid, comm, 0x400000, n_threads, FAKE_YOUNG, 0);
	fake_path("%d/fd/", pid);
}

__attribute__((unused)) static void fake_thread(int pid, int tid, const char *comm, unsigned long guest_ticks)
{
	fake_stat(fake_path("%d/task/%d/stat", pid, tid), tid, comm, 0x400040, 2, FAKE_YOUNG, guest_ticks);
}

__attribute__((unused)) static void fake_link(int pid, const char *name, const char *target)
{
	CHECK_EQ(symlink(target, fake_path("%d/%s", pid, name)), 0);
}

#endif
