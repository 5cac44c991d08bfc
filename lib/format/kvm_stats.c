/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "format/kvm_stats.h"
#include "util/cursor.h"

#define NAME_BYTES_MAX 4096

struct descriptor {
	uint32_t flags, offset;
	int16_t exponent;
	uint16_t n_values;
	const char *name; /* NULL: not terminated */
};

static struct descriptor read_descriptor(struct cursor *c, uint32_t name_bytes)
{
	struct descriptor d = {};
	const char *name;

	d.flags = cursor_u32(c);
	d.exponent = (int16_t)cursor_u16(c);
	d.n_values = cursor_u16(c);
	d.offset = cursor_u32(c);
	cursor_u32(c); /* bucket size, of histograms */
	name = cursor_bytes(c, name_bytes);
	d.name = name && memchr(name, '\0', name_bytes) ? name : NULL;
	return d;
}

static int take(const struct descriptor *d, uint32_t data_offset, struct kvm_stat *ret_stat)
{
	uint32_t unit = d->flags & KVM_STATS_UNIT_MASK;
	bool nanoseconds = unit == KVM_STATS_UNIT_SECONDS && d->exponent == -9 &&
			   (d->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW10;

	if ((d->flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE || d->n_values != 1 ||
	    (unit == KVM_STATS_UNIT_SECONDS && !nanoseconds) || (!nanoseconds && d->exponent))
		return -EOPNOTSUPP;
	*ret_stat = (struct kvm_stat){ .offset = (uint64_t)data_offset + d->offset,
				       .is_time = nanoseconds };
	return 0;
}

int kvm_stats_find(const void *bytes, size_t n, const char *name, struct kvm_stat *ret_stat)
{
	struct cursor c = cursor_of(bytes, n);
	uint32_t name_bytes, n_stats, descriptors, data;

	cursor_u32(&c); /* flags: none are defined */
	name_bytes = cursor_u32(&c);
	n_stats = cursor_u32(&c);
	cursor_u32(&c); /* where the id is */
	descriptors = cursor_u32(&c);
	data = cursor_u32(&c);
	if (c.failed || name_bytes == 0 || name_bytes > NAME_BYTES_MAX)
		return -EBADMSG;
	c = cursor_of(bytes, n);
	cursor_bytes(&c, descriptors);
	for (uint32_t i = 0; i < n_stats; i++) {
		struct descriptor d = read_descriptor(&c, name_bytes);

		if (c.failed || !d.name)
			return -EBADMSG;
		if (strcmp(d.name, name) == 0)
			return take(&d, data, ret_stat);
	}
	return -ENOENT;
}
