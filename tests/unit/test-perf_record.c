/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records are put together word by word, in the order of perf_event_open(2). */
#include <errno.h>
#include <sys/mman.h>

#include "format/perf_record.h"
#include "test.h"
#include "util/macro.h"

#define MAX_WORDS 64

struct made {
	union {
		struct perf_event_header header;
		uint64_t words[MAX_WORDS];
	};
};

static struct made make(uint32_t type, uint16_t misc, const uint64_t *words, size_t n)
{
	struct made m = {};

	m.header = (struct perf_event_header){ .type = type,
					       .misc = misc,
					       .size = (uint16_t)(8 + 8 * n) };
	memcpy(m.words + 1, words, 8 * n);
	return m;
}

#define MAKE(type, misc, ...)                                                                      \
	make(type, misc, (const uint64_t[]){ __VA_ARGS__ },                                        \
	     sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static uint64_t pair(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

static struct perf_layout layout_of(uint64_t sample_type, bool id_all)
{
	struct perf_event_attr attr = { .sample_type = sample_type, .sample_id_all = id_all };
	struct perf_layout layout;

	CHECK_EQ(perf_layout_init(&layout, &attr), 0);
	return layout;
}

TEST(a_sample_gives_its_words_chain_and_raw)
{
	struct perf_layout layout = layout_of(
		PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
			PERF_SAMPLE_ADDR | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |
			PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_RAW,
		true);
	struct made m =
		MAKE(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_GUEST_USER | PERF_RECORD_MISC_EXACT_IP,
		     77, 0xffffffff81000000, pair(10, 11), 1000, 0xadd7, 5, pair(3, 0), 250, 2,
		     PERF_CONTEXT_USER, 0x401000, pair(12, 'r' | 'a' << 8 | 'w' << 16), 0);
	struct perf_sample_record s;

	CHECK_EQ(perf_record_sample(&layout, &m.header, &s), 0);
	CHECK_EQ(s.id, 77);
	CHECK_EQ(s.ip, 0xffffffff81000000);
	CHECK_EQ(s.pid, 10);
	CHECK_EQ(s.tid, 11);
	CHECK_EQ(s.time, 1000);
	CHECK_EQ(s.addr, 0xadd7);
	CHECK_EQ(s.stream_id, 5);
	CHECK_EQ(s.cpu, 3);
	CHECK_EQ(s.period, 250);
	CHECK_EQ(s.cpumode, PERF_RECORD_MISC_GUEST_USER);
	CHECK_EQ(s.n_chain, 2);
	CHECK_EQ(s.chain[1], 0x401000);
	CHECK_EQ(s.raw_bytes, 12);
	CHECK_STR(s.raw, "raw");
	CHECK_EQ(perf_record_event_id(&layout, &m.header), 77);
}

TEST(fields_an_event_lacks_are_told_from_zero)
{
	struct perf_layout layout = layout_of(PERF_SAMPLE_IP, false);
	struct made m = MAKE(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, 0x1234);
	struct perf_sample_record s;

	CHECK_EQ(perf_record_sample(&layout, &m.header, &s), 0);
	CHECK_EQ(s.pid, UINT32_MAX);
	CHECK_EQ(s.tid, UINT32_MAX);
	CHECK_EQ(s.cpu, UINT32_MAX);
	CHECK(!s.chain && !s.raw);
	CHECK_EQ(perf_record_event_id(&layout, &m.header), 0);
}

TEST(the_chain_is_found_behind_every_read_format)
{
	struct perf_event_attr attr = { .sample_type = PERF_SAMPLE_READ | PERF_SAMPLE_CALLCHAIN };

	for (uint64_t format = 0; format < 32; format++) {
		bool group = format & PERF_FORMAT_GROUP;
		unsigned int items = group ? 3 : 1;
		unsigned int words = group + !!(format & 1) + !!(format & 2) +
				     items * (1 + !!(format & PERF_FORMAT_ID) + !!(format & 16));
		uint64_t body[MAX_WORDS] = { group ? items : 0 };
		struct perf_sample_record s;
		struct perf_layout layout;
		struct made m;

		attr.read_format = format;
		perf_layout_init(&layout, &attr);
		body[words] = 1;
		body[words + 1] = 0x77;
		m = make(PERF_RECORD_SAMPLE, 0, body, words + 2);
		CHECK_EQ(perf_record_sample(&layout, &m.header, &s), 0);
		CHECK_EQ(s.n_chain, 1);
		CHECK_EQ(s.chain[0], 0x77);
	}
}

/* One record with everything that can stand behind RAW, and how many words that is. */
static struct made made_with_tail(struct perf_layout *layout, size_t *ret_words)
{
	struct perf_event_attr attr = {
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_BRANCH_STACK | PERF_SAMPLE_REGS_USER |
			       PERF_SAMPLE_STACK_USER | PERF_SAMPLE_WEIGHT_STRUCT |
			       PERF_SAMPLE_DATA_SRC | PERF_SAMPLE_TRANSACTION |
			       PERF_SAMPLE_REGS_INTR | PERF_SAMPLE_PHYS_ADDR | PERF_SAMPLE_AUX |
			       PERF_SAMPLE_CGROUP | PERF_SAMPLE_DATA_PAGE_SIZE |
			       PERF_SAMPLE_CODE_PAGE_SIZE,
		.branch_sample_type = PERF_SAMPLE_BRANCH_HW_INDEX | 1u << 19,
		.sample_regs_user = 0x7,
		.sample_regs_intr = 0x3,
	};
	const uint64_t words[] = {
		0x401000,			       /* ip */
		2, 99, 1, 2, 0, 3, 4, 0, 0xc1, 0xc2,   /* branches: n, index, two entries, counters */
		PERF_SAMPLE_REGS_ABI_64, 1, 2, 3,      /* user registers */
		16, 0xdead, 0xbeef, 8,		       /* user stack: size, bytes, used */
		5, 6, 7,			       /* weight, data source, transaction */
		PERF_SAMPLE_REGS_ABI_NONE,	       /* interrupted registers: none */
		8, 9, 10, 11,			       /* physical address, cgroup, page sizes */
		8, 0xa0,			       /* aux: size, bytes */
	};

	perf_layout_init(layout, &attr);
	*ret_words = ARRAY_SIZE(words);
	return make(PERF_RECORD_SAMPLE, 0, words, ARRAY_SIZE(words));
}

TEST(a_sample_cut_anywhere_behind_raw_is_refused)
{
	struct perf_layout layout;
	struct perf_sample_record s;
	size_t n;
	struct made m = made_with_tail(&layout, &n);

	CHECK_EQ(perf_record_sample(&layout, &m.header, &s), 0);
	CHECK_EQ(s.ip, 0x401000);
	for (size_t words = 0; words < n; words++) {
		m.header.size = (uint16_t)(8 + 8 * words);
		CHECK_EQ(perf_record_sample(&layout, &m.header, &s), -EBADMSG);
	}
}

TEST(counts_that_lie_are_refused)
{
	struct perf_layout chain = layout_of(PERF_SAMPLE_CALLCHAIN, false);
	struct perf_layout raw = layout_of(PERF_SAMPLE_RAW, false);
	struct perf_layout branches = layout_of(PERF_SAMPLE_BRANCH_STACK, false);
	const uint64_t lies[] = { 2, UINT32_MAX, UINT64_MAX, UINT64_MAX / 8 + 1, 1ull << 61 };
	struct perf_sample_record s = { .ip = 42 };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct made m = MAKE(PERF_RECORD_SAMPLE, 0, lies[i], 0);

		CHECK_EQ(perf_record_sample(&chain, &m.header, &s), -EBADMSG);
		CHECK_EQ(perf_record_sample(&branches, &m.header, &s), -EBADMSG);
	}
	struct made m = MAKE(PERF_RECORD_SAMPLE, 0, pair(13, 0), 0);

	CHECK_EQ(perf_record_sample(&raw, &m.header, &s), -EBADMSG);
	CHECK_EQ(s.ip, 42); /* untouched */
}

TEST(the_id_is_found_in_samples_and_in_trailers)
{
	uint64_t type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID |
			PERF_SAMPLE_CPU;
	struct perf_layout layout = layout_of(type, true);
	struct made sample = MAKE(PERF_RECORD_SAMPLE, 0, 1, 2, 3, 44, 5);
	struct made exit_of = MAKE(PERF_RECORD_EXIT, 0, 1, 2, 3, pair(8, 9), 1000, 44, pair(6, 0));
	struct perf_record_id id;

	CHECK_EQ(perf_record_event_id(&layout, &sample.header), 44);
	CHECK_EQ(perf_record_event_id(&layout, &exit_of.header), 44);
	CHECK_EQ(perf_record_id(&layout, &exit_of.header, &id), 0);
	CHECK_EQ(id.pid, 8);
	CHECK_EQ(id.tid, 9);
	CHECK_EQ(id.time, 1000);
	CHECK_EQ(id.id, 44);
	CHECK_EQ(id.cpu, 6);
	exit_of.header.size = 8 + 3 * 8;
	CHECK_EQ(perf_record_id(&layout, &exit_of.header, &id), -EBADMSG);
}

TEST(a_record_of_the_tool_has_no_trailer)
{
	struct perf_layout layout = layout_of(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TIME, true);
	struct made m = MAKE(68, 0, 1, 2, 3);
	struct perf_record_id id;

	CHECK_EQ(perf_record_event_id(&layout, &m.header), 0);
	CHECK_EQ(perf_record_id(&layout, &m.header, &id), 0);
	CHECK_EQ(id.time, 0);
	CHECK_EQ(id.tid, UINT32_MAX);
}

TEST(mappings_have_protection_path_and_build_id)
{
	struct perf_layout layout = layout_of(PERF_SAMPLE_TID, true);
	uint64_t path;
	struct perf_mmap_record map;
	struct made m;

	memcpy(&path, "/bin/sh", 8);
	m = MAKE(PERF_RECORD_MMAP2, PERF_RECORD_MISC_USER | PERF_RECORD_MISC_MMAP_BUILD_ID,
		 pair(1, 2), 0x1000, 0x2000, 0x3000, pair(4, 0xddccbbaa), 0, 0,
		 pair(PROT_READ | PROT_EXEC, 0), path, pair(1, 2));
	CHECK_EQ(perf_record_mmap(&layout, &m.header, &map), 0);
	CHECK_EQ(map.pid, 1);
	CHECK_EQ(map.tid, 2);
	CHECK_EQ(map.start, 0x1000);
	CHECK_EQ(map.length_bytes, 0x2000);
	CHECK_EQ(map.pgoff_bytes, 0x3000);
	CHECK_EQ(map.prot, PROT_READ | PROT_EXEC);
	CHECK_EQ(map.build_id_bytes, 4);
	CHECK(memcmp(map.build_id, "\xaa\xbb\xcc\xdd", 4) == 0);
	CHECK_STR(map.path, "/bin/sh");

	m = MAKE(PERF_RECORD_MMAP, PERF_RECORD_MISC_KERNEL, pair(UINT32_MAX, 0), 0x1000, 0x2000,
		 0x3000, path, 0);
	CHECK_EQ(perf_record_mmap(&layout, &m.header, &map), 0);
	CHECK_EQ(map.prot, PROT_READ | PROT_EXEC);
	CHECK_EQ(map.build_id_bytes, 0);
	CHECK_STR(map.path, "/bin/sh");
	m.header.misc |= PERF_RECORD_MISC_MMAP_DATA;
	CHECK_EQ(perf_record_mmap(&layout, &m.header, &map), 0);
	CHECK_EQ(map.prot, PROT_READ);
}

TEST(a_string_without_its_nul_is_refused)
{
	struct perf_layout layout = layout_of(0, false);
	struct made m =
		MAKE(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC, pair(1, 2), 0x4141414141414141);
	struct perf_comm_record comm;

	CHECK_EQ(perf_record_comm(&layout, &m.header, &comm), -EBADMSG);
	memcpy(&m.words[2], "busy", 5);
	CHECK_EQ(perf_record_comm(&layout, &m.header, &comm), 0);
	CHECK_STR(comm.comm, "busy");
	CHECK(comm.exec);
	CHECK_EQ(comm.tid, 2);
}

TEST(tasks_losses_and_kernel_symbols_are_read)
{
	struct perf_layout layout = layout_of(0, false);
	struct made fork_of = MAKE(PERF_RECORD_FORK, 0, pair(1, 2), pair(3, 4), 5);
	struct made lost = MAKE(PERF_RECORD_LOST, 0, 99, 1234);
	struct made lost_samples = MAKE(PERF_RECORD_LOST_SAMPLES, 0, 4321);
	struct made symbol = MAKE(PERF_RECORD_KSYMBOL, 0, 0xffffffffc0000000, pair(64, 1 | 1 << 16),
				  'b' | 'p' << 8);
	struct perf_task_record task;
	struct perf_ksymbol_record k;
	uint64_t n;

	CHECK_EQ(perf_record_task(&fork_of.header, &task), 0);
	CHECK_EQ(task.pid, 1);
	CHECK_EQ(task.ppid, 2);
	CHECK_EQ(task.tid, 3);
	CHECK_EQ(task.ptid, 4);
	CHECK_EQ(task.time, 5);
	CHECK_EQ(perf_record_lost(&lost.header, &n), 0);
	CHECK_EQ(n, 1234);
	CHECK_EQ(perf_record_lost(&lost_samples.header, &n), 0);
	CHECK_EQ(n, 4321);
	CHECK_EQ(perf_record_ksymbol(&layout, &symbol.header, &k), 0);
	CHECK_EQ(k.address, 0xffffffffc0000000);
	CHECK_EQ(k.length_bytes, 64);
	CHECK(k.unregister);
	CHECK_STR(k.name, "bp");
	lost.header.size = 16;
	CHECK_EQ(perf_record_lost(&lost.header, &n), -EBADMSG);
}

int main(void)
{
	return test_main();
}
