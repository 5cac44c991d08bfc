/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "sym/kernel_cache.h"
#include "test.h"

TEST(the_second_reading_of_this_hosts_kernel_comes_from_the_cache)
{
	char directory[] = "/tmp/vpmu-test-XXXXXX", path[64];
	struct sym_env env = { .kallsyms_path = (char *)"/proc/kallsyms" };
	struct symtab *live = NULL, *first = NULL, *second = NULL;
	enum kernel_table_origin origin;
	struct build_id build_id;
	struct symbol a, b;
	uint64_t text;

	if (kernel_cache_read_live(&env, &live, NULL) < 0)
		skip("/proc/kallsyms does not show its addresses: needs root");
	kernel_cache_running(&build_id);
	if (!build_id.n)
		skip("this kernel has no build-id");
	CHECK(mkdtemp(directory));
	env.cache_dir = directory;
	CHECK_EQ(kernel_cache_read(&env, &first, &origin, NULL), 0);
	CHECK_EQ(origin, KERNEL_TABLE_TO_CACHE);
	CHECK_EQ(kernel_cache_save(&env, first), 0);
	CHECK_EQ(kernel_cache_read(&env, &second, &origin, NULL), 0);
	CHECK_EQ(origin, KERNEL_TABLE_CACHED);
	CHECK_CMP(symtab_count(second), <=, symtab_count(live));
	CHECK_CMP(symtab_count(second), ==, symtab_count(first));
	CHECK(symtab_reference(second, "_text", &text) || symtab_reference(second, "_stext", &text));
	CHECK(symtab_lookup(live, text, &a));
	CHECK(symtab_lookup(second, text, &b));
	CHECK_STR(b.name, a.name);
	snprintf(path, sizeof(path), "%s/host-kallsyms", directory);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(rmdir(directory), 0);
	symtab_free(live);
	symtab_free(first);
	symtab_free(second);
}

TEST(somebodys_copy_of_kallsyms_is_never_cached)
{
	char directory[] = "/tmp/vpmu-test-XXXXXX", path[64];
	struct sym_env env = { .kallsyms_path = path, .cache_dir = directory };
	enum kernel_table_origin origin;
	struct symtab *table = NULL;
	FILE *f;

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/copy", directory);
	f = fopen(path, "we");
	fputs("ffffffff81000000 T _text\n", f);
	fclose(f);
	CHECK_EQ(kernel_cache_read(&env, &table, &origin, NULL), 0);
	CHECK_EQ(origin, KERNEL_TABLE_LIVE);
	symtab_free(table);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(rmdir(directory), 0);
}

int main(void)
{
	return test_main();
}
