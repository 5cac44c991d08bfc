/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "util/utf8.h"

/* The boundaries of The Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences). */
TEST(characters_end_where_the_table_says)
{
	static const struct {
		const char *bytes;
		size_t length;
	} cases[] = {
		{ "A", 1 },		   { "\x7f", 1 },	     { "\x80", 0 },
		{ "\xc1\xbf", 0 },	   { "\xc2\x80", 2 },	     { "\xdf\xbf", 2 },
		{ "\xe0\x9f\xbf", 0 },	   { "\xe0\xa0\x80", 3 },    { "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 },	   { "\xee\x80\x80", 3 },    { "\xef\xbf\xbf", 3 },
		{ "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 }, { "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, { "\xf8\x88\x80\x80", 0 }, { "\xe2\x28\xa1", 0 },
		{ "\xc2", 0 },		   { "\xe2\x82", 0 },	     { "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_EQ(utf8_character(cases[i].bytes, strlen(cases[i].bytes)), cases[i].length);
}

TEST(foreign_bytes_are_replaced_one_by_one)
{
	_strbuf_ struct strbuf b = {};

	utf8_add(&b, "z\xc3\xbcrich \xff\xe2\x82!");
	CHECK_STR(b.text, "z\xc3\xbcrich \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!");
}

int main(void)
{
	return test_main();
}
