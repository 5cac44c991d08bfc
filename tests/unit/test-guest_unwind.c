/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of the records of bpf/sample.bpf.c. (Unwinding itself: test-orc.c, test-cfi.c.) */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
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
	guest_unwind(NULL, NULL, &record->sample, &chain);
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
	guest_unwind(NULL, NULL, &record->sample, &chain);
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
	guest_unwind(g.orc, NULL, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 6);
	CHECK_EQ(chain.words[0], IP + 0x110);
	CHECK_EQ(chain.words[1], IP + 0x210);
	CHECK_EQ(chain.words[2], VPMU_CONTEXT_USER);
	CHECK_EQ(chain.words[3], 0x401000);
	CHECK_EQ(chain.words[5], 0x403000);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_MAPPING); /* that of the walk in user mode */
	/* The program found other registers: its frames are not of this chain. */
	g.record->stack.user_ip = 0x500000;
	guest_unwind(g.orc, NULL, &g.record->sample, &chain);
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
	guest_unwind(g.orc, NULL, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 2);
	CHECK_EQ(chain.end, VPMU_CHAIN_ABSENT);
	g.record->stack.end = VPMU_BPF_END_COMPLETE;
	guest_unwind(g.orc, NULL, &g.record->sample, &chain);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_STACK);
	free_guest(&g);
}

TEST(a_joined_chain_has_127_addresses_at_most)
{
	struct guest g = new_guest();
	struct guest_chain chain;

	g.record->sample.n_frames = 126;
	guest_unwind(g.orc, NULL, &g.record->sample, &chain);
	CHECK_EQ(chain.n, 127); /* with the marker, without the sampled one */
	CHECK_EQ(chain.end, VPMU_CHAIN_DEPTH);
	free_guest(&g);
}

/* A process of a guest: ourselves, with this program and nothing else mapped. */
struct process {
	struct vpmu_symbolizer *symbolizer;
	struct guest_code code;
};

static struct process new_process(const char *root)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .debug_dirs = "/nonexistent", .no_debuginfod = true);
	struct vpmu_guest_info guest = {.pid = 1, .name = "web1", .uuid = "", .exe = ""};
	struct perf_mmap_record map = {.prot = PROT_READ | PROT_EXEC};
	FILE *maps = fopen("/proc/self/maps", "re");
	struct process p = {};
	char line[512], path[256];
	uint64_t end = 0;

	CHECK(maps);
	CHECK_EQ(symbolizer_new(&opts, &p.symbolizer, NULL), 0);
	CHECK_EQ(symbolizer_set_guest(p.symbolizer, 0, &guest), 0);
	while (end <= (uintptr_t)new_process && fgets(line, sizeof(line), maps))
		CHECK(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %255s", &map.start, &end, &map.pgoff_bytes, path) >= 3);
	fclose(maps);
	map.length_bytes = end - map.start;
	map.path = path;
	p.code = (struct guest_code){p.symbolizer, symbolizer_guest_space(p.symbolizer, 0)};
	p.code.space = symbolizer_guest_map(p.symbolizer, p.code.space, &map, NULL);
	CHECK_EQ(vpmu_symbolizer_guest_file(p.symbolizer, VPMU_NO_GUEST, VPMU_GUEST_ROOT, root, 0, NULL), 0);
	return p;
}

/* A sample in user mode, here: the caller's caller, and so on, are what is to be found. */
__attribute__((noinline)) static struct vpmu_bpf_record *sample_self(uint64_t *ret_caller)
{
	struct vpmu_bpf_record *record = a_record();
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ucontext_t here;

	CHECK_EQ(getcontext(&here), 0);
	record->sample.user = 1;
	record->sample.ip = record->stack.user_ip = (uint64_t)here.uc_mcontext.gregs[REG_RIP];
	record->stack.user_sp = record->stack.slices[0].gva = (uint64_t)here.uc_mcontext.gregs[REG_RSP];
	record->stack.user_bp = (uint64_t)here.uc_mcontext.gregs[REG_RBP];
	record->stack.has_user = 1;
	record->sample.n_frames = 2; /* by frame pointers */
	record->sample.frames[0] = 0x1234;
	CHECK(pread(fd, record + 1, 4096, (off_t)record->stack.user_sp) > 2048);
	close(fd);
	*ret_caller = (uint64_t)(uintptr_t)__builtin_return_address(0);
	return record;
}

TEST(a_programs_tables_decide_where_its_file_is_at_hand)
{
	if (under_valgrind())
		skip("valgrind does not know openat2(2)");
	struct process p = new_process("/");
	uint64_t caller = 0;
	struct vpmu_bpf_record *record = sample_self(&caller);
	struct guest_chain chain;

	CHECK(symbolizer_guest_has_files(p.symbolizer, 0));
	guest_unwind(NULL, &p.code, &record->sample, &chain);
	CHECK(chain.n >= 2 && chain.n < 20);
	CHECK_EQ(chain.words[0], caller);
	CHECK_EQ(chain.end, VPMU_CHAIN_BAD_RETURN); /* the C library is not mapped */
	record->stack.slices[0].n_bytes = 8;
	record->stack.user_end = VPMU_BPF_END_ABSENT;
	guest_unwind(NULL, &p.code, &record->sample, &chain);
	CHECK_EQ(chain.end, VPMU_CHAIN_ABSENT);
	free(record);
	symbolizer_free(p.symbolizer);
}

TEST(frame_pointers_are_for_files_that_are_not_there)
{
	if (under_valgrind())
		skip("valgrind does not know openat2(2)");
	struct process p = new_process("/proc");
	uint64_t caller;
	struct vpmu_bpf_record *record = sample_self(&caller);
	struct guest_chain chain;

	guest_unwind(NULL, &p.code, &record->sample, &chain);
	CHECK_EQ(chain.n, 2);
	CHECK_EQ(chain.words[0], 0x1234);
	/* Not for what may be there, once it is known what it is. */
	p.code.space = SPACE_NONE;
	guest_unwind(NULL, &p.code, &record->sample, &chain);
	CHECK_EQ(chain.n, 0);
	CHECK_EQ(chain.end, VPMU_CHAIN_NO_UNWIND);
	free(record);
	symbolizer_free(p.symbolizer);
}

int main(void)
{
	return test_main();
}
