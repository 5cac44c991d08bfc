/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer over the files of a folder, once each. usage: fuzz-NAME FOLDER */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "fuzz.h"
#include "util/io.h"

#define MOST_BYTES (16 << 20)

int main(int argc, char **argv)
{
	DIR *dir = opendir(argc == 2 ? argv[1] : "");
	struct dirent *entry;
	int files = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(dir))) {
		char *bytes;
		size_t n;
		int r;

		if (entry->d_name[0] == '.')
			continue;
		r = io_read_file(dirfd(dir), entry->d_name, MOST_BYTES, &bytes, &n);
		if (r < 0) {
			fprintf(stderr, "cannot read '%s/%s': %s\n", argv[1], entry->d_name,
				strerror(-r));
			return 1;
		}
		printf("%s\n", entry->d_name);
		fflush(stdout); /* the last name is the culprit's */
		LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
		free(bytes);
		files++;
	}
	closedir(dir);
	printf("%d files\n", files);
	return files == 0;
}
