/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of this very program and of the C library: against what libdw says at any place, and against what the library finds in this process. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

#include "sym/cfi_file.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/macro.h"

#define FILES 16
#define FRAMES 64

struct mapped {
	char path[256];
	uint64_t start, end, offset_bytes;
	struct cfi_table table;
};

/* Code that this process has mapped, and its stack. */
struct self {
	struct mapped files[FILES];
	size_t n;
	uint64_t stack_end;
};

static struct self look_at_self(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct self self = {.stack_end = (uint64_t)(uintptr_t)environ}; /* above all frames */
	char line[512];

	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		struct mapped m = {};
		char rights[8] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %255s", &m.start, &m.end, rights, &m.offset_bytes, m.path) < 4)
			continue;
		if (rights[2] == 'x' && m.path[0] == '/' && self.n < FILES) {
			_elf_file_ struct elf_file file = ELF_FILE_NONE;

			CHECK_EQ(elf_file_open(m.path, &file), 0);
			if (cfi_file_read(&file, &m.table) == 0)
				self.files[self.n++] = m;
		}
	}
	fclose(maps);
	CHECK(self.n >= 2);
	return self;
}

static void forget_self(struct self *self)
{
	for (size_t i = 0; i < self->n; i++)
		cfi_table_deinit(&self->files[i].table);
}

static bool find(uint64_t ip, const struct cfi_row **ret_row, void *data)
{
	const struct self *self = data;

	for (size_t i = 0; i < self->n; i++) {
		const struct mapped *m = &self->files[i];

		if (ip < m->start || ip >= m->end)
			continue;
		*ret_row = cfi_table_find(&m->table, ip - m->start + m->offset_bytes);
		return true;
	}
	return false;
}

/* ---- what the C library finds ---- */

static struct self *self;
static int n_compared;

/* As another process would: who looks for mistakes would not let us read all of it. */
static void copy_stack(void *to, const struct cfi_stack *stack)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	CHECK_EQ(pread(fd, to, stack->n, (off_t)stack->gva), (ssize_t)stack->n);
	close(fd);
}

__attribute__((noinline)) static void compare_with_library(void)
{
	const struct cfi_code code = {find, self};
	static uint64_t copy[16384];
	void *expected[FRAMES];
	uint64_t frames[FRAMES];
	struct cfi_stack stack;
	struct cfi_regs regs;
	ucontext_t here;
	int n_expected;
	size_t n;

	CHECK_EQ(getcontext(&here), 0);
	n_expected = backtrace(expected, FRAMES);
	regs = (struct cfi_regs){
		.ip = (uint64_t)here.uc_mcontext.gregs[REG_RIP],
		.sp = (uint64_t)here.uc_mcontext.gregs[REG_RSP],
		.bp = (uint64_t)here.uc_mcontext.gregs[REG_RBP],
	};
	stack = (struct cfi_stack){regs.sp, MIN(sizeof(copy), self->stack_end - regs.sp), (const uint8_t *)copy};
	copy_stack(copy, &stack);
	CHECK_EQ(cfi_unwind(&code, &stack, &regs, frames, FRAMES, &n), CFI_END_OUTERMOST);
	CHECK(n > 3);
	CHECK_EQ(frames[0], (uint64_t)(uintptr_t)__builtin_return_address(0));
	CHECK_CMP(n, <, (size_t)n_expected); /* theirs begins with this function, or what stands in for theirs */
	for (size_t i = 0; i < n; i++)
		CHECK_EQ(frames[i], (uint64_t)(uintptr_t)expected[(size_t)n_expected - n + i]);
	n_compared++;
}

static int compare_numbers(const void *a, const void *b)
{
	compare_with_library();
	return *(const int *)a - *(const int *)b;
}

static void on_signal(int number)
{
	(void)number;
	compare_with_library();
}

__attribute__((noinline)) static void descend(int depth)
{
	char room[100];

	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth)
		descend(depth - 1);
	else
		compare_with_library();
	__asm__ volatile("" : : "r"(room) : "memory"); /* no jump instead of the call */
}

__attribute__((noinline)) static void descend_aligned(int depth)
{
	char room[100] __attribute__((aligned(64)));

	__asm__ volatile("" : : "r"(room) : "memory");
	descend(depth);
	__asm__ volatile("" : : "r"(room) : "memory");
}

TEST(callers_are_those_that_the_c_library_finds)
{
	struct self found = look_at_self();
	int numbers[] = {3, 1, 2};

	self = &found;
	compare_with_library();
	descend(20);
	descend_aligned(3);
	qsort(numbers, 3, sizeof(*numbers), compare_numbers);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	CHECK(n_compared > 5);
	forget_self(&found);
}

/* ---- what libdw says ---- */

#define SP_VALUE 0x7ffd00000000u
#define BP_VALUE 0x7ffd00000400u

static uint64_t words[512]; /* at SP_VALUE */

static uint64_t memory(uint64_t at)
{
	CHECK(at - SP_VALUE <= sizeof(words) - 8);
	return words[(at - SP_VALUE) / 8];
}

static uint64_t reg(unsigned int number, uint64_t ip)
{
	return number == 7 ? SP_VALUE : number == 6 ? BP_VALUE : number == 16 ? ip : 0;
}

/* Runs a DWARF expression; what rows are made of has no other operations. false: it has. */
static bool run(const Dwarf_Op *ops, size_t n, uint64_t ip, uint64_t cfa, uint64_t *ret)
{
	uint64_t s[8] = {};
	size_t top = 0; /* of s[1] … */

	for (size_t i = 0; i < n && top < 6; i++) {
		unsigned int atom = ops[i].atom;

		if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
			s[++top] = reg(atom - DW_OP_breg0, ip) + ops[i].number;
		else if (atom == DW_OP_bregx)
			s[++top] = reg((unsigned int)ops[i].number, ip) + ops[i].number2;
		else if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
			s[++top] = atom - DW_OP_lit0;
		else if (atom == DW_OP_call_frame_cfa)
			s[++top] = cfa;
		else if (atom == DW_OP_plus_uconst)
			s[top] += ops[i].number;
		else if (atom == DW_OP_deref)
			s[top] = memory(s[top]);
		else if (atom == DW_OP_and)
			top--, s[top] &= s[top + 1];
		else if (atom == DW_OP_ge)
			top--, s[top] = (int64_t)s[top] >= (int64_t)s[top + 1];
		else if (atom == DW_OP_shl)
			top--, s[top] <<= s[top + 1];
		else if (atom == DW_OP_plus)
			top--, s[top] += s[top + 1];
		else
			return false;
	}
	*ret = s[top];
	return true;
}

/* Steps from a made-up place at @address, by @row and by libdw. 1: they agree; 0: the stack has nothing there. */
static int agrees(Dwarf_CFI *cfi, uint64_t address, const struct cfi_row *row)
{
	const struct cfi_stack stack = {SP_VALUE, sizeof(words), (const uint8_t *)words};
	struct cfi_regs regs = {.ip = address, .sp = SP_VALUE, .bp = BP_VALUE};
	enum cfi_end end = cfi_step(row, &stack, &regs);
	Dwarf_Op room[3], *ops;
	Dwarf_Frame *frame;
	uint64_t cfa, at;
	size_t n;

	CHECK_EQ(dwarf_cfi_addrframe(cfi, address, &frame), 0);
	CHECK_EQ(dwarf_frame_register(frame, 16, room, &ops, &n), 0);
	CHECK_EQ(end == CFI_END_OUTERMOST, n == 0 && ops);
	if (end == CFI_END_NONE) {
		Dwarf_Op *cfa_ops;
		size_t n_cfa;

		CHECK_EQ(dwarf_frame_cfa(frame, &cfa_ops, &n_cfa), 0);
		CHECK(run(cfa_ops, n_cfa, address, 0, &cfa));
		CHECK_EQ(regs.sp, cfa);
		CHECK(run(ops, n, address, cfa, &at));
		CHECK_EQ(regs.ip, memory(at));
		CHECK_EQ(dwarf_frame_register(frame, 6, room, &ops, &n), 0);
		if (row->how != CFI_SIGNAL && !regs.bp_lost)
			CHECK_EQ(regs.bp, n == 0 ? BP_VALUE : run(ops, n, address, cfa, &at) ? memory(at) : 0);
	}
	free(frame);
	return end == CFI_END_NONE || end == CFI_END_OUTERMOST;
}

static uint64_t link_address(const struct elf_file *file, uint64_t offset)
{
	size_t n = 0;
	GElf_Phdr p;

	elf_getphdrnum(file->elf, &n);
	for (size_t i = 0; i < n; i++)
		if (gelf_getphdr(file->elf, (int)i, &p) && p.p_type == PT_LOAD && offset - p.p_offset < p.p_filesz)
			return offset - p.p_offset + p.p_vaddr;
	return 0;
}

TEST(rows_say_what_libdw_says_at_any_place)
{
	struct self found = look_at_self();
	unsigned int seed = 1;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = SP_VALUE + 8 * (i ^ 5);
	for (size_t i = 0; i < found.n; i++) {
		const struct cfi_table *table = &found.files[i].table;
		_elf_file_ struct elf_file file = ELF_FILE_NONE;
		int n_agreed = 0, n_tried = 0;
		Dwarf_CFI *cfi;

		CHECK_EQ(elf_file_open(found.files[i].path, &file), 0);
		cfi = dwarf_getcfi_elf(file.elf);
		for (int turn = 0; turn < 2000; turn++) {
			uint64_t offset = table->rows[0].at + ((uint64_t)rand_r(&seed) << 15 ^ (uint64_t)rand_r(&seed)) %
								      (table->rows[table->n - 1].at - table->rows[0].at);
			const struct cfi_row *row = cfi_table_find(table, offset);

			n_tried += row != NULL;
			n_agreed += row && agrees(cfi, link_address(&file, offset), row);
		}
		CHECK(n_tried > 100 && n_agreed > n_tried / 2);
		dwarf_cfi_end(cfi);
	}
	forget_self(&found);
}

/* ---- files that are made here ---- */

#define CODE 0x10000

/* An ELF file: code at CODE, then an .eh_frame of @n_bytes, which is at offset 512, and what names it. */
struct made {
	Elf64_Ehdr head;
	Elf64_Phdr code;
	Elf64_Shdr sections[3];
	char names[64];
	uint8_t unused[512 - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr) - 3 * sizeof(Elf64_Shdr) - 64];
	uint8_t eh_frame[];
};

/* @n_cies of them, then functions of 16 bytes, each of the next one in turn. Returns the number of bytes. */
static size_t make_eh_frame(uint8_t *at, uint32_t n_cies, uint32_t n_functions, uint8_t code_bytes)
{
	/* length, id, version, "zR", code factor 1, data factor -8, rip is 16; addresses are 4 bytes, absolute; CFA = rsp + 8, rip at -8 */
	static const uint8_t cie[24] = {20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_udata4, 0x0c, 7, 8, 0x90, 1};
	uint8_t *begin = at;

	for (uint32_t i = 0; i < n_cies; i++, at += sizeof(cie))
		memcpy(at, cie, sizeof(cie));
	for (uint32_t i = 0; i < n_functions; i++, at += 20) {
		uint32_t back = (uint32_t)(at + 4 - begin) - i % n_cies * (uint32_t)sizeof(cie);
		uint32_t fde[5] = {16, back, CODE + 16 * i, code_bytes, 0};

		memcpy(at, fde, sizeof(fde));
	}
	return (size_t)(at - begin);
}

static int read_made(uint32_t n_cies, uint32_t n_functions, struct cfi_table *ret_table)
{
	_free_ struct made *made = calloc(1, sizeof(*made) + n_cies * 24 + n_functions * 20);
	size_t n = make_eh_frame(made->eh_frame, n_cies, n_functions, 12);
	_elf_file_ struct elf_file file = ELF_FILE_NONE;

	made->head = (Elf64_Ehdr){
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_EXEC, .e_machine = EM_X86_64,
		.e_version = EV_CURRENT, .e_ehsize = sizeof(Elf64_Ehdr), .e_phoff = offsetof(struct made, code), .e_phnum = 1,
		.e_phentsize = sizeof(Elf64_Phdr), .e_shoff = offsetof(struct made, sections), .e_shnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr), .e_shstrndx = 2,
	};
	made->code = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = CODE, .p_filesz = 1 << 20, .p_memsz = 1 << 20};
	memcpy(made->names, "\0.eh_frame\0.shstrtab", 21);
	made->sections[1] = (Elf64_Shdr){.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = offsetof(struct made, eh_frame), .sh_size = n};
	made->sections[2] = (Elf64_Shdr){.sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct made, names), .sh_size = 64};
	file.elf = elf_memory((char *)made, sizeof(*made) + n);
	CHECK(file.elf);
	return cfi_file_read(&file, ret_table);
}

/* Each function has a row and a gap behind it. */
TEST(functions_may_take_turns_with_what_they_have_in_common)
{
	struct cfi_table table = {};

	CHECK_EQ(read_made(2, 1000, &table), 0);
	CHECK_EQ(table.n, 2000);
	for (uint32_t i = 0; i < 1000; i++) {
		const struct cfi_row *row = cfi_table_find(&table, 16 * i + 3);

		CHECK(row && row->how == CFI_SP && row->cfa == 8);
		CHECK(!cfi_table_find(&table, 16 * i + 13));
	}
	cfi_table_deinit(&table);
}

TEST(who_has_too_much_in_common_is_refused)
{
	struct cfi_table table = {.n = 42};

	CHECK_EQ(read_made(257, 1000, &table), -E2BIG);
	CHECK_EQ(table.n, 42);
}

TEST(what_has_no_tables_has_no_rows)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	struct cfi_table table = {.n = 42};
	uint8_t head[64] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, [16] = ET_EXEC, [18] = EM_AARCH64, [20] = EV_CURRENT, [52] = 64};

	file.elf = elf_memory((char *)head, sizeof(head));
	CHECK(file.elf);
	CHECK_EQ(cfi_file_read(&file, &table), -EOPNOTSUPP);
	head[18] = EM_X86_64;
	elf_end(file.elf);
	file.elf = elf_memory((char *)head, sizeof(head));
	CHECK_EQ(cfi_file_read(&file, &table), -ENODATA);
	CHECK_EQ(table.n, 42);
}

int main(void)
{
	return test_main();
}
