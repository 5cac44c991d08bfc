/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/introspect.h>

#include "guest/kernel.h"
#include "guest_maker.h"

TEST(a_look_ends_however_much_there_is_to_read)
{
	VPMU_OPTS(vpmu_kernel_opts, opts);
	uint64_t nowhere = 0xffff800000000000, value;
	struct vpmu_kernel *kernel;
	unsigned int looks;
	int fd;

	guest_make(&kallsyms_forms[2], 4);
	opts.memory_path = guest_write(&fd);
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, NULL), 0);
	CHECK_EQ(kernel_read_u64(kernel, MADE_TEXT_GVA, &value), 0);
	/* What cannot be read costs too: a guest decides what that is. */
	for (looks = 0; kernel->work_left && looks < 1000000; looks++)
		CHECK_EQ(kernel_read_large(kernel, nowhere, ram, sizeof(ram)), -EFAULT);
	CHECK(looks > 1 && looks < 1000000);
	CHECK_EQ(kernel_read_u64(kernel, MADE_TEXT_GVA, &value), -EFAULT);
	CHECK_EQ(kernel_look_again(kernel, NULL), 0);
	CHECK_EQ(kernel_read_u64(kernel, MADE_TEXT_GVA, &value), 0);
	vpmu_kernel_free(kernel);
	close(fd);
}

int main(void)
{
	return test_main();
}
