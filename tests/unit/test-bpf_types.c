/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/btf.h>
#include <errno.h>

#include "fake_proc.h"
#include "host/bpf_types.h"

static void save(const struct btf *btf, const char *name)
{
	uint32_t n;
	const void *bytes = btf__raw_data(btf, &n);

	CHECK(bytes);
	fake_write(fake_path("kernel/btf/%s", name), bytes, n);
}

/* int; struct list { struct list *next; } */
static struct btf *a_kernel(void)
{
	struct btf *btf = btf__new_empty();

	CHECK_EQ(btf__add_int(btf, "int", 4, BTF_INT_SIGNED), 1);
	CHECK_EQ(btf__add_struct(btf, "list", 8), 2);
	CHECK_EQ(btf__add_field(btf, "next", 3, 0, 0), 0);
	CHECK_EQ(btf__add_ptr(btf, 2), 3);
	save(btf, "vmlinux");
	return btf;
}

/* struct STRUCT { int number; struct list all; struct STRUCT *self; TYPEDEF array[7]; } */
static void a_module(struct btf *kernel, const char *name, const char *struct_name, const char *typedef_name)
{
	struct btf *btf = btf__new_empty_split(kernel);
	int first = (int)btf__type_cnt(kernel);

	CHECK_EQ(btf__add_struct(btf, struct_name, 48), first);
	CHECK_EQ(btf__add_field(btf, "number", 1, 0, 0), 0);
	CHECK_EQ(btf__add_field(btf, "all", 2, 64, 0), 0);
	CHECK_EQ(btf__add_field(btf, "self", first + 1, 128, 0), 0);
	CHECK_EQ(btf__add_field(btf, "array", first + 3, 192, 0), 0);
	CHECK_EQ(btf__add_ptr(btf, first), first + 1);
	CHECK_EQ(btf__add_typedef(btf, typedef_name, 1), first + 2);
	CHECK_EQ(btf__add_array(btf, 1, first + 2, 7), first + 3);
	save(btf, name);
	btf__free(btf);
}

static const char *name_of(const struct btf *btf, uint32_t id)
{
	return btf__name_by_offset(btf, btf__type_by_id(btf, id)->name_off);
}

/* That what a_module() made is there, and refers to what it should. */
static void check_struct(const struct btf *btf, const char *struct_name, const char *typedef_name)
{
	int id = btf__find_by_name_kind(btf, struct_name, BTF_KIND_STRUCT);
	const struct btf_type *type, *array;
	const struct btf_member *members;

	CHECK_CMP(id, >, 0);
	type = btf__type_by_id(btf, (uint32_t)id);
	members = btf_members(type);
	CHECK_EQ(btf_vlen(type), 4);
	CHECK_STR(btf__name_by_offset(btf, members[1].name_off), "all");
	CHECK_STR(name_of(btf, members[0].type), "int");
	CHECK_STR(name_of(btf, members[1].type), "list");
	CHECK_EQ(btf__type_by_id(btf, members[2].type)->type, id);
	array = btf__type_by_id(btf, members[3].type);
	CHECK_EQ(btf_kind(array), BTF_KIND_ARRAY);
	CHECK_STR(name_of(btf, btf_array(array)->type), typedef_name);
	CHECK_STR(name_of(btf, btf_array(array)->index_type), "int");
}

TEST(types_of_the_modules_follow_those_of_the_kernel)
{
	struct btf *kernel = a_kernel(), *all;
	char path[64];
	int fd = -1;

	a_module(kernel, "kvm", "kvm_vcpu", "gfn_t");
	a_module(kernel, "kvm_amd", "vcpu_svm", "asid_t");
	CHECK_EQ(bpf_types_open(fake_dir(), path, sizeof(path), &fd), 0);
	CHECK_CMP(fd, >=, 0);
	all = btf__parse(path, NULL);
	CHECK(all);
	CHECK_EQ(btf__type_cnt(all), 1 + 3 + 4 + 4);
	check_struct(all, "kvm_vcpu", "gfn_t");
	check_struct(all, "vcpu_svm", "asid_t");
	CHECK_EQ(btf__find_by_name_kind(all, "list", BTF_KIND_STRUCT), 2);
	btf__free(all);
	btf__free(kernel);
	close(fd);
}

TEST(without_modules_the_kernel_s_own_will_do)
{
	struct btf *kernel = a_kernel();
	char path[64];
	int fd = 0;

	CHECK_EQ(bpf_types_open(fake_dir(), path, sizeof(path), &fd), 0);
	CHECK_EQ(fd, -1);
	CHECK_STR(path, fake_path("kernel/btf/vmlinux"));
	btf__free(kernel);
}

TEST(damaged_or_missing_types_are_refused)
{
	struct btf *kernel;
	char path[64];
	int fd = -1;

	CHECK_EQ(bpf_types_open(fake_dir(), path, sizeof(path), &fd), -ENOENT);
	kernel = a_kernel();
	fake_text(fake_path("kernel/btf/kvm"), "no BTF, but as long as a header of one would be");
	CHECK_CMP(bpf_types_open(fake_dir(), path, sizeof(path), &fd), <, 0);
	CHECK_EQ(fd, -1);
	btf__free(kernel);
}

int main(void)
{
	return test_main();
}
