/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What processors call the reasons for leaving a guest, in the spelling of the kernel's tracepoints
 * (and so of perf): VMX in capitals (Intel SDM vol. 3, appendix C), SVM in lower case (AMD APM vol.
 * 2, appendix C).
 *
 * The tables here know what is in Linux 7.0. Reasons that are newer than they come from the kernel
 * headers that the library is built with, so a build on a newer system names more.
 */
#ifndef FORMAT_EXIT_REASON_H
#define FORMAT_EXIT_REASON_H

#include <stdbool.h>
#include <stdint.h>

enum exit_isa { EXIT_ISA_NONE = 0, EXIT_ISA_VMX = 1, EXIT_ISA_SVM = 2 }; /* as kvm_exit tells them */

/* A static string; NULL: nobody knows it. VMX's flags beside the reason do not matter here. */
const char *exit_reason_name(enum exit_isa isa, uint32_t code);

/*
 * KVM_RUN's answer to the VMM, without "KVM_EXIT_", in lower case: "io", "mmio", …; NULL: nobody
 * knows it.
 */
const char *exit_user_name(uint32_t reason);

/* Whether the guest waited for its own sake: HLT, MWAIT, idle HLT. */
bool exit_is_halt(enum exit_isa isa, uint32_t code);

#endif
