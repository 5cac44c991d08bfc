/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "format/vpmu_section.h"
#include "test.h"

static struct vpmu_vcpu_info vcpus[] = { { .index = 0, .tid = 1001 }, { .index = 1, .tid = 1002 } };
static struct vpmu_guest_info two_guests[] = {
	{ .pid = 1000, .start_ticks = 1ull << 40, .name = "web1",
	  .uuid = "de305d54-75b4-431b-adb2-eb6b9e546014", .exe = "/usr/bin/qemu-system-x86_64", .accel = VPMU_ACCEL_KVM, .n_vcpus = 2, .vcpus = vcpus },
	{ .pid = 2000, .name = "pid:2000", .uuid = "", .exe = "", .accel = VPMU_ACCEL_TCG },
};

static struct strbuf encoded_guests(void)
{
	char source[] = "cpu-clock 999 Hz";
	char boot[] = "a boot";
	struct vpmu_section_life lives[] = { { 5, 7 }, { .not_linux = true } };
	struct vpmu_section_guests guests = { .source = source, .n_guests = 2, .guests = two_guests, .lives = lives,
					      .boot_id = boot };
	struct strbuf out = {};

	CHECK_EQ(vpmu_section_guests_encode(&guests, &out), 0);
	return out;
}

TEST(guests_come_back_as_they_were)
{
	_strbuf_ struct strbuf section = encoded_guests();
	struct vpmu_section_guests back;

	CHECK_EQ(vpmu_section_guests_decode(section.text, section.n, &back), 0);
	CHECK_STR(back.source, "cpu-clock 999 Hz");
	CHECK_EQ(back.n_guests, 2);
	CHECK_EQ(back.guests[0].pid, 1000);
	CHECK_EQ(back.guests[0].start_ticks, 1ull << 40);
	CHECK_STR(back.guests[0].name, "web1");
	CHECK_STR(back.guests[0].uuid, two_guests[0].uuid);
	CHECK_STR(back.guests[0].exe, two_guests[0].exe);
	CHECK_EQ(back.guests[0].accel, VPMU_ACCEL_KVM);
	CHECK_EQ(back.guests[0].n_vcpus, 2);
	CHECK_EQ(back.guests[0].vcpus[1].index, 1);
	CHECK_EQ(back.guests[0].vcpus[1].tid, 1002);
	CHECK_EQ(back.guests[1].n_vcpus, 0);
	CHECK_STR(back.guests[1].uuid, "");
	CHECK_EQ(back.lives[0].from_ns, 5);
	CHECK_EQ(back.lives[0].until_ns, 7);
	CHECK_EQ(back.lives[1].until_ns, 0);
	CHECK(!back.lives[0].not_linux);
	CHECK(back.lives[1].not_linux);
	CHECK_STR(back.boot_id, "a boot");
	vpmu_section_guests_deinit(&back);
	CHECK_EQ(back.n_guests, 0);
}

TEST(guests_cut_off_anywhere_are_refused)
{
	_strbuf_ struct strbuf section = encoded_guests();
	struct vpmu_section_guests back = { .n_guests = 99 };

	for (size_t n = 0; n < section.n; n++) {
		char *cut = malloc(n ?: 1); /* so that a sanitizer sees a step too far */

		memcpy(cut, section.text, n);
		if (n != section.n - 4 - strlen("a boot")) /* there is the end of older files */
			CHECK_EQ(vpmu_section_guests_decode(cut, n, &back), -EBADMSG);
		free(cut);
	}
	CHECK_EQ(back.n_guests, 99);
}

TEST(a_newer_section_version_is_refused_and_newer_fields_are_passed_over)
{
	_strbuf_ struct strbuf section = {};
	struct vpmu_section_guests back;
	const uint32_t entry[] = { 1, 1, 0, 40, 5, 0, 0, 0, 0, 0, 0, 0, 0xfeed, 0xbeef };

	strbuf_add(&section, (const char *)entry, sizeof(entry));
	CHECK_EQ(vpmu_section_guests_decode(section.text, section.n, &back), 0);
	CHECK_EQ(back.n_guests, 1);
	CHECK_EQ(back.guests[0].pid, 5);
	vpmu_section_guests_deinit(&back);
	section.text[0] = 2;
	CHECK_EQ(vpmu_section_guests_decode(section.text, section.n, &back), -EBADMSG);
}

TEST(older_files_lack_times_and_boot)
{
	const uint32_t guest[] = { 1, 1, 0, 32, 5, 0, 0, 0, 0, 0, 0, 0 };
	struct vpmu_section_guests back;

	CHECK_EQ(vpmu_section_guests_decode(guest, sizeof(guest), &back), 0);
	CHECK_EQ(back.guests[0].pid, 5);
	CHECK_EQ(back.lives[0].from_ns, 0);
	CHECK_EQ(back.lives[0].until_ns, 0);
	CHECK_STR(back.boot_id, "");
	vpmu_section_guests_deinit(&back);
}

TEST(counts_that_lie_cost_nothing)
{
	const uint32_t guests[] = { 1, UINT32_MAX, 0, 0, 0 };
	const uint32_t n_vcpus[] = { 1, 1, 0, 32, 5, 0, 0, 0, 0, 0, 0, UINT32_MAX };
	struct vpmu_section_guests back;

	CHECK_EQ(vpmu_section_guests_decode(guests, sizeof(guests), &back), -EBADMSG);
	CHECK_EQ(vpmu_section_guests_decode(n_vcpus, sizeof(n_vcpus), &back), -EBADMSG);
}

TEST(control_characters_in_names_are_replaced)
{
	struct vpmu_guest_info guest = { .name = "a\n\x1b[1mb", .uuid = "", .exe = "" };
	struct vpmu_section_guests guests = { .n_guests = 1, .guests = &guest }, back;
	_strbuf_ struct strbuf section = {};

	CHECK_EQ(vpmu_section_guests_encode(&guests, &section), 0);
	CHECK_EQ(vpmu_section_guests_decode(section.text, section.n, &back), 0);
	CHECK_STR(back.guests[0].name, "a??[1mb");
	vpmu_section_guests_deinit(&back);
}

static const struct vpmu_section_table two_tables[] = {
	{ .kind = VPMU_TABLE_HOST_KERNEL, .guest = UINT32_MAX,
	  .image = "image one", .image_bytes = 9 },
	{ .kind = VPMU_TABLE_FILE, .guest = 1, .path = "/bin/sh",
	  .build_id = { 1, 2, 3 }, .build_id_bytes = 3, .image = "two", .image_bytes = 3 },
};

static int check_table(const struct vpmu_section_table *table, void *data)
{
	size_t *seen = data;
	const struct vpmu_section_table *want = &two_tables[(*seen)++];

	CHECK_EQ(table->kind, want->kind);
	CHECK_EQ(table->guest, want->guest);
	CHECK_STR(table->path, want->path ?: "");
	CHECK_EQ(table->build_id_bytes, want->build_id_bytes);
	CHECK(memcmp(table->build_id, want->build_id, sizeof(want->build_id)) == 0);
	CHECK_EQ(table->image_bytes, want->image_bytes);
	CHECK(memcmp(table->image, want->image, want->image_bytes) == 0);
	return 0;
}

static int stop_with_7(const struct vpmu_section_table *table, void *data)
{
	(void)table;
	++*(size_t *)data;
	return 7;
}

TEST(tables_come_back_in_order_and_stop_when_told)
{
	_strbuf_ struct strbuf section = {};
	size_t seen = 0;

	CHECK_EQ(vpmu_section_tables_encode(two_tables, 2, &section), 0);
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n, check_table, &seen), 0);
	CHECK_EQ(seen, 2);
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n, stop_with_7, &seen), 7);
	CHECK_EQ(seen, 3);
	seen = 0;
	CHECK_EQ(vpmu_section_tables_decode(section.text, section.n - 1, check_table, &seen), -EBADMSG);
	CHECK_EQ(seen, 1);
}

int main(void)
{
	return test_main();
}
