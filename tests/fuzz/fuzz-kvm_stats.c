/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's binary statistics. */
#include <errno.h>

#include "format/kvm_stats.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = { "exits", "halt_wait_ns", "halt_wait_hist",
					     "no such statistic", "" };
	char *copy = exact_copy(bytes, size);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct kvm_stat stat = { .offset = UINT64_MAX };
		int r = kvm_stats_find(copy, size, names[i], &stat);

		HOLDS(r == 0 || r == -ENOENT || r == -EOPNOTSUPP || r == -EBADMSG);
		HOLDS((r == 0) == (stat.offset != UINT64_MAX));
		HOLDS(stat.offset == UINT64_MAX || stat.offset <= 2ull * UINT32_MAX);
	}
	free(copy);
	return 0;
}
