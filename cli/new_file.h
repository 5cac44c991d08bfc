/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that appears whole or not at all: written beside its name, then put in its place. What was there becomes NAME.old; at
 * every moment NAME is one of them, whole. Devices and pipes are not replaced but written to.
 */
#ifndef CLI_NEW_FILE_H
#define CLI_NEW_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include <vpmu/error.h>

struct new_file {
	int fd;		   /* to write to */
	const char *path;
	mode_t mode;	   /* of the new file, less the umask */
	char temp[PATH_MAX]; /* "" for what is not replaced */
};

int new_file_open(struct new_file *file, const char *path, mode_t mode, struct vpmu_error *reterr);
/* All is written. The descriptor is still open afterwards. */
int new_file_keep(struct new_file *file, struct vpmu_error *reterr);
/* Kept if it was written, @r >= 0. What the disk had against that is told anew, with the name that the writer did not know. */
int new_file_finish(struct new_file *file, int r, struct vpmu_error *reterr);
/* Without new_file_keep() before, nothing has happened. */
void new_file_close(struct new_file *file);
#define _new_file_ __attribute__((cleanup(new_file_close)))

#endif
