/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call chain of a guest sample. Most come as such from the BPF program, which walks frame pointers; of a kernel without them it
 * brings its stack, which is unwound here by the kernel's own tables. Where that leads back to user mode, the chain goes on
 * with what the program found there.
 */
#ifndef SESSION_GUEST_UNWIND_H
#define SESSION_GUEST_UNWIND_H

#include "bpf/vpmu_bpf.h"
#include "guest/kernel_orc.h"

struct guest_chain {
	uint64_t words[VPMU_BPF_MAX_ADDRESSES]; /* return addresses; VPMU_CONTEXT_USER before those of user mode */
	size_t n;
	uint8_t end; /* enum vpmu_chain_end */
};

/* @sample, if it has a stack, is a whole record. @orc: NULL = there are no tables. Behind the sampled address, which is not in it. */
void guest_unwind(struct kernel_orc *orc, const struct vpmu_bpf_sample *sample, struct guest_chain *ret);

#endif
