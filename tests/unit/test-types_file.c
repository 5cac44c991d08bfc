/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vmlinux for a kernel without type information. The kernels are real ones: what was read of their memory when modules, tasks and a memory
 * map were listed (tests/fuzz/record-kernel.c), type information and all.
 */
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vpmu/introspect.h>

#include "../fuzz/sparse_image.h"
#include "format/elf_notes.h"
#include "guest/kernel.h"
#include "guest/types_file.h"
#include "guest_maker.h"
#include "sym/symbolizer.h"
#include "util/strbuf.h"

static const char *const recorded[] = {"5.10", "6.1", "6.12", "7"};

/* ---- files ---- */

static const char *write_file(const void *bytes, size_t n, int *ret_fd)
{
	static char path[64];

	*ret_fd = memfd_create("vmlinux", 0);
	CHECK(*ret_fd >= 0);
	CHECK_EQ(io_pwrite_all(*ret_fd, bytes, n, 0), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *ret_fd);
	return path;
}

struct note {
	uint32_t name_bytes, n_bytes, type, name;
	uint8_t build_id[ELF_BUILD_ID_MAX_BYTES];
};

/* An ELF file with a build-id (in hex; "": none), and with section .BTF of @type. */
static void make_elf(struct strbuf *b, const char *build_id, uint32_t type, const void *types, size_t n_types)
{
	static const char names[] = "\0.notes\0.BTF\0.shstrtab";
	struct note note = {4, (uint32_t)strlen(build_id) / 2, NT_GNU_BUILD_ID, 0x00554e47, {}};
	size_t notes_at = sizeof(Elf64_Ehdr), types_at = notes_at + sizeof(note), names_at = types_at + n_types;
	const Elf64_Shdr sections[] = {
		{},
		{.sh_name = 1, .sh_type = SHT_NOTE, .sh_offset = notes_at, .sh_size = sizeof(note)},
		{.sh_name = 8, .sh_type = type, .sh_offset = types_at, .sh_size = n_types},
		{.sh_name = 13, .sh_type = SHT_STRTAB, .sh_offset = names_at, .sh_size = sizeof(names)},
	};
	const Elf64_Ehdr header = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_ehsize = sizeof(header),
		.e_shoff = names_at + sizeof(names), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 4, .e_shstrndx = 3};

	for (size_t i = 0; i < note.n_bytes; i++)
		CHECK_EQ(sscanf(build_id + 2 * i, "%2hhx", &note.build_id[i]), 1);
	strbuf_add(b, (const char *)&header, sizeof(header));
	strbuf_add(b, (const char *)&note, sizeof(note));
	strbuf_add(b, types, n_types);
	strbuf_add(b, names, sizeof(names));
	strbuf_add(b, (const char *)sections, sizeof(sections));
	CHECK(!b->failed);
}

/* ---- kernels ---- */

static int open_with(const char *memory, const char *vmlinux, struct vpmu_kernel **ret_kernel, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = memory, .vmlinux_path = vmlinux);

	return vpmu_kernel_open(NULL, &opts, ret_kernel, reterr);
}

/* The recorded memory of @version, as a file; *ret_fd is its descriptor. */
static const char *write_recorded(const char *version, int *ret_fd, int *ret_pid)
{
	static char path[64];
	char source[256], *bytes;
	struct sparse_head head;
	size_t n;

	snprintf(source, sizeof(source), TESTS_UNIT_DIR "/../fuzz/corpus/kernel_walks/%s", version);
	CHECK_EQ(io_read_file(AT_FDCWD, source, 1 << 20, &bytes, &n), 0);
	memcpy(&head, bytes, sizeof(head));
	*ret_pid = head.pid;
	*ret_fd = memfd_create("ram", 0);
	CHECK(*ret_fd >= 0);
	CHECK_EQ(ftruncate(*ret_fd, (off_t)head.ram_bytes), 0);
	for (size_t at = sizeof(head); at + sizeof(struct sparse_line) <= n; at += sizeof(struct sparse_line)) {
		struct sparse_line line;

		memcpy(&line, bytes + at, sizeof(line));
		CHECK_EQ(io_pwrite_all(*ret_fd, line.bytes, sizeof(line.bytes), line.gpa), 0);
	}
	free(bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *ret_fd);
	return path;
}

/* Symbol __start_BTF gets another name: kallsyms_maker.h writes names as they are. */
static void hide_types(int fd, const struct vpmu_kernel *kernel)
{
	static const char name[] = "__start_BTF";
	uint64_t n_left = kernel->image.n_bytes, n_hidden = 0;
	uint8_t *image = malloc(n_left), *at = image;

	CHECK(image);
	CHECK_EQ(io_pread_full(fd, image, n_left, kernel->image.text_gpa), (ssize_t)n_left);
	while ((at = memmem(at, n_left - (size_t)(at - image), name, sizeof(name) - 1))) {
		CHECK_EQ(io_pwrite_all(fd, "__start_XTF", sizeof(name) - 1, kernel->image.text_gpa + (uint64_t)(at - image)), 0);
		n_hidden++;
		at++;
	}
	CHECK_EQ(n_hidden, 1);
	free(image);
}

static void make_vmlinux_of(struct vpmu_kernel *kernel, struct strbuf *b)
{
	uint64_t from = kernel->gva[KERNEL_START_BTF], n = kernel->gva[KERNEL_STOP_BTF] - from;
	void *types = malloc(n);

	CHECK(types && from);
	CHECK_EQ(kernel_read_large(kernel, from, types, n), 0);
	make_elf(b, kernel->build_id, SHT_PROGBITS, types, n);
	free(types);
}

static int add_module(const struct vpmu_kernel_module *module, void *data)
{
	strbuf_addf(data, "%s %llu %s %s %llx\n", module->name, (unsigned long long)module->size_bytes, module->users,
		    module->state, (unsigned long long)module->text_gva);
	return 0;
}

static int add_task(const struct vpmu_kernel_task *task, void *data)
{
	strbuf_addf(data, "%d %d %s\n", task->pid, task->tgid, task->comm);
	return 0;
}

static int add_mapping(const struct vpmu_kernel_mapping *mapping, void *data)
{
	strbuf_addf(data, "%llx %llu %s\n", (unsigned long long)mapping->start_gva, (unsigned long long)mapping->inode,
		    mapping->name);
	return 0;
}

static void describe(struct vpmu_kernel *kernel, int pid, struct strbuf *b)
{
	struct vpmu_error error;
	size_t n = b->n;

	CHECK_EQ(vpmu_kernel_each_module(kernel, add_module, b, &error), 0);
	CHECK_CMP(b->n, >, n);
	n = b->n;
	CHECK_EQ(vpmu_kernel_each_task(kernel, add_task, b, &error), 0);
	CHECK_CMP(b->n, >, n);
	n = b->n;
	CHECK_EQ(vpmu_kernel_each_mapping(kernel, pid, add_mapping, b, &error), 0);
	CHECK_CMP(b->n, >, n);
}

TEST(a_vmlinux_says_what_the_kernel_would_have_said)
{
	for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
		struct strbuf own = {}, given = {}, elf = {};
		struct vpmu_kernel *kernel;
		struct vpmu_error error;
		int ram_fd, elf_fd, pid;
		const char *memory = write_recorded(recorded[i], &ram_fd, &pid), *vmlinux;

		CHECK_EQ(open_with(memory, NULL, &kernel, &error), 0);
		describe(kernel, pid, &own);
		make_vmlinux_of(kernel, &elf);
		vmlinux = write_file(elf.text, elf.n, &elf_fd);
		hide_types(ram_fd, kernel);
		vpmu_kernel_free(kernel);

		CHECK_EQ(open_with(memory, NULL, &kernel, &error), 0);
		CHECK_EQ(vpmu_kernel_each_module(kernel, NULL, NULL, &error), -EOPNOTSUPP);
		CHECK_CONTAINS(error.text, "no type information");
		CHECK_CONTAINS(error.hint, "vmlinux");
		vpmu_kernel_free(kernel);

		if (open_with(memory, vmlinux, &kernel, &error) < 0)
			FAIL("%s: %s", recorded[i], error.text);
		describe(kernel, pid, &given);
		CHECK_STR(given.text, own.text);
		vpmu_kernel_free(kernel);
		strbuf_deinit(&own);
		strbuf_deinit(&given);
		strbuf_deinit(&elf);
		close(ram_fd);
		close(elf_fd);
	}
}

/* This process plays the hypervisor: the guest's memory is the largest of its mappings. */
static bool knows_tasks(const char *vmlinux)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .no_debuginfod = true);
	struct vpmu_guest_info info = {.pid = getpid(), .name = "self", .uuid = ""};
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_symbolizer *s;
	struct vpmu_error error;
	struct strbuf tasks = {};
	int r;

	CHECK_EQ(symbolizer_new(&opts, &s, &error), 0);
	CHECK_EQ(symbolizer_set_guest(s, 0, &info), 0);
	CHECK_EQ(symbolizer_guest_runs(s, 0, &info), 0);
	CHECK_EQ(vpmu_symbolizer_guest_file(s, 0, VPMU_GUEST_TYPES, "/no-such-file", 0, &error), -ENOENT);
	if (vmlinux)
		CHECK_EQ(vpmu_symbolizer_guest_file(s, VPMU_NO_GUEST, VPMU_GUEST_TYPES, vmlinux, 0, &error), 0);
	WAIT_UNTIL((kernel = symbolizer_guest_kernel(s, 0)), usleep(1000));
	r = vpmu_kernel_each_task(kernel, add_task, &tasks, &error);
	CHECK(r == 0 ? tasks.n > 0 : r == -EOPNOTSUPP);
	strbuf_deinit(&tasks);
	symbolizer_free(s);
	return r == 0;
}

/* As the hypervisor's own, with what the guest has touched. */
static void map_memory(int fd)
{
	struct stat st;
	uint8_t *map;
	off_t end;

	CHECK_EQ(fstat(fd, &st), 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(map != MAP_FAILED);
	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0; at = end) {
		end = lseek(fd, at, SEEK_HOLE);
		CHECK_EQ(io_pread_full(fd, map + at, (size_t)(end - at), at), end - at);
	}
}

TEST(a_guest_that_runs_may_be_given_a_vmlinux)
{
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	struct strbuf elf = {}, others = {};
	int ram_fd, fd, pid;
	const char *memory = write_recorded("6.12", &ram_fd, &pid);

	CHECK_EQ(open_with(memory, NULL, &kernel, &error), 0);
	make_vmlinux_of(kernel, &elf);
	make_elf(&others, "0123456789abcdef0123456789abcdef01234567", SHT_PROGBITS, "", 0);
	hide_types(ram_fd, kernel);
	vpmu_kernel_free(kernel);
	map_memory(ram_fd);
	CHECK(!knows_tasks(NULL));
	CHECK(knows_tasks(write_file(elf.text, elf.n, &fd)));
	close(fd);
	CHECK(!knows_tasks(write_file(others.text, others.n, &fd))); /* another kernel's: said, and left out */
	close(fd);
	close(ram_fd);
	strbuf_deinit(&elf);
	strbuf_deinit(&others);
}

TEST(a_kernel_with_types_needs_no_file)
{
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	int fd, pid;

	CHECK_EQ(open_with(write_recorded("6.1", &fd, &pid), "/nonexistent", &kernel, &error), 0);
	vpmu_kernel_free(kernel);
	close(fd);
}

/* What opening the made guest, whose build-id is deadbeef, with this file says. */
static int refused(const struct strbuf *b, struct vpmu_error *reterr)
{
	struct vpmu_kernel *kernel = NULL;
	int ram_fd, elf_fd, r;

	guest_make(&kallsyms_forms[2], 4);
	r = open_with(guest_write(&ram_fd), write_file(b->text, b->n, &elf_fd), &kernel, reterr);
	CHECK(!kernel);
	close(ram_fd);
	close(elf_fd);
	return r;
}

TEST(another_kernels_vmlinux_is_refused_by_its_build_id)
{
	struct strbuf other = {}, none = {};
	struct vpmu_error error;

	make_elf(&other, "12345678", SHT_PROGBITS, "types", 5);
	CHECK_EQ(refused(&other, &error), -ESTALE);
	CHECK_CONTAINS(error.text, "12345678");
	CHECK_CONTAINS(error.text, "deadbeef");
	make_elf(&none, "", SHT_PROGBITS, "types", 5);
	CHECK_EQ(refused(&none, &error), -ESTALE);
	CHECK_CONTAINS(error.text, "missing");
	strbuf_deinit(&other);
	strbuf_deinit(&none);
}

TEST(a_vmlinux_without_types_says_how_to_make_them)
{
	struct strbuf elf = {}, text = {};
	struct vpmu_error error;

	make_elf(&elf, "deadbeef", SHT_NOBITS, "", 0);
	CHECK_EQ(refused(&elf, &error), -ENODATA);
	CHECK_CONTAINS(error.text, ".BTF");
	CHECK_CONTAINS(error.hint, "pahole -J");
	strbuf_adds(&text, "#!/bin/sh\n");
	CHECK_EQ(refused(&text, &error), -ENOEXEC);
	CHECK_CONTAINS(error.text, "not an ELF file");
	strbuf_deinit(&elf);
	strbuf_deinit(&text);
}

TEST(types_of_something_else_are_refused)
{
	struct strbuf damaged = {}, foreign = {};
	struct vpmu_error error;
	char *types;
	size_t n;

	make_elf(&damaged, "deadbeef", SHT_PROGBITS, "\x9f\xeb\x01", 3);
	CHECK_EQ(refused(&damaged, &error), -EBADMSG);
	CHECK_CONTAINS(error.text, "cannot be read");
	CHECK_EQ(io_read_file(AT_FDCWD, TESTS_UNIT_DIR "/../fuzz/corpus/btf_types/clang", 1 << 20, &types, &n), 0);
	make_elf(&foreign, "deadbeef", SHT_PROGBITS, types, n);
	CHECK_EQ(refused(&foreign, &error), -EOPNOTSUPP);
	CHECK_CONTAINS(error.text, "structures");
	free(types);
	strbuf_deinit(&damaged);
	strbuf_deinit(&foreign);
}

static void claim(struct strbuf *elf, size_t section, uint64_t offset, uint64_t n_bytes)
{
	char *at = elf->text + elf->n - (4 - section) * sizeof(Elf64_Shdr);
	Elf64_Shdr header;

	memcpy(&header, at, sizeof(header));
	header.sh_offset = offset;
	header.sh_size = n_bytes;
	memcpy(at, &header, sizeof(header));
}

static int read_types(const struct strbuf *b, struct vpmu_error *reterr)
{
	void *bytes = NULL;
	size_t n;
	int fd, r = types_file_read(write_file(b->text, b->n, &fd), "deadbeef", 1 << 20, &bytes, &n, reterr);

	CHECK((r == 0) == (bytes != NULL));
	free(bytes);
	close(fd);
	return r;
}

TEST(sections_that_are_not_there_are_refused)
{
	const uint64_t notes_at = sizeof(Elf64_Ehdr), types_at = notes_at + sizeof(struct note);
	struct strbuf elf = {};
	struct vpmu_error error;

	make_elf(&elf, "deadbeef", SHT_PROGBITS, "types", 5);
	CHECK_EQ(read_types(&elf, &error), 0);
	claim(&elf, 2, types_at, 1 << 20);
	CHECK_EQ(read_types(&elf, &error), -EBADMSG);
	CHECK_CONTAINS(error.text, "ends within");
	claim(&elf, 2, types_at, UINT64_MAX);
	CHECK_EQ(read_types(&elf, &error), -EFBIG);
	claim(&elf, 2, UINT64_MAX - 2, 5);
	CHECK_CMP(read_types(&elf, &error), <, 0);
	claim(&elf, 1, notes_at, 1 << 20);
	CHECK_EQ(read_types(&elf, &error), -ESTALE);
	claim(&elf, 1, notes_at, sizeof(struct note));
	claim(&elf, 2, types_at, 5);
	CHECK_EQ(read_types(&elf, &error), 0);
	while (elf.n--)
		CHECK_CMP(read_types(&elf, &error), <, 0);
	strbuf_deinit(&elf);
}

TEST(only_files_are_opened)
{
	struct vpmu_error error;
	void *bytes = NULL;
	size_t n;

	CHECK_EQ(types_file_read("/nonexistent", "", 1 << 20, &bytes, &n, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent");
	CHECK_EQ(types_file_read("/dev/null", "", 1 << 20, &bytes, &n, &error), -EINVAL);
	CHECK(!bytes);
}

int main(void)
{
	return test_main();
}
