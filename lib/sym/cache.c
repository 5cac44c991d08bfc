/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/cache.h"
#include "util/io.h"
#include "util/macro.h"

#define MAX_BYTES (1ull << 32)

static bool is_ours(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int cache_load(const char *directory, const char *name, const void *key, size_t key_bytes,
	       struct symtab **ret_table)
{
	_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_close_ int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct symtab *table;
	const void *meta;
	size_t meta_bytes;
	struct stat st;
	void *map;
	int r;

	if (fd < 0 || fstat(dir, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EPERM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !is_ours(&st))
		return -EPERM;
	if (st.st_size <= 0 || (uint64_t)st.st_size > MAX_BYTES)
		return -EBADMSG;
	/* All of it is about to be checked. Files are replaced by rename(), never written in place, so they do not shrink. */
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r = symtab_open(map, (size_t)st.st_size, true, &table);
	if (r < 0)
		return r;
	meta = symtab_meta(table, &meta_bytes);
	if (key_bytes > meta_bytes || memcmp(meta, key, key_bytes) != 0) {
		symtab_free(table);
		return -ESTALE;
	}
	*ret_table = table;
	return 0;
}

/*
 * Somebody else's symbolic link to a directory of ours is not ours: root with a user's HOME would write
 * wherever that user points it.
 */
static int check_directory(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && st.st_uid != geteuid())
		return -EPERM;
	if (stat(path, &st) < 0)
		return -errno;
	return !S_ISDIR(st.st_mode) ? -ENOTDIR : is_ours(&st) ? 0 : -EPERM;
}

/* Makes @path, and before that its parent if that is missing, too. */
static int make_directory(char *path, bool with_parent)
{
	char *slash = strrchr(path, '/');
	int r = check_directory(path);

	if (r != -ENOENT || !slash || slash == path)
		return r;
	*slash = '\0';
	if (with_parent)
		r = make_directory(path, false);
	else
		r = check_directory(path);
	*slash = '/';
	if (r < 0)
		return r;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int cache_save(const char *directory, const char *name, const struct symtab *table)
{
	_free_ char *path = NULL, *copy = strdup(directory);
	size_t n;
	const void *image = symtab_image(table, &n);
	int r = copy ? make_directory(copy, true) : -ENOMEM;

	if (r < 0)
		return r;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return -ENOMEM;
	return io_write_file_atomic(path, image, n, 0600);
}
