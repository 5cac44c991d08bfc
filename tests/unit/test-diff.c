/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <math.h>

#include "profile/interval.h"
#include "profile_fixture.h"

#define GK VPMU_SIDE_GUEST_KERNEL
#define GU VPMU_SIDE_GUEST_USER
#define HK VPMU_SIDE_HOST_KERNEL
#define HU VPMU_SIDE_HOST_USER

static struct vpmu_diff *diff_of(const struct vpmu_profile *base, const struct vpmu_profile *other,
				 const struct vpmu_diff_opts *opts)
{
	struct vpmu_error error = {};
	struct vpmu_diff *diff;

	if (vpmu_diff_new(base, other, opts, &diff, &error) < 0)
		FAIL("vpmu_diff_new: %s", error.text);
	return diff;
}

static const struct vpmu_diff_row *row_of(const struct vpmu_diff *diff, const char *symbol)
{
	const struct vpmu_diff_row *row;

	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++)
		if (streq(row->symbol, symbol))
			return row;
	FAIL("no row for %s", symbol);
}

static size_t count_rows(const struct vpmu_diff *diff)
{
	size_t n = 0;

	while (vpmu_diff_row(diff, n))
		n++;
	return n;
}

static struct vpmu_profile *host_and_guest(void)
{
	struct vpmu_profile *p = new_profile();

	profile_put_guest(p, "web1", "7f1c44a0-0001-4000-8000-000000000001");
	put_symbol(p, GK, "schedule", "[kernel]", 30);
	put_symbol(p, GU, "work", "/bin/load", 70);
	put_symbol(p, HK, "schedule", "[kernel]", 50);
	put_symbol(p, HK, "schedule", "[kvm]", 100);
	put_symbol(p, HU, "main_loop", "/usr/bin/qemu", 50);
	return p;
}

TEST(a_name_pairs_across_guest_and_host_of_one_profile)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .base_sides = VPMU_SIDES_HOST,
		  .other_sides = VPMU_SIDES_GUEST);
	struct vpmu_profile *p = host_and_guest();
	struct vpmu_diff *diff = diff_of(p, p, &opts);
	const struct vpmu_diff_row *row = row_of(diff, "schedule");

	CHECK_EQ(vpmu_diff_samples(diff, true), 200);
	CHECK_EQ(vpmu_diff_samples(diff, false), 100);
	CHECK_EQ(count_rows(diff), 3);
	CHECK_EQ(row->base_samples, 150);
	CHECK_EQ(row->other_samples, 30);
	CHECK(row->base_percent == 75 && row->other_percent == 30);
	CHECK(fabs(row->delta + 45) < 1e-9);
	CHECK_STR(row->dso, "[kvm]");
	CHECK_STR(vpmu_diff_row(diff, 0)->symbol, "work");
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

TEST(by_dso_keeps_files_apart)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .base_sides = VPMU_SIDES_HOST,
		  .other_sides = VPMU_SIDES_GUEST, .by_dso = true);
	struct vpmu_profile *p = host_and_guest();
	struct vpmu_diff *diff = diff_of(p, p, &opts);

	CHECK_EQ(count_rows(diff), 4);
	for (size_t i = 0; i < 4; i++)
		if (streq(vpmu_diff_row(diff, i)->dso, "[kvm]"))
			CHECK_EQ(vpmu_diff_row(diff, i)->base_samples, 100);
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

TEST(places_without_a_name_pair_by_file_and_offset)
{
	struct vpmu_profile *base = new_profile(), *other = new_profile();
	struct vpmu_diff *diff;
	const struct vpmu_diff_row *row;

	put_symbol(base, HU, "0x3f10", "/lib/a.so", 10);
	put_symbol(base, HU, "0x3f10", "/lib/b.so", 20);
	put_symbol(other, HU, "0x3f10", "/lib/a.so", 30);
	put_symbol(other, HU, "0x3f18", "/lib/a.so", 40);
	diff = diff_of(base, other, NULL);
	CHECK_EQ(count_rows(diff), 3);
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); i++)
		if (row->base_samples && row->other_samples)
			CHECK(row->base_samples == 10 && row->other_samples == 30);
	vpmu_diff_free(diff);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
}

TEST(an_address_of_one_guest_is_not_the_same_one_of_another)
{
	static const char *const web[] = { "web1" }, *const db[] = { "db1" };
	VPMU_OPTS(vpmu_diff_opts, opts, .base_guests = web, .n_base_guests = 1, .other_guests = db,
		  .n_other_guests = 1);
	struct vpmu_profile *p = new_profile();
	uint32_t f = put_frame(p, GU, "0x2001c3", "[unknown]"), named = put_frame(p, GU, "f", "a");
	struct vpmu_diff *diff;

	profile_put_guest(p, "web1", "");
	profile_put_guest(p, "db1", "");
	for (uint32_t guest = 0; guest < 2; guest++)
		for (uint32_t vcpu = 0; vcpu < 2; vcpu++) {
			put_hit(p, &(struct hit){ .guest = guest, .vcpu = vcpu, .side = GU,
						  .samples = 1 + guest, .stack = &f, .n_stack = 1 });
			put_hit(p, &(struct hit){ .guest = guest, .vcpu = vcpu, .side = GU,
						  .samples = 5, .stack = &named, .n_stack = 1 });
		}
	diff = diff_of(p, p, &opts);
	CHECK_EQ(count_rows(diff), 3);
	CHECK_EQ(row_of(diff, "f")->base_samples, 10);
	CHECK_EQ(row_of(diff, "f")->other_samples, 10);
	/* The one that is heavier in its guest comes first. */
	CHECK_EQ(row_of(diff, "0x2001c3")->base_samples, 0);
	CHECK_EQ(row_of(diff, "0x2001c3")->other_samples, 4);
	vpmu_diff_free(diff);

	opts.other_guests = web;
	diff = diff_of(p, p, &opts);
	CHECK_EQ(count_rows(diff), 2);
	CHECK(row_of(diff, "0x2001c3")->delta == 0);
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

/* How many rows an address has that was hit in one guest of each profile: 1 = it is one guest. */
static size_t rows_of_one_address(const char *base_name, const char *base_uuid, const char *other_name,
				  const char *other_uuid)
{
	const char *const names[2] = { base_name, other_name }, *const uuids[2] = { base_uuid, other_uuid };
	struct vpmu_profile *p[2];
	struct vpmu_diff *diff;
	size_t n;

	for (int i = 0; i < 2; i++) {
		p[i] = new_profile();
		profile_put_guest(p[i], names[i], uuids[i]);
		put_symbol(p[i], GU, "0x2001c3", "[unknown]", 10);
	}
	diff = diff_of(p[0], p[1], NULL);
	n = count_rows(diff);
	vpmu_diff_free(diff);
	vpmu_profile_free(p[0]);
	vpmu_profile_free(p[1]);
	return n;
}

TEST(a_guest_is_the_same_by_its_uuid_and_only_without_one_by_its_name)
{
	static const char one[] = "7f1c44a0-0001-4000-8000-000000000001", two[] = "7f1c44a0-0001-4000-8000-000000000002";

	CHECK_EQ(rows_of_one_address("web1", one, "web1-new", one), 1);
	CHECK_EQ(rows_of_one_address("web1", one, "web1", two), 2);
	CHECK_EQ(rows_of_one_address("web1", "", "web1", two), 1);
	CHECK_EQ(rows_of_one_address("web1", one, "web1", ""), 1);
	CHECK_EQ(rows_of_one_address("web1", "", "web1", ""), 1);
	CHECK_EQ(rows_of_one_address("web1", "", "web2", two), 2);
	CHECK_EQ(rows_of_one_address(one, "", "web1", one), 2);
}

TEST(guests_of_one_name_in_one_profile_stay_apart)
{
	static const char *const nameless[] = { "web1" };
	VPMU_OPTS(vpmu_diff_opts, opts, .base_guests = nameless, .n_base_guests = 1);
	struct vpmu_profile *p = new_profile();
	uint32_t f = put_frame(p, GU, "0x2001c3", "[unknown]");
	struct vpmu_diff *diff;

	profile_put_guest(p, "web1", "");
	profile_put_guest(p, "web1", "7f1c44a0-0001-4000-8000-000000000001");
	for (uint32_t guest = 0; guest < 2; guest++)
		put_hit(p, &(struct hit){ .guest = guest, .side = GU, .samples = 5 + guest, .stack = &f, .n_stack = 1 });
	diff = diff_of(p, p, &opts);
	CHECK_EQ(count_rows(diff), 2);
	CHECK(vpmu_diff_row(diff, 0)->delta == 0 && vpmu_diff_row(diff, 1)->delta == 0);
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

TEST(an_address_of_a_guest_is_none_of_the_hosts)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .base_sides = VPMU_SIDES_HOST,
		  .other_sides = VPMU_SIDES_GUEST);
	struct vpmu_profile *p = new_profile();
	struct vpmu_diff *diff;

	put_symbol(p, HU, "0x10", "[unknown]", 1);
	put_symbol(p, GU, "0x10", "[unknown]", 1);
	diff = diff_of(p, p, &opts);
	CHECK_EQ(count_rows(diff), 2);
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

/* 400 symbols; a slow comparison, straight from the definition, is the referee. */
TEST(rows_are_what_the_definition_says_whatever_the_order_of_input)
{
	enum { N = 400 };
	struct vpmu_profile *base = new_profile(), *other = new_profile();
	struct vpmu_profile *reversed = new_profile();
	uint64_t in_base[N], in_other[N], sum_base = 0, sum_other = 0;
	const struct vpmu_diff_row *row, *previous = NULL;
	struct vpmu_diff *diff, *again;
	char name[16];

	for (int i = 0; i < N; i++) {
		sum_base += in_base[i] = (uint64_t)(i * 7919 % 101) * (i % 3 != 0);
		sum_other += in_other[i] = (uint64_t)(i * 104729 % 97) * (i % 5 != 0);
		snprintf(name, sizeof(name), "f%d", i);
		put_symbol(base, HU, name, "/bin/x", in_base[i]);
		put_symbol(other, HU, name, "/bin/x", in_other[i]);
	}
	for (int i = N - 1; i >= 0; i--) {
		snprintf(name, sizeof(name), "f%d", i);
		put_symbol(reversed, HU, name, "/bin/x", in_base[i]);
	}
	diff = diff_of(base, other, NULL);
	again = diff_of(reversed, other, NULL);
	for (size_t i = 0; (row = vpmu_diff_row(diff, i)); previous = row, i++) {
		int n = atoi(row->symbol + 1);
		struct interval d = interval_difference(in_base[n], sum_base, in_other[n],
							sum_other, INTERVAL_Z_95);

		CHECK_EQ(row->base_samples, in_base[n]);
		CHECK_EQ(row->other_samples, in_other[n]);
		CHECK(row->low == 100 * d.low && row->high == 100 * d.high);
		CHECK_EQ(row->significant, d.low > 0 || d.high < 0);
		CHECK(!previous || fabs(previous->delta) >= fabs(row->delta));
		CHECK_STR(vpmu_diff_row(again, i)->symbol, row->symbol);
	}
	for (int i = 0; i < N; i++)
		if (in_base[i] || in_other[i])
			snprintf(name, sizeof(name), "f%d", i), row_of(diff, name);
	vpmu_diff_free(diff);
	vpmu_diff_free(again);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
	vpmu_profile_free(reversed);
}

TEST(the_same_share_in_a_longer_profile_is_no_change)
{
	struct vpmu_profile *base = new_profile(), *other = new_profile();
	struct vpmu_diff *diff;

	put_symbol(base, HU, "f", "/bin/x", 100);
	put_symbol(base, HU, "g", "/bin/x", 900);
	put_symbol(other, HU, "f", "/bin/x", 1000);
	put_symbol(other, HU, "g", "/bin/x", 8000);
	put_symbol(other, HU, "h", "/bin/x", 1000);
	diff = diff_of(base, other, NULL);
	CHECK(row_of(diff, "f")->delta == 0);
	CHECK(!row_of(diff, "f")->significant);
	CHECK(row_of(diff, "g")->significant);
	CHECK(row_of(diff, "h")->significant && row_of(diff, "h")->low > 0);
	CHECK_EQ(row_of(diff, "h")->base_samples, 0);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
	/* The rows stand by themselves. */
	CHECK_STR(row_of(diff, "h")->dso, "/bin/x");
	vpmu_diff_free(diff);
}

TEST(limit_and_least_share_leave_out_the_rest)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .min_percent = 5);
	struct vpmu_profile *base = new_profile(), *other = new_profile();
	struct vpmu_diff *diff;

	put_symbol(base, HU, "falls", "/bin/x", 60);
	put_symbol(base, HU, "small", "/bin/x", 4);
	put_symbol(base, HU, "stays", "/bin/x", 36);
	put_symbol(other, HU, "falls", "/bin/x", 3);
	put_symbol(other, HU, "small", "/bin/x", 4);
	put_symbol(other, HU, "stays", "/bin/x", 93);
	diff = diff_of(base, other, &opts);
	CHECK_EQ(count_rows(diff), 2);
	CHECK_EQ(row_of(diff, "falls")->other_samples, 3);
	vpmu_diff_free(diff);
	opts.limit = 1;
	diff = diff_of(base, other, &opts);
	CHECK_EQ(count_rows(diff), 1);
	/* Both move by 57 points; the heavier one comes first. */
	CHECK_STR(vpmu_diff_row(diff, 0)->symbol, "stays");
	CHECK_EQ(vpmu_diff_samples(diff, true), 100);
	vpmu_diff_free(diff);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
}

TEST(guests_and_events_are_selected_by_side)
{
	static const char *const web[] = { "web1" };
	static const char *const db[] = { "7f1c44a0-0001-4000-8000-00000000000d" };
	VPMU_OPTS(vpmu_diff_opts, opts, .base_guests = web, .n_base_guests = 1, .other_guests = db,
		  .n_other_guests = 1, .other_event = 1);
	struct vpmu_profile *p = new_profile();
	struct vpmu_diff *diff;
	uint32_t f = put_frame(p, GK, "f", "[kernel]");
	struct hit hit = { .side = GK, .stack = &f, .n_stack = 1 };

	profile_put_guest(p, "web1", "7f1c44a0-0001-4000-8000-00000000000a");
	profile_put_guest(p, "db1", db[0]);
	hit.samples = 1, put_hit(p, &hit);
	hit.samples = 2, hit.event = 1, put_hit(p, &hit);
	hit.samples = 4, hit.guest = 1, put_hit(p, &hit);
	hit.samples = 8, hit.event = 0, put_hit(p, &hit);
	hit.samples = 16, hit.guest = VPMU_NO_GUEST, put_hit(p, &hit);
	diff = diff_of(p, p, &opts);
	CHECK_EQ(vpmu_diff_samples(diff, true), 1);
	CHECK_EQ(vpmu_diff_samples(diff, false), 4);
	vpmu_diff_free(diff);
	vpmu_profile_free(p);
}

TEST(what_cannot_be_compared_is_refused_with_its_reason)
{
	static const char *const nobody[] = { "web9" };
	VPMU_OPTS(vpmu_diff_opts, opts, .base_sides = VPMU_SIDES_HOST, .other_sides = 1u << GU);
	struct vpmu_profile *p = new_profile(), *unresolved = new_profile();
	struct vpmu_diff *const sentinel = (struct vpmu_diff *)&opts, *diff = sentinel;
	struct vpmu_error error = {};

	profile_put_guest(p, "web1", "");
	put_symbol(p, HK, "f", "[kernel]", 1);
	CHECK_EQ(vpmu_diff_new(p, p, &opts, &diff, &error), -ENODATA);
	CHECK_STR(error.text, "nothing to compare: no guest-user samples in the other profile");
	opts.base_guests = nobody;
	opts.n_base_guests = 1;
	CHECK_EQ(vpmu_diff_new(p, p, &opts, &diff, &error), -ENOENT);
	CHECK_CONTAINS(error.text, "'web9'");
	CHECK_CONTAINS(error.hint, "web1");
	CHECK_EQ(vpmu_diff_new(unresolved, p, NULL, &diff, &error), -EINVAL);
	opts.sz = 1;
	CHECK_EQ(vpmu_diff_new(p, p, &opts, &diff, &error), -EINVAL);
	CHECK(diff == sentinel);
	vpmu_profile_free(p);
	vpmu_profile_free(unresolved);
}

int main(void)
{
	return test_main();
}
