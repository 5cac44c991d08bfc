/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "sym/cache.h"
#include "test.h"

static char top[] = "/tmp/vpmu-test-XXXXXX";
static char directory[64], file[80];

static struct symtab *a_table(const char *key)
{
	struct symtab_builder *b = symtab_builder_new();
	struct symtab *table = NULL;

	CHECK_EQ(symtab_builder_add(b, 0x1000, 16, 'T', "one", 3, NULL, 0), 0);
	CHECK_EQ(symtab_builder_finish(b, key, strlen(key), &table), 0);
	symtab_builder_free(b);
	return table;
}

static void save(const char *key)
{
	_cleanup_(symtab_freep) struct symtab *table = a_table(key);

	CHECK_EQ(cache_save(directory, "t", table), 0);
}

static int load(const char *key)
{
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	struct symbol symbol;
	int r = cache_load(directory, "t", key, strlen(key), &table);

	CHECK((r == 0) == (table != NULL));
	if (r == 0)
		CHECK(symtab_lookup(table, 0x1008, &symbol));
	return r;
}

TEST(what_was_saved_is_loaded_by_its_key)
{
	struct stat st;

	CHECK_EQ(load("boot 1"), -ENOENT);
	save("boot 1");
	CHECK_EQ(load("boot 1"), 0);
	CHECK_EQ(load("boot 2"), -ESTALE);
	save("boot 2");
	CHECK_EQ(load("boot 2"), 0);
	CHECK_EQ(stat(file, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(stat(directory, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0700);
}

TEST(what_others_may_write_is_not_believed)
{
	save("k");
	CHECK_EQ(chmod(file, 0620), 0);
	CHECK_EQ(load("k"), -EPERM);
	CHECK_EQ(chmod(file, 0644), 0);
	CHECK_EQ(load("k"), 0);
	CHECK_EQ(chmod(directory, 0777), 0);
	CHECK_EQ(load("k"), -EPERM);
	CHECK_EQ(chmod(directory, 0700), 0);
}

TEST(what_belongs_to_somebody_else_is_not_believed_nor_written)
{
	_cleanup_(symtab_freep) struct symtab *table = a_table("k");

	if (geteuid() != 0)
		skip("needs root, to give files away");
	save("k");
	CHECK_EQ(chown(file, 1234, 1234), 0);
	CHECK_EQ(load("k"), -EPERM);
	CHECK_EQ(chown(directory, 1234, 1234), 0);
	CHECK_EQ(cache_save(directory, "t", table), -EPERM);
	CHECK_EQ(chown(directory, 0, 0), 0);
	CHECK_EQ(chown(top, 1234, 1234), 0);
	CHECK_EQ(unlink(file), 0);
	CHECK_EQ(rmdir(directory), 0);
	CHECK_EQ(cache_save(directory, "t", table), -EPERM);
	CHECK_EQ(access(directory, F_OK), -1);
	CHECK_EQ(chown(top, 0, 0), 0);
}

/* root with a user's HOME: where the user's links lead nothing is written, even if that is root's. */
TEST(somebody_elses_link_to_a_directory_is_not_followed)
{
	_cleanup_(symtab_freep) struct symtab *table = a_table("k");
	char link[80], below[96];

	if (geteuid() != 0)
		skip("needs root, to give links away");
	snprintf(link, sizeof(link), "%s/link", top);
	snprintf(below, sizeof(below), "%s/vpmu", link);
	save("k");
	CHECK_EQ(symlink(directory, link), 0);
	CHECK_EQ(cache_save(link, "t", table), 0);
	CHECK_EQ(lchown(link, 1234, 1234), 0);
	CHECK_EQ(cache_save(link, "t", table), -EPERM);
	CHECK_EQ(cache_save(below, "t", table), -EPERM);
	CHECK_EQ(unlink(link), 0);
}

TEST(a_link_is_not_followed)
{
	save("k");
	CHECK_EQ(unlink(file), 0);
	CHECK_EQ(symlink("/etc/passwd", file), 0);
	CHECK_EQ(load("k"), -ELOOP);
	CHECK_EQ(unlink(file), 0);
}

TEST(a_damaged_file_is_refused)
{
	save("k");
	CHECK_EQ(truncate(file, 100), 0);
	CHECK_EQ(load("k"), -EBADMSG);
	CHECK_EQ(truncate(file, 0), 0);
	CHECK_EQ(load("k"), -EBADMSG);
}

int main(void)
{
	int result;

	CHECK(mkdtemp(top));
	snprintf(directory, sizeof(directory), "%s/vpmu", top);
	snprintf(file, sizeof(file), "%s/t", directory);
	result = test_main();
	unlink(file);
	rmdir(directory);
	rmdir(top);
	return result;
}
