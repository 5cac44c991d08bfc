/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of a vCPU's time between two readings, out of what there is: the BPF program's clock
 * (host/clock_probe.h) and the scheduler's accounts (guest/vcpu_time.h).
 *
 * What the clock measured is taken as it is. Time on a CPU of which it does not know where it was spent,
 * because this KVM has no kvm_entry and kvm_exit, is divided by the accounts (session/time_account.h).
 * Without a clock everything is.
 */
#ifndef SESSION_CLOCK_PARTS_H
#define SESSION_CLOCK_PARTS_H

#include <vpmu/clock.h>
#include "bpf/vpmu_bpf.h"
#include "guest/vcpu_time.h"

struct clock_reading {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	bool has_clock, has_sched;
	bool is_emulated; /* TCG: no KVM has part in it */
	bool kvm_tells; /* this KVM has kvm_entry and kvm_exit … */
	uint32_t isa;	/* … and these are the reasons' names: enum exit_isa */
	struct vpmu_bpf_clock clock; /* brought up to time_ns */
	struct vcpu_time sched;
};

/*
 * Fills the parts, of which those that are known add up to the time between the readings. Returns
 * why some are not known, or known in steps: a static string, NULL if all are measured.
 */
const char *clock_parts(const struct clock_reading *from, const struct clock_reading *to,
			struct vpmu_clock_time ret_parts[VPMU_CLOCK_PART_COUNT]);

#endif
