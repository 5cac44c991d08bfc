/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fake_proc.h"
#include "host/event.h"
#include "host/perf_open.h"

#define NO_TRACEFS "/nonexistent"

static struct event_spec parse(const char *name)
{
	struct event_spec spec = {};
	struct vpmu_error error = {};

	if (event_parse(name, NO_TRACEFS, &spec, &error) < 0)
		FAIL("'%s': %s", name, error.text);
	CHECK_STR(spec.name, name);
	CHECK_EQ(spec.attr.size, sizeof(spec.attr));
	return spec;
}

static struct vpmu_error refused(const char *name, const char *tracefs, int code)
{
	struct event_spec spec = { .name = "untouched" };
	struct vpmu_error error = {};
	int r = event_parse(name, tracefs, &spec, &error);

	if (r != code || error.code != code || !error.text[0])
		FAIL("'%s': %d instead of %d: %s", name, r, code, error.text);
	CHECK_STR(spec.name, "untouched");
	return error;
}

TEST(generic_names_mean_what_the_kernel_calls_them)
{
	CHECK_EQ(parse("cycles").attr.type, PERF_TYPE_HARDWARE);
	CHECK_EQ(parse("cycles").attr.config, PERF_COUNT_HW_CPU_CYCLES);
	CHECK(parse("cycles").is_hardware && !parse("cycles").is_clock);
	CHECK_EQ(parse("ref-cycles").attr.config, PERF_COUNT_HW_REF_CPU_CYCLES);
	CHECK_EQ(parse("cpu-clock").attr.type, PERF_TYPE_SOFTWARE);
	CHECK(parse("cpu-clock").is_clock && !parse("cpu-clock").is_hardware);
	CHECK(parse("task-clock:u").is_clock);
	CHECK_EQ(parse("cs").attr.config, PERF_COUNT_SW_CONTEXT_SWITCHES);
	CHECK(!parse("cs").is_clock);
	CHECK_EQ(parse("L1-dcache-load-misses").attr.config, PERF_COUNT_HW_CACHE_L1D | PERF_COUNT_HW_CACHE_RESULT_MISS << 16);
	CHECK_EQ(parse("node-prefetches").attr.config, PERF_COUNT_HW_CACHE_NODE | PERF_COUNT_HW_CACHE_OP_PREFETCH << 8);
	CHECK_EQ(parse("llc-stores").attr.type, PERF_TYPE_HW_CACHE);
	CHECK_EQ(parse("r1a8").attr.type, PERF_TYPE_RAW);
	CHECK_EQ(parse("rFFffFFffFFffFFff").attr.config, UINT64_MAX);
}

TEST(both_sides_count_unless_one_is_asked_for)
{
	struct event_spec both = parse("cycles"), guest = parse("cycles:G"), host = parse("cycles:H"), gh = parse("cycles:GH");

	CHECK(!both.attr.exclude_guest && !both.attr.exclude_host && !both.attr.exclude_hv);
	CHECK(guest.attr.exclude_host && !guest.attr.exclude_guest);
	CHECK(host.attr.exclude_guest && !host.attr.exclude_host);
	CHECK(!gh.attr.exclude_guest && !gh.attr.exclude_host);
}

TEST(modifiers_leave_out_what_they_do_not_name)
{
	struct event_spec user = parse("instructions:u"), kernel = parse("instructions:kG"), precise = parse("cycles:ppH");

	CHECK(!user.attr.exclude_user && user.attr.exclude_kernel && user.attr.exclude_hv);
	CHECK(kernel.attr.exclude_user && !kernel.attr.exclude_kernel && kernel.attr.exclude_host);
	CHECK_EQ(precise.attr.precise_ip, 2);
	CHECK_EQ(parse("cycles").attr.precise_ip, 0);
}

TEST(what_cannot_be_is_refused_with_a_way_out)
{
	struct vpmu_error error;

	error = refused("cycles:p", NO_TRACEFS, -EINVAL);
	CHECK_CONTAINS(error.text, "no guest samples");
	CHECK_CONTAINS(error.hint, "'H'");
	error = refused("cpu-clock:G", NO_TRACEFS, -EINVAL);
	CHECK_CONTAINS(error.hint, "--side");
	error = refused("cpu-clock:X", NO_TRACEFS, -EINVAL);
	CHECK_CONTAINS(error.text, "'X' is no modifier");
	CHECK_CONTAINS(refused("cpu-clock:", NO_TRACEFS, -EINVAL).hint, "G and H");
	CHECK_CONTAINS(refused("kvm:", NO_TRACEFS, -EINVAL).hint, "kvm:kvm_exit");
	refused("cycles:W", NO_TRACEFS, -EINVAL);
	refused("cycles:ppppH", NO_TRACEFS, -EINVAL);
	refused("{cycles,instructions}", NO_TRACEFS, -EINVAL);
	refused("", NO_TRACEFS, -EINVAL);
	refused("r", NO_TRACEFS, -EINVAL);
	refused("r12345678123456789", NO_TRACEFS, -EINVAL);
	refused("no-such-event-anywhere", NO_TRACEFS, -EINVAL);
}

TEST(a_slip_of_the_pen_is_told_what_was_meant)
{
	char long_name[300];

	CHECK_CONTAINS(refused("cycels", NO_TRACEFS, -EINVAL).hint, "cycles");
	CHECK_CONTAINS(refused("cpuclock:u", NO_TRACEFS, -EINVAL).hint, "cpu-clock");
	CHECK_CONTAINS(refused("l1-dcache-load-mises", NO_TRACEFS, -EINVAL).hint, "L1-dcache-load-misses");
	CHECK_STR(refused("zzzzzzzz", NO_TRACEFS, -EINVAL).hint, "");
	memset(long_name, 'c', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	refused(long_name, NO_TRACEFS, -EINVAL);
	long_name[100] = '\0';
	CHECK_STR(refused(long_name, NO_TRACEFS, -EINVAL).hint, "");
}

TEST(tracepoints_get_their_number_from_tracefs)
{
	struct event_spec spec;
	struct vpmu_error error;

	fake_text(fake_path("events/kvm/kvm_pio/id"), "1234\n");
	fake_text(fake_path("events/kvm/ukk/id"), "77\n");
	CHECK_EQ(event_parse("kvm:kvm_pio", fake_dir(), &spec, NULL), 0);
	CHECK_EQ(spec.attr.type, PERF_TYPE_TRACEPOINT);
	CHECK_EQ(spec.attr.config, 1234);
	CHECK(spec.is_tracepoint && !spec.is_clock && !spec.is_hardware);
	CHECK_EQ(event_parse("kvm:kvm_pio:k", fake_dir(), &spec, NULL), 0);
	CHECK(spec.attr.exclude_user);
	CHECK_EQ(event_parse("kvm:ukk", fake_dir(), &spec, NULL), 0);
	CHECK_EQ(spec.attr.config, 77);
	CHECK(!spec.attr.exclude_user && !spec.attr.exclude_kernel);
	error = refused("kvm:kvm_nothing", fake_dir(), -ENOENT);
	CHECK_CONTAINS(error.text, "no tracepoint 'kvm:kvm_nothing'");
	CHECK_CONTAINS(refused("nogroup:x", fake_dir(), -ENOENT).text, "'nogroup:'");
	CHECK_CONTAINS(refused("kvm:kvm_pio", NO_TRACEFS, -ENOENT).hint, "mount -t tracefs");
	refused("..:id", fake_dir(), -EINVAL);
	refused("kvm:../kvm/kvm_pio", fake_dir(), -EINVAL);
}

TEST(tracepoints_that_may_not_be_read_are_said_to_be)
{
	fake_text(fake_path("events/kvm/kvm_pio/id"), "1234\n");
	CHECK_EQ(chmod(fake_path("events"), 0), 0);
	CHECK(geteuid() != 0 || seteuid(65534) == 0);
	CHECK_CONTAINS(refused("kvm:kvm_pio", fake_dir(), -EACCES).hint, "root");
	CHECK(getuid() != 0 || seteuid(0) == 0);
	chmod(fake_path("events"), 0755);
}

/* libpfm4 translates for the CPU it runs on; the tests' CPU is whichever the variable says. */
TEST(manufacturers_names_are_translated_by_libpfm4)
{
	struct event_spec spec;

	setenv("LIBPFM_FORCE_PMU", "skl", 1);
	spec = parse("INST_RETIRED:ANY_P");
	CHECK_EQ(spec.attr.type, PERF_TYPE_RAW);
	CHECK_EQ(spec.attr.config & 0xff, 0xc0);
	CHECK(spec.is_hardware && !spec.attr.exclude_guest && !spec.attr.exclude_hv);
	spec = parse("skl::INST_RETIRED:ANY_P:kG");
	CHECK(spec.attr.exclude_user && spec.attr.exclude_host && !spec.attr.exclude_kernel);
	CHECK(parse("INST_RETIRED:ANY_P:u=1:k=0").attr.exclude_kernel);
	refused("INST_RETIRED:NO_SUCH_MASK", fake_dir(), -EINVAL);
}

TEST(lists_are_split_at_commas_outside_slashes)
{
	struct event_spec *specs = NULL;
	struct vpmu_error error;
	size_t n = 0;
	char many[1024] = "";

	CHECK_EQ(event_parse_list("cpu-clock,cycles:u,r10", NO_TRACEFS, &specs, &n, NULL), 0);
	CHECK_EQ(n, 3);
	CHECK_STR(specs[1].name, "cycles:u");
	CHECK_STR(specs[2].name, "r10");
	free(specs);
	specs = NULL;
	CHECK_EQ(event_parse_list("cycles,", NO_TRACEFS, &specs, &n, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "'cycles,'");
	CHECK_CONTAINS(error.hint, "comma");
	CHECK_EQ(event_parse_list("", NO_TRACEFS, &specs, &n, NULL), -EINVAL);
	CHECK_EQ(event_parse_list("cs,nopmu/a=1,b=2/,cs", NO_TRACEFS, &specs, &n, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "no PMU 'nopmu'");
	for (int i = 0; i < 65; i++)
		strcat(many, i ? ",cs" : "cs");
	CHECK_EQ(event_parse_list(many, NO_TRACEFS, &specs, &n, NULL), -EINVAL);
	CHECK(!specs);
	CHECK_EQ(n, 3);
}

/* Asks the kernel: what cannot be opened here must be explained. */
TEST(a_refused_hardware_event_is_explained)
{
	struct event_spec spec = parse("cycles");
	int fd = perf_open(&spec.attr, 0, -1);
	struct vpmu_error error = {};

	if (fd >= 0) {
		close(fd);
		skip("this machine has a hardware PMU");
	}
	if (fd == -EACCES || fd == -EPERM)
		skip("no permission to open hardware events");
	CHECK_EQ(event_open_error(&spec, fd, "thread 12", &error), fd);
	CHECK_CONTAINS(error.text, "'cycles' on thread 12");
	CHECK_CONTAINS(error.text, "no hardware PMU");
	CHECK_CONTAINS(error.hint, "cpu-clock");
}

TEST(a_refused_user_is_told_what_is_missing)
{
	struct event_spec spec = parse("cpu-clock");
	struct vpmu_error error = {};
	int fd, level = 0;

	CHECK(geteuid() != 0 || seteuid(65534) == 0);
	if (perf_paranoid_level("/proc", &level) < 0 || level < 2)
		skip("kernel.perf_event_paranoid is below 2: everybody may use perf here");
	fd = perf_open(&spec.attr, 0, -1);
	CHECK(fd == -EACCES || fd == -EPERM);
	CHECK_EQ(event_open_error(&spec, fd, "thread 12", &error), fd);
	CHECK_CONTAINS(error.text, "perf_event_paranoid is");
	CHECK_CONTAINS(error.hint, "CAP_PERFMON");
	CHECK(getuid() != 0 || seteuid(0) == 0); /* the leak checker wants it */
}

TEST(every_errno_gets_a_line)
{
	struct event_spec spec = parse("cpu-clock");
	struct vpmu_error error;

	for (int code = 1; code < 134; code++) {
		memset(&error, 0, sizeof(error));
		CHECK_EQ(event_open_error(&spec, -code, "CPU 0", &error), -code);
		CHECK_EQ(error.code, -code);
		CHECK_CONTAINS(error.text, "cpu-clock");
	}
	spec.attr.freq = 1;
	spec.attr.sample_freq = 1u << 30;
	event_open_error(&spec, -EINVAL, "CPU 0", &error);
	CHECK_CONTAINS(error.text, "Hz");
	event_open_error(&spec, -ESRCH, "thread 12", &error);
	CHECK_CONTAINS(error.text, "thread 12 has ended");
}

int main(void)
{
	return test_main();
}
