/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/kvm.h>
#include <stddef.h>

#include "format/exit_reason.h"
#include "util/macro.h"

static const char *const vmx_names[] = {
	[0] = "EXCEPTION_NMI",
	[1] = "EXTERNAL_INTERRUPT",
	[2] = "TRIPLE_FAULT",
	[3] = "INIT_SIGNAL",
	[4] = "SIPI_SIGNAL",
	[5] = "IO_SMI",
	[6] = "OTHER_SMI",
	[7] = "INTERRUPT_WINDOW",
	[8] = "NMI_WINDOW",
	[9] = "TASK_SWITCH",
	[10] = "CPUID",
	[11] = "GETSEC",
	[12] = "HLT",
	[13] = "INVD",
	[14] = "INVLPG",
	[15] = "RDPMC",
	[16] = "RDTSC",
	[17] = "RSM",
	[18] = "VMCALL",
	[19] = "VMCLEAR",
	[20] = "VMLAUNCH",
	[21] = "VMPTRLD",
	[22] = "VMPTRST",
	[23] = "VMREAD",
	[24] = "VMRESUME",
	[25] = "VMWRITE",
	[26] = "VMOFF",
	[27] = "VMON",
	[28] = "CR_ACCESS",
	[29] = "DR_ACCESS",
	[30] = "IO_INSTRUCTION",
	[31] = "MSR_READ",
	[32] = "MSR_WRITE",
	[33] = "INVALID_STATE",
	[34] = "MSR_LOAD_FAIL",
	[36] = "MWAIT_INSTRUCTION",
	[37] = "MONITOR_TRAP_FLAG",
	[39] = "MONITOR_INSTRUCTION",
	[40] = "PAUSE_INSTRUCTION",
	[41] = "MCE_DURING_VMENTRY",
	[43] = "TPR_BELOW_THRESHOLD",
	[44] = "APIC_ACCESS",
	[45] = "EOI_INDUCED",
	[46] = "GDTR_IDTR",
	[47] = "LDTR_TR",
	[48] = "EPT_VIOLATION",
	[49] = "EPT_MISCONFIG",
	[50] = "INVEPT",
	[51] = "RDTSCP",
	[52] = "PREEMPTION_TIMER",
	[53] = "INVVPID",
	[54] = "WBINVD",
	[55] = "XSETBV",
	[56] = "APIC_WRITE",
	[57] = "RDRAND",
	[58] = "INVPCID",
	[59] = "VMFUNC",
	[60] = "ENCLS",
	[61] = "RDSEED",
	[62] = "PML_FULL",
	[63] = "XSAVES",
	[64] = "XRSTORS",
	[67] = "UMWAIT",
	[68] = "TPAUSE",
	[74] = "BUS_LOCK",
	[75] = "NOTIFY",
	[76] = "SEAMCALL",
	[77] = "TDCALL",
	[84] = "MSR_READ_IMM",
	[85] = "MSR_WRITE_IMM",
};

/* 0 to 0xbf; control and debug registers, and exceptions by their vector, are in order. ("rt" is the kernel's spelling of TR.) */
static const char *const svm_names[] = {
	[0x00] = "read_cr0", "read_cr1", "read_cr2", "read_cr3", "read_cr4", "read_cr5", "read_cr6",
	"read_cr7", "read_cr8", "read_cr9", "read_cr10", "read_cr11", "read_cr12", "read_cr13",
	"read_cr14", "read_cr15",
	[0x10] = "write_cr0", "write_cr1", "write_cr2", "write_cr3", "write_cr4", "write_cr5",
	"write_cr6", "write_cr7", "write_cr8", "write_cr9", "write_cr10", "write_cr11",
	"write_cr12", "write_cr13", "write_cr14", "write_cr15",
	[0x20] = "read_dr0", "read_dr1", "read_dr2", "read_dr3", "read_dr4", "read_dr5", "read_dr6",
	"read_dr7",
	[0x30] = "write_dr0", "write_dr1", "write_dr2", "write_dr3", "write_dr4", "write_dr5",
	"write_dr6", "write_dr7",
	[0x40] = "DE excp", "DB excp", "NMI excp", "BP excp", "OF excp", "BR excp", "UD excp",
	"NM excp", "DF excp", "CSO excp", "TS excp", "NP excp", "SS excp", "GP excp", "PF excp",
	[0x50] = "MF excp", "AC excp", "MC excp", "XF excp", "VE excp", "CP excp",
	[0x5c] = "HV excp", "VC excp", "SX excp",
	[0x60] = "interrupt", "nmi", "smi", "init", "vintr", "cr0_sel_write", "read_idtr",
	"read_gdtr", "read_ldtr", "read_rt", "write_idtr", "write_gdtr", "write_ldtr", "write_rt",
	"rdtsc", "rdpmc",
	[0x70] = "pushf", "popf", "cpuid", "rsm", "iret", "swint", "invd", "pause", "hlt", "invlpg",
	"invlpga", "io", "msr", "task_switch", "ferr_freeze", "shutdown",
	[0x80] = "vmrun", "hypercall", "vmload", "vmsave", "stgi", "clgi", "skinit", "rdtscp",
	"icebp", "wbinvd", "monitor", "mwait", "mwait_cond", "xsetbv", "rdpru", "write_efer_trap",
	[0x90] = "write_cr0_trap", "write_cr1_trap", "write_cr2_trap", "write_cr3_trap",
	"write_cr4_trap", "write_cr5_trap", "write_cr6_trap", "write_cr7_trap", "write_cr8_trap",
	[0xa0] = "invlpgb", "invlpgb_illegal", "invpcid", "mcommit", "tlbsync", "bus_lock",
	"idle_hlt",
};

struct name {
	uint32_t code;
	const char *name;
};

static const struct name svm_far_names[] = {
	{ 0x400, "npf" },
	{ 0x401, "avic_incomplete_ipi" },
	{ 0x402, "avic_unaccelerated_access" },
	{ 0x403, "vmgexit" },
	{ 0x80000001, "vmgexit_mmio_read" },
	{ 0x80000002, "vmgexit_mmio_write" },
	{ 0x80000003, "vmgexit_nmi_complete" },
	{ 0x80000004, "vmgexit_ap_hlt_loop" },
	{ 0x80000005, "vmgexit_ap_jump_table" },
	{ 0x80000010, "vmgexit_page_state_change" },
	{ 0x80000011, "vmgexit_guest_request" },
	{ 0x80000012, "vmgexit_ext_guest_request" },
	{ 0x80000013, "vmgexit_ap_creation" },
	{ 0x8000fffd, "vmgexit_hypervisor_feature" },
	{ 0x8000fffe, "vmgexit_termination" },
	{ 0xf0000000, "software" },
	{ 0xffffffff, "invalid_guest_state" },
};

#if defined(__x86_64__)
#include <asm/svm.h>
#include <asm/vmx.h>

static const struct name vmx_header_names[] = { VMX_EXIT_REASONS };
static const struct name svm_header_names[] = { SVM_EXIT_REASONS };
#else
static const struct name vmx_header_names[1], svm_header_names[1];
#endif

static const char *find(const struct name *names, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].code == code && names[i].name)
			return names[i].name;
	return NULL;
}

static const char *vmx_name(uint32_t basic)
{
	if (basic < ARRAY_SIZE(vmx_names) && vmx_names[basic])
		return vmx_names[basic];
	return find(vmx_header_names, ARRAY_SIZE(vmx_header_names), basic);
}

static const char *svm_name(uint32_t code)
{
	const char *name = code < ARRAY_SIZE(svm_names) ? svm_names[code] :
							  find(svm_far_names, ARRAY_SIZE(svm_far_names), code);

	return name ? name : find(svm_header_names, ARRAY_SIZE(svm_header_names), code);
}

const char *exit_reason_name(enum exit_isa isa, uint32_t code)
{
	if (isa == EXIT_ISA_VMX)
		return vmx_name(code & 0xffff);
	return isa == EXIT_ISA_SVM ? svm_name(code) : NULL;
}

const char *exit_user_name(uint32_t reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "unknown",
		[KVM_EXIT_EXCEPTION] = "exception",
		[KVM_EXIT_IO] = "io",
		[KVM_EXIT_HYPERCALL] = "hypercall",
		[KVM_EXIT_DEBUG] = "debug",
		[KVM_EXIT_HLT] = "hlt",
		[KVM_EXIT_MMIO] = "mmio",
		[KVM_EXIT_IRQ_WINDOW_OPEN] = "irq_window_open",
		[KVM_EXIT_SHUTDOWN] = "shutdown",
		[KVM_EXIT_FAIL_ENTRY] = "fail_entry",
		[KVM_EXIT_INTR] = "intr",
		[KVM_EXIT_SET_TPR] = "set_tpr",
		[KVM_EXIT_TPR_ACCESS] = "tpr_access",
		[KVM_EXIT_NMI] = "nmi",
		[KVM_EXIT_INTERNAL_ERROR] = "internal_error",
		[KVM_EXIT_SYSTEM_EVENT] = "system_event",
		[KVM_EXIT_IOAPIC_EOI] = "ioapic_eoi",
		[KVM_EXIT_HYPERV] = "hyperv",
		[KVM_EXIT_X86_RDMSR] = "x86_rdmsr",
		[KVM_EXIT_X86_WRMSR] = "x86_wrmsr",
		[31] = "dirty_ring_full",
		[32] = "ap_reset_hold",
		[33] = "x86_bus_lock",
		[34] = "xen",
		[37] = "notify",
		[39] = "memory_fault",
	};

	return reason < ARRAY_SIZE(names) ? names[reason] : NULL;
}

bool exit_is_halt(enum exit_isa isa, uint32_t code)
{
	if (isa == EXIT_ISA_VMX)
		return (code & 0xffff) == 12 || (code & 0xffff) == 36;
	return isa == EXIT_ISA_SVM && (code == 0x78 || code == 0x8b || code == 0x8c || code == 0xa6);
}
