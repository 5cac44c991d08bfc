/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/qemu_args.h"
#include "test.h"

/* @line has '|' where an argument ends. The copy is exact, so that a sanitizer sees a read beyond it. */
static struct qemu_args parse(const char *line)
{
	size_t n = strlen(line);
	char *cmdline = malloc(n + !n);
	struct qemu_args args;

	for (size_t i = 0; i < n; i++)
		cmdline[i] = line[i] == '|' ? '\0' : line[i];
	qemu_args_parse(cmdline, n, &args);
	free(cmdline);
	return args;
}

TEST(the_name_is_found_in_every_spelling)
{
	CHECK_STR(parse("qemu|-name|web1|").name, "web1");
	CHECK_STR(parse("qemu|--name|guest=web1,debug-threads=on|-S|").name, "web1");
	CHECK_STR(parse("qemu|-name|debug-threads=on,guest=web1|").name, "web1");
	CHECK_STR(parse("qemu|-name|web1,process=vm|").name, "web1");
	CHECK_STR(parse("qemu|-name|guest=a,,b,,,c=d|").name, "a,b,");
	CHECK_STR(parse("qemu|-name|one|-m|64|-name|guest=two|").name, "two");
	CHECK_STR(parse("qemu|-name|debug-threads=on|").name, "");
	CHECK_STR(parse("qemu|-machine|-name|web1|").name, "web1");
}

TEST(the_uuid_is_one_or_nothing)
{
	CHECK_STR(parse("qemu|-uuid|6BA7B810-9dad-11d1-80b4-00c04fd430c8|").uuid,
		  "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	CHECK_STR(parse("qemu|-uuid|6ba7b810-9dad-11d1-80b4-00c04fd430c|").uuid, "");
	CHECK_STR(parse("qemu|-uuid|6ba7b810-9dad-11d1-80b4-00c04fd430cg|").uuid, "");
	CHECK_STR(parse("qemu|-uuid|6ba7b81009dad-11d1-80b4-00c04fd430c8|").uuid, "");
}

TEST(a_line_that_breaks_off_is_read_as_far_as_it_goes)
{
	CHECK_STR(parse("").name, "");
	CHECK_STR(parse("qemu|-name").name, "");
	CHECK_STR(parse("qemu|-name|").name, "");
	CHECK_STR(parse("qemu|-name|web1").name, "");
	CHECK_STR(parse("qemu|-name||-|--|").name, "");
	CHECK_STR(parse("qemu|-name|web1|-uuid|6ba7").name, "web1");
}

TEST(hostile_names_are_made_printable_and_cut_between_characters)
{
	char line[2048] = "qemu|-name|guest=";

	CHECK_STR(parse("qemu|-name|guest=a\x1b[2Jb\nc\x7f|").name, "a?[2Jb?c?");
	CHECK_STR(parse("qemu|-name|guest=\xc3\xa9t\xc3|").name, "\xc3\xa9t?");
	CHECK_STR(parse("qemu|-name|guest=\xc0\x80\xed\xa0\x80|").name, "?????");
	CHECK_STR(parse("qemu|-name|guest=\xc2\x9b" "1m\xe2\x80\xae" "gnp|").name, "??1m???gnp");
	CHECK_STR(parse("qemu|-name|guest=\xf0\x9f\x98\x80|").name, "\xf0\x9f\x98\x80");
	for (int i = 0; i < 500; i++)
		strcat(line, i == 0 ? "x" : "\xc3\xa9");
	strcat(line, "|");
	CHECK_EQ(strlen(parse(line).name), 255);
	CHECK(!strchr(parse(line).name, '?'));
}

TEST(only_system_emulators_are_qemu)
{
	CHECK(qemu_args_is_qemu("/usr/bin/qemu-system-x86_64"));
	CHECK(qemu_args_is_qemu("/usr/libexec/qemu-kvm"));
	CHECK(qemu_args_is_qemu("kvm"));
	CHECK(!qemu_args_is_qemu("/usr/bin/qemu-img"));
	CHECK(!qemu_args_is_qemu("/qemu-system-x86_64/sh"));
	CHECK(!qemu_args_is_qemu(""));
}

int main(void)
{
	return test_main();
}
