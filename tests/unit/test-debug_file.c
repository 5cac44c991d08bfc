/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This program itself is stripped into a directory, and its debug file put in the places where distributions put them. */
#include <errno.h>
#include <sys/stat.h>
#include <vpmu/common.h>

#include "sym/debug_file.h"
#include "sym/elf_symbols.h"
#include "test.h"

static char directory[] = "/tmp/vpmu-test-XXXXXX";

/* Runs a shell command in which $self is this program and $dir a directory, empty unless used @again. */
static void run(const char *command, bool again)
{
	char self[256] = {}, line[2048];

	CHECK_CMP(readlink("/proc/self/exe", self, sizeof(self) - 1), >, 0);
	snprintf(line, sizeof(line), "exec 2>/dev/null; set -e; self=%s; dir=%s; mkdir -p $dir; cd $dir; "
		 "%s%s", self, directory,
		 again ? "" : "rm -rf .debug *; ", command);
	if (system("command -v objcopy >/dev/null") != 0)
		skip("objcopy is missing");
	CHECK_EQ(system(line), 0);
}

/* Is the name of a static function, which only .symtab has, found for $dir/program? */
static bool finds_names(const struct build_id *build_id, int expected)
{
	char debug[64], path[64];
	struct sym_env env = { .debug_dirs = debug };
	_elf_file_ struct elf_file runtime = ELF_FILE_NONE, symbols = ELF_FILE_NONE;
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	struct symbol symbol;

	snprintf(debug, sizeof(debug), "%s/debug", directory);
	snprintf(path, sizeof(path), "%s/program", directory);
	CHECK_EQ(debug_file_find(&env, path, build_id, DEBUG_FILE_SYMBOLS, &runtime, &symbols), expected);
	if (expected < 0)
		return false;
	CHECK_EQ(elf_symbols(symbols.elf ? &symbols : &runtime, runtime.elf ? &runtime : &symbols, ELF_FILE_OFFSETS,
			     0, &table), 0);
	return symtab_find(table, "finds_names", &symbol);
}

static const struct build_id any = {};

#define BY_BUILD_ID                                                                                \
	"id=$(readelf -n $self | sed -n 's/.*Build ID: //p'); "                                    \
	"place=$dir/debug/.build-id/$(echo $id | cut -c1-2); mkdir -p $place; "                    \
	"objcopy --only-keep-debug $self $place/$(echo $id | cut -c3-).debug; "

TEST(a_stripped_program_has_no_static_functions)
{
	run("objcopy --strip-all $self program", false);
	CHECK(!finds_names(&any, 0));
}

TEST(a_program_with_symbols_needs_no_debug_file)
{
	run("cp $self program", false);
	CHECK(finds_names(&any, 0));
}

TEST(a_debug_file_is_found_by_build_id)
{
	run(BY_BUILD_ID "objcopy --strip-all $self program", false);
	CHECK(finds_names(&any, 0));
}

TEST(a_debug_file_serves_when_the_program_is_gone)
{
	_elf_file_ struct elf_file self = ELF_FILE_NONE;

	CHECK_EQ(elf_file_open("/proc/self/exe", &self), 0);
	run(BY_BUILD_ID, false);
	CHECK(finds_names(&self.build_id, 0));
	elf_file_close(&self);
}

TEST(a_program_replaced_by_another_is_not_used)
{
	run("cp /bin/sh program", false);
	CHECK(!finds_names(&(struct build_id){ .n = 20, .bytes = { 1 } }, -ESTALE));
}

TEST(a_debug_file_is_found_by_link_beside_the_program)
{
	run("objcopy --only-keep-debug $self d.debug; mkdir .debug; "
	    "objcopy --strip-all --add-gnu-debuglink=d.debug $self program; mv d.debug .debug/", false);
	CHECK(finds_names(&any, 0));
}

TEST(without_build_ids_the_checksum_decides)
{
	run("objcopy --remove-section .note.gnu.build-id $self plain; objcopy --only-keep-debug plain d.debug; "
	    "objcopy --strip-all --add-gnu-debuglink=d.debug plain program", false);
	CHECK(finds_names(&any, 0));
	run("echo >> d.debug", true);
	CHECK(!finds_names(&any, 0));
}

int main(void)
{
	char command[64];
	int result;

	CHECK(mkdtemp(directory));
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	result = test_main();
	return system(command) == 0 ? result : 1;
}
