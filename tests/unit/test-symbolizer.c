/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <vpmu/vpmu.h>

#include "format/vpmu_section.h"
#include "sym/kernel_cache.h"
#include "sym/symbolizer.h"
#include "test.h"
#include "util/io.h"
#include "util/macro.h"

static char directory[] = "/tmp/vpmu-test-XXXXXX";
static char path_buffer[256];

/* A file with @text, in a directory that goes when the test does. */
static const char *file_of(const char *name, const char *text)
{
	snprintf(path_buffer, sizeof(path_buffer), "%s/%s", directory, name);
	CHECK_EQ(io_write_file_atomic(path_buffer, text, strlen(text), 0600), 0);
	return path_buffer;
}

static struct vpmu_symbolizer *symbolizer_with(const char *kallsyms)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .no_debuginfod = true);
	struct vpmu_symbolizer *s = NULL;
	struct vpmu_error error;

	if (kallsyms)
		opts.kallsyms_path = file_of("kallsyms", kallsyms);
	CHECK_EQ(symbolizer_new(&opts, &s, &error), 0);
	return s;
}

static const char host_kallsyms[] = "ffffffff81000000 T _stext\n"
				    "ffffffff81000000 T _text\n"
				    "ffffffff81000040 t do_idle\n"
				    "ffffffff81000100 T schedule\n"
				    "ffffffffc0200000 t kvm_vcpu_run\t[kvm]\n"
				    "ffffffffc0300000 t bpf_prog_6deef7357e7b4530\t[bpf]\n";

static struct vpmu_frame kernel_frame(struct vpmu_symbolizer *s, uint64_t address)
{
	struct vpmu_frame frame;

	symbolizer_frame(s, VPMU_SIDE_HOST_KERNEL, VPMU_NO_GUEST, SPACE_NONE, address, false, &frame);
	return frame;
}

TEST(kernel_addresses_get_names_and_modules)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);
	struct vpmu_frame f = kernel_frame(s, 0xffffffff81000048);

	CHECK_EQ(f.status, VPMU_FRAME_OK);
	CHECK_STR(f.symbol, "do_idle");
	CHECK_STR(f.dso, "[kernel]");
	CHECK_EQ(f.symbol_offset, 8);
	CHECK_EQ(f.dso_offset, 0xffffffff81000048);
	f = kernel_frame(s, 0xffffffffc0200010);
	CHECK_STR(f.symbol, "kvm_vcpu_run");
	CHECK_STR(f.dso, "[kvm]");
	CHECK(f.dso == kernel_frame(s, 0xffffffffc0200020).dso);
	CHECK(f.symbol == kernel_frame(s, 0xffffffffc0200020).symbol);
	CHECK_STR(kernel_frame(s, 0xffffffffc0300010).dso, "[bpf]");
	f = kernel_frame(s, 0xffffffffff000000);
	CHECK_EQ(f.status, VPMU_FRAME_NO_SYMBOL);
	CHECK_STR(f.dso, "[kernel]");
	CHECK(!f.symbol);
}

TEST(hidden_kernel_addresses_are_called_hidden)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s =
		symbolizer_with("0000000000000000 T _text\n0000000000000000 T schedule\n");

	CHECK_EQ(kernel_frame(s, 0xffffffff81000048).status, VPMU_FRAME_HIDDEN);
}

TEST(another_kernels_addresses_are_not_named_after_this_one)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);

	symbolizer_set_host_kernel(s, NULL, 0, "_text", 0xffffffff9a000000);
	CHECK_EQ(kernel_frame(s, 0xffffffff9a000048).status, VPMU_FRAME_NOT_THIS_KERNEL);

	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *other = symbolizer_with(host_kallsyms);
	const uint8_t build_id[20] = { 1, 2, 3 };

	symbolizer_set_host_kernel(other, build_id, sizeof(build_id), NULL, 0);
	CHECK_EQ(kernel_frame(other, 0xffffffff81000048).status, VPMU_FRAME_NOT_THIS_KERNEL);
}

/* What perf keeps of a kernel serves for its later boots too, moved to where KASLR put it. */
TEST(perfs_cache_knows_other_kernels)
{
	static const char kernels[] = "[kernel.kallsyms]/0102030000000000000000000000000000000000";
	const uint8_t build_id[20] = { 1, 2, 3 };
	char command[512];
	struct vpmu_frame f;

	snprintf(command, sizeof(command), "mkdir -p '%s/.debug/%s'", directory, kernels);
	CHECK_EQ(system(command), 0);
	snprintf(command, sizeof(command), ".debug/%s/kallsyms", kernels);
	file_of(command, host_kallsyms);
	CHECK_EQ(setenv("HOME", directory, 1), 0);

	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with("ffffffff81000000 T other\n");

	symbolizer_set_host_kernel(s, build_id, sizeof(build_id), "_text", 0xffffffff8a000000);
	f = kernel_frame(s, 0xffffffff8a000048);
	CHECK_STR(f.symbol, "do_idle");
	CHECK_EQ(f.symbol_offset, 8);
	CHECK_STR(f.build_id, "0102030000000000000000000000000000000000");
	/* Modules lie elsewhere after each boot, whatever the kernel's move. */
	CHECK_EQ(kernel_frame(s, 0xffffffffc9200010).status, VPMU_FRAME_NOT_THIS_KERNEL);
}

/* As recorded where kptr_restrict hid the kernel's place: KASLR may have moved it since. */
TEST(without_a_reference_symbol_only_this_boots_kernel_is_known)
{
	const char *const boots[] = { "", "00000000-another-boot", NULL };
	char here[KERNEL_BOOT_ID_ROOM];
	struct build_id running;

	kernel_cache_boot(here);
	kernel_cache_running(&running);
	if (!here[0])
		skip("/proc/sys/kernel/random/boot_id cannot be read");
	for (int i = 0; i < 3; i++) {
		_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);

		symbolizer_set_host_kernel(s, running.bytes, running.n, NULL, 0);
		symbolizer_set_boot(s, boots[i] ?: here);
		CHECK_EQ(kernel_frame(s, 0xffffffff81000048).status,
			 boots[i] ? VPMU_FRAME_NOT_THIS_KERNEL : VPMU_FRAME_OK);
	}
}

TEST(the_same_reference_symbol_means_the_same_kernel)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);

	symbolizer_set_host_kernel(s, NULL, 0, "_text", 0xffffffff81000000);
	CHECK_STR(kernel_frame(s, 0xffffffff81000048).symbol, "do_idle");
}

TEST(kernel_code_of_the_recording_comes_first)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);

	CHECK_EQ(symbolizer_add_ksymbol(s, 0xffffffffc0400000, 0x100, "bpf_prog_b"), 0);
	CHECK_EQ(symbolizer_add_ksymbol(s, 0xffffffffc0300000, 0x80, "bpf_prog_a"), 0);
	CHECK_STR(kernel_frame(s, 0xffffffffc030007f).symbol, "bpf_prog_a");
	CHECK_STR(kernel_frame(s, 0xffffffffc0400000).dso, "[bpf]");
	CHECK_STR(kernel_frame(s, 0xffffffffc0300080).symbol, "bpf_prog_6deef7357e7b4530");
}

/* This program, as the kernel mapped it. */
static uint32_t map_myself(struct vpmu_symbolizer *s, const void *function, const char *as)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, offset;
	char line[512], path[400], prot[8];
	uint32_t space = SPACE_NONE;

	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %399s", &start, &end, prot, &offset, path) == 5 &&
		    start <= (uintptr_t)function && (uintptr_t)function < end)
			space = symbolizer_space_map(s, space, &(struct perf_mmap_record){
				.start = start, .length_bytes = end - start, .pgoff_bytes = offset,
				.prot = PROT_EXEC, .path = as ? as : path });
	fclose(maps);
	CHECK_CMP(space, !=, SPACE_NONE);
	return space;
}

static const uint32_t line_of_the_function = __LINE__ + 1;
static __attribute__((noinline)) int a_function_of_this_program(int x)
{
	return x * 3 + 1;
}

static struct vpmu_frame user_frame(struct vpmu_symbolizer *s, uint32_t space, uint64_t address)
{
	struct vpmu_frame frame;

	symbolizer_frame(s, VPMU_SIDE_HOST_USER, VPMU_NO_GUEST, space, address, false, &frame);
	return frame;
}

TEST(this_program_knows_its_own_functions)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
	uint64_t address = (uintptr_t)a_function_of_this_program;
	uint32_t space = map_myself(s, a_function_of_this_program, NULL);
	struct vpmu_frame f = user_frame(s, space, address + 1);

	CHECK_STR(f.symbol, "a_function_of_this_program");
	CHECK_EQ(f.symbol_offset, 1);
	CHECK_CONTAINS(f.dso, "test-symbolizer");
	CHECK_EQ(strlen(f.build_id), 40);
	CHECK_EQ(a_function_of_this_program(1), 4);
	f = user_frame(s, space, 0x10);
	CHECK_EQ(f.status, VPMU_FRAME_UNMAPPED);
	CHECK_STR(f.dso, "[unknown]");
	CHECK_EQ(user_frame(s, SPACE_NONE, address).status, VPMU_FRAME_UNMAPPED);
}

TEST(in_a_hurry_only_what_is_there_has_names)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);
	uint64_t address = (uintptr_t)a_function_of_this_program;
	uint32_t space = map_myself(s, a_function_of_this_program, NULL);

	CHECK_STR(kernel_frame(s, 0xffffffff81000048).symbol, "do_idle");
	vpmu_symbolizer_hurry(s);
	CHECK_STR(kernel_frame(s, 0xffffffff81000108).symbol, "schedule");
	CHECK_EQ(user_frame(s, space, address).status, VPMU_FRAME_NO_SYMBOLS);
	CHECK_CONTAINS(user_frame(s, space, address).dso, "test-symbolizer");

	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *late = symbolizer_with(host_kallsyms);

	vpmu_symbolizer_hurry(late);
	CHECK_EQ(kernel_frame(late, 0xffffffff81000048).status, VPMU_FRAME_NO_SYMBOLS);
}

TEST(this_program_knows_its_own_lines)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
	uint64_t address = (uintptr_t)a_function_of_this_program;
	uint32_t space = map_myself(s, a_function_of_this_program, NULL);
	struct vpmu_frame f = user_frame(s, space, address);

	CHECK(!f.src_file);
	symbolizer_frame(s, VPMU_SIDE_HOST_USER, VPMU_NO_GUEST, space, address, true, &f);
	CHECK_CONTAINS(f.src_file, "test-symbolizer.c");
	CHECK_CMP(f.src_line, >=, line_of_the_function);
	CHECK_CMP(f.src_line, <=, line_of_the_function + 4);
}

TEST(a_file_with_another_build_id_is_not_trusted)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
	const uint8_t build_id[20] = { 1, 2, 3 };
	char self[256] = {};

	CHECK_CMP(readlink("/proc/self/exe", self, sizeof(self) - 1), >, 0);
	CHECK_EQ(symbolizer_set_build_id(s, self, build_id, sizeof(build_id)), 0);
	uint32_t space = map_myself(s, a_function_of_this_program, NULL);
	struct vpmu_frame f = user_frame(s, space, (uintptr_t)a_function_of_this_program);

	CHECK_EQ(f.status, VPMU_FRAME_NO_SYMBOLS);
	CHECK_STR(f.build_id, "0102030000000000000000000000000000000000");
}

TEST(what_is_no_regular_file_is_not_opened)
{
	static const char *const paths[] = { "//anon", "[vsyscall]", "/dev/zero", "/nowhere/a (deleted)", "" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
		uint32_t space = map_myself(s, a_function_of_this_program, paths[i]);
		struct vpmu_frame f = user_frame(s, space, (uintptr_t)a_function_of_this_program);

		CHECK_EQ(f.status, VPMU_FRAME_NO_SYMBOLS);
		CHECK_STR(f.dso, paths[i]);
	}
}

TEST(the_vdso_is_read_from_memory_unless_it_was_another_kernels)
{
	const uint64_t vdso = getauxval(AT_SYSINFO_EHDR), length = 0x1000;
	struct perf_mmap_record map = { .start = vdso, .length_bytes = length, .prot = PROT_EXEC, .path = "[vdso]" };
	const uint8_t another[20] = { 1 };
	unsigned int named = 0;

	if (!vdso)
		skip("there is no vDSO here");
	for (int foreign = 0; foreign < 2; foreign++) {
		_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
		uint32_t space = symbolizer_space_map(s, SPACE_NONE, &map);

		if (foreign)
			symbolizer_set_host_kernel(s, another, sizeof(another), NULL, 0);
		named = 0;
		for (uint64_t at = vdso; at < vdso + length; at += 16)
			named += user_frame(s, space, at).status == VPMU_FRAME_OK;
		CHECK((named > 0) == !foreign);
	}
}

TEST(data_mappings_are_ignored)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
	struct perf_mmap_record map = { .start = 0x1000, .length_bytes = 0x1000, .prot = PROT_READ, .path = "/a" };

	CHECK_EQ(symbolizer_space_map(s, SPACE_NONE, &map), SPACE_NONE);
}

TEST(a_sample_becomes_frames_side_by_side)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);
	const uint64_t chain[] = { VPMU_CONTEXT_KERNEL, 0xffffffff81000048, 0xffffffff81000110, VPMU_CONTEXT_USER,
				   (uintptr_t)a_function_of_this_program };
	struct vpmu_sample sample = {
		.ip = 0xffffffff81000048,
		.side = VPMU_SIDE_HOST_KERNEL,
		.guest = VPMU_NO_GUEST,
		.space = map_myself(s, a_function_of_this_program, NULL),
		.n_chain = ARRAY_SIZE(chain),
		.chain = chain,
	};
	struct vpmu_frame frames[8];

	CHECK_EQ(vpmu_symbolize(s, &sample, false, frames, 8), 3);
	CHECK_STR(frames[0].symbol, "do_idle");
	CHECK_STR(frames[1].symbol, "schedule");
	CHECK_STR(frames[2].symbol, "a_function_of_this_program");
	CHECK_EQ(frames[2].side, VPMU_SIDE_HOST_USER);
	CHECK_EQ(vpmu_symbolize(s, &sample, false, frames, 2), 2);
	CHECK_EQ(vpmu_symbolize(s, &sample, false, frames, 0), 0);
}

TEST(markers_that_lead_nowhere_make_no_frames)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(host_kallsyms);
	const uint64_t deferred[] = { VPMU_CONTEXT_KERNEL, 0xffffffff81000048, VPMU_CONTEXT_USER_DEFERRED, 77 };
	const uint64_t odd[] = { VPMU_CONTEXT_KERNEL, 0xffffffff81000048, (uint64_t)-3000, 0xffffffff81000110 };
	struct vpmu_sample sample = { .ip = 0xffffffff81000048, .side = VPMU_SIDE_HOST_KERNEL, .guest = VPMU_NO_GUEST,
				      .n_chain = ARRAY_SIZE(deferred), .chain = deferred };
	struct vpmu_frame frames[8];

	CHECK_EQ(vpmu_symbolize(s, &sample, false, frames, 8), 1);
	sample.chain = odd;
	CHECK_EQ(vpmu_symbolize(s, &sample, false, frames, 8), 2);
	CHECK_EQ(frames[1].status, VPMU_FRAME_TRUNCATED);
	CHECK(!frames[1].symbol);
}

static int add_back(const struct vpmu_section_table *table, void *data)
{
	return symbolizer_add_table(data, table);
}

TEST(a_root_for_all_guests_is_for_those_to_come_too)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = symbolizer_with(NULL);
	struct vpmu_guest_info guest = {.pid = 1, .name = "web1", .uuid = "", .exe = ""};

	CHECK_EQ(symbolizer_set_guest(s, 0, &guest), 0);
	CHECK(!symbolizer_guest_has_files(s, 0));
	CHECK_EQ(vpmu_symbolizer_guest_file(s, VPMU_NO_GUEST, VPMU_GUEST_ROOT, "/nonexistent", 0, NULL), -ENOENT);
	CHECK(!symbolizer_guest_has_files(s, 0));
	CHECK_EQ(vpmu_symbolizer_guest_file(s, VPMU_NO_GUEST, VPMU_GUEST_ROOT, "/", 0, NULL), 0);
	CHECK_EQ(symbolizer_set_guest(s, 1, &guest), 0);
	CHECK(symbolizer_guest_has_files(s, 0));
	CHECK(symbolizer_guest_has_files(s, 1));
	CHECK(!symbolizer_guest_has_files(s, 2));
}

TEST(tables_saved_with_a_recording_serve_on_another_machine)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *here = symbolizer_with(host_kallsyms);
	uint32_t space = map_myself(here, a_function_of_this_program, NULL);
	uint64_t address = (uintptr_t)a_function_of_this_program;
	char path[256];
	_strbuf_ struct strbuf section = {};

	kernel_frame(here, 0xffffffff81000048);
	snprintf(path, sizeof(path), "%s", user_frame(here, space, address).dso);
	CHECK_EQ(symbolizer_save_tables(here, NULL, 0, &section), 0);

	/* A machine with another kernel, where the file is another one too. */
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *there =
		symbolizer_with("ffffffff81000000 T something_else\n");
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n, add_back, there), 0);
	CHECK_STR(kernel_frame(there, 0xffffffffc0200010).symbol, "kvm_vcpu_run");
	space = map_myself(there, a_function_of_this_program, NULL);
	CHECK_STR(user_frame(there, space, address).symbol, "a_function_of_this_program");

	section.text[section.n - 1] = 'x';
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n, add_back, there), -EBADMSG);
}

static int remove_directory(int result)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) == 0 ? result : 1;
}

int main(void)
{
	CHECK(mkdtemp(directory));
	return remove_directory(test_main());
}
