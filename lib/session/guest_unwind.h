/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The call chain of a guest sample. Most come as such from the BPF program, which walks frame pointers; of a kernel without them it
 * brings its stack, which is unwound here by the kernel's own tables. Where that leads back to user mode, the chain goes on
 * there: by the tables of the guest's programs, if they are at hand, else with what the program found.
 *
 * Where a program has tables they alone decide: what its frame pointers would say is not looked at.
 */
#ifndef SESSION_GUEST_UNWIND_H
#define SESSION_GUEST_UNWIND_H

#include "bpf/vpmu_bpf.h"
#include "guest/kernel_orc.h"
#include "sym/symbolizer.h"

struct guest_chain {
	uint64_t words[VPMU_BPF_MAX_ADDRESSES]; /* return addresses; VPMU_CONTEXT_USER before those of user mode */
	size_t n;
	uint8_t end; /* enum vpmu_chain_end */
};

/* The address space that a sample's user addresses are of. */
struct guest_code {
	struct vpmu_symbolizer *symbolizer;
	uint32_t space; /* SPACE_NONE = not known */
};

/*
 * @sample, if it has a stack, is a whole record. @orc: NULL = there are no tables of the kernel. @code: of the programs; NULL = not known. Behind
 * the sampled address, which is not in it.
 */
void guest_unwind(struct kernel_orc *orc, const struct guest_code *code, const struct vpmu_bpf_sample *sample, struct guest_chain *ret);

#endif
