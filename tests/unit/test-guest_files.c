/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This program stands in for a guest's kernel and for a program in it: it has symbols at link addresses, and a _text. */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "format/vpmu_section.h"
#include "sym/elf_symbols.h"
#include "sym/symbolizer.h"
#include "test.h"
#include "util/io.h"
#include "util/strbuf.h"

#define SLIDE UINT64_C(0x2c000000)

static char directory[] = "/tmp/vpmu-test-XXXXXX";
static char self[256];

/* On pages of its own: the only symbol of a kallsyms reaches over the next page, and hides what a vmlinux says of it. */
__attribute__((section(".vmlinux"), aligned(8192))) void _text(void);
void _text(void)
{
}

static const char *file_of(const char *name, const char *text)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	CHECK_EQ(io_write_file_atomic(path, text, strlen(text), 0600), 0);
	return path;
}

static struct vpmu_symbolizer *with_guest(const char *name)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .no_debuginfod = true);
	struct vpmu_guest_info info = { .name = name, .uuid = "" };
	struct vpmu_symbolizer *s = NULL;

	CHECK_EQ(symbolizer_new(&opts, &s, NULL), 0);
	CHECK_EQ(symbolizer_set_guest(s, 0, &info), 0);
	return s;
}

static int give(struct vpmu_symbolizer *s, uint32_t guest, enum vpmu_guest_symbols kind, const char *path)
{
	struct vpmu_error error = {};
	int r = vpmu_symbolizer_guest_file(s, guest, kind, path, VPMU_KASLR_AUTO, &error);

	CHECK_EQ(error.code, r);
	return r;
}

static struct vpmu_frame frame_at(struct vpmu_symbolizer *s, enum vpmu_side side, uint64_t address)
{
	struct vpmu_frame frame;

	symbolizer_frame(s, side, 0, SPACE_NONE, address, true, &frame);
	return frame;
}

static struct vpmu_frame kernel_at(struct vpmu_symbolizer *s, uint64_t address)
{
	return frame_at(s, VPMU_SIDE_GUEST_KERNEL, address);
}

static uint64_t link_address(const char *name)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	struct symbol symbol;

	CHECK_EQ(elf_file_open(self, &file), 0);
	CHECK_EQ(elf_symbols(&file, &file, ELF_LINK_ADDRESSES, 0, &table), 0);
	CHECK(symtab_find(table, name, &symbol));
	return symbol.start;
}

TEST(a_guest_without_files_says_so)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");

	CHECK_STR(symbolizer_guest_name(s, 0), "web1");
	CHECK_EQ(symbolizer_n_guests(s), 1);
	CHECK_EQ(kernel_at(s, 0xffffffff81000000).status, VPMU_FRAME_NO_SYMBOLS);
	CHECK_EQ(kernel_at(s, 0).status, VPMU_FRAME_OPAQUE);
	CHECK_EQ(frame_at(s, VPMU_SIDE_GUEST_USER, 0x400000).status, VPMU_FRAME_UNMAPPED);
	CHECK_EQ(give(s, 7, VPMU_GUEST_KALLSYMS, "/proc/kallsyms"), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, "/nowhere"), -ENOENT);
}

TEST(kallsyms_names_kernel_and_modules_but_not_with_per_cpu_offsets)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");

	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("kallsyms",
		"0000000000000000 A fixed_percpu_data\n"
		"0000000000030000 D __per_cpu_end\n"
		"ffffffff91000000 T _text\n"
		"ffffffff91000100 r a_constant\n"
		"ffffffff91000200 t do_idle\n"
		"ffffffffc0100000 t virtnet_poll\t[virtio_net]\n"
		"ffffffffc0100400 t virtnet_last\t[virtio_net]\n"
		"ffffffffc0200000 t ext4_read\t[ext4]\n")), 0);
	CHECK_STR(kernel_at(s, 0xffffffff910001ff).symbol, "_text");
	CHECK_STR(kernel_at(s, 0xffffffff91000200).symbol, "do_idle");
	CHECK_STR(kernel_at(s, 0xffffffff91000200).dso, "[kernel]");
	CHECK_STR(kernel_at(s, 0xffffffffc0100010).dso, "[virtio_net]");
	CHECK_EQ(kernel_at(s, 0x30010).status, VPMU_FRAME_NO_SYMBOL);
	CHECK_STR(kernel_at(s, 0xffffffffc01fffff).symbol, "virtnet_last");

	CHECK_EQ(give(s, 0, VPMU_GUEST_MODULES, file_of("modules",
		"virtio_net 24576 0 - Live 0xffffffffc0100000\n"
		"ext4 8192 1 - Live 0xffffffffc0200000\n")), 0);
	CHECK_STR(kernel_at(s, 0xffffffffc0105fff).symbol, "virtnet_last");
	CHECK_EQ(kernel_at(s, 0xffffffffc0106000).status, VPMU_FRAME_NO_SYMBOL);
	CHECK_STR(kernel_at(s, 0xffffffffc0201fff).symbol, "ext4_read");
	CHECK_EQ(kernel_at(s, 0xffffffffc0202000).status, VPMU_FRAME_NO_SYMBOL);
}

TEST(files_that_are_not_what_they_should_be_are_refused_with_reasons)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");
	const char *zeros = file_of("zeros", "0000000000000000 T _text\n0000000000000000 t do_idle\t[kvm]\n");
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_symbolizer_guest_file(s, 0, VPMU_GUEST_KALLSYMS, zeros, 0, &error), -EACCES);
	CHECK_CONTAINS(error.text, "zero");
	CHECK_CONTAINS(error.hint, "root");
	CHECK_EQ(give(s, 0, VPMU_GUEST_MODULES, file_of("zeros", "kvm 4096 0 - Live 0x0000000000000000\n")), -EACCES);
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, "/etc/passwd"), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, self), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("empty", "")), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_MODULES, "/etc/passwd"), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_VMLINUX, "/etc/passwd"), -EINVAL);
	CHECK_EQ(give(s, 0, VPMU_GUEST_IMAGE, "/dev/null"), -EINVAL);
	CHECK_EQ(give(s, 0, (enum vpmu_guest_symbols)99, self), -EINVAL);
	/* Nothing of this was kept. */
	CHECK_EQ(kernel_at(s, 0xffffffff81000000).status, VPMU_FRAME_NO_SYMBOLS);
}

TEST(a_vmlinux_is_moved_to_where_kallsyms_says_in_either_order)
{
	uint64_t text = link_address("_text"), function = link_address("link_address");
	char kallsyms[64];

	snprintf(kallsyms, sizeof(kallsyms), "%016" PRIx64 " T _text\n", text + SLIDE);
	for (int order = 0; order < 2; order++) {
		_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");

		if (order == 0)
			CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("kallsyms", kallsyms)), 0);
		CHECK_EQ(give(s, 0, VPMU_GUEST_VMLINUX, self), 0);
		if (order == 1)
			CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("kallsyms", kallsyms)), 0);
		CHECK_STR(kernel_at(s, text + SLIDE).symbol, "_text");
		CHECK_STR(kernel_at(s, function + SLIDE + 1).symbol, "link_address");
		CHECK_STR(kernel_at(s, function + SLIDE).dso, "[kernel]");
		CHECK_CONTAINS(kernel_at(s, function + SLIDE).src_file, "test-guest_files.c");
		CHECK_EQ(kernel_at(s, function).status, VPMU_FRAME_NO_SYMBOL);
	}
}

TEST(a_vmlinux_that_may_have_been_moved_names_nothing)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");
	uint64_t function = link_address("link_address");
	struct vpmu_frame frame;

	CHECK_EQ(give(s, 0, VPMU_GUEST_VMLINUX, self), 0);
	frame = kernel_at(s, function + 1);
	CHECK_EQ(frame.status, VPMU_FRAME_NO_SYMBOLS);
	CHECK(!frame.symbol && !frame.src_file);
	CHECK_STR(frame.dso, "[kernel]");
	/* Nor does a kallsyms help that says nothing of where the kernel begins. */
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("kallsyms", "ffffffff91000200 t do_idle\n")), 0);
	CHECK_EQ(kernel_at(s, function + 1).status, VPMU_FRAME_NO_SYMBOL);
	CHECK_STR(kernel_at(s, 0xffffffff91000200).symbol, "do_idle");
	/* Unless told that it is where it was linked. */
	CHECK_EQ(vpmu_symbolizer_guest_file(s, 0, VPMU_GUEST_VMLINUX, self, 0, NULL), 0);
	CHECK_STR(kernel_at(s, function + 1).symbol, "link_address");
}

TEST(a_given_kaslr_offset_is_used)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");
	uint64_t function = link_address("link_address");

	CHECK_EQ(vpmu_symbolizer_guest_file(s, 0, VPMU_GUEST_VMLINUX, self, (int64_t)SLIDE, NULL), 0);
	CHECK_STR(kernel_at(s, function + SLIDE).symbol, "link_address");
	CHECK_EQ(strlen(kernel_at(s, function + SLIDE).build_id), 40);
}

TEST(an_image_serves_both_sides_of_the_guest_at_its_link_addresses)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");
	uint64_t function = link_address("link_address");
	struct vpmu_frame f;

	/* Given for every guest. */
	CHECK_EQ(give(s, VPMU_NO_GUEST, VPMU_GUEST_IMAGE, self), 0);
	f = frame_at(s, VPMU_SIDE_GUEST_USER, function + 2);
	CHECK_STR(f.symbol, "link_address");
	CHECK_STR(f.dso, "test-guest_files");
	CHECK_CONTAINS(f.src_file, "test-guest_files.c");
	CHECK_CMP(f.src_line, >, 50);
	CHECK_STR(kernel_at(s, function + 2).symbol, "link_address");
	CHECK_EQ(frame_at(s, VPMU_SIDE_GUEST_USER, 0xffff00000000).status, VPMU_FRAME_UNMAPPED);
}

TEST(a_guests_own_files_stand_before_those_for_every_guest)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *s = with_guest("web1");

	CHECK_EQ(give(s, VPMU_NO_GUEST, VPMU_GUEST_KALLSYMS,
		      file_of("any", "ffffffff81000000 T of_any_guest\n")), 0);
	CHECK_STR(kernel_at(s, 0xffffffff81000000).symbol, "of_any_guest");
	CHECK_EQ(give(s, 0, VPMU_GUEST_KALLSYMS, file_of("own", "ffffffff81000000 T of_its_own\n")), 0);
	CHECK_STR(kernel_at(s, 0xffffffff81000000).symbol, "of_its_own");
}

static int add_back(const struct vpmu_section_table *table, void *data)
{
	return symbolizer_add_table(data, table);
}

TEST(guest_tables_travel_with_the_recording)
{
	_cleanup_(symbolizer_freep) struct vpmu_symbolizer *here = with_guest("web1"), *there = with_guest("web1");
	uint64_t function = link_address("link_address");
	_strbuf_ struct strbuf section = {};

	CHECK_EQ(vpmu_symbolizer_guest_file(here, 0, VPMU_GUEST_VMLINUX, self, (int64_t)SLIDE, NULL), 0);
	CHECK_EQ(give(here, 0, VPMU_GUEST_IMAGE, self), 0);
	CHECK_EQ(symbolizer_save_tables(here, NULL, 0, &section), 0);
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n, add_back, there), 0);
	CHECK_STR(kernel_at(there, function + SLIDE).symbol, "link_address");
	CHECK_STR(frame_at(there, VPMU_SIDE_GUEST_USER, function).symbol, "link_address");
	CHECK_STR(frame_at(there, VPMU_SIDE_GUEST_USER, function).dso, "test-guest_files");
}

int main(void)
{
	static const char *const names[] = { "kallsyms", "modules", "zeros", "empty", "any", "own" };
	int result;

	_text();
	CHECK(mkdtemp(directory));
	CHECK_CMP(readlink("/proc/self/exe", self, sizeof(self) - 1), >, 0);
	result = test_main();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(file_of(names[i], ""));
	return rmdir(directory) == 0 ? result : 1;
}
