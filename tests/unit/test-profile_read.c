/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles as bytes, and back: profile_write.c, profile_read.c. */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "export_fixture.h"
#include "profile/tables.h"

static void *written(const struct vpmu_profile *p, const struct vpmu_profile_write_opts *opts, size_t *ret_n)
{
	struct vpmu_error error = {};
	void *bytes = NULL;

	if (vpmu_profile_write(p, opts, &bytes, ret_n, &error) < 0)
		FAIL("vpmu_profile_write: %s", error.text);
	return bytes;
}

static struct vpmu_profile *read_back(const void *bytes, size_t n)
{
	struct vpmu_error error = {};
	struct vpmu_profile *p = NULL;

	if (vpmu_profile_read(bytes, n, NULL, &p, &error) < 0)
		FAIL("vpmu_profile_read: %s", error.text);
	return p;
}

static struct vpmu_profile *copy_of(const struct vpmu_profile *p, const struct vpmu_profile_write_opts *opts)
{
	struct vpmu_profile *copy;
	size_t n;
	void *bytes = written(p, opts, &n);

	copy = read_back(bytes, n);
	free(bytes);
	return copy;
}

static void check_same(const struct vpmu_profile *a, const struct vpmu_profile *b)
{
	VPMU_OPTS(vpmu_export_opts, opts);

	for (int weight = 0; weight < 2; weight++) {
		char *text_a, *text_b;

		opts.by_weight = weight;
		text_a = exported(a, "folded", &opts, NULL);
		text_b = exported(b, "folded", &opts, NULL);
		CHECK_STR(text_a, text_b);
		free(text_a);
		free(text_b);
	}
}

TEST(a_profile_comes_back_as_it_was)
{
	struct vpmu_profile *p = varied_profile(), *q = copy_of(p, NULL);
	struct vpmu_coverage a, b;
	const char *name, *uuid;

	check_same(p, q);
	vpmu_profile_coverage(p, &a);
	vpmu_profile_coverage(q, &b);
	CHECK_EQ(a.samples, 133);
	CHECK_EQ(b.samples, 133);
	CHECK_EQ(a.resolved, b.resolved);
	CHECK(memcmp(a.sides, b.sides, sizeof(a.sides)) == 0);
	CHECK(vpmu_profile_guest(q, 0, &name, &uuid));
	CHECK_STR(name, "web1");
	CHECK_STR(uuid, "7f1c44a0-0001-4000-8000-000000000001");
	CHECK(!vpmu_profile_guest(q, 1, &name, &uuid));
	CHECK_EQ(vpmu_profile_guest_samples(q, 0), 126);
	CHECK_EQ(vpmu_profile_guest_samples(q, 1), 0);
	CHECK_EQ(vpmu_profile_guest_samples(q, VPMU_NO_GUEST), 7);
	CHECK_CMP(vpmu_profile_memory(q), >, sizeof(uint64_t) * 100);
	CHECK_CMP(vpmu_profile_memory(q), <, 1 << 20);
	vpmu_profile_free(p);
	vpmu_profile_free(q);
}

TEST(what_was_read_is_written_as_the_same_bytes)
{
	struct vpmu_profile *p = varied_profile(), *q;
	size_t n, again_n;
	void *bytes = written(p, NULL, &n), *again;

	q = read_back(bytes, n);
	again = written(q, NULL, &again_n);
	CHECK_EQ(n, again_n);
	CHECK(memcmp(bytes, again, n) == 0);
	free(bytes);
	free(again);
	vpmu_profile_free(p);
	vpmu_profile_free(q);
}

TEST(the_coverage_and_the_events_come_along)
{
	struct vpmu_profile *p = new_profile(), *q;
	struct vpmu_event_info event = { .name = "cpu-clock", .is_clock = true, .frequency_hz = 19 };
	struct vpmu_coverage c;

	CHECK_EQ(vpmu_profile_add_event(p, &event, NULL), 0);
	profile_put_guest(p, "web1", "");
	put_symbol(p, VPMU_SIDE_HOST_KERNEL, "f", "[kernel]", 2);
	p->coverage.lost = 1ull << 40;
	p->coverage.throttled = 3;
	p->coverage.truncated_chains = 4;
	p->coverage.damaged_records = 5;
	p->coverage.guest_chains = 6;
	p->coverage.guest_processes = 8;
	p->coverage.chain_ends[VPMU_CHAIN_END_COUNT - 1] = 7;
	snprintf(p->coverage.source, sizeof(p->coverage.source), "cpu-clock 19 Hz");
	q = copy_of(p, NULL);
	vpmu_profile_coverage(q, &c);
	CHECK(memcmp(&c, &p->coverage, sizeof(c)) == 0);
	CHECK(vpmu_profile_event(q, 0, &event));
	CHECK_STR(event.name, "cpu-clock");
	CHECK(event.is_clock && event.frequency_hz == 19);
	CHECK(!vpmu_profile_event(q, 1, &event));
	vpmu_profile_free(p);
	vpmu_profile_free(q);
}

static void put_guest_symbol(struct vpmu_profile *p, uint32_t guest, const char *symbol, uint64_t samples)
{
	uint32_t frame = put_frame(p, VPMU_SIDE_GUEST_KERNEL, symbol, "[kernel]");

	put_hit(p, &(struct hit){ .guest = guest, .side = VPMU_SIDE_GUEST_KERNEL, .samples = samples, .stack = &frame,
				  .n_stack = 1 });
}

TEST(the_guests_parts_and_the_rest_make_up_the_whole)
{
	struct vpmu_profile *whole = varied_profile(), *sum = new_profile(), *part;
	VPMU_OPTS(vpmu_profile_write_opts, opts, .n_guests = 1, .no_rest = true);
	struct vpmu_coverage c;

	put_guest_symbol(whole, profile_put_guest(whole, "web2", ""), "f", 41);
	whole->coverage.lost = 11;
	for (uint32_t guest = 0; guest < 2; guest++) {
		opts.guests = &guest;
		part = copy_of(whole, &opts);
		vpmu_profile_coverage(part, &c);
		CHECK_EQ(c.samples, guest ? 41 : 126);
		CHECK_EQ(c.lost, 0);
		CHECK_EQ(vpmu_profile_merge(sum, part, NULL), 0);
		vpmu_profile_free(part);
	}
	opts.n_guests = 0;
	opts.no_rest = false;
	part = copy_of(whole, &opts);
	vpmu_profile_coverage(part, &c);
	CHECK_EQ(c.samples, 7);
	CHECK_EQ(c.lost, 11);
	CHECK_EQ(vpmu_profile_merge(sum, part, NULL), 0);
	vpmu_profile_free(part);
	CHECK(memcmp(&sum->coverage, &whole->coverage, sizeof(c)) == 0);
	check_same(whole, sum);
	vpmu_profile_free(whole);
	vpmu_profile_free(sum);
}

TEST(one_side_is_written)
{
	struct vpmu_profile *p = varied_profile(), *q;
	VPMU_OPTS(vpmu_profile_write_opts, opts, .sides = VPMU_SIDES_GUEST);
	struct vpmu_coverage c;

	q = copy_of(p, &opts);
	vpmu_profile_coverage(q, &c);
	CHECK_EQ(c.samples, 20);
	CHECK_EQ(vpmu_coverage_host(&c), 0);
	vpmu_profile_free(p);
	vpmu_profile_free(q);
}

TEST(samples_of_no_guest_can_be_left_out)
{
	struct vpmu_profile *p = varied_profile(), *q;
	VPMU_OPTS(vpmu_profile_write_opts, opts, .guests_only = true);
	struct vpmu_coverage c;

	p->coverage.lost = 11;
	q = copy_of(p, &opts);
	vpmu_profile_coverage(q, &c);
	CHECK_EQ(c.samples, 126);
	CHECK_EQ(c.lost, 11);
	vpmu_profile_free(p);
	vpmu_profile_free(q);
}

TEST(wrong_wishes_are_refused)
{
	struct vpmu_profile *filling = new_profile(), *p = varied_profile();
	const uint32_t nobody = 1;
	VPMU_OPTS(vpmu_profile_write_opts, opts, .guests = &nobody, .n_guests = 1);
	VPMU_OPTS(vpmu_profile_read_opts, tight, .max_bytes = 100);
	struct vpmu_error error = {};
	struct vpmu_profile *q = NULL;
	void *bytes = NULL;
	size_t n;

	CHECK_EQ(vpmu_profile_write(filling, NULL, &bytes, &n, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "not resolved");
	CHECK_EQ(vpmu_profile_write(p, &opts, &bytes, &n, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "no guest number 1");
	CHECK(!bytes);
	bytes = written(p, NULL, &n);
	CHECK_EQ(vpmu_profile_read(bytes, n, &tight, &q, &error), -EFBIG);
	CHECK(!q);
	free(bytes);
	vpmu_profile_free(filling);
	vpmu_profile_free(p);
}

/* A packed body has a checksum, but not every bit of zstd's own header means something. */
TEST(cut_or_changed_bytes_are_refused)
{
	struct vpmu_profile *p = varied_profile(), *q = NULL;
	struct vpmu_error error = {};
	size_t n;
	uint8_t *bytes = written(p, NULL, &n);

	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(vpmu_profile_read(bytes, i, NULL, &q, &error), -EBADMSG);
		CHECK(error.text[0]);
	}
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 0x10;
		if (vpmu_profile_read(bytes, n, NULL, &q, &error) == 0) {
			check_same(p, q);
			q = vpmu_profile_free(q);
		}
		bytes[i] ^= 0x10;
	}
	free(bytes);
	vpmu_profile_free(p);
}

TEST(a_later_format_is_named)
{
	struct vpmu_error error = {};
	struct vpmu_profile *p = NULL;

	CHECK_EQ(vpmu_profile_read("vpmuprof\2\0\0", 11, NULL, &p, &error), -EBADMSG);
	CHECK_CONTAINS(error.text, "format 2");
	CHECK_EQ(vpmu_profile_read("perfile2...", 11, NULL, &p, &error), -EBADMSG);
	CHECK_CONTAINS(error.text, "no profile");
	CHECK_EQ(vpmu_profile_read("", 0, NULL, &p, &error), -EBADMSG);
}

int main(void)
{
	return test_main();
}
