/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <strings.h>

#include "guest/vcpu_name.h"
#include "util/macro.h"

/* A thread's name has 15 characters, and no KVM has more than 65536 vCPUs: five digits are all there can be. */
#define INDEX_DIGITS_MAX 5

/* The number at @s; what follows it must be @tail exactly. */
static bool parse_index(const char *s, const char *tail, uint32_t *ret_index)
{
	size_t n = strspn(s, "0123456789");
	uint32_t index = 0;

	if (n == 0 || n > INDEX_DIGITS_MAX || !streq(s + n, tail))
		return false;
	for (size_t i = 0; i < n; i++)
		index = index * 10 + (uint32_t)(s[i] - '0');
	*ret_index = index;
	return true;
}

enum vcpu_name vcpu_name_parse(const char *comm, uint32_t *ret_index)
{
	const char *vcpu;

	if (starts_with(comm, "CPU ")) {
		if (parse_index(comm + 4, "/KVM", ret_index))
			return VCPU_NAME_QEMU_KVM;
		if (parse_index(comm + 4, "/TCG", ret_index))
			return VCPU_NAME_QEMU_TCG;
		return VCPU_NAME_NONE;
	}
	if (streq(comm, "ALL CPUs/TCG")) {
		*ret_index = 0;
		return VCPU_NAME_QEMU_TCG;
	}
	if (starts_with(comm, "EMT-"))
		return parse_index(comm + 4, "", ret_index) ? VCPU_NAME_OTHER : VCPU_NAME_NONE;
	vcpu = strcasestr(comm, "vcpu");
	if (!vcpu)
		return VCPU_NAME_NONE;
	vcpu += strlen("vcpu");
	if (*vcpu && strchr(" -_:", *vcpu))
		vcpu++;
	return parse_index(vcpu, "", ret_index) ? VCPU_NAME_OTHER : VCPU_NAME_NONE;
}
