/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "format/kallsyms.h"
#include "test.h"
#include "util/io.h"
#include "util/strbuf.h"

/* Prints what was parsed, so that a story compares text with text. */
static int print_symbol(const struct kallsyms_line *line, void *data)
{
	strbuf_addf(data, "%" PRIx64 "|%c|%.*s|%.*s\n", line->address, line->type,
		    (int)line->name_bytes, line->name, (int)line->module_bytes, line->module ?: "");
	return 0;
}

static void check_symbols(const char *text, const char *want, const char *want_rest,
			  uint64_t want_bad)
{
	_strbuf_ struct strbuf out = {};
	uint64_t bad;
	size_t used;
	char *exact = strndup(text, strlen(text));

	strbuf_adds(&out, "");
	CHECK_EQ(kallsyms_parse(exact, strlen(exact), print_symbol, &out, &used, &bad), 0);
	CHECK_STR(out.text, want);
	CHECK_STR(exact + used, want_rest);
	CHECK_EQ(bad, want_bad);
	free(exact);
}

TEST(symbols_of_kernel_and_modules_are_read)
{
	check_symbols("ffffffff81000000 T _stext\n"
		      "0000000000000000 A fixed_percpu_data\n"
		      "c0100000 t short_address\n"
		      "FFFFFFFFC0000000 t init_module\t[kvm_amd]\n",
		      "ffffffff81000000|T|_stext|\n"
		      "0|A|fixed_percpu_data|\n"
		      "c0100000|t|short_address|\n"
		      "ffffffffc0000000|t|init_module|kvm_amd\n", "", 0);
}

TEST(a_last_line_without_newline_is_left)
{
	check_symbols("1 t a\n2 t bcd", "1|t|a|\n", "2 t bcd", 0);
	check_symbols("", "", "", 0);
}

TEST(lines_that_are_none_are_counted_and_passed_over)
{
	check_symbols(
		"\nhello\n12 t\n12 t \n12345678123456781 t long\n5 t ok\n5 t x]\nt y\n5  z\n1 tt z\n",
		"5|t|ok|\n", "", 9);
}

static int stop_at_second(const struct kallsyms_line *line, void *data)
{
	(void)line;
	return ++*(int *)data == 2 ? -5 : 0;
}

TEST(the_callback_stops_the_walk)
{
	int seen = 0;
	size_t used;

	CHECK_EQ(kallsyms_parse("1 t a\n2 t b\n3 t c\n", 18, stop_at_second, &seen, &used, NULL),
		 -5);
	CHECK_EQ(used, 12);
}

TEST(this_kernels_symbols_are_all_read)
{
	_strbuf_ struct strbuf out = {};
	size_t n, used, lines = 0, parsed = 0;
	uint64_t bad;
	char *text;

	if (io_read_file(AT_FDCWD, "/proc/kallsyms", 256 << 20, &text, &n) < 0 || n == 0)
		skip("/proc/kallsyms cannot be read");
	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	CHECK_EQ(kallsyms_parse(text, n, print_symbol, &out, &used, &bad), 0);
	for (size_t i = 0; i < out.n; i++)
		parsed += out.text[i] == '\n';
	CHECK_EQ(used, n);
	CHECK_EQ(bad, 0);
	CHECK_EQ(parsed, lines);
	free(text);
}

static int print_module(const struct modules_line *line, void *data)
{
	strbuf_addf(data, "%.*s|%" PRIu64 "|%" PRIx64 "\n", (int)line->name_bytes, line->name,
		    line->size_bytes, line->address);
	return 0;
}

TEST(modules_are_read)
{
	const char *text = "kvm_amd 155648 0 - Live 0xffffffffc0b00000\n"
			   "kvm 1138688 1 kvm_amd, Live 0xffffffffc0a00000 (OE)\n"
			   "fixed 4096 - - Live 0x0000000000000000\n"
			   "broken 12 0 - Live\n"
			   "last 1 0 - Loading 0xffffffffc0c00000";
	_strbuf_ struct strbuf out = {};
	uint64_t bad;

	CHECK_EQ(modules_parse(text, strlen(text), print_module, &out, &bad), 0);
	CHECK_STR(out.text, "kvm_amd|155648|ffffffffc0b00000\n"
			    "kvm|1138688|ffffffffc0a00000\n"
			    "fixed|4096|0\n"
			    "last|1|ffffffffc0c00000\n");
	CHECK_EQ(bad, 1);
}

int main(void)
{
	return test_main();
}
