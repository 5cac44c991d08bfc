/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "guest/memory.h"
#include "test.h"

/* This process plays the hypervisor: two pieces of its memory are a guest's, at 0 and at 4 GiB. */
static uint8_t *low, *high;

static struct memory *own_memory(void)
{
	struct memory_segment segments[2] = {{.n_bytes = 0x10000},
					     {.gpa = 0x100000000, .n_bytes = 0x8000}};
	struct memory *memory;

	low = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	high = mmap(NULL, 0x8000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(low != MAP_FAILED && high != MAP_FAILED);
	/* A page that is touched is one page, whatever they are beside. */
	CHECK_EQ(madvise(low, 0x10000, MADV_NOHUGEPAGE), 0);
	CHECK_EQ(madvise(high, 0x8000, MADV_NOHUGEPAGE), 0);
	segments[0].at = (uintptr_t)low;
	segments[1].at = (uintptr_t)high;
	CHECK_EQ(memory_of_process(getpid(), segments, 2, &memory), 0);
	return memory;
}

TEST(reads_by_guest_physical_address)
{
	struct memory *memory = own_memory();
	uint32_t value;

	memset(low + 0x3ffe, 0x11, 4);
	memset(high + 0x7ffc, 0x22, 4);
	CHECK_EQ(memory_bytes(memory), 0x18000);
	CHECK_EQ(memory_read(memory, 0x3ffe, &value, 4), 0);
	CHECK_EQ(value, 0x11111111);
	CHECK_EQ(memory_read_large(memory, 0x100007ffc, &value, 4), 0);
	CHECK_EQ(value, 0x22222222);
	CHECK_EQ(memory_read(memory, 0x100007ffe, &value, 4), -EFAULT);
	CHECK_EQ(memory_read(memory, 0xfffe, &value, 4), -EFAULT);
	CHECK_EQ(memory_read(memory, UINT64_MAX - 1, &value, 4), -EFAULT);
	CHECK(memory_has(memory, 0x100000000, 0x8000) && !memory_has(memory, 0x100000000, 0x8001));
	memory_free(memory);
}

TEST(the_cache_is_as_old_as_the_last_forget)
{
	struct memory *memory = own_memory();
	uint8_t value;

	low[0x5000] = 1;
	CHECK_EQ(memory_read(memory, 0x5000, &value, 1), 0);
	low[0x5000] = 2;
	CHECK_EQ(memory_read(memory, 0x5000, &value, 1), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(memory_read_large(memory, 0x5000, &value, 1), 0);
	CHECK_EQ(value, 2);
	memory_forget(memory);
	CHECK_EQ(memory_read(memory, 0x5000, &value, 1), 0);
	CHECK_EQ(value, 2);
	memory_free(memory);
}

struct scanned {
	unsigned int pages;
	uint64_t found;
};

static int see_page(uint64_t page_gpa, uint64_t word, void *data)
{
	struct scanned *scanned = data;

	scanned->pages++;
	if (word == 0x7777)
		scanned->found = page_gpa;
	return 0;
}

TEST(a_scan_sees_what_is_resident_and_makes_nothing_so)
{
	struct memory *memory = own_memory();
	struct scanned scanned = {};
	unsigned char resident[8];

	memset(low, 1, 0x10000);
	high[0x2ff8] = high[0x2ff9] = 0x77;
	CHECK_EQ(memory_scan(memory, 0xff8, see_page, &scanned), 0);
	CHECK_EQ(scanned.pages, 16 + 1);
	CHECK_EQ(scanned.found, 0x100002000);
	CHECK_EQ(mincore(high, 0x8000, resident), 0);
	for (size_t i = 0; i < 8; i++)
		CHECK_EQ(resident[i] & 1, i == 2);
	memory_free(memory);
}

TEST(a_process_that_is_gone_is_an_ordinary_error)
{
	struct memory_segment segment = {.n_bytes = 0x1000, .at = (uintptr_t)&low & ~0xfffull};
	pid_t pid = fork();
	struct memory *memory;
	uint64_t value;
	int status;

	if (pid == 0)
		_exit(0);
	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(memory_of_process(pid, &segment, 1, &memory), 0);
	CHECK_EQ(memory_read(memory, 0, &value, 8), -ESRCH);
	memory_free(memory);
}

TEST(segments_that_overlap_or_wrap_are_refused)
{
	struct memory_segment twice[2] = {{.n_bytes = 0x2000, .at = 0x1000},
					  {.gpa = 0x1000, .n_bytes = 0x1000}};
	struct memory_segment wraps = {.gpa = 0x1000, .n_bytes = UINT64_MAX & ~0xfffull};
	struct memory *memory = NULL;

	CHECK_EQ(memory_of_process(getpid(), twice, 2, &memory), -EINVAL);
	CHECK_EQ(memory_of_process(getpid(), &wraps, 1, &memory), -EINVAL);
	CHECK(!memory);
}

int main(void)
{
	return test_main();
}
