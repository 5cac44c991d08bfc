/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>

#include "daemon/usage.h"
#include "test.h"

TEST(a_process_knows_what_it_costs)
{
	const size_t bytes = 32 << 20;
	struct usage before = {}, after = {};
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fds[2];

	CHECK(memory != MAP_FAILED);
	usage_of_process(&before);
	memset(memory, 1, bytes);
	CHECK_EQ(pipe(fds), 0);
	usage_of_process(&after);
	CHECK_EQ(after.open_files, before.open_files + 2);
	/* The kernel counts on each CPU, and adds that up now and then. */
	CHECK_CMP(after.memory_bytes, >, before.memory_bytes + bytes / 10 * 9);
	CHECK_CMP(after.cpu_ns, >, before.cpu_ns);
	close(fds[0]);
	close(fds[1]);
	munmap(memory, bytes);
}

int main(void)
{
	return test_main();
}
