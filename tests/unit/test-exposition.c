/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/exposition.h"
#include "test.h"

static void two_families(struct exposition *x)
{
	_strbuf_ struct strbuf labels = {};

	exposition_label(&labels, "guest", "web1");
	exposition_family(x, "run_seconds", EXPOSITION_COUNTER, "seconds", "Time\\space\nof all.");
	exposition_ns(x, &labels, 1000000017);
	exposition_family(x, "build", EXPOSITION_INFO, NULL, "Which.");
	exposition_u64(x, &labels, 1);
	exposition_family(x, "age_seconds", EXPOSITION_GAUGE, "seconds", "Age.");
	exposition_ms(x, NULL, 3005);
	exposition_end(x);
}

TEST(openmetrics_name_a_counter_s_family_without_total)
{
	_strbuf_ struct strbuf out = {};
	struct exposition x = { .out = &out, .dialect = EXPOSITION_OPENMETRICS };

	two_families(&x);
	CHECK_STR(out.text, "# HELP run_seconds Time\\\\space\\nof all.\n"
			    "# TYPE run_seconds counter\n"
			    "# UNIT run_seconds seconds\n"
			    "run_seconds_total{guest=\"web1\"} 1.000000017\n"
			    "# HELP build Which.\n"
			    "# TYPE build info\n"
			    "build_info{guest=\"web1\"} 1\n"
			    "# HELP age_seconds Age.\n"
			    "# TYPE age_seconds gauge\n"
			    "# UNIT age_seconds seconds\n"
			    "age_seconds 3.005\n"
			    "# EOF\n");
}

TEST(the_older_format_names_families_as_their_samples)
{
	_strbuf_ struct strbuf out = {};
	struct exposition x = { .out = &out, .dialect = EXPOSITION_PROMETHEUS };

	two_families(&x);
	CHECK_STR(out.text, "# HELP run_seconds_total Time\\\\space\\nof all.\n"
			    "# TYPE run_seconds_total counter\n"
			    "run_seconds_total{guest=\"web1\"} 1.000000017\n"
			    "# HELP build_info Which.\n"
			    "# TYPE build_info gauge\n"
			    "build_info{guest=\"web1\"} 1\n"
			    "# HELP age_seconds Age.\n"
			    "# TYPE age_seconds gauge\n"
			    "age_seconds 3.005\n");
}

TEST(hostile_values_stay_inside_their_quotes)
{
	_strbuf_ struct strbuf labels = {};

	exposition_label(&labels, "a", "x\"} 1\nfake{y=\"\\");
	exposition_label(&labels, "b", "\xff\xc3");
	CHECK_STR(labels.text, "a=\"x\\\"} 1\\nfake{y=\\\"\\\\\",b=\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(long_values_are_cut_between_characters)
{
	_strbuf_ struct strbuf labels = {};
	char name[1000];

	/* One byte, then characters of two: the last one that would begin inside the limit does not end there. */
	name[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa4", 2);
	name[sizeof(name) - 1] = '\0';
	exposition_label(&labels, "a", name);
	CHECK_EQ(labels.n, strlen("a=\"\"") + EXPOSITION_LABEL_MAX - 1);
	CHECK_EQ(memcmp(labels.text + labels.n - 3, "\xc3\xa4\"", 3), 0);
}

TEST(samples_are_bounded_and_those_beyond_counted)
{
	_strbuf_ struct strbuf out = {};
	struct exposition x = { .out = &out, .max_samples = 2 };

	exposition_family(&x, "a", EXPOSITION_GAUGE, NULL, "A.");
	for (uint64_t i = 0; i < 7; i++)
		exposition_u64(&x, NULL, i);
	CHECK_EQ(x.n_samples, 2);
	CHECK_EQ(x.n_left_out, 5);
	CHECK_CONTAINS(out.text, "a 0\na 1\n");
	CHECK(!strstr(out.text, "a 2"));
}

int main(void)
{
	return test_main();
}
