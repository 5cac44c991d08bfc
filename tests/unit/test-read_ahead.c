/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "test.h"
#include "util/read_ahead.h"

/* A file of @n bytes, each of which tells its place. */
static int counting_file(size_t n)
{
	int fd = memfd_create("counting", MFD_CLOEXEC);

	CHECK(fd >= 0);
	for (size_t i = 0; i < n; i += 4) {
		uint32_t word = (uint32_t)i;

		CHECK_EQ(write(fd, &word, 4), 4);
	}
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

TEST(what_is_read_is_what_the_file_holds)
{
	size_t size = 1 << 20, n = 0;
	_close_ int fd = counting_file(size);
	_cleanup_(read_ahead_freep) struct read_ahead *ahead = read_ahead_new(fd);
	char *all = malloc(size + 8192);
	ssize_t got;

	while ((got = read_ahead_read(ahead, all + n, 1 + n % 5000)) > 0)
		n += (size_t)got;
	CHECK_EQ(got, 0);
	CHECK_EQ(n, size);
	for (size_t i = 0; i < size; i += 4) {
		uint32_t word;

		memcpy(&word, all + i, 4);
		CHECK_EQ(word, i);
	}
	CHECK_EQ(read_ahead_read(ahead, all, 1), 0);
	free(all);
}

TEST(one_may_stop_in_the_middle)
{
	_close_ int fd = counting_file(1 << 20);
	char byte;

	for (int i = 0; i < 50; i++) {
		struct read_ahead *ahead = read_ahead_new(fd);

		CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
		CHECK_EQ(read_ahead_read(ahead, &byte, i % 2), i % 2);
		CHECK(!read_ahead_free(ahead));
	}
}

TEST(a_descriptor_that_cannot_be_read_says_so_every_time)
{
	_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(read_ahead_freep) struct read_ahead *ahead = read_ahead_new(fd);
	char byte;

	CHECK_EQ(read_ahead_read(ahead, &byte, 1), -EISDIR);
	CHECK_EQ(read_ahead_read(ahead, &byte, 1), -EISDIR);
}

int main(void)
{
	return test_main();
}
