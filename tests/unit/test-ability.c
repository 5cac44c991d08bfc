/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/perf_event.h>
#include <vpmu/host.h>

#include "fake_proc.h"
#include "host/perf_open.h"

/* The real kernel; files from the test's tree: <root>/proc, /sys and /dev. */
static struct vpmu_host *probe(void)
{
	static char proc[PATH_MAX], sys[PATH_MAX], dev[PATH_MAX];
	struct vpmu_host *host = NULL;

	snprintf(proc, sizeof(proc), "%s", fake_path("proc"));
	snprintf(sys, sizeof(sys), "%s", fake_path("sys"));
	snprintf(dev, sizeof(dev), "%s", fake_path("dev"));
	VPMU_OPTS(vpmu_host_opts, opts, .proc_path = proc, .sys_path = sys, .dev_path = dev);

	CHECK_EQ(vpmu_host_new(&opts, &host, NULL), 0);
	return host;
}

TEST(every_ability_is_named_and_what_is_missing_is_explained)
{
	struct vpmu_host *host;

	CHECK_EQ(vpmu_host_new(NULL, &host, NULL), 0);
	for (int i = 0; i < VPMU_ABILITY_COUNT; i++) {
		const struct vpmu_ability_info *info = vpmu_host_ability(host, i);

		CHECK(info && info->name && info->name[0] && info->detail[0]);
		CHECK_EQ(info->ok, info->code == 0);
		CHECK(!info->ok || !info->how[0]);
		CHECK_CMP(info->code, <=, 0);
	}
	CHECK(!vpmu_host_ability(host, VPMU_ABILITY_COUNT));
	CHECK(!vpmu_host_ability(host, (enum vpmu_ability)-1));
	CHECK(!vpmu_host_free(host));
}

TEST(the_source_is_one_that_opens)
{
	struct perf_event_attr clock = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(clock), .disabled = 1 };
	struct perf_event_attr cycles = { .type = PERF_TYPE_HARDWARE, .size = sizeof(cycles), .disabled = 1,
					  .sample_period = 100000, .exclude_host = 1 };
	int clock_fd = perf_open(&clock, 0, -1), cycles_fd = perf_open(&cycles, 0, -1);
	struct vpmu_host *host;
	const char *why;

	CHECK_EQ(vpmu_host_new(NULL, &host, NULL), 0);
	switch (vpmu_host_source(host, &why)) {
	case VPMU_SOURCE_CYCLES:
		CHECK_CMP(cycles_fd, >=, 0);
		CHECK_STR(why, "");
		break;
	case VPMU_SOURCE_CPU_CLOCK:
		CHECK_CMP(clock_fd, >=, 0);
		CHECK(vpmu_host_ability(host, VPMU_ABILITY_CPU_CLOCK)->ok);
		CHECK(why[0]);
		break;
	default:
		CHECK_CMP(clock_fd, <, 0);
		CHECK_CONTAINS(why, "cpu-clock");
	}
	CHECK_EQ(vpmu_host_source(host, NULL), vpmu_host_source(host, &why));
	vpmu_host_free(host);
	if (clock_fd >= 0)
		close(clock_fd);
	if (cycles_fd >= 0)
		close(cycles_fd);
}

TEST(with_a_mediated_pmu_hardware_events_are_left_alone)
{
	const struct vpmu_ability_info *info;
	struct vpmu_host *host;
	const char *why;

	fake_text(fake_path("sys/module/kvm_amd/parameters/enable_mediated_pmu"), "Y\n");
	host = probe();
	info = vpmu_host_ability(host, VPMU_ABILITY_MEDIATED_PMU);
	CHECK(!info->ok);
	CHECK_CONTAINS(info->detail, "kvm_amd");
	CHECK_CONTAINS(vpmu_host_ability(host, VPMU_ABILITY_HW_GUEST_CYCLES)->detail, "not tried");
	if (vpmu_host_source(host, &why) == VPMU_SOURCE_CPU_CLOCK)
		CHECK_CONTAINS(why, "mediated vPMU is on");
	CHECK_CMP(vpmu_host_source(host, NULL), !=, VPMU_SOURCE_CYCLES);
	vpmu_host_free(host);
	fake_text(fake_path("sys/module/kvm_amd/parameters/enable_mediated_pmu"), "N\n");
	host = probe();
	CHECK(vpmu_host_ability(host, VPMU_ABILITY_MEDIATED_PMU)->ok);
	vpmu_host_free(host);
}

TEST(tracepoints_are_looked_for_where_they_may_be)
{
	const struct vpmu_ability_info *info;
	struct vpmu_host *host = probe();

	info = vpmu_host_ability(host, VPMU_ABILITY_TRACEPOINTS);
	CHECK_EQ(info->code, -ENOENT);
	CHECK_CONTAINS(info->how, "mount -t tracefs");
	CHECK_CONTAINS(vpmu_host_ability(host, VPMU_ABILITY_KVM_ENTRY)->how, "tracepoints");
	vpmu_host_free(host);
	fake_path("sys/kernel/debug/tracing/events/");
	host = probe();
	CHECK_CONTAINS(vpmu_host_ability(host, VPMU_ABILITY_TRACEPOINTS)->detail, "debug/tracing");
	CHECK_CONTAINS(vpmu_host_ability(host, VPMU_ABILITY_KVM_ENTRY)->how, "load KVM");
	vpmu_host_free(host);
	fake_text(fake_path("sys/kernel/tracing/events/kvm/kvm_entry/id"), "1234\n");
	host = probe();
	CHECK_STR(vpmu_host_ability(host, VPMU_ABILITY_KVM_ENTRY)->detail, "tracepoint 1234");
	vpmu_host_free(host);
}

TEST(hidden_kernel_symbols_are_told_from_shown_ones)
{
	const struct vpmu_ability_info *info;
	struct vpmu_host *host;

	fake_text(fake_path("proc/kallsyms"), "0000000000000000 T _stext\n0000000000000000 T a\n");
	fake_text(fake_path("proc/sys/kernel/kptr_restrict"), "2\n");
	host = probe();
	info = vpmu_host_ability(host, VPMU_ABILITY_HOST_SYMBOLS);
	CHECK_EQ(info->code, -EACCES);
	CHECK_CONTAINS(info->detail, "kptr_restrict is 2");
	CHECK_CONTAINS(info->how, "kptr_restrict=1");
	vpmu_host_free(host);
	fake_text(fake_path("proc/kallsyms"), "0000000000000000 A percpu\nffffffff81000000 T _stext\n");
	host = probe();
	CHECK(vpmu_host_ability(host, VPMU_ABILITY_HOST_SYMBOLS)->ok);
	vpmu_host_free(host);
}

TEST(a_kvm_that_is_none_is_not_believed)
{
	struct vpmu_host *host = probe();

	CHECK_EQ(vpmu_host_ability(host, VPMU_ABILITY_KVM)->code, -ENOENT);
	CHECK_CONTAINS(vpmu_host_ability(host, VPMU_ABILITY_KVM)->how, "kvm_intel");
	vpmu_host_free(host);
	fake_text(fake_path("dev/kvm"), "");
	host = probe();
	CHECK_EQ(vpmu_host_ability(host, VPMU_ABILITY_KVM)->code, -ENODEV);
	vpmu_host_free(host);
}

TEST(debuginfod_takes_a_server)
{
	struct vpmu_host *host;

	unsetenv("DEBUGINFOD_URLS");
	host = probe();
	CHECK_EQ(vpmu_host_ability(host, VPMU_ABILITY_DEBUGINFOD)->code, -ENOENT);
	vpmu_host_free(host);
}

/* What an ordinary user is told. */
TEST(missing_rights_are_named)
{
	const struct vpmu_ability_info *info;
	struct vpmu_host *host;
	int level = 0;

	if (geteuid() == 0)
		CHECK_EQ(seteuid(65534), 0);
	if (perf_paranoid_level("/proc", &level) < 0 || level < 2)
		skip("kernel.perf_event_paranoid is below 2: everybody may use perf here");
	CHECK_EQ(vpmu_host_new(NULL, &host, NULL), 0);
	info = vpmu_host_ability(host, VPMU_ABILITY_PERF_EVENTS);
	CHECK(info->code == -EACCES || info->code == -EPERM);
	CHECK_CONTAINS(info->how, "CAP_PERFMON");
	CHECK_CONTAINS(info->how, "perf_event_paranoid is");
	info = vpmu_host_ability(host, VPMU_ABILITY_BPF);
	CHECK(info->ok || strstr(info->how, "CAP_BPF"));
	info = vpmu_host_ability(host, VPMU_ABILITY_OTHER_PROCESSES);
	CHECK(!info->ok);
	CHECK_CONTAINS(info->how, "CAP_SYS_PTRACE");
	vpmu_host_free(host);
	CHECK(getuid() != 0 || seteuid(0) == 0); /* the leak checker wants it */
}

TEST(options_of_a_newer_program_are_refused)
{
	struct {
		struct vpmu_host_opts known;
		size_t unknown; /* as wide as the rest: padding would be garbage */
	} opts = { .known = { .sz = sizeof(opts) }, .unknown = 1 };
	struct vpmu_host *host = NULL;

	CHECK_EQ(vpmu_host_new(&opts.known, &host, NULL), -EINVAL);
	CHECK(!host);
}

int main(void)
{
	return test_main();
}
