/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/introspect.h>

#include "guest/kernel_types.h"
#include "guest/modules.h"
#include "guest_maker.h"

#define HEAD_AT	     0x310000u /* of the list, within the kernel */
#define MODULE_AT    0x311000u
#define MODULE_BYTES 128
#define FAR_AWAY     0x10000000u

/* A guest with one module, which says "here" where its name should be and is in a list by its first member. */
static struct vpmu_kernel *open_guest(int *ret_fd)
{
	const struct kallsyms_extra more[] = {{"Dmodules", MADE_TEXT_GVA + HEAD_AT}, {}};
	struct vpmu_kernel *kernel = NULL;
	struct vpmu_kernel_opts opts = {.sz = sizeof(opts)};

	guest_make_with(&kallsyms_forms[2], 4, more);
	for (uint64_t i = 0; i < 2; i++) {
		ram_put(MADE_TEXT_GPA + HEAD_AT + i * 8, MADE_TEXT_GVA + MODULE_AT);
		ram_put(MADE_TEXT_GPA + MODULE_AT + i * 8, MADE_TEXT_GVA + HEAD_AT);
	}
	strcpy((char *)ram + MADE_TEXT_GPA + MODULE_AT + 24, "here");
	ram_put(MADE_TEXT_GPA + MODULE_AT + MODULE_BYTES - 8, 0xffffffffc0000000);
	opts.memory_path = guest_write(ret_fd);
	CHECK_EQ(vpmu_kernel_open(NULL, &opts, &kernel, NULL), 0);
	kernel->types = calloc(1, sizeof(*kernel->types));
	CHECK(kernel->types);
	memset(&kernel->types->module, 0xff, sizeof(kernel->types->module)); /* NO_MEMBER everywhere */
	kernel->types->module.bytes = MODULE_BYTES;
	kernel->types->module.list = 0;
	kernel->types->module.state = 16;
	kernel->types->module.name = 24;
	kernel->types->module.name_bytes = 56;
	kernel->types->module.has_unload = false;
	return kernel;
}

struct seen {
	unsigned int n;
	char name[MODULE_NAME_BYTES];
	uint64_t text_gva, size_bytes;
};

static int see(const struct vpmu_kernel_module *module, void *data)
{
	struct seen *seen = data;

	seen->n++;
	snprintf(seen->name, sizeof(seen->name), "%s", module->name);
	seen->text_gva = module->text_gva;
	seen->size_bytes = module->size_bytes;
	CHECK_STR(module->taints, "");
	return 0;
}

TEST(the_last_field_of_a_module_is_read)
{
	struct seen seen = {};
	int fd;
	struct vpmu_kernel *kernel = open_guest(&fd);

	kernel->types->module.parts[0].base = MODULE_BYTES - 8;
	CHECK_EQ(vpmu_kernel_each_module(kernel, see, &seen, NULL), 0);
	CHECK_EQ(seen.n, 1);
	CHECK_STR(seen.name, "here");
	CHECK(seen.text_gva == 0xffffffffc0000000);
	CHECK_EQ(seen.size_bytes, 0);
	vpmu_kernel_free(kernel);
	close(fd);
}

/* Type information is the guest's, and may say that a field is anywhere. */
TEST(fields_outside_of_the_structure_are_not_there)
{
	static const uint32_t places[] = {MODULE_BYTES - 7, MODULE_BYTES, FAR_AWAY, UINT32_MAX - 7, UINT32_MAX - 1};
	struct seen seen = {};
	int fd;
	struct vpmu_kernel *kernel = open_guest(&fd);
	struct kernel_types *types = kernel->types;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		types->module.parts[0].base = types->module.taints = types->module.kallsyms = places[i];
		types->module.parts[0].size = types->module.num_syms = places[i] | 4;
		types->module.name = places[i];
		CHECK_EQ(vpmu_kernel_each_module(kernel, see, &seen, NULL), 0);
		CHECK_EQ(seen.n, i + 1);
		CHECK_STR(seen.name, "");
		CHECK_EQ(seen.text_gva, 0);
		CHECK_EQ(seen.size_bytes, 0);
	}
	vpmu_kernel_free(kernel);
	close(fd);
}

int main(void)
{
	return test_main();
}
