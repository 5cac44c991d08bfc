/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_proc.h"
#include "session/sideband.h"
#include "test.h"

static struct plan clock_plan(void)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock");
	struct plan plan;

	CHECK_EQ(plan_init(&plan, &opts, NULL), 0);
	CHECK(vec_push(&plan.events[0].ids, 77));
	return plan;
}

/*
 * The next record of @records, which must be a mapping (comm NULL) or a name, and ours in all that
 * it ends with.
 */
static const struct perf_event_header *next(const struct plan *plan, const char **p,
					    const char *end, uint64_t time)
{
	const struct perf_event_header *record = (const void *)*p;
	struct perf_record_id id;

	CHECK_CMP(end - *p, >=, sizeof(*record));
	CHECK_CMP(record->size, <=, end - *p);
	CHECK_EQ(record->size % 8, 0);
	CHECK_EQ(perf_record_id(&plan->events[0].layout, record, &id), 0);
	CHECK_EQ(id.id, 77);
	CHECK_EQ(id.time, time);
	*p += record->size;
	return record;
}

static void expect_comm(const struct plan *plan, const char **p, const char *end, uint64_t time,
			uint32_t tid, const char *name)
{
	const struct perf_event_header *record = next(plan, p, end, time);
	struct perf_comm_record comm;

	CHECK_EQ(record->type, PERF_RECORD_COMM);
	CHECK_EQ(perf_record_comm(&plan->events[0].layout, record, &comm), 0);
	CHECK_EQ(comm.pid, 40);
	CHECK_EQ(comm.tid, tid);
	CHECK_STR(comm.comm, name);
}

static struct perf_mmap_record expect_map(const struct plan *plan, const char **p, const char *end,
					  uint64_t time, uint32_t type)
{
	const struct perf_event_header *record = next(plan, p, end, time);
	struct perf_mmap_record map;

	CHECK_EQ(record->type, type);
	CHECK_EQ(perf_record_mmap(&plan->events[0].layout, record, &map), 0);
	return map;
}

TEST(a_process_is_told_by_names_and_executable_mappings)
{
	struct plan plan = clock_plan();
	_strbuf_ struct strbuf out = {};
	struct perf_mmap_record map;
	const char *p, *end;
	int fd;

	fake_text(fake_path("40/task/40/comm"), "qemu\n");
	fake_text(fake_path("40/task/41/comm"), "CPU 0/KVM\n");
	fake_text(fake_path("40/maps"),
		  "00400000-00402000 r-xp 00001000 fe:00 1234   /usr/bin/qemu\n"
		  "00602000-00603000 rw-p 00002000 fe:00 1234   /usr/bin/qemu\n"
		  "7f0000000000-7f0000001000 rwxp 00000000 00:00 0\n");
	fd = open(fake_path("40"), O_RDONLY | O_DIRECTORY);
	CHECK_EQ(sideband_process(&plan, fd, 40, 5000, &out), 0);
	CHECK_EQ(sideband_thread(&plan, fd, 40, 41, 6000, &out), 0);
	close(fd);
	p = out.text;
	end = p + out.n;
	expect_comm(&plan, &p, end, 5000, 40, "qemu");
	map = expect_map(&plan, &p, end, 5000, PERF_RECORD_MMAP2);
	CHECK_EQ(map.start, 0x400000);
	CHECK_EQ(map.length_bytes, 0x2000);
	CHECK_EQ(map.pgoff_bytes, 0x1000);
	CHECK_STR(map.path, "/usr/bin/qemu");
	CHECK_STR(expect_map(&plan, &p, end, 5000, PERF_RECORD_MMAP2).path, "//anon");
	expect_comm(&plan, &p, end, 5000, 41, "CPU 0/KVM");
	expect_comm(&plan, &p, end, 6000, 41, "CPU 0/KVM");
	CHECK(p == end);
	plan_deinit(&plan);
}

TEST(the_kernel_ends_where_modules_begin)
{
	struct plan plan = clock_plan();
	_strbuf_ struct strbuf out = {};
	struct perf_mmap_record map;
	const char *p, *end;

	fake_text(fake_path("kallsyms"), "0000000000000000 A fixed_percpu_data\n"
					 "ffffffff81000000 T _stext\n"
					 "ffffffff81000000 T _text\n"
					 "ffffffff81000010 T startup\n");
	fake_text(fake_path("modules"), "kvm 1000 1 kvm_amd, Live 0xffffffffc0200000\n"
					"ext4 2000 1 - Live 0xffffffffc0100000\n");
	CHECK_EQ(sideband_kernel(&plan, fake_dir(), &out), 0);
	p = out.text;
	end = p + out.n;
	map = expect_map(&plan, &p, end, 0, PERF_RECORD_MMAP);
	CHECK_STR(map.path, "[kernel.kallsyms]_text");
	CHECK_EQ(map.pid, UINT32_MAX);
	CHECK_EQ(map.start, 0xffffffff81000000);
	CHECK_EQ(map.pgoff_bytes, 0xffffffff81000000);
	CHECK_EQ(map.start + map.length_bytes, 0xffffffffc0100000);
	map = expect_map(&plan, &p, end, 0, PERF_RECORD_MMAP);
	CHECK_STR(map.path, "[kvm]");
	CHECK_EQ(map.start, 0xffffffffc0200000);
	CHECK_EQ(map.length_bytes, 1000);
	CHECK_STR(expect_map(&plan, &p, end, 0, PERF_RECORD_MMAP).path, "[ext4]");
	CHECK(p == end);
	plan_deinit(&plan);
}

TEST(a_kernel_that_hides_its_addresses_is_left_out)
{
	struct plan plan = clock_plan();
	_strbuf_ struct strbuf out = {};

	fake_text(fake_path("kallsyms"), "0000000000000000 T _text\n");
	CHECK_EQ(sideband_kernel(&plan, fake_dir(), &out), 0);
	CHECK_EQ(out.n, 0);
	plan_deinit(&plan);
}

int main(void)
{
	return test_main();
}
