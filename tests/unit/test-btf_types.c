/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "format/btf_types.h"
#include "test.h"
#include "util/io.h"

/*
 * tests/fuzz/corpus/btf_types/clang is section .BTF of this, by `clang -g -O1 -target bpf -c`, with
 * a global variable of struct outer:
 *
 *	typedef unsigned long u64; typedef const volatile u64 cvu64;
 *	enum mode { A, B };
 *	struct part { void *base; unsigned size; };
 *	struct inner { int first; char name[56]; cvu64 value; };
 *	struct outer { enum mode state; unsigned bits:3, more:5;
 *		union { struct inner inner; long raw; };
 *		struct { union { u64 deep; int shallow; }; };
 *		struct part parts[7]; int (*init)(void); struct outer *next; float f; };
 */
static void *read_btf(size_t *ret_n)
{
	char *bytes;

	CHECK_EQ(io_read_file(AT_FDCWD, TESTS_UNIT_DIR "/../fuzz/corpus/btf_types/clang", 1 << 20,
			      &bytes, ret_n),
		 0);
	return bytes;
}

static uint32_t offset(const struct btf_types *btf, const char *type, const char *member,
		       uint32_t *ret_bytes)
{
	uint32_t at = UINT32_MAX;

	CHECK_EQ(btf_types_offset(btf, type, member, &at, ret_bytes), 0);
	return at;
}

TEST(members_are_where_the_compiler_put_them)
{
	size_t n;
	void *bytes = read_btf(&n);
	struct btf_types btf;
	uint32_t size;

	CHECK_EQ(btf_types_open(bytes, n, &btf), 0);
	CHECK_EQ(btf_types_size(&btf, "outer", &size), 0);
	CHECK_EQ(size, 224);
	CHECK_EQ(offset(&btf, "outer", "state", &size), 0);
	CHECK_EQ(size, 4);
	CHECK_EQ(offset(&btf, "inner", "name", &size), 4);
	CHECK_EQ(size, 56);
	CHECK_EQ(offset(&btf, "inner", "value", &size), 64);
	CHECK_EQ(size, 8);
	CHECK_EQ(offset(&btf, "outer", "next", &size), 208);
	CHECK_EQ(size, 8);
	btf_types_deinit(&btf);
	free(bytes);
}

TEST(paths_lead_through_members_unnamed_unions_and_arrays)
{
	size_t n;
	void *bytes = read_btf(&n);
	struct btf_types btf;
	uint32_t size, at = 77;

	CHECK_EQ(btf_types_open(bytes, n, &btf), 0);
	CHECK_EQ(offset(&btf, "outer", "inner.name", &size), 8 + 4);
	CHECK_EQ(offset(&btf, "outer", "raw", &size), 8);
	CHECK_EQ(offset(&btf, "outer", "shallow", &size), 80);
	CHECK_EQ(offset(&btf, "outer", "parts", &size), 88);
	CHECK_EQ(size, 7 * 16);
	CHECK_EQ(offset(&btf, "outer", "parts[3].size", &size), 88 + 3 * 16 + 8);
	CHECK_EQ(size, 4);
	CHECK_EQ(btf_types_offset(&btf, "outer", "parts[7].size", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "outer", "state[0]", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "outer", "state.name", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "outer", "nam", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "out", "state", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "mode", "A", &at, NULL), -ENOENT);
	CHECK_EQ(btf_types_offset(&btf, "outer", "more", &at, NULL), -ENOENT); /* some bits */
	CHECK_EQ(at, 77);
	btf_types_deinit(&btf);
	free(bytes);
}

TEST(damage_is_noticed_or_survived)
{
	size_t n;
	uint8_t *bytes = read_btf(&n), *part;
	struct btf_types btf;
	uint32_t at;

	CHECK_EQ(btf_types_open(bytes, 0, &btf), -EBADMSG);
	for (size_t cut = 0; cut < n; cut++) {
		part = malloc(cut + 1);
		CHECK(part);
		memcpy(part, bytes, cut);
		CHECK_EQ(btf_types_open(part, cut, &btf), -EBADMSG);
		free(part);
	}
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 0xff;
		if (btf_types_open(bytes, n, &btf) == 0) {
			btf_types_offset(&btf, "outer", "parts[3].size", &at, NULL);
			btf_types_offset(&btf, "outer", "inner.value", &at, NULL);
			btf_types_deinit(&btf);
		}
		bytes[i] ^= 0xff;
	}
	free(bytes);
}

int main(void)
{
	return test_main();
}
