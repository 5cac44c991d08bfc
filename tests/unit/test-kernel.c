/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of lib/guest/kernel.c: finding a kernel in a guest's memory, and what it says. (That of the host
 * is in test-symbolizer.c.) */
#include <errno.h>
#include <vpmu/introspect.h>

#include "guest/kernel.h"
#include "guest_maker.h"

static int open_made(const char *path, struct vpmu_kernel **ret_kernel, struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_kernel_opts, opts, .memory_path = path);

	return vpmu_kernel_open(NULL, &opts, ret_kernel, reterr);
}

static int count_symbol(const struct vpmu_kernel_symbol *symbol, void *data)
{
	uint32_t *n = data;

	if (strcmp(symbol->name, "_text") == 0)
		CHECK_EQ(symbol->gva, MADE_TEXT_GVA);
	CHECK(!symbol->module);
	++*n;
	return 0;
}

TEST(a_kernel_is_found_with_its_symbols_whatever_its_form)
{
	for (size_t f = 0; f < KALLSYMS_FORMS; f++)
		for (unsigned int levels = 4; levels <= 5; levels++) {
			const struct vpmu_kernel_info *info;
			struct vpmu_kernel *kernel;
			struct vpmu_error error;
			uint32_t n = 0;
			int fd;

			guest_make(&kallsyms_forms[f], levels);
			CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), 0);
			info = vpmu_kernel_info(kernel);
			CHECK_STR(info->release, "6.1.0-made");
			CHECK_STR(info->banner, "Linux version 6.1.0-made (me@here) #1");
			CHECK_STR(info->build_id, "deadbeef");
			CHECK_EQ(info->text_gva, MADE_TEXT_GVA);
			CHECK_EQ(info->text_gpa, MADE_TEXT_GPA);
			CHECK_EQ(info->paging_levels, levels);
			CHECK_EQ(vpmu_kernel_each_symbol(kernel, count_symbol, &n, &error), 0);
			CHECK_EQ(n, made_count(&kallsyms_forms[f]) + 4);
			CHECK_EQ(info->n_symbols, n);
			vpmu_kernel_free(kernel);
			close(fd);
		}
}

TEST(memory_without_a_kernel_says_so)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error;
	int fd;

	memset(ram, 0, sizeof(ram));
	CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "no Linux kernel");
	CHECK(!kernel);
	close(fd);
	CHECK_EQ(open_made("/nonexistent", &kernel, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "/nonexistent");
}

TEST(a_reboot_is_noticed)
{
	uint64_t first = (MADE_TEXT_GVA & 0x3fffffff) >> 21,
		 entry = (MADE_TEXT_GPA + 0x400000) | LARGE_ENTRY;
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	uint32_t n = 0;
	int fd;

	guest_make(&kallsyms_forms[2], 4);
	CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), 0);
	CHECK_EQ(io_pwrite_all(fd, &entry, 8, MADE_LEVEL2_GPA + first * 8), 0);
	CHECK_EQ(vpmu_kernel_each_symbol(kernel, count_symbol, &n, &error), -ESTALE);
	CHECK_EQ(n, 0);
	vpmu_kernel_free(kernel);
	close(fd);
}

TEST(without_type_information_there_are_no_modules)
{
	struct vpmu_kernel *kernel;
	struct vpmu_error error;
	int fd;

	guest_make(&kallsyms_forms[2], 4);
	CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), 0);
	CHECK_EQ(vpmu_kernel_each_module(kernel, NULL, NULL, &error), -EOPNOTSUPP);
	CHECK_CONTAINS(error.text, "6.1.0-made");
	vpmu_kernel_free(kernel);
	close(fd);
}

TEST(tables_that_lead_to_themselves_end)
{
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error;
	int fd;

	for (uint64_t gpa = 0; gpa < RAM_BYTES; gpa += 8)
		ram_put(gpa, (gpa & ~0xfffull) | TABLE_ENTRY);
	CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), -ENOENT);
	close(fd);
	for (uint64_t gpa = 0; gpa < RAM_BYTES; gpa += 8)
		ram_put(gpa, gpa % 4096 < 4080 ? 0 | LARGE_ENTRY : (gpa & ~0xfffull) | TABLE_ENTRY);
	CHECK_EQ(open_made(guest_write(&fd), &kernel, &error), -ENOENT);
	close(fd);
}

static int read_counted(void *data, uint64_t gpa, void *bytes, size_t n)
{
	uint64_t *n_read = data;

	*n_read += n;
	memcpy(bytes, ram + gpa, n);
	return 0;
}

/* Each looks like the one that a kernel has, and there is nothing around it. */
TEST(of_a_guest_full_of_token_tables_only_some_are_looked_at)
{
	const uint64_t tokens_at = MADE_TEXT_GPA + MADE_SYMBOLS_AT, end = MADE_TEXT_GPA + (6u << 20);
	const struct memory_segment all = {.n_bytes = RAM_BYTES};
	const struct linux_image image = {
		.text_gva = MADE_TEXT_GVA, .text_gpa = MADE_TEXT_GPA, .n_bytes = 6u << 20};
	uint64_t n_read = 0;
	const struct memory_remote remote = {.read = read_counted, .data = &n_read};
	struct vpmu_kernel kernel = {};
	size_t from, n;

	guest_make(&kallsyms_forms[2], 4);
	from = kallsyms_tokens_find(ram + tokens_at, KALLSYMS_BYTES, 0, MADE_TEXT_GVA + MADE_SYMBOLS_AT);
	CHECK(from < KALLSYMS_BYTES);
	/* With the index, but without what is behind it. */
	for (n = 512; kallsyms_tokens_find(ram + tokens_at + from, n, 0, MADE_TEXT_GVA + MADE_SYMBOLS_AT + from) == SIZE_MAX; n += 8)
		;
	memmove(ram + MADE_TEXT_GPA, ram + tokens_at + from, n);
	for (uint64_t at = MADE_TEXT_GPA + n; at + n <= end; at += n)
		memmove(ram + at, ram + MADE_TEXT_GPA, n);
	CHECK_EQ(memory_of_remote(&remote, &all, 1, &kernel.memory), 0);
	CHECK_EQ(kernel_accept(&image, &kernel), -ENOENT);
	CHECK_CMP(n_read, <, 64 * image.n_bytes);
	memory_free(kernel.memory);
}

static int count_bytes(const struct vpmu_kernel_symbol *symbol, void *data)
{
	*(uint64_t *)data += strlen(symbol->name) + 1;
	return 0;
}

/* Two tokens are a long name, so a small table may have gigabytes of them. */
TEST(names_of_a_kernels_own_symbols_do_not_take_all_memory)
{
	const uint32_t n = KALLSYMS_SYMBOLS_MAX;
	struct vpmu_kernel kernel = {};
	struct kallsyms_tables *t = &kernel.symbols;
	uint8_t *bytes = calloc(4, n); /* of which addresses are made, too */
	uint64_t n_bytes = 0;

	CHECK(bytes);
	for (uint32_t i = 0; i < n; i++)
		memcpy(bytes + 3 * i, "\2\1\1", 3);
	memset(bytes + 3 * n + 8, 'x', 256);
	*t = (struct kallsyms_tables){
		.bytes = bytes, .names_bytes = 3 * n, .n_symbols = n, .tokens_at = 3 * n + 8, .rule = KALLSYMS_BASE_RELATIVE};
	t->token_bytes[1] = 255;
	CHECK_EQ(kernel_own_symbols(&kernel, count_bytes, &n_bytes), 0);
	CHECK_CMP(n_bytes, >, 1 << 20);
	CHECK_CMP(n_bytes, <=, 64 << 20);
	free(bytes);
}

int main(void)
{
	return test_main();
}
