/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes of guests: their numbers, their way through a recording, the names of their code. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vpmu/vpmu.h>

#include "format/vpmu_section.h"
#include "format/vpmu_tasks.h"
#include "session/guest_tasks.h"
#include "sym/elf_file.h"
#include "test.h"
#include "util/io.h"

static char directory[] = "/tmp/vpmu-test-XXXXXX";

struct side {
	struct vpmu_symbolizer *symbolizer;
	struct processes *processes;
	struct guest_tasks *tasks;
};

static struct side new_side_with(const char *debug_dirs)
{
	VPMU_OPTS(vpmu_symbolizer_opts, opts, .cache_dir = "", .debug_dirs = debug_dirs, .no_debuginfod = true);
	struct vpmu_guest_info guest = { .pid = 1, .name = "web1", .uuid = "", .exe = "" };
	struct side side = {};

	CHECK_EQ(symbolizer_new(&opts, &side.symbolizer, NULL), 0);
	CHECK_EQ(symbolizer_set_guest(side.symbolizer, 0, &guest), 0);
	side.processes = processes_new(side.symbolizer);
	side.tasks = guest_tasks_new(side.processes, side.symbolizer);
	CHECK(side.tasks);
	return side;
}

static struct side new_side(void)
{
	return new_side_with("/nonexistent");
}

static void free_side(struct side *side)
{
	guest_tasks_free(side->tasks);
	processes_free(side->processes);
	symbolizer_free(side->symbolizer);
}

static struct vpmu_bpf_task task_of(int32_t tgid, int32_t pid, uint64_t mm_gva, const char *comm)
{
	struct vpmu_bpf_task task = { .gva = 0xffff888000001000, .mm_gva = mm_gva, .pid = pid, .tgid = tgid };

	memcpy(task.comm, comm, strnlen(comm, sizeof(task.comm)));
	return task;
}

TEST(tasks_are_told_apart_by_thread_name_and_address_space)
{
	struct side side = new_side();
	struct vpmu_bpf_task tasks[] = {
		task_of(70, 70, 0x1000, "alpha"), task_of(70, 71, 0x1000, "alpha"), task_of(70, 70, 0x1000, "renamed"),
		task_of(70, 70, 0x2000, "alpha"), task_of(2, 2, 0, "kthreadd"),
	};
	struct guest_task_view view[5];
	uint32_t id[5];

	for (int i = 0; i < 5; i++) {
		id[i] = guest_tasks_note(side.tasks, 0, &tasks[i], 0, 1);
		CHECK_EQ(guest_tasks_note(side.tasks, 0, &tasks[i], 0, 1), id[i]);
		CHECK(guest_tasks_at(side.tasks, id[i], &view[i]));
		for (int k = 0; k < i; k++)
			CHECK(id[i] != id[k]);
	}
	CHECK_STR(view[2].comm, "renamed");
	CHECK_EQ(view[1].pid, 70);
	CHECK_EQ(view[1].tid, 71);
	CHECK_EQ(view[0].space, view[1].space);
	CHECK(view[0].space != view[3].space); /* exec */
	CHECK_EQ(view[4].space, SPACE_NONE);
	free_side(&side);
}

TEST(what_is_no_task_has_no_number)
{
	struct side side = new_side();
	struct vpmu_bpf_task none = {}, odd = task_of(70, 3, 0x1000, "x");
	struct guest_task_view view;

	CHECK_EQ(guest_tasks_note(side.tasks, 0, &none, 0, 1), GUEST_TASK_NONE);
	CHECK_EQ(guest_tasks_note(side.tasks, 0, &odd, 0, 1), GUEST_TASK_NONE);
	CHECK(!guest_tasks_at(side.tasks, 0, &view));
	CHECK(!guest_tasks_at(side.tasks, GUEST_TASK_NONE, &view));
	free_side(&side);
}

TEST(what_nobody_has_any_more_is_forgotten_once_it_is_much)
{
	struct side side = new_side();
	struct guest_task_view view;
	struct vpmu_bpf_task task;

	task = task_of(1, 1, 0x1000, "init");
	CHECK_EQ(guest_tasks_note(side.tasks, 0, &task, 0, 1), 0);
	guest_tasks_forget(side.tasks);
	CHECK(guest_tasks_at(side.tasks, 0, &view)); /* a few are worth keeping */
	for (int32_t i = 2; i < 3000; i++) {
		task = task_of(i, i, (uint64_t)i << 12, "forked");
		CHECK_EQ(guest_tasks_note(side.tasks, 0, &task, 0, 1), i - 1);
	}
	guest_tasks_forget(side.tasks);
	CHECK(!guest_tasks_at(side.tasks, 0, &view));
	CHECK_EQ(guest_tasks_note(side.tasks, 0, &task, 0, 1), 0);
	CHECK(guest_tasks_at(side.tasks, 0, &view));
	CHECK_EQ(view.pid, 2999);
	CHECK(view.space != SPACE_NONE);
	free_side(&side);
}

TEST(processes_without_end_have_an_end)
{
	struct side side = new_side();
	struct vpmu_bpf_task task;
	uint32_t id = 0;
	int32_t i;

	for (i = 1; i < 100000 && id != GUEST_TASK_NONE; i++) {
		task = task_of(i, i, (uint64_t)i << 12, "forked");
		id = guest_tasks_note(side.tasks, 0, &task, 0, 1);
	}
	CHECK_EQ(id, GUEST_TASK_NONE);
	CHECK(i < 20000);
	free_side(&side);
}

static void note_of(const struct side *side, uint32_t guest, int32_t pid)
{
	struct vpmu_bpf_task task = task_of(pid, pid, (uint64_t)pid << 12, "sh");

	CHECK(guest_tasks_note(side->tasks, guest, &task, 0, 1) != GUEST_TASK_NONE);
}

/* As much as it may have, in tables of a MiB. */
static size_t keep_all(const struct side *side, uint32_t guest)
{
	size_t n = 0;

	for (; guest_tasks_may_keep(side->tasks, guest) && n < 4096; n++)
		guest_tasks_keep(side->tasks, guest, 1 << 20);
	return n;
}

TEST(a_guest_with_symbols_without_end_leaves_the_others_their_share)
{
	struct vpmu_guest_info other = { .pid = 2, .name = "web2", .uuid = "", .exe = "" };
	struct side side = new_side();
	size_t greedy, modest, again;

	CHECK_EQ(symbolizer_set_guest(side.symbolizer, 1, &other), 0);
	note_of(&side, 0, 1);
	note_of(&side, 1, 2);
	greedy = keep_all(&side, 0);
	modest = keep_all(&side, 1);
	CHECK_CMP(greedy, >, 1);
	CHECK_EQ(modest, greedy);
	CHECK(!guest_tasks_may_keep(side.tasks, 0));
	/* Whoever is seen first afterwards: the other is not forgotten. */
	guest_tasks_forget(side.tasks);
	note_of(&side, 0, 1);
	again = keep_all(&side, 0);
	CHECK_EQ(again, greedy);
	CHECK(guest_tasks_may_keep(side.tasks, 1));
	free_side(&side);
}

/* A section of one process that has this program mapped at @at, as a recording would carry it. */
static void write_section(struct strbuf *out, const char *path, const struct build_id *build_id, uint64_t at)
{
	struct vpmu_tasks_map map = { at, at + (64 << 20), 0, path, {}, build_id->n };
	size_t entry;

	memcpy(map.build_id, build_id->bytes, build_id->n);
	vpmu_tasks_put_head(out, 1, 1);
	entry = vpmu_tasks_put_process(out, &(struct vpmu_tasks_process){ .guest = 0, .pid = 70 });
	vpmu_tasks_put_map(out, entry, &map);
	vpmu_tasks_put_task(out, &(struct vpmu_tasks_task){ 0, 0, 70, 70, "alpha" });
}

/* Where the function of this name lies in this program's file. */
static uint64_t own_offset(const void *function)
{
	char line[512], path[512], own[512];
	uint64_t start, end, offset, found = 0;
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	FILE *maps = fopen("/proc/self/maps", "re");

	CHECK(n > 0 && maps);
	own[n] = '\0';
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %511s", &start, &end, &offset, path) == 4 && !strcmp(path, own) &&
		    (uint64_t)function >= start && (uint64_t)function < end)
			found = (uint64_t)function - start + offset;
	fclose(maps);
	CHECK(found);
	return found;
}

static void copy_own(const char *to)
{
	char *bytes;
	size_t n;

	CHECK_EQ(io_read_file(AT_FDCWD, "/proc/self/exe", 1 << 30, &bytes, &n), 0);
	CHECK_EQ(io_write_file_atomic(to, bytes, n, 0700), 0);
	free(bytes);
}

static struct vpmu_frame frame_of(struct side *side, uint64_t address)
{
	struct guest_task_view view;
	struct vpmu_frame frame;

	CHECK(guest_tasks_at(side->tasks, 0, &view));
	symbolizer_frame(side->symbolizer, VPMU_SIDE_GUEST_USER, 0, view.space, address, false, &frame);
	return frame;
}

TEST(a_recordings_processes_have_names_below_the_guests_root)
{
	if (under_valgrind())
		skip("valgrind does not know openat2(2)");
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	uint64_t at = 0x7f0000000000, offset = own_offset(free_side);
	_strbuf_ struct strbuf section = {};
	struct side side = new_side();
	struct vpmu_frame frame;
	char path[128];

	CHECK_EQ(elf_file_open("/proc/self/exe", &file), 0);
	write_section(&section, "/opt/tool", &file.build_id, at);
	CHECK_EQ(guest_tasks_load(side.tasks, section.text, section.n), 0);
	snprintf(path, sizeof(path), "%s/opt", directory);
	CHECK_EQ(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/opt/real", directory);
	copy_own(path);
	/* The guest's own links mean its own root. */
	snprintf(path, sizeof(path), "%s/opt/tool", directory);
	CHECK_EQ(symlink("/opt/real", path), 0);
	CHECK_EQ(vpmu_symbolizer_guest_file(side.symbolizer, VPMU_NO_GUEST, VPMU_GUEST_ROOT, directory, 0, NULL), 0);
	frame = frame_of(&side, at + offset);
	CHECK_EQ(frame.status, VPMU_FRAME_OK);
	CHECK_STR(frame.symbol, "free_side");
	CHECK_STR(frame.dso, "/opt/tool");
	CHECK_EQ(frame.dso_offset, offset);
	CHECK_EQ(frame_of(&side, at - 1).status, VPMU_FRAME_UNMAPPED);
	free_side(&side);
}

TEST(this_machines_files_are_not_the_guests)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	_strbuf_ struct strbuf section = {}, same = {};
	struct side side = new_side();
	struct vpmu_frame frame;
	char own[512];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	CHECK(n > 0);
	own[n] = '\0';
	CHECK_EQ(elf_file_open(own, &file), 0);
	/* It exists here, at this very path: but nobody said that this is the guest's root. */
	write_section(&section, own, &file.build_id, 0x400000);
	CHECK_EQ(guest_tasks_load(side.tasks, section.text, section.n), 0);
	frame = frame_of(&side, 0x400000 + own_offset(free_side));
	CHECK_EQ(frame.status, VPMU_FRAME_NO_SYMBOLS);
	CHECK_STR(frame.dso, own);
	CHECK_EQ(strlen(frame.build_id), 2 * file.build_id.n);
	CHECK_EQ(frame.dso_offset, own_offset(free_side));
	/* What was read is what is saved. */
	CHECK_EQ(guest_tasks_save(side.tasks, &same), 0);
	CHECK_EQ(same.n, section.n);
	CHECK_EQ(memcmp(same.text, section.text, same.n), 0);
	free_side(&side);
}

static struct symtab *one_symbol(uint64_t offset, const char *name)
{
	struct symtab_builder *builder = symtab_builder_new();
	struct symtab *table;

	CHECK_EQ(symtab_builder_add(builder, offset, 16, 'g', name, strlen(name), NULL, 0), 0);
	CHECK_EQ(symtab_builder_finish(builder, NULL, 0, &table), 0);
	symtab_builder_free(builder);
	return table;
}

static int take_table(const struct vpmu_section_table *table, void *data)
{
	CHECK_EQ(table->kind, VPMU_TABLE_GUEST_RESIDENT);
	return symbolizer_add_table(data, table);
}

TEST(what_the_guest_had_in_memory_names_what_nothing_else_names)
{
	if (under_valgrind())
		skip("valgrind does not know openat2(2)");
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	_strbuf_ struct strbuf section = {}, tables = {};
	uint64_t at = 0x7f0000000000, offset = own_offset(free_side);
	struct side live = new_side(), elsewhere = new_side();
	char path[128];

	CHECK_EQ(elf_file_open("/proc/self/exe", &file), 0);
	write_section(&section, "/tool", &file.build_id, at);
	CHECK_EQ(guest_tasks_load(live.tasks, section.text, section.n), 0);
	CHECK_EQ(frame_of(&live, at + offset).status, VPMU_FRAME_NO_SYMBOLS);
	CHECK(symbolizer_guest_needs_resident(live.symbolizer, 1, at));
	symbolizer_guest_resident(live.symbolizer, 1, at, one_symbol(offset, "exported"));
	CHECK(!symbolizer_guest_needs_resident(live.symbolizer, 1, at));
	CHECK_STR(frame_of(&live, at + offset).symbol, "exported");
	CHECK_EQ(frame_of(&live, at + offset + 16).status, VPMU_FRAME_NO_SYMBOL);
	/* It travels, and gives way to what is better where it is read. */
	CHECK_EQ(symbolizer_save_tables(live.symbolizer, NULL, 0, &tables), 0);
	CHECK_EQ(guest_tasks_load(elsewhere.tasks, section.text, section.n), 0);
	CHECK_EQ(vpmu_section_tables_decode(tables.text, tables.n, take_table, elsewhere.symbolizer), 0);
	CHECK_STR(frame_of(&elsewhere, at + offset).symbol, "exported");
	free_side(&elsewhere);
	elsewhere = new_side();
	CHECK_EQ(guest_tasks_load(elsewhere.tasks, section.text, section.n), 0);
	CHECK_EQ(vpmu_section_tables_decode(tables.text, tables.n, take_table, elsewhere.symbolizer), 0);
	snprintf(path, sizeof(path), "%s/tool", directory);
	copy_own(path);
	CHECK_EQ(vpmu_symbolizer_guest_file(elsewhere.symbolizer, VPMU_NO_GUEST, VPMU_GUEST_ROOT, directory, 0, NULL), 0);
	CHECK_STR(frame_of(&elsewhere, at + offset).symbol, "free_side");
	free_side(&live);
	free_side(&elsewhere);
}

/* This program's debug file, as a debug package has it: without code, and without where in the program it was. */
static void make_debug_file(const struct build_id *build_id)
{
	char hex[2 * BUILD_ID_MAX_BYTES + 1], command[512];

	build_id_hex(build_id, hex);
	snprintf(command, sizeof(command), "mkdir -p %s/.build-id/%.2s && objcopy --only-keep-debug /proc/%d/exe %s/.build-id/%.2s/%s.debug",
		 directory, hex, (int)getpid(), directory, hex, hex + 2);
	if (system("objcopy --version > /dev/null 2>&1") != 0)
		skip("objcopy is not installed");
	CHECK_EQ(system(command), 0);
}

static int note_head(const struct vpmu_section_table *table, void *data)
{
	*(bool *)data |= table->kind == VPMU_TABLE_GUEST_HEAD && strcmp(table->path, "/opt/other") == 0;
	return 0;
}

TEST(the_programs_head_tells_what_its_debug_file_does_not)
{
	_elf_file_ struct elf_file file = ELF_FILE_NONE;
	_strbuf_ struct strbuf section = {}, tables = {};
	uint64_t at = 0x7f0000000000, offset = own_offset(free_side);
	struct vpmu_section_table head = {.kind = VPMU_TABLE_GUEST_HEAD, .path = "/opt/other"};
	struct side side = new_side_with(directory);
	bool carried = false;
	size_t n;

	SKIP_OWN_PROGRAM_IN_VALGRIND();
	CHECK_EQ(elf_file_open("/proc/self/exe", &file), 0);
	make_debug_file(&file.build_id);
	write_section(&section, "/opt/other", &file.build_id, at);
	CHECK_EQ(guest_tasks_load(side.tasks, section.text, section.n), 0);
	head.image = elf_rawfile(file.elf, &n);
	head.image_bytes = n;
	head.build_id_bytes = file.build_id.n;
	memcpy(head.build_id, file.build_id.bytes, file.build_id.n);
	CHECK_EQ(symbolizer_add_table(side.symbolizer, &head), 0);
	CHECK_STR(frame_of(&side, at + offset).symbol, "free_side");
	CHECK_EQ(symbolizer_save_tables(side.symbolizer, NULL, 0, &tables), 0);
	CHECK_EQ(vpmu_section_tables_decode(tables.text, tables.n, note_head, &carried), 0);
	CHECK(carried);
	free_side(&side);
}

TEST(numbers_that_lead_nowhere_are_damage)
{
	_strbuf_ struct strbuf section = {};
	struct side side = new_side();

	vpmu_tasks_put_head(&section, 0, 1);
	vpmu_tasks_put_task(&section, &(struct vpmu_tasks_task){ 0, 5, 1, 1, "x" });
	CHECK_EQ(guest_tasks_load(side.tasks, section.text, section.n), -EBADMSG);
	strbuf_clear(&section);
	vpmu_tasks_put_head(&section, 1, 0);
	vpmu_tasks_put_process(&section, &(struct vpmu_tasks_process){ .guest = 9, .pid = 1 });
	CHECK_EQ(guest_tasks_load(side.tasks, section.text, section.n), -EBADMSG);
	free_side(&side);
}

int main(void)
{
	char command[64];
	int r;

	if (!mkdtemp(directory))
		return 1;
	r = test_main();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command) == 0 ? r : 1;
}
