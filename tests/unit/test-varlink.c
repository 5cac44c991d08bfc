/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "client/varlink.h"
#include "test.h"
#include "util/cleanup.h"
#include "util/macro.h"

static const struct varlink_limits limits = { .max_bytes = 4096, .max_depth = 8, .max_values = 100 };

static int parse(const char *text, struct vpmu_error *error)
{
	struct json_object *message = NULL;
	int r = varlink_parse(text, strlen(text), &limits, &message, error);

	CHECK((r == 0) == (message != NULL));
	json_object_put(message);
	return r;
}

static void feed(struct varlink_input *in, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t room;
		char *at;

		CHECK_EQ(varlink_input_reserve(in, limits.max_bytes, &at, &room), 0);
		room = MIN(room, n);
		memcpy(at, bytes, room);
		varlink_input_added(in, room);
		bytes += room;
		n -= room;
	}
}

TEST(varlink_messages_come_in_pieces_and_in_bunches)
{
	_cleanup_(varlink_input_deinit) struct varlink_input in = {};
	const char *text;
	size_t n;

	CHECK(!varlink_input_ready(&in));
	feed(&in, "{\"a", 3);
	CHECK(!varlink_input_next(&in, &text, &n));
	feed(&in, "\":1}\0{}\0\0{\"b", 12);
	CHECK(varlink_input_next(&in, &text, &n));
	CHECK_STR(text, "{\"a\":1}");
	CHECK_EQ(n, 7);
	CHECK(varlink_input_next(&in, &text, &n));
	CHECK_STR(text, "{}");
	CHECK(varlink_input_next(&in, &text, &n));
	CHECK_EQ(n, 0);
	CHECK(!varlink_input_next(&in, &text, &n));
	feed(&in, "\":2}", 5);
	CHECK(varlink_input_next(&in, &text, &n));
	CHECK_STR(text, "{\"b\":2}");
	CHECK_EQ(in.n, 0);
}

TEST(varlink_input_holds_no_more_than_the_longest_message)
{
	_cleanup_(varlink_input_deinit) struct varlink_input in = {};
	char bytes[5000], *at;
	size_t room, n;
	const char *text;

	memset(bytes, 'x', sizeof(bytes));
	feed(&in, bytes, 4096);
	CHECK_EQ(varlink_input_reserve(&in, limits.max_bytes, &at, &room), 0);
	CHECK_EQ(room, 1);
	/* As long as it may be, if its end comes now. */
	*at = '\0';
	varlink_input_added(&in, 1);
	CHECK(varlink_input_next(&in, &text, &n));
	CHECK_EQ(n, 4096);
	feed(&in, bytes, 4097);
	CHECK(!varlink_input_ready(&in));
	CHECK_EQ(varlink_input_reserve(&in, limits.max_bytes, &at, &room), -EMSGSIZE);
}

TEST(varlink_takes_json_objects_and_nothing_else)
{
	static const char *const good[] = { "{}", " {\"a\":[1,2.5,-3,true,false,null,\"\\u00e4\xc3\xa4\",{}]}\n", "{\"a\":\"{[,:\\\"\\\\\"}",
					    "{\"a\":9223372036854775807,\"b\":-9223372036854775808}", "{\"\":{\"\":1}}" };
	static const char *const bad[] = {
		"", " ", "[]", "1", "null", "\"a\"", "{", "{}}", "{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}",
		"{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":0x1}", "{\"a\":1}//",
		"/**/{}", "{\"a\":\"\x01\"}", "{\"a\":\"\n\"}", "{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}", "{\"a\":\"\\x\"}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"", "{\"a\":tru}", "{\"a\":True}", "\xff", "{\"a\":1e999}",
		"{\"a\":9223372036854775808}", "{\"a\":-9223372036854775809}", "{\"a\":99999999999999999999999}",
	};
	struct vpmu_error error;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (parse(good[i], &error) < 0)
			FAIL("refused: %s: %s", good[i], error.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i], &error) != -EBADMSG)
			FAIL("not refused: %s", bad[i]);
}

TEST(varlink_refuses_keys_that_come_twice)
{
	struct vpmu_error error;

	CHECK_EQ(parse("{\"a\":1,\"b\":{\"a\":1}}", &error), 0);
	CHECK_EQ(parse("{\"a\":1,\"b\":2,\"a\":1}", &error), -EBADMSG);
	CHECK_CONTAINS(error.text, "twice");
	CHECK_EQ(parse("{\"a\":[{\"b\":1,\"\\u0062\":2}]}", &error), -EBADMSG);
}

TEST(varlink_messages_have_limits)
{
	_strbuf_ struct strbuf text = {};
	struct vpmu_error error;

	CHECK_EQ(parse("{\"a\":[[[[[[[]]]]]]]}", &error), 0);
	CHECK_EQ(parse("{\"a\":[[[[[[[[]]]]]]]]}", &error), -EMSGSIZE);
	strbuf_adds(&text, "{\"a\":[");
	for (int i = 0; i < 97; i++)
		strbuf_adds(&text, "1,");
	strbuf_adds(&text, "1]}");
	CHECK_EQ(parse(text.text, &error), 0);
	text.n -= 2;
	strbuf_adds(&text, ",1,1]}");
	CHECK_EQ(parse(text.text, &error), -EMSGSIZE);
	CHECK_CONTAINS(error.text, "100 values");
	strbuf_clear(&text);
	for (int i = 0; i < 4097; i++)
		strbuf_addc(&text, ' ');
	CHECK_EQ(parse(text.text, &error), -EMSGSIZE);
}

TEST(varlink_writes_what_it_reads)
{
	static const char message[] = "{\"method\":\"a.b/c\",\"parameters\":{\"x\":[1,2.5,null,\"\xc3\xa4\"]}}";
	_strbuf_ struct strbuf text = {};
	struct json_object *object;

	CHECK_EQ(varlink_parse(message, strlen(message), &limits, &object, NULL), 0);
	varlink_write(&text, object);
	json_object_put(object);
	CHECK_EQ(text.n, sizeof(message));
	CHECK_STR(text.text, message);
}

int main(void)
{
	return test_main();
}
