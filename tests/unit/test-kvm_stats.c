/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/kvm.h>

#include "format/kvm_stats.h"
#include "test.h"

#define NAME_BYTES 16

struct file {
	struct kvm_stats_header header;
	struct {
		uint32_t flags;
		int16_t exponent;
		uint16_t size;
		uint32_t offset, bucket_size;
		char name[NAME_BYTES];
	} stats[4];
	uint64_t data[8];
};

static struct file make_file(void)
{
	return (struct file){
		.header = {
			.name_size = NAME_BYTES,
			.num_desc = 4,
			.desc_offset = offsetof(struct file, stats),
			.data_offset = offsetof(struct file, data),
		},
		.stats = {
			{ .size = 1, .offset = 8, .name = "exits" },
			{ .flags = KVM_STATS_UNIT_SECONDS, .exponent = -9, .size = 1, .offset = 16, .name = "wait_ns" },
			{ .flags = KVM_STATS_TYPE_INSTANT, .size = 1, .offset = 24, .name = "blocking" },
			{ .flags = KVM_STATS_TYPE_LOG_HIST, .size = 3, .offset = 32, .name = "wait_hist" },
		},
	};
}

TEST(a_statistic_is_found_by_name)
{
	struct file file = make_file();
	struct kvm_stat stat;

	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "exits", &stat), 0);
	CHECK_EQ(stat.offset, offsetof(struct file, data) + 8);
	CHECK(!stat.is_time);
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "wait_ns", &stat), 0);
	CHECK_EQ(stat.offset, offsetof(struct file, data) + 16);
	CHECK(stat.is_time);
}

TEST(what_is_no_count_is_not_taken_for_one)
{
	struct file file = make_file();
	struct kvm_stat stat = { .offset = 77 };

	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "blocking", &stat), -EOPNOTSUPP);
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "wait_hist", &stat), -EOPNOTSUPP);
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "exit", &stat), -ENOENT);
	file.stats[1].exponent = -3; /* milliseconds: KVM has none */
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "wait_ns", &stat), -EOPNOTSUPP);
	CHECK_EQ(stat.offset, 77);
}

TEST(damage_is_noticed)
{
	struct file file = make_file();
	struct kvm_stat stat;

	CHECK_EQ(kvm_stats_find(&file, 23, "exits", &stat), -EBADMSG);
	CHECK_EQ(kvm_stats_find(&file, offsetof(struct file, stats[1].name), "wait_ns", &stat),
		 -EBADMSG);
	memset(file.stats[0].name, 'x', NAME_BYTES);
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "wait_ns", &stat), -EBADMSG);
	file = make_file();
	file.header.num_desc = UINT32_MAX;
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "nothing", &stat), -EBADMSG);
	file.header.name_size = UINT32_MAX;
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "exits", &stat), -EBADMSG);
	file = make_file();
	file.header.desc_offset = UINT32_MAX - 8;
	CHECK_EQ(kvm_stats_find(&file, sizeof(file), "exits", &stat), -EBADMSG);
}

int main(void)
{
	return test_main();
}
