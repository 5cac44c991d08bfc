/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything that is read by the kernel's page tables comes through here, and is paid for: a guest can make lists within lists
 * within lists (areas, each with a path, each with thousands of directories), which all end but together take hours.
 */
#include <errno.h>

#include "guest/kernel.h"
#include "util/log.h"

/*
 * What one look may cost. A process with as many areas as Linux allows takes some 4 million, 100 000 tasks 800 000, a second or
 * two for all of it.
 */
#define WORK_MAX       (16u << 20)
#define BYTES_OF_WORK  512 /* a page takes a system call, a field is found in the cache */

void kernel_work_begin(struct vpmu_kernel *k)
{
	k->work_left = WORK_MAX;
}

static int work(struct vpmu_kernel *k, size_t n)
{
	uint64_t cost = 1 + n / BYTES_OF_WORK;

	if (k->work_left < cost) {
		if (k->work_left)
			log_warn("the guest's kernel has more in its lists than can be true; what was read so far stands");
		k->work_left = 0;
		return -EFAULT;
	}
	k->work_left -= cost;
	return 0;
}

int kernel_read(struct vpmu_kernel *k, uint64_t gva, void *bytes, size_t n)
{
	int r = work(k, n);

	return r < 0 ? r : paging_read(k->memory, &k->paging, gva, bytes, n);
}

int kernel_read_large(struct vpmu_kernel *k, uint64_t gva, void *bytes, size_t n)
{
	int r = work(k, n);

	return r < 0 ? r : paging_read_large(k->memory, &k->paging, gva, bytes, n);
}

int kernel_read_of(struct vpmu_kernel *k, const struct paging *paging, uint64_t gva, void *bytes, size_t n)
{
	int r = work(k, n);

	return r < 0 ? r : paging_read(k->memory, paging, gva, bytes, n);
}

int kernel_read_u64(struct vpmu_kernel *k, uint64_t gva, uint64_t *ret)
{
	return kernel_read(k, gva, ret, sizeof(*ret));
}

int kernel_read_u32(struct vpmu_kernel *k, uint64_t gva, uint32_t *ret)
{
	return kernel_read(k, gva, ret, sizeof(*ret));
}

ssize_t kernel_read_string(struct vpmu_kernel *k, uint64_t gva, char *text, size_t room)
{
	int r = work(k, room);

	return r < 0 ? r : paging_read_string(k->memory, &k->paging, gva, text, room);
}
