/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of the public enums. */
#include <vpmu/vpmu.h>
#include "util/macro.h"

#define NAME_OF(table, i) ((size_t)(i) < ARRAY_SIZE(table) && (table)[i] ? (table)[i] : "unknown")

VPMU_API const char *vpmu_side_name(enum vpmu_side side)
{
	static const char *const names[VPMU_SIDE_COUNT] = {
		[VPMU_SIDE_UNKNOWN] = "unknown",
		[VPMU_SIDE_HOST_KERNEL] = "host-kernel",
		[VPMU_SIDE_HOST_USER] = "host-user",
		[VPMU_SIDE_HYPERVISOR] = "hypervisor",
		[VPMU_SIDE_GUEST_KERNEL] = "guest-kernel",
		[VPMU_SIDE_GUEST_USER] = "guest-user",
	};

	return NAME_OF(names, side);
}

VPMU_API const char *vpmu_accel_name(enum vpmu_accel accel)
{
	static const char *const names[] = { "unknown", "kvm", "tcg" };

	return NAME_OF(names, accel);
}

VPMU_API const char *vpmu_source_name(enum vpmu_source source)
{
	static const char *const names[] = { "none", "cycles", "cpu-clock", "events" };

	return NAME_OF(names, source);
}

VPMU_API const char *vpmu_frame_status_name(enum vpmu_frame_status status)
{
	static const char *const names[VPMU_FRAME_STATUS_COUNT] = {
		[VPMU_FRAME_OK] = "ok",
		[VPMU_FRAME_UNMAPPED] = "unmapped",
		[VPMU_FRAME_NO_SYMBOLS] = "no-symbols",
		[VPMU_FRAME_NO_SYMBOL] = "no-symbol",
		[VPMU_FRAME_HIDDEN] = "hidden",
		[VPMU_FRAME_OPAQUE] = "opaque",
		[VPMU_FRAME_TRUNCATED] = "truncated",
		[VPMU_FRAME_NOT_THIS_KERNEL] = "not-this-kernel",
		[VPMU_FRAME_NESTED] = "nested",
	};

	return NAME_OF(names, status);
}

VPMU_API const char *vpmu_chain_end_name(enum vpmu_chain_end end)
{
	static const char *const names[VPMU_CHAIN_END_COUNT] = {
		[VPMU_CHAIN_COMPLETE] = "complete",	[VPMU_CHAIN_DEPTH] = "depth",
		[VPMU_CHAIN_NO_MAPPING] = "no-mapping", [VPMU_CHAIN_NO_MEMORY] = "no-memory",
		[VPMU_CHAIN_ABSENT] = "absent",		[VPMU_CHAIN_BAD_FRAME] = "bad-frame",
		[VPMU_CHAIN_BAD_RETURN] = "bad-return", [VPMU_CHAIN_NO_UNWIND] = "no-unwind",
		[VPMU_CHAIN_NO_STACK] = "no-stack",	[VPMU_CHAIN_NESTED] = "nested",
	};

	return NAME_OF(names, end);
}

VPMU_API const char *vpmu_key_name(enum vpmu_key key)
{
	static const char *const names[VPMU_KEY_COUNT] = {
		[VPMU_KEY_GUEST] = "guest",	[VPMU_KEY_VCPU] = "vcpu",
		[VPMU_KEY_SIDE] = "side",	[VPMU_KEY_PROCESS] = "process",
		[VPMU_KEY_DSO] = "dso",		[VPMU_KEY_SYMBOL] = "symbol",
		[VPMU_KEY_LINE] = "line",
	};

	return NAME_OF(names, key);
}

VPMU_API const char *vpmu_version(void)
{
	return VPMU_VERSION_STRING;
}
