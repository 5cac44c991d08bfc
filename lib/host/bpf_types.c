/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/bpf_types.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/macro.h"

static const char *const modules[] = { "kvm", "kvm_amd", "kvm_intel" };

static void btf_freep(struct btf **btf)
{
	btf__free(*btf); /* accepts NULL */
}

/* ---- renumbering ---- */

/* Types of the module's own began at @from there, and begin @by further on here. */
struct shift {
	uint32_t from, by;
};

static void shift_id(uint32_t *id, const struct shift *shift)
{
	if (*id >= shift->from)
		*id += shift->by;
}

static void shift_members(struct btf_type *type, const struct shift *shift)
{
	struct btf_member *members = btf_members(type);

	for (int i = 0; i < btf_vlen(type); i++)
		shift_id(&members[i].type, shift);
}

static void shift_params(struct btf_type *type, const struct shift *shift)
{
	struct btf_param *params = btf_params(type);

	for (int i = 0; i < btf_vlen(type); i++)
		shift_id(&params[i].type, shift);
}

static void shift_variables(struct btf_type *type, const struct shift *shift)
{
	struct btf_var_secinfo *variables = btf_var_secinfos(type);

	for (int i = 0; i < btf_vlen(type); i++)
		shift_id(&variables[i].type, shift);
}

/* What a type of each kind refers to. */
static void shift_references(struct btf_type *type, const struct shift *shift)
{
	switch (btf_kind(type)) {
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
	case BTF_KIND_TYPE_TAG:
		shift_id(&type->type, shift);
		break;
	case BTF_KIND_ARRAY:
		shift_id(&btf_array(type)->type, shift);
		shift_id(&btf_array(type)->index_type, shift);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		shift_members(type, shift);
		break;
	case BTF_KIND_FUNC_PROTO:
		shift_id(&type->type, shift);
		shift_params(type, shift);
		break;
	case BTF_KIND_DATASEC:
		shift_variables(type, shift);
		break;
	default:
		break;
	}
}

/* ---- joining ---- */

/* Appends what @split has beyond @kernel to @joined, another one that goes on from @kernel. */
static int append(struct btf *joined, const struct btf *split, uint32_t n_kernel)
{
	struct shift shift = { n_kernel, btf__type_cnt(joined) - n_kernel };

	for (uint32_t id = n_kernel; id < btf__type_cnt(split); id++) {
		int new_id = btf__add_type(joined, split, btf__type_by_id(split, id));

		if (new_id < 0)
			return new_id;
		/* The library shows what it holds as constant; it is ours all the same. */
		shift_references((struct btf_type *)btf__type_by_id(joined, (uint32_t)new_id), &shift);
	}
	return 0;
}

/* Both as they are in files: a header, types, strings. Numbers go on from one to the other, so they are put end to end. */
static int put_together(const struct btf *kernel, const struct btf *joined, int fd)
{
	uint32_t n_kernel, n_joined;
	const char *first = btf__raw_data(kernel, &n_kernel), *second = btf__raw_data(joined, &n_joined);
	struct btf_header a, b, whole;
	int r;

	if (!first || !second)
		return -ENOMEM;
	memcpy(&a, first, sizeof(a));
	memcpy(&b, second, sizeof(b));
	whole = a;
	whole.hdr_len = sizeof(whole);
	whole.type_off = 0;
	whole.type_len = a.type_len + b.type_len;
	whole.str_off = whole.type_len;
	whole.str_len = a.str_len + b.str_len;
	r = io_write_all(fd, &whole, sizeof(whole));
	if (r == 0)
		r = io_write_all(fd, first + a.hdr_len + a.type_off, a.type_len);
	if (r == 0)
		r = io_write_all(fd, second + b.hdr_len + b.type_off, b.type_len);
	if (r == 0)
		r = io_write_all(fd, first + a.hdr_len + a.str_off, a.str_len);
	if (r == 0)
		r = io_write_all(fd, second + b.hdr_len + b.str_off, b.str_len);
	return r;
}

static int join(const char *sys_path, const struct btf *kernel, struct btf *joined)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(modules) && r == 0; i++) {
		_cleanup_(btf_freep) struct btf *split = NULL;
		char path[256];

		snprintf(path, sizeof(path), "%s/kernel/btf/%s", sys_path, modules[i]);
		split = btf__parse_split(path, (struct btf *)kernel);
		if (split)
			r = append(joined, split, btf__type_cnt(kernel));
		else if (errno != ENOENT)
			r = -errno;
	}
	return r;
}

int bpf_types_open(const char *sys_path, char *ret_path, size_t room, int *ret_fd)
{
	_cleanup_(btf_freep) struct btf *kernel = NULL;
	_cleanup_(btf_freep) struct btf *joined = NULL;
	_close_ int fd = -1;
	char path[256];
	int r;

	if (snprintf(path, sizeof(path), "%s/kernel/btf/vmlinux", sys_path) >= (int)room)
		return -ENAMETOOLONG;
	kernel = btf__parse(path, NULL);
	if (!kernel)
		return -errno;
	joined = btf__new_empty_split(kernel);
	if (!joined)
		return -errno;
	r = join(sys_path, kernel, joined);
	if (r < 0)
		return r;
	if (btf__type_cnt(joined) == btf__type_cnt(kernel)) {
		strcpy(ret_path, path); /* KVM is built in */
		*ret_fd = -1;
		return 0;
	}
	fd = memfd_create("vpmu-btf", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = put_together(kernel, joined, fd);
	if (r < 0)
		return r;
	snprintf(ret_path, room, "/proc/self/fd/%d", fd);
	*ret_fd = take_fd(&fd);
	return 0;
}
