/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file that KVM_GET_STATS_FD gives for a virtual machine or a vCPU (linux/kvm.h;
 * Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD"), Linux 5.14:
 *
 *	header		 flags, size of a name, number of statistics, offsets of the three parts
 *			 below, 32 bits each
 *	id		 "kvm-PID/vcpu-N"
 *	descriptors	 flags (type, unit, base), 16-bit exponent, 16-bit number of values, offset
 *			 of the values in the data, bucket size, name in a field of fixed size
 *	data		 64-bit values
 *
 * All but the data stays the same as long as the file is open: where a value is needs to be found
 * once.
 */
#ifndef FORMAT_KVM_STATS_H
#define FORMAT_KVM_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvm_stat {
	uint64_t offset; /* of its value, in the file */
	bool is_time;	 /* nanoseconds */
};

/*
 * Finds statistic @name in the beginning of such a file. Errors: -ENOENT; -EOPNOTSUPP (it is no sum
 * of what happened: a level, a peak, a histogram); -EBADMSG (no such file, or cut within what is
 * needed).
 */
int kvm_stats_find(const void *bytes, size_t n, const char *name, struct kvm_stat *ret_stat);

#endif
