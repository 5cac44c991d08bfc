/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/metrics_text.h"
#include "test.h"
#include "util/macro.h"

static struct vcpu_totals two_vcpus[] = {
	{ .index = 0,
	  .has_times = 1u << VCPU_GUEST | 1u << VCPU_WAIT,
	  .has_events = 1u << VCPU_EXITS,
	  .times_ns = { [VCPU_GUEST] = 7000000001, [VCPU_WAIT] = 5 },
	  .events = { [VCPU_EXITS] = UINT64_MAX } },
	{ .index = 3, .has_times = 1u << VCPU_GUEST, .times_ns = { [VCPU_GUEST] = 11 } },
};
static const struct guest_totals totals = { .domain = 1, .vcpus = { two_vcpus, 2, 2 } };

static struct domain domain_of(uint64_t id, const char *name, const char *uuid, pid_t pid)
{
	return (struct domain){ .id = id,
				.name = (char *)name,
				.uuid = (char *)uuid,
				.running = true,
				.guest = { .pid = pid, .accel = VPMU_ACCEL_KVM, .n_vcpus = 2 } };
}

static void text_of(const struct metrics_guest *guests, size_t n, enum exposition_dialect dialect, struct strbuf *out)
{
	const struct usage usage = { .started_ms = 1700000000123, .cpu_ns = 17, .calls = 29 };

	CHECK_EQ(metrics_text(guests, n, &usage, dialect, out), 0);
}

TEST(every_vcpu_s_time_and_counts_are_there)
{
	struct domain web = domain_of(1, "web1", "u-1", 7), off = domain_of(2, "off", "u-2", 0);
	const struct metrics_guest guests[] = { { &web, &totals }, { &off, NULL } };
	_strbuf_ struct strbuf out = {};

	off.running = false;
	text_of(guests, 2, EXPOSITION_OPENMETRICS, &out);
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpu_seconds_total{guest=\"web1\",uuid=\"u-1\",vcpu=\"0\",mode=\"guest\"} 7.000000001\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpu_seconds_total{guest=\"web1\",uuid=\"u-1\",vcpu=\"0\",mode=\"steal\"} 0.000000005\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpu_seconds_total{guest=\"web1\",uuid=\"u-1\",vcpu=\"3\",mode=\"guest\"} 0.000000011\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpu_exits_total{guest=\"web1\",uuid=\"u-1\",vcpu=\"0\"} 18446744073709551615\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_info{guest=\"web1\",uuid=\"u-1\",accel=\"kvm\",kernel=\"\",libvirt=\"no\"} 1\n");
	CHECK_CONTAINS(out.text, "vpmud_start_time_seconds 1700000000.123\n");
	CHECK_CONTAINS(out.text, "vpmud_calls_total 29\n");
	/* What nobody has is no family, and what does not run no guest. */
	CHECK(!strstr(out.text, "cycles"));
	CHECK(!strstr(out.text, "\"off\""));
	CHECK(!strstr(out.text, "vpmud_store"));
}

TEST(exits_by_reason_and_clocks_are_there_where_they_were_read)
{
	struct account_reason reasons[] = { { "hlt", 17, 2000000003 }, { "cpuid", 19, 23 } };
	struct account_vcpu vcpu = { .index = 3, .has = 1u << VPMU_CLOCK_HALT, .parts_ns = { [VPMU_CLOCK_HALT] = 31 } };
	struct guest_account account = { .has_exits = true, .has_clock = true, .reasons = { reasons, 2, 2 }, .vcpus = { &vcpu, 1, 1 },
					 .events = { [VPMU_EXIT_USER] = 29 } };
	struct domain web = domain_of(1, "web1", "u-1", 7);
	const struct metrics_guest guest = { &web, &totals, &account };
	_strbuf_ struct strbuf out = {}, silent = {};

	CHECK_EQ(metrics_text(&guest, 1, NULL, EXPOSITION_OPENMETRICS, &out), 0);
	CHECK_CONTAINS(out.text, "vpmu_guest_exits_total{guest=\"web1\",uuid=\"u-1\",reason=\"hlt\"} 17\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_exit_seconds_total{guest=\"web1\",uuid=\"u-1\",reason=\"hlt\"} 2.000000003\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_kvm_events_total{guest=\"web1\",uuid=\"u-1\",event=\"user\"} 29\n");
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpu_time_seconds_total{guest=\"web1\",uuid=\"u-1\",vcpu=\"3\",part=\"halt\"} 0.000000031\n");
	CHECK(!strstr(out.text, "part=\"guest\""));
	account = (struct guest_account){ .has_exits = true, .silent = true };
	CHECK_EQ(metrics_text(&guest, 1, NULL, EXPOSITION_OPENMETRICS, &silent), 0);
	CHECK(!strstr(silent.text, "vpmu_guest_exits") && !strstr(silent.text, "kvm_events"));
}

TEST(without_usage_there_are_guests_alone)
{
	struct domain web = domain_of(1, "web1", "u-1", 7);
	const struct metrics_guest guest = { &web, &totals };
	_strbuf_ struct strbuf out = {};

	CHECK_EQ(metrics_text(&guest, 1, NULL, EXPOSITION_OPENMETRICS, &out), 0);
	CHECK_CONTAINS(out.text, "vpmu_guest_vcpus{guest=\"web1\",uuid=\"u-1\"} 2\n");
	CHECK_CONTAINS(out.text, "vpmud_left_out_series 0\n");
	CHECK(!strstr(out.text, "vpmud_guests") && !strstr(out.text, "vpmud_calls"));
}

/* How many lines begin with @start. */
static int count_lines(const char *text, const char *start)
{
	int n = 0;

	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		n += starts_with(line, start);
	return n;
}

TEST(guests_of_the_same_name_are_told_apart)
{
	/* The third is called what the second would be told apart by; the fourth differs in nothing but its pid. */
	struct domain twins[] = { domain_of(1, "web", "", 7), domain_of(2, "web", "", 8),
				  domain_of(3, "pid:8 web", "", 9), domain_of(4, "web", "", 10) };
	const struct metrics_guest guests[] = { { &twins[0], &totals }, { &twins[1], &totals },
						{ &twins[2], &totals }, { &twins[3], &totals } };
	_strbuf_ struct strbuf out = {};

	text_of(guests, 4, EXPOSITION_PROMETHEUS, &out);
	CHECK_EQ(count_lines(out.text, "vpmu_guest_vcpus{guest=\"web\","), 0);
	CHECK_EQ(count_lines(out.text, "vpmu_guest_vcpus{guest=\"pid:7 web\","), 1);
	CHECK_EQ(count_lines(out.text, "vpmu_guest_vcpus{guest=\"pid:8 web\","), 1);
	CHECK_EQ(count_lines(out.text, "vpmu_guest_vcpus{guest=\"pid:10 web\","), 1);
	CHECK_CONTAINS(out.text, "vpmud_left_out_vcpus 2\n");
}

TEST(the_number_of_series_has_an_end)
{
	static struct vcpu_totals vcpus[COUNTING_VCPUS_MAX];
	const struct guest_totals many = { .vcpus = { vcpus, COUNTING_VCPUS_MAX, COUNTING_VCPUS_MAX } };
	static struct domain domains[100];
	static char names[100][16];
	struct metrics_guest guests[100];
	_strbuf_ struct strbuf out = {};

	for (size_t i = 0; i < COUNTING_VCPUS_MAX; i++)
		vcpus[i] = (struct vcpu_totals){ .index = (uint32_t)i, .has_times = (1u << VCPU_TIME_COUNT) - 1 };
	for (size_t i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "guest-%zu", i);
		domains[i] = domain_of(i, names[i], "", (pid_t)i + 10);
		guests[i] = (struct metrics_guest){ &domains[i], &many };
	}
	text_of(guests, 100, EXPOSITION_OPENMETRICS, &out);
	CHECK_EQ(count_lines(out.text, "vpmu_guest"), METRICS_SAMPLES_MAX);
	/* vpmud's own are there nevertheless, and tell. */
	CHECK_CONTAINS(out.text, "vpmud_left_out_series 206200\n");
	CHECK_CONTAINS(out.text, "# EOF\n");
}

/* ---- by the word of those who read it ---- */

static void hostile_text(enum exposition_dialect dialect, const char *path)
{
	static struct vcpu_totals vcpu = { .has_times = ~0u, .has_events = ~0u };
	const struct guest_totals all = { .vcpus = { &vcpu, 1, 1 } };
	struct domain domains[] = { domain_of(1, "a\"b\\c\nd{}#,= \xff", "", 1), domain_of(2, "", "\"", 2),
				    domain_of(3, "twin", "", 3), domain_of(4, "twin", "", 4) };
	struct metrics_guest guests[ARRAY_SIZE(domains)];
	const struct usage usage = { .has_store = true, .store_oldest_ms = 1700000000123, .has_counters = true };
	_strbuf_ struct strbuf out = {};
	FILE *file = fopen(path, "w");

	for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
		guests[i] = (struct metrics_guest){ &domains[i], &all };
	CHECK_EQ(metrics_text(guests, ARRAY_SIZE(domains), &usage, dialect, &out), 0);
	CHECK(file);
	CHECK_EQ(fwrite(out.text, 1, out.n, file), out.n);
	CHECK_EQ(fclose(file), 0);
}

/* Runs @command, in which %s is a file with the text. */
static void check_text(enum exposition_dialect dialect, const char *command)
{
	char path[] = "/tmp/vpmu-test.XXXXXX", line[512];
	int fd = mkstemp(path), status;

	CHECK(fd >= 0);
	close(fd);
	hostile_text(dialect, path);
	snprintf(line, sizeof(line), command, path);
	status = system(line);
	unlink(path);
	CHECK_EQ(status, 0);
}

TEST(promtool_finds_nothing_to_object_to)
{
	if (system("command -v promtool > /dev/null") != 0)
		skip("promtool (Debian's prometheus) is not installed");
	check_text(EXPOSITION_PROMETHEUS, "promtool check metrics < %s");
}

TEST(a_strict_reader_takes_the_openmetrics)
{
	if (system("/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2> /dev/null") != 0)
		skip("python3-prometheus-client is not installed");
	check_text(EXPOSITION_OPENMETRICS,
		   "/usr/bin/python3 -c 'import sys\n"
		   "from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n"
		   "found = {f.name: f.type for f in families(open(sys.argv[1]).read())}\n"
		   "assert found[\"vpmu_guest_vcpu_seconds\"] == \"counter\", found\n"
		   "assert found[\"vpmud_build\"] == \"info\", found' %s");
}

int main(void)
{
	return test_main();
}
