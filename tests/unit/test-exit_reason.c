/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <asm/svm.h>
#include <asm/kvm.h>
#include <asm/vmx.h>

#include "format/exit_reason.h"
#include "test.h"

/* The kernel's headers are the reference: what they know we call the same. */
TEST(reasons_are_called_as_the_kernel_calls_them)
{
	static const struct {
		uint32_t code;
		const char *name;
	} vmx[] = { VMX_EXIT_REASONS }, svm[] = { SVM_EXIT_REASONS };

	for (size_t i = 0; i < sizeof(vmx) / sizeof(*vmx); i++)
		CHECK_STR(exit_reason_name(EXIT_ISA_VMX, vmx[i].code), vmx[i].name);
	for (size_t i = 0; i < sizeof(svm) / sizeof(*svm); i++)
		CHECK_STR(exit_reason_name(EXIT_ISA_SVM, svm[i].code), svm[i].name);
}

TEST(flags_beside_the_reason_do_not_matter)
{
	CHECK_STR(exit_reason_name(EXIT_ISA_VMX, 0x80000021), "INVALID_STATE");
	CHECK_STR(exit_reason_name(EXIT_ISA_VMX, 0x0400000a), "CPUID");
}

TEST(reasons_newer_than_the_headers_have_names)
{
	CHECK_STR(exit_reason_name(EXIT_ISA_VMX, 77), "TDCALL");
	CHECK_STR(exit_reason_name(EXIT_ISA_VMX, 84), "MSR_READ_IMM");
	CHECK_STR(exit_reason_name(EXIT_ISA_SVM, 0xa5), "bus_lock");
	CHECK_STR(exit_reason_name(EXIT_ISA_SVM, 0xa6), "idle_hlt");
}

TEST(what_nobody_knows_has_no_name)
{
	CHECK(!exit_reason_name(EXIT_ISA_VMX, 35));
	CHECK(!exit_reason_name(EXIT_ISA_VMX, 0xffff));
	CHECK(!exit_reason_name(EXIT_ISA_SVM, 0x3ff));
	CHECK(!exit_reason_name(EXIT_ISA_NONE, 0));
	CHECK(!exit_user_name(1000));
	CHECK_STR(exit_user_name(2), "io");
}

TEST(a_halt_is_told_from_other_exits)
{
	CHECK(exit_is_halt(EXIT_ISA_VMX, 12));
	CHECK(exit_is_halt(EXIT_ISA_SVM, 0x78));
	CHECK(!exit_is_halt(EXIT_ISA_SVM, 12));
	CHECK(!exit_is_halt(EXIT_ISA_VMX, 0x78));
}

int main(void)
{
	return test_main();
}
