/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A made-up guest (guest_maker.h) whose kernel has unwind tables, in the layout of 6.1. */
#ifndef TESTS_UNIT_ORC_GUEST_H
#define TESTS_UNIT_ORC_GUEST_H

#include <vpmu/introspect.h>

#include "guest/kernel_orc.h"
#include "guest_maker.h"

#define ORC_IPS_AT     0x310000u
#define ORC_ENTRIES_AT 0x318000u
#define ORC_CODE_BYTES 0x10000u
#define ORC_CODE_GVA   (MADE_TEXT_GVA + 0x1000)

/* Registers and types in flags: format/orc.h, layout 1. */
enum { ORC_SP = 5, ORC_REGS = 1 << 8, ORC_OUTERMOST = 1 << 10 };

struct orc_rule {
	uint32_t offset; /* from ORC_CODE_GVA */
	int16_t sp_offset;
	uint16_t flags;
};

static inline struct vpmu_kernel *orc_guest_open(const struct orc_rule *rules, size_t n, int *ret_fd)
{
	const struct kallsyms_extra symbols[] = {
		{"T_stext", ORC_CODE_GVA},
		{"T_etext", ORC_CODE_GVA + ORC_CODE_BYTES},
		{"r__start_orc_unwind_ip", MADE_TEXT_GVA + ORC_IPS_AT},
		{"r__stop_orc_unwind_ip", MADE_TEXT_GVA + ORC_IPS_AT + n * ORC_IP_BYTES},
		{"r__start_orc_unwind", MADE_TEXT_GVA + ORC_ENTRIES_AT},
		{"r__stop_orc_unwind", MADE_TEXT_GVA + ORC_ENTRIES_AT + n * ORC_ENTRY_BYTES},
		{},
	};
	struct vpmu_kernel *kernel;
	struct vpmu_error error;

	guest_make_with(&kallsyms_forms[2], 4, symbols);
	for (size_t i = 0; i < n; i++) {
		int32_t ip = (int32_t)((int64_t)(ORC_CODE_GVA + rules[i].offset) -
				       (int64_t)(MADE_TEXT_GVA + ORC_IPS_AT + i * ORC_IP_BYTES));
		uint8_t *entry = ram + MADE_TEXT_GPA + ORC_ENTRIES_AT + i * ORC_ENTRY_BYTES;

		memcpy(ram + MADE_TEXT_GPA + ORC_IPS_AT + i * ORC_IP_BYTES, &ip, sizeof(ip));
		memcpy(entry, &rules[i].sp_offset, 2);
		memcpy(entry + 4, &rules[i].flags, 2);
	}
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = guest_write(ret_fd));
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, &error), 0);
	return kernel;
}

#endif
