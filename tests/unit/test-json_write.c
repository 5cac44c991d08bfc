/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "test.h"
#include "util/json_write.h"

/* Another implementation is the referee: what it reads back must be what was written. */
static void check_read_back(const char *written, const char *expected)
{
	_strbuf_ struct strbuf b = {};
	struct json_object *object;

	json_write_string(&b, written);
	object = json_tokener_parse(b.text);
	CHECK(json_object_is_type(object, json_type_string));
	CHECK_STR(json_object_get_string(object), expected);
	json_object_put(object);
}

TEST(strings_survive_another_reader)
{
	char all[256];

	for (int i = 1; i < 0x80; i++)
		all[i - 1] = (char)i;
	all[0x7f] = '\0';
	check_read_back(all, all);
	check_read_back("", "");
	check_read_back("operator\"\" _\xc2\xb5s(\\)", "operator\"\" _\xc2\xb5s(\\)");
}

TEST(what_is_not_utf8_is_replaced)
{
	check_read_back("caf\xe9", "caf\xef\xbf\xbd");
}

int main(void)
{
	return test_main();
}
