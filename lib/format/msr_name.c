/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "format/msr_name.h"
#include "util/macro.h"

/* Numbers in a row have one entry: @n of them, @step apart; with more than one the place is put behind the name. */
static const struct range {
	uint32_t first;
	uint16_t n;
	uint8_t step;
	uint8_t pmu; /* enum msr_pmu */
	const char *name;
} ranges[] = {
	{ 0x10, 1, 1, MSR_PMU_NONE, "IA32_TIME_STAMP_COUNTER" },
	{ 0x17, 1, 1, MSR_PMU_NONE, "IA32_PLATFORM_ID" },
	{ 0x1b, 1, 1, MSR_PMU_NONE, "IA32_APIC_BASE" },
	{ 0x34, 1, 1, MSR_PMU_NONE, "MSR_SMI_COUNT" },
	{ 0x3a, 1, 1, MSR_PMU_NONE, "IA32_FEATURE_CONTROL" },
	{ 0x3b, 1, 1, MSR_PMU_NONE, "IA32_TSC_ADJUST" },
	{ 0x48, 1, 1, MSR_PMU_NONE, "IA32_SPEC_CTRL" },
	{ 0x49, 1, 1, MSR_PMU_NONE, "IA32_PRED_CMD" },
	{ 0x79, 1, 1, MSR_PMU_NONE, "IA32_BIOS_UPDT_TRIG" },
	{ 0x8b, 1, 1, MSR_PMU_NONE, "IA32_BIOS_SIGN_ID" },
	{ 0xc1, 8, 1, MSR_PMU_COUNTER, "IA32_PMC" },
	{ 0xce, 1, 1, MSR_PMU_NONE, "MSR_PLATFORM_INFO" },
	{ 0xe1, 1, 1, MSR_PMU_NONE, "IA32_UMWAIT_CONTROL" },
	{ 0xe7, 1, 1, MSR_PMU_NONE, "IA32_MPERF" },
	{ 0xe8, 1, 1, MSR_PMU_NONE, "IA32_APERF" },
	{ 0xfe, 1, 1, MSR_PMU_NONE, "IA32_MTRRCAP" },
	{ 0x10a, 1, 1, MSR_PMU_NONE, "IA32_ARCH_CAPABILITIES" },
	{ 0x10b, 1, 1, MSR_PMU_NONE, "IA32_FLUSH_CMD" },
	{ 0x122, 1, 1, MSR_PMU_NONE, "IA32_TSX_CTRL" },
	{ 0x140, 1, 1, MSR_PMU_NONE, "MISC_FEATURES_ENABLES" },
	{ 0x174, 1, 1, MSR_PMU_NONE, "IA32_SYSENTER_CS" },
	{ 0x175, 1, 1, MSR_PMU_NONE, "IA32_SYSENTER_ESP" },
	{ 0x176, 1, 1, MSR_PMU_NONE, "IA32_SYSENTER_EIP" },
	{ 0x179, 1, 1, MSR_PMU_NONE, "IA32_MCG_CAP" },
	{ 0x17a, 1, 1, MSR_PMU_NONE, "IA32_MCG_STATUS" },
	{ 0x186, 8, 1, MSR_PMU_EVENTSEL, "IA32_PERFEVTSEL" },
	{ 0x198, 1, 1, MSR_PMU_NONE, "IA32_PERF_STATUS" },
	{ 0x199, 1, 1, MSR_PMU_NONE, "IA32_PERF_CTL" },
	{ 0x19b, 1, 1, MSR_PMU_NONE, "IA32_THERM_INTERRUPT" },
	{ 0x19c, 1, 1, MSR_PMU_NONE, "IA32_THERM_STATUS" },
	{ 0x1a0, 1, 1, MSR_PMU_NONE, "IA32_MISC_ENABLE" },
	{ 0x1a6, 2, 1, MSR_PMU_EVENTSEL, "MSR_OFFCORE_RSP" },
	{ 0x1b0, 1, 1, MSR_PMU_NONE, "IA32_ENERGY_PERF_BIAS" },
	{ 0x1c8, 1, 1, MSR_PMU_LBR, "MSR_LBR_SELECT" },
	{ 0x1c9, 1, 1, MSR_PMU_LBR, "MSR_LASTBRANCH_TOS" },
	{ 0x1d9, 1, 1, MSR_PMU_DEBUGCTL, "IA32_DEBUGCTL" },
	{ 0x1db, 1, 1, MSR_PMU_LBR, "LASTBRANCHFROMIP" },
	{ 0x1dc, 1, 1, MSR_PMU_LBR, "LASTBRANCHTOIP" },
	{ 0x1dd, 1, 1, MSR_PMU_LBR, "LASTINTFROMIP" },
	{ 0x1de, 1, 1, MSR_PMU_LBR, "LASTINTTOIP" },
	{ 0x200, 20, 1, MSR_PMU_NONE, "IA32_MTRR_PHYS" },
	{ 0x250, 32, 1, MSR_PMU_NONE, "IA32_MTRR_FIX" },
	{ 0x277, 1, 1, MSR_PMU_NONE, "IA32_PAT" },
	{ 0x280, 32, 1, MSR_PMU_NONE, "IA32_MC_CTL2_" },
	{ 0x2ff, 1, 1, MSR_PMU_NONE, "IA32_MTRR_DEF_TYPE" },
	{ 0x309, 4, 1, MSR_PMU_COUNTER, "IA32_FIXED_CTR" },
	{ 0x329, 1, 1, MSR_PMU_COUNTER, "IA32_PERF_METRICS" },
	{ 0x345, 1, 1, MSR_PMU_NONE, "IA32_PERF_CAPABILITIES" },
	{ 0x38d, 1, 1, MSR_PMU_FIXED_CTRL, "IA32_FIXED_CTR_CTRL" },
	{ 0x38e, 1, 1, MSR_PMU_GLOBAL_STATUS, "IA32_PERF_GLOBAL_STATUS" },
	{ 0x38f, 1, 1, MSR_PMU_GLOBAL_CTRL, "IA32_PERF_GLOBAL_CTRL" },
	{ 0x390, 1, 1, MSR_PMU_GLOBAL_STATUS, "IA32_PERF_GLOBAL_OVF_CTRL" },
	{ 0x391, 1, 1, MSR_PMU_GLOBAL_STATUS, "IA32_PERF_GLOBAL_STATUS_SET" },
	{ 0x3f1, 1, 1, MSR_PMU_PEBS, "IA32_PEBS_ENABLE" },
	{ 0x3f2, 1, 1, MSR_PMU_PEBS, "MSR_PEBS_DATA_CFG" },
	{ 0x3f6, 1, 1, MSR_PMU_PEBS, "MSR_PEBS_LD_LAT_THRESHOLD" },
	{ 0x400, 128, 1, MSR_PMU_NONE, "IA32_MC_BANK" },
	{ 0x480, 19, 1, MSR_PMU_NONE, "IA32_VMX_CAP" },
	{ 0x4c1, 8, 1, MSR_PMU_COUNTER, "IA32_A_PMC" },
	{ 0x4d0, 1, 1, MSR_PMU_NONE, "IA32_MCG_EXT_CTL" },
	{ 0x600, 1, 1, MSR_PMU_PEBS, "IA32_DS_AREA" },
	{ 0x606, 1, 1, MSR_PMU_NONE, "MSR_RAPL_POWER_UNIT" },
	{ 0x680, 32, 1, MSR_PMU_LBR, "MSR_LASTBRANCH_FROM_IP_" },
	{ 0x6c0, 32, 1, MSR_PMU_LBR, "MSR_LASTBRANCH_TO_IP_" },
	{ 0x6e0, 1, 1, MSR_PMU_NONE, "IA32_TSC_DEADLINE" },
	{ 0x802, 1, 1, MSR_PMU_NONE, "X2APIC_ID" },
	{ 0x803, 1, 1, MSR_PMU_NONE, "X2APIC_VERSION" },
	{ 0x808, 1, 1, MSR_PMU_NONE, "X2APIC_TPR" },
	{ 0x80a, 1, 1, MSR_PMU_NONE, "X2APIC_PPR" },
	{ 0x80b, 1, 1, MSR_PMU_NONE, "X2APIC_EOI" },
	{ 0x80d, 1, 1, MSR_PMU_NONE, "X2APIC_LDR" },
	{ 0x80f, 1, 1, MSR_PMU_NONE, "X2APIC_SIVR" },
	{ 0x810, 8, 1, MSR_PMU_NONE, "X2APIC_ISR" },
	{ 0x818, 8, 1, MSR_PMU_NONE, "X2APIC_TMR" },
	{ 0x820, 8, 1, MSR_PMU_NONE, "X2APIC_IRR" },
	{ 0x828, 1, 1, MSR_PMU_NONE, "X2APIC_ESR" },
	{ 0x830, 1, 1, MSR_PMU_NONE, "X2APIC_ICR" },
	{ 0x832, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_TIMER" },
	{ 0x833, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_THERMAL" },
	{ 0x834, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_PMI" },
	{ 0x835, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_LINT0" },
	{ 0x836, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_LINT1" },
	{ 0x837, 1, 1, MSR_PMU_NONE, "X2APIC_LVT_ERROR" },
	{ 0x838, 1, 1, MSR_PMU_NONE, "X2APIC_TIMER_INITIAL" },
	{ 0x839, 1, 1, MSR_PMU_NONE, "X2APIC_TIMER_CURRENT" },
	{ 0x83e, 1, 1, MSR_PMU_NONE, "X2APIC_TIMER_DIVIDE" },
	{ 0x83f, 1, 1, MSR_PMU_NONE, "X2APIC_SELF_IPI" },
	{ 0xda0, 1, 1, MSR_PMU_NONE, "IA32_XSS" },
	{ 0xdc0, 32, 1, MSR_PMU_LBR, "MSR_LBR_INFO_" },
	{ 0x1200, 32, 1, MSR_PMU_LBR, "IA32_LBR_INFO_" },
	{ 0x14ce, 1, 1, MSR_PMU_LBR, "IA32_LBR_CTL" },
	{ 0x14cf, 1, 1, MSR_PMU_LBR, "IA32_LBR_DEPTH" },
	{ 0x1500, 32, 1, MSR_PMU_LBR, "IA32_LBR_FROM_" },
	{ 0x1600, 32, 1, MSR_PMU_LBR, "IA32_LBR_TO_" },
	{ 0x40000000, 1, 1, MSR_PMU_NONE, "HV_GUEST_OS_ID" },
	{ 0x40000001, 1, 1, MSR_PMU_NONE, "HV_HYPERCALL" },
	{ 0x40000002, 1, 1, MSR_PMU_NONE, "HV_VP_INDEX" },
	{ 0x40000020, 1, 1, MSR_PMU_NONE, "HV_TIME_REF_COUNT" },
	{ 0x40000021, 1, 1, MSR_PMU_NONE, "HV_REFERENCE_TSC" },
	{ 0x40000070, 1, 1, MSR_PMU_NONE, "HV_EOI" },
	{ 0x40000071, 1, 1, MSR_PMU_NONE, "HV_ICR" },
	{ 0x40000072, 1, 1, MSR_PMU_NONE, "HV_TPR" },
	{ 0x40000080, 1, 1, MSR_PMU_NONE, "HV_SCONTROL" },
	{ 0x40000090, 16, 1, MSR_PMU_NONE, "HV_SINT" },
	{ 0x400000b0, 8, 1, MSR_PMU_NONE, "HV_STIMER" },
	{ 0x4b564d00, 1, 1, MSR_PMU_NONE, "KVM_WALL_CLOCK_NEW" },
	{ 0x4b564d01, 1, 1, MSR_PMU_NONE, "KVM_SYSTEM_TIME_NEW" },
	{ 0x4b564d02, 1, 1, MSR_PMU_NONE, "KVM_ASYNC_PF_EN" },
	{ 0x4b564d03, 1, 1, MSR_PMU_NONE, "KVM_STEAL_TIME" },
	{ 0x4b564d04, 1, 1, MSR_PMU_NONE, "KVM_PV_EOI_EN" },
	{ 0x4b564d05, 1, 1, MSR_PMU_NONE, "KVM_POLL_CONTROL" },
	{ 0x4b564d06, 1, 1, MSR_PMU_NONE, "KVM_ASYNC_PF_INT" },
	{ 0x4b564d07, 1, 1, MSR_PMU_NONE, "KVM_ASYNC_PF_ACK" },
	{ 0x4b564d08, 1, 1, MSR_PMU_NONE, "KVM_MIGRATION_CONTROL" },
	{ 0xc0000080, 1, 1, MSR_PMU_NONE, "EFER" },
	{ 0xc0000081, 1, 1, MSR_PMU_NONE, "STAR" },
	{ 0xc0000082, 1, 1, MSR_PMU_NONE, "LSTAR" },
	{ 0xc0000083, 1, 1, MSR_PMU_NONE, "CSTAR" },
	{ 0xc0000084, 1, 1, MSR_PMU_NONE, "SYSCALL_MASK" },
	{ 0xc0000100, 1, 1, MSR_PMU_NONE, "FS_BASE" },
	{ 0xc0000101, 1, 1, MSR_PMU_NONE, "GS_BASE" },
	{ 0xc0000102, 1, 1, MSR_PMU_NONE, "KERNEL_GS_BASE" },
	{ 0xc0000103, 1, 1, MSR_PMU_NONE, "TSC_AUX" },
	{ 0xc0000104, 1, 1, MSR_PMU_NONE, "AMD64_TSC_RATIO" },
	{ 0xc000010e, 1, 1, MSR_PMU_LBR, "AMD64_LBR_SELECT" },
	{ 0xc000010f, 1, 1, MSR_PMU_DEBUGCTL, "AMD64_DBG_EXTN_CFG" },
	{ 0xc0000300, 1, 1, MSR_PMU_GLOBAL_STATUS, "AMD64_PERF_CNTR_GLOBAL_STATUS" },
	{ 0xc0000301, 1, 1, MSR_PMU_GLOBAL_CTRL, "AMD64_PERF_CNTR_GLOBAL_CTL" },
	{ 0xc0000302, 1, 1, MSR_PMU_GLOBAL_STATUS, "AMD64_PERF_CNTR_GLOBAL_STATUS_CLR" },
	{ 0xc0000303, 1, 1, MSR_PMU_GLOBAL_STATUS, "AMD64_PERF_CNTR_GLOBAL_STATUS_SET" },
	{ 0xc0010000, 4, 1, MSR_PMU_EVENTSEL, "K7_EVNTSEL" },
	{ 0xc0010004, 4, 1, MSR_PMU_COUNTER, "K7_PERFCTR" },
	{ 0xc0010010, 1, 1, MSR_PMU_NONE, "AMD64_SYSCFG" },
	{ 0xc0010015, 1, 1, MSR_PMU_NONE, "K7_HWCR" },
	{ 0xc0010058, 1, 1, MSR_PMU_NONE, "FAM10H_MMIO_CONF_BASE" },
	{ 0xc0010114, 1, 1, MSR_PMU_NONE, "VM_CR" },
	{ 0xc0010117, 1, 1, MSR_PMU_NONE, "VM_HSAVE_PA" },
	{ 0xc001011f, 1, 1, MSR_PMU_NONE, "AMD64_VIRT_SPEC_CTRL" },
	{ 0xc0010130, 1, 1, MSR_PMU_NONE, "AMD64_SEV_ES_GHCB" },
	{ 0xc0010131, 1, 1, MSR_PMU_NONE, "AMD64_SEV" },
	{ 0xc0010140, 1, 1, MSR_PMU_NONE, "AMD64_OSVW_ID_LENGTH" },
	{ 0xc0010141, 1, 1, MSR_PMU_NONE, "AMD64_OSVW_STATUS" },
	{ 0xc0010200, 6, 2, MSR_PMU_EVENTSEL, "F15H_PERF_CTL" },
	{ 0xc0010201, 6, 2, MSR_PMU_COUNTER, "F15H_PERF_CTR" },
	{ 0xc0010300, 32, 1, MSR_PMU_LBR, "AMD_SAMP_BR_" },
	{ 0xc001102a, 1, 1, MSR_PMU_NONE, "AMD64_BU_CFG2" },
	{ 0xc0011022, 1, 1, MSR_PMU_NONE, "AMD64_DC_CFG" },
	{ 0xc0011023, 1, 1, MSR_PMU_NONE, "AMD64_BU_CFG" },
	{ 0xc0011029, 1, 1, MSR_PMU_NONE, "AMD64_DE_CFG" },
	{ 0xc0011030, 14, 1, MSR_PMU_IBS, "AMD64_IBS_" },
};

static const struct range *find(uint32_t msr, uint32_t *ret_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint32_t offset = msr - ranges[i].first;

		if (offset % ranges[i].step || offset / ranges[i].step >= ranges[i].n)
			continue;
		*ret_place = offset / ranges[i].step;
		return &ranges[i];
	}
	return NULL;
}

const char *msr_name(uint32_t msr, char *text, size_t room)
{
	uint32_t place;
	const struct range *range = find(msr, &place);

	if (!range)
		snprintf(text, room, "0x%" PRIx32, msr);
	else if (range->n == 1)
		snprintf(text, room, "%s", range->name);
	else
		snprintf(text, room, "%s%" PRIu32, range->name, place);
	return text;
}

enum msr_pmu msr_pmu(uint32_t msr)
{
	uint32_t place;
	const struct range *range = find(msr, &place);

	return range ? range->pmu : MSR_PMU_NONE;
}

const char *msr_pmu_name(enum msr_pmu pmu)
{
	static const char *const names[] = {
		[MSR_PMU_NONE] = "",
		[MSR_PMU_EVENTSEL] = "eventsel",
		[MSR_PMU_COUNTER] = "counter",
		[MSR_PMU_FIXED_CTRL] = "fixed_ctrl",
		[MSR_PMU_GLOBAL_CTRL] = "global_ctrl",
		[MSR_PMU_GLOBAL_STATUS] = "global_status",
		[MSR_PMU_LBR] = "lbr",
		[MSR_PMU_DEBUGCTL] = "debugctl",
		[MSR_PMU_PEBS] = "pebs",
		[MSR_PMU_IBS] = "ibs",
	};

	return (size_t)pmu < ARRAY_SIZE(names) ? names[pmu] : "";
}
