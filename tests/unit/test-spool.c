/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/spool.h"
#include "test.h"

TEST(a_file_has_no_name_and_its_reader_cannot_write)
{
	struct vpmu_error error;
	char content[7] = "";
	int fd = spool_open(&error), reader;
	struct stat st;

	if (fd == -ENOSPC)
		skip("the disk of /var/tmp is nearly full");
	CHECK_CMP(fd, >=, 0);
	CHECK_EQ(write(fd, "inside", 6), 6);
	reader = spool_reopen(fd, &error);
	CHECK_CMP(reader, >=, 0);
	CHECK(fcntl(reader, F_GETFD) & FD_CLOEXEC);
	close(fd);
	CHECK_EQ(fstat(reader, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(write(reader, "x", 1), -1);
	CHECK_EQ(ftruncate(reader, 0), -1);
	CHECK_EQ(read(reader, content, sizeof(content)), 6);
	CHECK_STR(content, "inside");
	close(reader);
}

TEST(others_keep_room_on_the_disk)
{
	struct statvfs small = { .f_frsize = 4096, .f_blocks = 1000, .f_bavail = 100 };
	struct statvfs large = { .f_frsize = 4096, .f_blocks = 1 << 30, .f_bavail = 1 << 20 };

	CHECK(spool_is_enough(&small));
	small.f_bavail = 99;
	CHECK(!spool_is_enough(&small));
	CHECK(spool_is_enough(&large));
	large.f_bavail--;
	CHECK(!spool_is_enough(&large));
}

int main(void)
{
	return test_main();
}
