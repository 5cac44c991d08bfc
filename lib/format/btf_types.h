/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the members of a kernel's structures are, from its type information (BTF,
 * include/uapi/linux/btf.h, Documentation/bpf/btf.rst). Only what that takes is read: types are
 * records one behind the other, numbered from 1; each has a name in a section of strings, and a
 * kind that says how many bytes follow.
 *
 * The bytes are a guest's, so they may be anything. libbpf's parser trusts the kernel it gets its
 * bytes from: numbers of types that do not exist make it crash. This one checks each, never follows
 * more than a few references, and ends.
 */
#ifndef FORMAT_BTF_TYPES_H
#define FORMAT_BTF_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct btf_types {
	const uint8_t *types, *types_end;
	const char *strings;
	size_t strings_bytes;
	uint32_t *at;	  /* where type i begins; [0] is not used */
	uint32_t n_types; /* numbers are below */
};

/* Takes no copy of @bytes. -EBADMSG: not BTF, or damaged; -ENOMEM. */
int btf_types_open(const void *bytes, size_t n, struct btf_types *ret);
void btf_types_deinit(struct btf_types *btf);

/*
 * Where @member is in struct @type; members of members by "mem[1].base", with those of unnamed
 * structs and unions found as if they were the outer one's. *ret_bytes (may be NULL): the member's
 * size, 0 if unknown. -ENOENT: there is none; bit fields count as none.
 */
int btf_types_offset(const struct btf_types *btf, const char *type, const char *member,
		     uint32_t *ret_offset, uint32_t *ret_bytes);

/* sizeof(struct @type). */
int btf_types_size(const struct btf_types *btf, const char *type, uint32_t *ret_bytes);

#endif
