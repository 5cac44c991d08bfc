/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "daemon/descriptions.h"
#include "daemon/interface.h"
#include "test.h"
#include "util/macro.h"

static struct interface *interface_of(const char *text)
{
	struct interface *interface = NULL;
	struct vpmu_error error;

	if (interface_parse(text, strlen(text), &interface, &error) < 0)
		FAIL("%s", error.text);
	return interface;
}

/* What is wrong with @json as parameters of method M: "" if nothing, else the place. */
static const char *check(const struct interface *interface, enum interface_part part, const char *json)
{
	static char where[INTERFACE_WHERE_BYTES];
	struct json_object *value = json_tokener_parse(json);
	int r;

	CHECK(value);
	r = interface_check(interface, part, part == INTERFACE_ERROR ? "E" : "M", value, where, NULL);
	json_object_put(value);
	CHECK(r == 0 || r == -EINVAL);
	return r == 0 ? "" : where;
}

static const char every_type[] = "# says what it is\n"
				 "interface org.example-1.test # here, too\n"
				 "type T (name: string, next: ?T, kind: Kind)\n"
				 "type Kind (small, big_1)\n"
				 "method M(b: ?bool, i: ?int, f: ?float, s: ?string, o: ?object, l: ?[]int, m: ?[string]T,\n"
				 "  t: ?T, st: ?(a: int, b: ?(c: string)), en: ?(x, y), ll: ?[][]?int) -> (ok: bool)\n"
				 "method Nothing()->()\n"
				 "error E (code: int)\n"
				 "error Bare\n";

TEST(interface_knows_what_a_service_is)
{
	_cleanup_(interface_freep) struct interface *vpmu = interface_of(description_org_vpmu),
						   *service = interface_of(description_service),
						   *example = interface_of(every_type);

	CHECK_STR(interface_name(vpmu), "org.vpmu");
	CHECK(interface_has(vpmu, INTERFACE_CALL, "ListGuests"));
	CHECK(interface_has(vpmu, INTERFACE_ERROR, "GuestNotFound"));
	CHECK(!interface_has(vpmu, INTERFACE_CALL, "GuestNotFound"));
	CHECK_STR(interface_text(vpmu), description_org_vpmu);
	CHECK_STR(interface_member(service, INTERFACE_CALL, 1), "GetInterfaceDescription");
	CHECK(!interface_member(service, INTERFACE_CALL, 2));
	CHECK_STR(interface_name(example), "org.example-1.test");
	CHECK_STR(interface_member(example, INTERFACE_ERROR, 1), "Bare");
}

TEST(interface_takes_values_of_its_types)
{
	_cleanup_(interface_freep) struct interface *interface = interface_of(every_type);
	char where[INTERFACE_WHERE_BYTES];

	CHECK_STR(check(interface, INTERFACE_CALL, "{}"), "");
	CHECK_STR(check(interface, INTERFACE_CALL,
			"{\"b\":true,\"i\":-1,\"f\":1.5,\"s\":\"\",\"o\":{\"x\":[1]},\"l\":[1,2],"
			"\"m\":{\"any key\":{\"name\":\"n\",\"kind\":\"big_1\"}},"
			"\"t\":{\"name\":\"a\",\"kind\":\"small\",\"next\":{\"name\":\"b\",\"kind\":\"small\",\"next\":null}},"
			"\"st\":{\"a\":1,\"b\":{\"c\":\"\"}},\"en\":\"y\",\"ll\":[[1,null],[]]}"),
		  "");
	CHECK_STR(check(interface, INTERFACE_CALL, "{\"f\":1,\"b\":null,\"i\":null}"), "");
	CHECK_STR(check(interface, INTERFACE_REPLY, "{\"ok\":false}"), "");
	CHECK_STR(check(interface, INTERFACE_ERROR, "{\"code\":7}"), "");
	CHECK_EQ(interface_check(interface, INTERFACE_CALL, "Nothing", NULL, where, NULL), 0);
	CHECK_EQ(interface_check(interface, INTERFACE_ERROR, "Bare", NULL, where, NULL), 0);
	CHECK_EQ(interface_check(interface, INTERFACE_CALL, "Other", NULL, where, NULL), -ENOENT);
	CHECK_EQ(interface_check(interface, INTERFACE_REPLY, "M", NULL, where, NULL), -EINVAL);
	CHECK_STR(where, "ok");
}

TEST(interface_names_the_value_that_does_not_fit)
{
	static const char *const wrong[][2] = {
		{ "{\"b\":1}", "b" },
		{ "{\"b\":\"true\"}", "b" },
		{ "{\"i\":1.5}", "i" },
		{ "{\"i\":\"1\"}", "i" },
		{ "{\"f\":\"1\"}", "f" },
		{ "{\"s\":7}", "s" },
		{ "{\"o\":[]}", "o" },
		{ "{\"l\":{}}", "l" },
		{ "{\"l\":[1,\"2\"]}", "l[1]" },
		{ "{\"l\":[null]}", "l[0]" },
		{ "{\"ll\":[[],[1,true]]}", "ll[1][1]" },
		{ "{\"m\":[]}", "m" },
		{ "{\"m\":{\"k\":{\"name\":\"n\"}}}", "m.k.kind" },
		{ "{\"t\":{\"kind\":\"small\"}}", "t.name" },
		{ "{\"t\":{\"name\":\"a\",\"kind\":\"medium\"}}", "t.kind" },
		{ "{\"t\":{\"name\":\"a\",\"kind\":\"small\",\"next\":{\"name\":7}}}", "t.next.name" },
		{ "{\"st\":{\"a\":1,\"b\":{\"c\":null}}}", "st.b.c" },
		{ "{\"st\":{\"a\":1,\"z\":1}}", "st.z" },
		{ "{\"en\":\"z\"}", "en" },
		{ "{\"unknown\":null}", "unknown" },
	};
	_cleanup_(interface_freep) struct interface *interface = interface_of(every_type);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_STR(check(interface, INTERFACE_CALL, wrong[i][0]), wrong[i][1]);
}

TEST(interface_cuts_long_places)
{
	_cleanup_(interface_freep) struct interface *interface = interface_of(every_type);
	char json[600] = "{\"m\":{\"";
	const char *where;

	memset(json + strlen(json), 'k', 400);
	strcat(json, "\":{}}}");
	where = check(interface, INTERFACE_CALL, json);
	CHECK_EQ(strlen(where), INTERFACE_WHERE_BYTES - 1);
	CHECK(starts_with(where, "m.kkk"));
}

TEST(interface_refuses_what_is_no_description)
{
	static const char *const wrong[][2] = {
		{ "", "line 1: 'interface' expected, not the end" },
		{ "interface\n", "line 2: the interface's name expected" },
		{ "interface foo\n", "the interface's name expected, not 'foo'" },
		{ "interface a.b\nfoo X ()", "line 2: 'type', 'method' or 'error' expected, not 'foo'" },
		{ "interface a.b method m() -> ()", "a name with a capital letter expected, not 'm'" },
		{ "interface a.b method M(a, b) -> ()", "the parameters of 'M' have no types" },
		{ "interface a.b error E (a)", "the parameters of 'E' have no types" },
		{ "interface a.b method M()", "'->' expected, not the end" },
		{ "interface a.b method M(a) -> (b: int,, c: int)", "a name expected, not ','" },
		{ "interface a.b method M(a: int) -> (b: integer)", "a type expected, not 'integer'" },
		{ "interface a.b method M(a: [int]string) -> ()", "']' expected, not 'int'" },
		{ "interface a.b method M(a: Other) -> ()", "line 1: there is no type 'Other'" },
		{ "interface a.b\ntype T (a: int, a: bool)", "line 2: 'a' twice" },
		{ "interface a.b type T (a: int) error T ()", "'T' twice" },
		{ "interface a.b type T (a: int, b)", "':' expected, not ')'" },
		{ "interface a.b type T (a: ??int)", "a type expected, not '?'" },
	};
	struct vpmu_error error;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct interface *interface = NULL;

		CHECK_EQ(interface_parse(wrong[i][0], strlen(wrong[i][0]), &interface, &error), -EINVAL);
		CHECK(!interface);
		CHECK_CONTAINS(error.text, wrong[i][1]);
	}
}

int main(void)
{
	return test_main();
}
