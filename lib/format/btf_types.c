/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/btf_types.h"
#include "util/cursor.h"
#include "util/macro.h"

#define MAGIC	  0xeb9f
#define DEPTH_MAX 32 /* of types in types, and of typedefs of typedefs */

enum kind {
	KIND_INT = 1,
	KIND_PTR,
	KIND_ARRAY,
	KIND_STRUCT,
	KIND_UNION,
	KIND_ENUM,
	KIND_FWD,
	KIND_TYPEDEF,
	KIND_VOLATILE,
	KIND_CONST,
	KIND_RESTRICT,
	KIND_FUNC,
	KIND_FUNC_PROTO,
	KIND_VAR,
	KIND_DATASEC,
	KIND_FLOAT,
	KIND_DECL_TAG,
	KIND_TYPE_TAG,
	KIND_ENUM64,
};

struct type {
	uint32_t name_at, info, size_or_type;
	const uint8_t *more; /* behind the common part */
};

static enum kind kind_of(uint32_t info)
{
	return (enum kind)(info >> 24 & 0x1f);
}

static uint32_t count_of(uint32_t info)
{
	return info & 0xffff;
}

/* Bytes behind the common part; -1 for a kind that is not known. */
static int64_t more_bytes(uint32_t info)
{
	int64_t n = count_of(info);

	switch (kind_of(info)) {
	case KIND_INT:
	case KIND_VAR:
	case KIND_DECL_TAG:
		return 4;
	case KIND_ARRAY:
		return 12;
	case KIND_STRUCT:
	case KIND_UNION:
	case KIND_DATASEC:
	case KIND_ENUM64:
		return 12 * n;
	case KIND_ENUM:
	case KIND_FUNC_PROTO:
		return 8 * n;
	case KIND_PTR:
	case KIND_FWD:
	case KIND_TYPEDEF:
	case KIND_VOLATILE:
	case KIND_CONST:
	case KIND_RESTRICT:
	case KIND_FUNC:
	case KIND_FLOAT:
	case KIND_TYPE_TAG:
		return 0;
	}
	return -1;
}

/* Notes where each type begins, in *btf if @at is there; returns how many there are or -EBADMSG. */
static int64_t index_types(const struct btf_types *btf, uint32_t *at)
{
	struct cursor c = cursor_of(btf->types, (size_t)(btf->types_end - btf->types));
	int64_t n = 1, more;

	while (cursor_left(&c)) {
		const uint8_t *type = c.p;

		cursor_u32(&c);
		more = more_bytes(cursor_u32(&c));
		cursor_u32(&c);
		if (more < 0 || !cursor_bytes(&c, (uint64_t)more) || c.failed)
			return -EBADMSG;
		if (at)
			at[n] = (uint32_t)(type - btf->types);
		n++;
	}
	return n;
}

int btf_types_open(const void *bytes, size_t n, struct btf_types *ret)
{
	struct cursor c = cursor_of(bytes, n), types, strings;
	struct btf_types btf = {};
	uint32_t header_bytes, types_at, types_bytes, strings_at, strings_bytes;
	int64_t count;

	if (cursor_u16(&c) != MAGIC || cursor_u8(&c) != 1)
		return -EBADMSG;
	cursor_u8(&c);
	header_bytes = cursor_u32(&c);
	types_at = cursor_u32(&c);
	types_bytes = cursor_u32(&c);
	strings_at = cursor_u32(&c);
	strings_bytes = cursor_u32(&c);
	types = strings = cursor_of(bytes, n);
	cursor_bytes(&types, (uint64_t)header_bytes + types_at);
	btf.types = cursor_bytes(&types, types_bytes);
	cursor_bytes(&strings, (uint64_t)header_bytes + strings_at);
	btf.strings = cursor_bytes(&strings, strings_bytes);
	if (c.failed || types.failed || strings.failed || !strings_bytes ||
	    btf.strings[strings_bytes - 1])
		return -EBADMSG;
	btf.types_end = btf.types + types_bytes;
	btf.strings_bytes = strings_bytes;
	count = index_types(&btf, NULL);
	if (count < 0)
		return (int)count;
	btf.at = calloc((size_t)count, sizeof(*btf.at));
	if (!btf.at)
		return -ENOMEM;
	index_types(&btf, btf.at);
	btf.n_types = (uint32_t)count;
	*ret = btf;
	return 0;
}

void btf_types_deinit(struct btf_types *btf)
{
	free(btf->at);
	*btf = (struct btf_types){};
}

static bool get_type(const struct btf_types *btf, uint32_t id, struct type *ret)
{
	if (id == 0 || id >= btf->n_types)
		return false;
	memcpy(ret, btf->types + btf->at[id], 12);
	ret->more = btf->types + btf->at[id] + 12;
	return true;
}

static const char *string_at(const struct btf_types *btf, uint32_t at)
{
	return at < btf->strings_bytes ? btf->strings + at : "";
}

/* The type behind typedefs and qualifiers. */
static bool resolve(const struct btf_types *btf, uint32_t id, struct type *ret)
{
	for (int depth = 0; depth < DEPTH_MAX && get_type(btf, id, ret); depth++) {
		switch (kind_of(ret->info)) {
		case KIND_TYPEDEF:
		case KIND_VOLATILE:
		case KIND_CONST:
		case KIND_RESTRICT:
		case KIND_TYPE_TAG:
			id = ret->size_or_type;
			continue;
		default:
			return true;
		}
	}
	return false;
}

static uint32_t size_of(const struct btf_types *btf, uint32_t id)
{
	uint32_t array[3];
	uint64_t n = 1;
	struct type t;

	for (int depth = 0; depth < DEPTH_MAX && resolve(btf, id, &t); depth++) {
		uint64_t bytes = kind_of(t.info) == KIND_PTR ? 8 : t.size_or_type;

		if (kind_of(t.info) != KIND_ARRAY)
			return n * bytes > UINT32_MAX ? 0 : (uint32_t)(n * bytes);
		memcpy(array, t.more, sizeof(array));
		id = array[0];
		if (__builtin_mul_overflow(n, array[2], &n) || n > UINT32_MAX)
			return 0;
	}
	return 0;
}

/* A struct or union by its name. Names are stored once, so comparing their places is enough. */
static bool find_struct(const struct btf_types *btf, const char *name, struct type *ret)
{
	size_t n = strlen(name) + 1;
	const char *p = btf->strings, *end = btf->strings + btf->strings_bytes;
	uint32_t name_at = 0;

	while (p < end && (p = memmem(p, (size_t)(end - p), name, n))) {
		if (p > btf->strings && p[-1] == '\0') {
			name_at = (uint32_t)(p - btf->strings);
			break;
		}
		p++;
	}
	for (uint32_t id = 1; name_at && id < btf->n_types; id++)
		if (get_type(btf, id, ret) && ret->name_at == name_at &&
		    (kind_of(ret->info) == KIND_STRUCT || kind_of(ret->info) == KIND_UNION))
			return true;
	return false;
}

struct member {
	uint32_t offset, type;
};

/* @name of @n bytes in @outer or in what has no name in there. @budget: members still to be looked
 * at. */
static bool find_member(const struct btf_types *btf, const struct type *outer, const char *name,
			size_t n, int depth, uint32_t *budget, struct member *ret)
{
	bool has_bitfields = outer->info >> 31;

	for (uint32_t i = 0; i < count_of(outer->info) && *budget; i++) {
		uint32_t fields[3], bits;
		const char *member;
		struct type inner;

		memcpy(fields, outer->more + 12 * (size_t)i, sizeof(fields));
		member = string_at(btf, fields[0]);
		bits = has_bitfields ? fields[2] & 0xffffff : fields[2];
		--*budget;
		if (strncmp(member, name, n) == 0 && member[n] == '\0') {
			*ret = (struct member){.offset = bits / 8, .type = fields[1]};
			return !(has_bitfields && fields[2] >> 24) && bits % 8 == 0;
		}
		if (member[0] || depth == 0 || !resolve(btf, fields[1], &inner) ||
		    (kind_of(inner.info) != KIND_STRUCT && kind_of(inner.info) != KIND_UNION))
			continue;
		if (find_member(btf, &inner, name, n, depth - 1, budget, ret)) {
			ret->offset += bits / 8;
			return true;
		}
	}
	return false;
}

/* "[3]" behind a member that is an array: steps into it. */
static bool step_into_array(const struct btf_types *btf, const char **path, struct member *member)
{
	uint32_t array[3], index = 0;
	struct type t;

	if (**path != '[')
		return true;
	for (++*path; **path >= '0' && **path <= '9'; ++*path)
		index = index * 10 + (uint32_t)(**path - '0');
	if (**path != ']' || !resolve(btf, member->type, &t) || kind_of(t.info) != KIND_ARRAY)
		return false;
	++*path;
	memcpy(array, t.more, sizeof(array));
	member->type = array[0];
	member->offset += index * size_of(btf, array[0]);
	return index < array[2];
}

int btf_types_offset(const struct btf_types *btf, const char *type, const char *member,
		     uint32_t *ret_offset, uint32_t *ret_bytes)
{
	struct member found = {};
	uint32_t offset = 0, budget = 100000;
	struct type outer;

	if (!find_struct(btf, type, &outer))
		return -ENOENT;
	while (*member) {
		size_t n = strcspn(member, ".[");

		if ((kind_of(outer.info) != KIND_STRUCT && kind_of(outer.info) != KIND_UNION) ||
		    !find_member(btf, &outer, member, n, DEPTH_MAX, &budget, &found))
			return -ENOENT;
		member += n;
		if (!step_into_array(btf, &member, &found))
			return -ENOENT;
		offset += found.offset;
		if (*member == '.') {
			member++;
			if (!resolve(btf, found.type, &outer))
				return -ENOENT;
		}
	}
	*ret_offset = offset;
	if (ret_bytes)
		*ret_bytes = size_of(btf, found.type);
	return 0;
}

int btf_types_size(const struct btf_types *btf, const char *type, uint32_t *ret_bytes)
{
	struct type t;

	if (!find_struct(btf, type, &t))
		return -ENOENT;
	*ret_bytes = t.size_or_type;
	return 0;
}
