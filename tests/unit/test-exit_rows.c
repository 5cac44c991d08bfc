/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/exit_rows.h"
#include "test.h"

#define SVM   2
#define CPUID 0x72

static const struct exit_thread vcpus[] = {
	{ .tid = 100, .guest = 0, .vcpu = 1, .isa = SVM },
	{ .tid = 99, .guest = 0, .vcpu = 0, .isa = SVM },
};

static struct vpmu_bpf_exit_row kernel_row(uint64_t count, uint64_t total_ns, uint32_t epoch,
					   uint64_t min_ns, uint64_t max_ns)
{
	struct vpmu_bpf_exit_row row = { .code = CPUID, .has_code = 1, .count = count, .total_ns = total_ns };

	row.ranges[epoch & 1] = (struct vpmu_bpf_exit_range){ .epoch = epoch, .min_ns = min_ns, .max_ns = max_ns };
	row.buckets[4] = count;
	return row;
}

static void update(struct exit_rows *rows, enum vpmu_exit_key key, uint64_t value,
		   struct vpmu_bpf_exit_row row, uint32_t epoch)
{
	CHECK_EQ(exit_rows_update(rows, 0, SVM, key, value, &row, epoch), 0);
}

static const struct vpmu_exit *make(struct exit_rows *rows, enum vpmu_count_since since)
{
	CHECK_EQ(exit_rows_make(rows, vcpus, 2, since), 0);
	CHECK(rows->items.n > 0);
	return rows->items.items;
}

TEST(a_reading_since_the_last_one_is_a_difference_with_its_own_extremes)
{
	struct exit_rows rows = {};
	const struct vpmu_exit *row;

	CHECK_EQ(exit_rows_init(&rows), 0);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(10, 9000, 1, 600, 2000), 1);
	row = make(&rows, VPMU_SINCE_LAST);
	CHECK_EQ(row->count, 10);
	CHECK_EQ(row->max_ns, 2000);
	exit_rows_told(&rows);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(13, 12000, 2, 900, 1100), 2);
	row = make(&rows, VPMU_SINCE_LAST);
	CHECK_EQ(row->count, 3);
	CHECK_EQ(row->total_ns, 3000);
	CHECK_EQ(row->min_ns, 900);
	CHECK_EQ(row->max_ns, 1100);
	CHECK_EQ(row->buckets[4], 3);
	row = make(&rows, VPMU_SINCE_START);
	CHECK_EQ(row->count, 13);
	CHECK_EQ(row->min_ns, 600);
	CHECK_EQ(row->max_ns, 2000);
	CHECK_STR(row->reason, "cpuid");
	CHECK_EQ(row->tid, 100);
	exit_rows_deinit(&rows);
}

TEST(a_row_without_an_exit_since_the_last_reading_is_left_out)
{
	struct exit_rows rows = {};

	CHECK_EQ(exit_rows_init(&rows), 0);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(10, 9000, 1, 600, 2000), 1);
	exit_rows_told(&rows);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(10, 9000, 1, 600, 2000), 2); /* the range is stale */
	CHECK_EQ(exit_rows_make(&rows, vcpus, 2, VPMU_SINCE_LAST), 0);
	CHECK_EQ(rows.items.n, 0);
	CHECK_EQ(make(&rows, VPMU_SINCE_START)->count, 10);
	exit_rows_deinit(&rows);
}

TEST(rows_go_with_their_thread_and_the_others_go_on)
{
	struct vpmu_bpf_exit_row ten = kernel_row(10, 9000, 1, 600, 2000), twelve = kernel_row(12, 9900, 2, 400, 500);
	const uint32_t places[] = { EXIT_ROWS_NOWHERE, 0 };
	struct exit_rows rows = {};

	CHECK_EQ(exit_rows_init(&rows), 0);
	for (uint32_t thread = 0; thread < 2; thread++) {
		CHECK_EQ(exit_rows_update(&rows, thread, SVM, VPMU_EXIT_REASON, CPUID, &ten, 1), 0);
		CHECK_EQ(exit_rows_update(&rows, thread, SVM, VPMU_EXIT_PORT, 0x2f0, &ten, 1), 0);
	}
	exit_rows_told(&rows);
	CHECK_EQ(exit_rows_renumber(&rows, places), 0);
	CHECK_EQ(rows.entries.n, 2);
	CHECK_EQ(exit_rows_update(&rows, 0, SVM, VPMU_EXIT_REASON, CPUID, &twelve, 2), 0);
	CHECK_EQ(rows.entries.n, 2); /* it is found under its new number */
	CHECK_EQ(exit_rows_make(&rows, &vcpus[1], 1, VPMU_SINCE_LAST), 0);
	CHECK_EQ(rows.items.n, 1);
	CHECK_EQ(rows.items.items[0].count, 2);
	CHECK_EQ(rows.items.items[0].tid, 99);
	exit_rows_deinit(&rows);
}

TEST(sums_that_wrapped_give_the_right_difference)
{
	struct exit_rows rows = {};

	CHECK_EQ(exit_rows_init(&rows), 0);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(UINT64_MAX - 1, UINT64_MAX - 100, 1, 1, 1), 1);
	exit_rows_told(&rows);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(3, 899, 2, 1, 1), 2);
	CHECK_EQ(make(&rows, VPMU_SINCE_LAST)->count, 5);
	CHECK_EQ(rows.items.items->total_ns, 1000);
	exit_rows_deinit(&rows);
}

static const char *name_of(struct exit_rows *rows, enum vpmu_exit_key key, uint64_t value)
{
	update(rows, key, value, kernel_row(1, 0, 1, 0, 0), 1);
	CHECK_EQ(exit_rows_make(rows, vcpus, 2, VPMU_SINCE_START), 0);
	for (size_t i = 0; i < rows->items.n; i++)
		if (rows->items.items[i].key == key)
			return rows->items.items[i].name;
	FAIL("no row of key %u", key);
}

TEST(values_have_names)
{
	struct exit_rows rows = {};

	CHECK_EQ(exit_rows_init(&rows), 0);
	CHECK_STR(name_of(&rows, VPMU_EXIT_MSR, 0x6e0 | VPMU_BPF_EXIT_WRITE), "IA32_TSC_DEADLINE");
	CHECK_STR(name_of(&rows, VPMU_EXIT_PORT, 0x3f8 | VPMU_BPF_EXIT_WRITE), "0x3f8");
	CHECK_STR(name_of(&rows, VPMU_EXIT_MMIO, 0xfee00000 | VPMU_BPF_EXIT_MMIO_WRITE), "0xfee00000");
	CHECK_STR(name_of(&rows, VPMU_EXIT_CPUID, 0x7 | 1ull << 32), "0x7.1");
	CHECK_STR(name_of(&rows, VPMU_EXIT_FAULT, 0x6), "write, absent, user");
	CHECK_STR(name_of(&rows, VPMU_EXIT_USER, UINT64_MAX), "interrupted");
	CHECK_STR(name_of(&rows, VPMU_EXIT_ANCILLARY, (uint64_t)CPUID << 32 | 0x80), "cpuid");
	exit_rows_deinit(&rows);
}

TEST(exits_of_a_nested_guest_are_rows_of_their_own)
{
	struct exit_rows rows = {};
	struct vpmu_bpf_exit_row nested = kernel_row(5, 500, 1, 100, 100);

	nested.nested = 1;
	CHECK_EQ(exit_rows_init(&rows), 0);
	update(&rows, VPMU_EXIT_REASON, CPUID, kernel_row(2, 9000, 1, 100, 100), 1);
	update(&rows, VPMU_EXIT_REASON, CPUID, nested, 1);
	CHECK_EQ(exit_rows_update(&rows, 1, SVM, VPMU_EXIT_REASON, CPUID, &nested, 1), 0);
	make(&rows, VPMU_SINCE_START);
	CHECK_EQ(rows.items.n, 3);
	CHECK_EQ(rows.items.items[0].vcpu, 0); /* by vCPU, then by time */
	CHECK_EQ(rows.items.items[1].nested, false);
	CHECK_EQ(rows.items.items[2].nested, true);
	CHECK_EQ(rows.items.items[2].count, 5);
	exit_rows_deinit(&rows);
}

TEST(a_percentile_is_the_end_of_its_bucket_but_no_longer_than_the_longest)
{
	struct vpmu_exit row = { .max_ns = 5000 };

	row.buckets[4] = 98; /* below 1024 */
	row.buckets[7] = 2;  /* below 8192 */
	CHECK_EQ(vpmu_exit_percentile(&row, 50), 1024);
	CHECK_EQ(vpmu_exit_percentile(&row, 98), 1024);
	CHECK_EQ(vpmu_exit_percentile(&row, 99), 5000);
	CHECK_EQ(vpmu_exit_percentile(&(struct vpmu_exit){}, 99), 0);
	CHECK_EQ(vpmu_exit_bucket_ns(0), 64);
	CHECK_EQ(vpmu_exit_bucket_ns(VPMU_EXIT_BUCKETS - 1) == UINT64_MAX, 1);
}

int main(void)
{
	return test_main();
}
