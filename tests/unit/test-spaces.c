/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sym/spaces.h"
#include "test.h"

static uint32_t map(struct spaces *s, uint32_t space, uint64_t start, uint64_t end, uint64_t offset,
		    uint32_t file)
{
	return spaces_map(s, space, &(struct mapping){ start, end, offset, file });
}

/* file * 1000000 + offset in the file, -1 if nothing is mapped */
static long long at(const struct spaces *s, uint32_t space, uint64_t address)
{
	struct mapping m;

	if (!spaces_find(s, space, address, &m))
		return -1;
	CHECK(m.start <= address && address < m.end);
	return (long long)(m.file * 1000000ull + (address - m.start + m.offset_bytes));
}

TEST(the_first_space_stays_empty)
{
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t a = map(s, 0, 100, 200, 0, 1);

	CHECK_CMP(a, !=, 0);
	CHECK_EQ(at(s, 0, 100), -1);
	CHECK_EQ(at(s, a, 100), 1000000);
	CHECK_EQ(at(s, a, 99), -1);
	CHECK_EQ(at(s, a, 200), -1);
	CHECK_EQ(at(s, 77, 100), -1);
}

TEST(mappings_on_free_addresses_stay_in_their_space)
{
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t a = spaces_add(s);

	CHECK_EQ(map(s, a, 300, 400, 50, 2), a);
	CHECK_EQ(map(s, a, 100, 200, 0, 1), a);
	CHECK_EQ(map(s, a, 100, 200, 0, 1), a);
	CHECK_EQ(map(s, a, 150, 250, 50, 1), a); /* overlaps, says the same */
	CHECK_EQ(map(s, a, 500, 500, 0, 1), a);
	CHECK_EQ(at(s, a, 110), 1000010);
	CHECK_EQ(at(s, a, 249), 1000149);
	CHECK_EQ(at(s, a, 399), 2000149);
	CHECK_EQ(at(s, a, 500), -1);
}

TEST(a_replaced_mapping_makes_a_new_space_and_leaves_the_old_one)
{
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t a = spaces_add(s), b;

	map(s, a, 100, 200, 0, 1);
	b = map(s, a, 140, 160, 0, 2);
	CHECK_CMP(b, !=, a);
	CHECK_EQ(at(s, a, 150), 1000050);
	CHECK_EQ(at(s, b, 139), 1000039);
	CHECK_EQ(at(s, b, 150), 2000010);
	CHECK_EQ(at(s, b, 160), 1000060);
	/* Both go their own ways now. */
	CHECK_EQ(map(s, a, 300, 310, 0, 3), a);
	CHECK_EQ(map(s, b, 300, 310, 0, 4), b);
	CHECK_EQ(at(s, a, 305), 3000005);
	CHECK_EQ(at(s, b, 305), 4000005);
}

TEST(one_mapping_may_replace_several)
{
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t a = spaces_add(s), b;

	for (uint32_t i = 0; i < 10; i++)
		map(s, a, 100 + i * 10, 110 + i * 10, 0, i + 1);
	b = map(s, a, 105, 185, 0, 50);
	CHECK_EQ(at(s, b, 104), 1000004);
	CHECK_EQ(at(s, b, 105), 50000000);
	CHECK_EQ(at(s, b, 184), 50000079);
	CHECK_EQ(at(s, b, 185), 9000005);
	CHECK_EQ(at(s, b, 199), 10000009);
	CHECK_EQ(at(s, a, 120), 3000000);
}

/* Against plain arrays: spaces that map at random, each remembering every address. */
TEST(spaces_agree_with_arrays_of_bytes)
{
	enum { ADDRESSES = 256, SPACES = 600 };
	static uint8_t file_at[SPACES][ADDRESSES], offset_at[SPACES][ADDRESSES];
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t n = spaces_add(s) + 1, seed = 12345;

	while (n < SPACES - 1) {
		seed = seed * 1103515245 + 12345;
		uint32_t space = 1 + (seed >> 8) % (n - 1), start = (seed >> 16) % 200;
		uint32_t end = start + 1 + (seed >> 4) % 50, file = 1 + (seed >> 20) % 3, to;

		to = map(s, space, start, end, start, file);
		CHECK(to == space || to == n);
		if (to == n) {
			memcpy(file_at[n], file_at[space], ADDRESSES);
			memcpy(offset_at[n], offset_at[space], ADDRESSES);
			n++;
		}
		memset(&file_at[to][start], (int)file, end - start);
		for (uint32_t i = start; i < end; i++)
			offset_at[to][i] = (uint8_t)i;
	}
	for (uint32_t space = 0; space < n; space++)
		for (uint32_t i = 0; i < ADDRESSES; i++)
			CHECK_EQ(at(s, space, i), file_at[space][i] == 0 ? -1 :
				 file_at[space][i] * 1000000ll + offset_at[space][i]);
}

TEST(thousands_of_replacements_cost_little)
{
	_cleanup_(spaces_freep) struct spaces *s = spaces_new();
	uint32_t a = spaces_add(s), first;

	for (uint32_t i = 0; i < 1000; i++)
		CHECK_EQ(map(s, a, i * 100, i * 100 + 100, 0, 1), a);
	first = a;
	for (uint32_t i = 0; i < 20000; i++)
		a = map(s, a, (i % 1000) * 100, (i % 1000) * 100 + 50, 0, i + 2);
	CHECK_CMP(a, ==, first + 20000);
	CHECK_EQ(at(s, first, 10), 1000010);
	CHECK_EQ(at(s, a, 10), 19002ll * 1000000 + 10);
	CHECK_EQ(at(s, a, 60), 1000060);
}

int main(void)
{
	return test_main();
}
