/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of the records of bpf/sample.bpf.c. (Unwinding itself: test-orc.c.) */
#include <vpmu/vpmu.h>

#include "orc_guest.h"
#include "session/guest_unwind.h"

#define IP    ORC_CODE_GVA
#define STACK 0xffffc90000010000u

static struct vpmu_bpf_record *a_record(void)
{
	struct vpmu_bpf_record *record = calloc(1, sizeof(*record) + 4096);

	record->sample.ip = IP;
	record->sample.has_stack = 1;
	record->stack.sp = STACK;
	record->stack.n_slices = 1;
	record->stack.slices[0].gva = record->stack.sp;
	record->stack.slices[0].n_bytes = 4096;
	return record;
}

TEST(a_chain_that_the_program_walked_is_taken_as_it_is)
{
	struct vpmu_bpf_record *record = a_record();
	struct guest_chain chain;

	record->sample.has_stack = 0;
	record->sample.n_frames = 126;
	for (int i = 0; i < 126; i++)
		record->sample.frames[i] = IP + (unsigned int)i;
	record->sample.end = VPMU_BPF_END_ABSENT;
	guest_unwind(NULL, &record->sample, &chain);
	CHECK_EQ(chain.n, 126);
	CHECK_EQ(chain.words[125], IP + 125);
	CHECK_EQ(chain.end, VPMU_CHAIN_ABSENT);
	free(record);
}

TEST(a_stack_without_tables_is_a_chain_that_is_cut)
{
	struct vpmu_bpf_record *record = a_record();
	struct guest_chain chain;

	record->sample.n_frames = 2; /* user mode's: nothing tells that the way leads there */
	guest_unwind(NULL, &record->sample, &chain);
	CHECK_EQ(chain.n, 0);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_UNWIND);
	free(record);
}

/* A function that is called by another, which the entry of system calls calls; the registers of user mode are behind it. */
static const struct orc_rule rules[] = {{0, 8, ORC_SP}, {0x100, 8, ORC_SP}, {0x200, 0, ORC_SP | ORC_REGS}};

struct guest {
	struct vpmu_kernel *kernel;
	struct kernel_orc *orc;
	struct vpmu_bpf_record *record;
	int fd;
};

static struct guest new_guest(void)
{
	struct guest g = {.record = a_record()};
	uint64_t *words = (uint64_t *)(g.record + 1);
	struct vpmu_error error;

	g.kernel = orc_guest_open(rules, 3, &g.fd);
	CHECK_EQ(kernel_orc_load(g.kernel, &g.orc, &error), 0);
	words[0] = IP + 0x110;
	words[1] = IP + 0x210;
	words[2 + 16] = 0x401000; /* ip, cs, sp */
	words[2 + 17] = 0x33;
	words[2 + 19] = 0x7ffd1000;
	g.record->stack.user_ip = 0x401000;
	g.record->sample.n_frames = 2;
	g.record->sample.frames[0] = 0x402000;
	g.record->sample.frames[1] = 0x403000;
	return g;
}

static void free_guest(struct guest *g)
{
	kernel_orc_free(g->orc);
	vpmu_kernel_free(g->kernel);
	free(g->record);
	close(g->fd);
}

TEST(a_kernels_chain_goes_on_in_user_mode)
{
	struct guest g = new_guest();
	struct guest_chain chain;

	g.record->sample.end = VPMU_BPF_END_NO_MAPPING;
	guest_unwind(g.orc, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 6);
	CHECK_EQ(chain.words[0], IP + 0x110);
	CHECK_EQ(chain.words[1], IP + 0x210);
	CHECK_EQ(chain.words[2], VPMU_CONTEXT_USER);
	CHECK_EQ(chain.words[3], 0x401000);
	CHECK_EQ(chain.words[5], 0x403000);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_MAPPING); /* that of the walk in user mode */
	/* The program found other registers: its frames are not of this chain. */
	g.record->stack.user_ip = 0x500000;
	guest_unwind(g.orc, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 4);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_STACK);
	free_guest(&g);
}

TEST(a_chain_that_does_not_reach_user_mode_has_nothing_of_it)
{
	struct guest g = new_guest();
	struct guest_chain chain;

	g.record->stack.slices[0].n_bytes = 16;
	g.record->stack.end = VPMU_BPF_END_ABSENT;
	guest_unwind(g.orc, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 2);
	CHECK_EQ(chain.end, VPMU_CHAIN_ABSENT);
	g.record->stack.end = VPMU_BPF_END_COMPLETE;
	guest_unwind(g.orc, &g.record->sample, &chain);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_STACK);
	free_guest(&g);
}

TEST(a_joined_chain_has_127_addresses_at_most)
{
	struct guest g = new_guest();
	struct guest_chain chain;

	g.record->sample.n_frames = 126;
	guest_unwind(g.orc, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 127); /* with the marker, without the sampled one */
	CHECK_EQ(chain.end, VPMU_CHAIN_DEPTH);
	free_guest(&g);
}

int main(void)
{
	return test_main();
}
