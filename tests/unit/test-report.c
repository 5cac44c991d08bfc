/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <vpmu/vpmu.h>

#include "profile/profile.h"
#include "test.h"

static uint32_t frame(struct vpmu_profile *p, const char *dso, const char *symbol,
		      enum vpmu_side side, enum vpmu_frame_status status)
{
	struct profile_frame f = {
		.symbol = profile_put_string(p, symbol),
		.dso = profile_put_string(p, dso),
		.side = (uint8_t)side,
		.status = (uint8_t)status,
	};

	return profile_put_frame(p, &f);
}

static uint32_t user(struct vpmu_profile *p, const char *symbol)
{
	return frame(p, "/bin/app", symbol, VPMU_SIDE_HOST_USER, VPMU_FRAME_OK);
}

/* Counts @samples of a stack, leaf first. */
static void put(struct vpmu_profile *p, uint32_t guest, uint32_t vcpu, enum vpmu_side side,
		const uint32_t *stack, size_t n, uint64_t samples)
{
	struct profile_entry e = {
		.guest = guest,
		.vcpu = vcpu,
		.process = profile_put_string(p, guest == VPMU_NO_GUEST ? "app" : "CPU 0/KVM"),
		.leaf = stack[0],
		.stack = n > 1 ? profile_put_stack(p, stack, n) : PROFILE_NO_STACK,
		.side = (uint8_t)side,
		.samples = samples,
		.weight = samples * 10,
	};

	CHECK_EQ(profile_put(p, &e), 0);
}

static struct vpmu_profile *profile_new(void)
{
	struct vpmu_profile *p = NULL;

	CHECK_EQ(vpmu_profile_new(NULL, &p, NULL), 0);
	return p;
}

static struct vpmu_report *report(const struct vpmu_profile *p, const struct vpmu_report_opts *opts)
{
	struct vpmu_report *r = NULL;
	struct vpmu_error error;

	if (vpmu_report_new(p, opts, &r, &error) < 0)
		FAIL("%s", error.text);
	return r;
}

/* "key,key=samples/self key…": rows as one line. */
static const char *rows(const struct vpmu_report *r)
{
	static char text[2000];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; vpmu_report_row(r, i); i++) {
		const struct vpmu_row *row = vpmu_report_row(r, i);
		const char *comma = "";

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", i ? " " : "");
		for (int key = 0; key < VPMU_KEY_COUNT; key++)
			if (row->keys[key]) {
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", comma,
						      row->keys[key]);
				comma = ",";
			}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "=%d/%d", (int)row->samples,
				      (int)row->self_samples);
	}
	return text;
}

TEST(rows_are_grouped_by_the_keys_and_halves_are_kept_apart)
{
	struct vpmu_profile *p = profile_new();
	uint32_t web = profile_put_guest(p, "web1", "");
	uint32_t a = user(p, "a"), b = user(p, "b");
	uint32_t g = frame(p, "[kernel]", "a", VPMU_SIDE_GUEST_KERNEL, VPMU_FRAME_OK);
	VPMU_OPTS(vpmu_report_opts, by_symbol, .sort = "sym");
	VPMU_OPTS(vpmu_report_opts, by_vcpu, .sort = "vcpu,guest");
	struct vpmu_report *r;

	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &a, 1, 3);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &b, 1, 5);
	put(p, web, 0, VPMU_SIDE_HOST_USER, &b, 1, 2);
	put(p, web, 0, VPMU_SIDE_GUEST_KERNEL, &g, 1, 6);
	put(p, web, 1, VPMU_SIDE_GUEST_KERNEL, &g, 1, 4);

	r = report(p, &by_symbol);
	CHECK_STR(rows(r), "a=10/10 b=7/7 a=3/3");
	CHECK(vpmu_report_row(r, 0)->is_guest);
	CHECK(!vpmu_report_row(r, 1)->is_guest);
	CHECK_EQ(vpmu_report_samples(r, true), 10);
	CHECK_EQ(vpmu_report_weight(r, false), 100);
	CHECK(vpmu_report_row(r, 1)->percent == 70.0);
	CHECK(!vpmu_report_free(r));

	r = report(p, &by_vcpu);
	CHECK_STR(rows(r), "web1,0=6/6 web1,1=4/4 ,=8/8 web1,0=2/2");
	vpmu_report_free(r);

	r = report(p, NULL);
	CHECK_STR(rows(r), "guest-kernel,[kernel],a=10/10 host-user,/bin/app,b=7/7 "
			   "host-user,/bin/app,a=3/3");
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(children_count_callers_once_even_in_recursion)
{
	struct vpmu_profile *p = profile_new();
	uint32_t main_ = user(p, "main"), rec = user(p, "rec"), leaf = user(p, "leaf");
	const uint32_t deep[] = { leaf, rec, rec, rec, main_ }, shallow[] = { rec, main_ };
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "symbol", .children = true);
	struct vpmu_report *r;

	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, deep, 5, 4);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, shallow, 2, 6);
	r = report(p, &opts);
	CHECK_STR(rows(r), "rec=10/6 main=10/0 leaf=4/4");
	CHECK(vpmu_report_row(r, 0)->percent == 100.0);
	CHECK(vpmu_report_row(r, 0)->self_percent == 60.0);
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

/* "samples:frame<frame …" of row @i, heaviest chain first. */
static const char *chains(const struct vpmu_report *r, size_t i)
{
	static char text[1000];
	size_t n_chains, n = 0;
	const struct vpmu_chain *all = vpmu_report_chains(r, i, &n_chains);

	text[0] = '\0';
	for (size_t c = 0; c < n_chains; c++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d:", c ? " " : "",
				      (int)all[c].samples);
		for (size_t f = 0; f < all[c].n_frames; f++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", f ? "<" : "",
					      all[c].frames[f]->symbol);
	}
	return text;
}

TEST(chains_go_outward_from_the_rows_symbol)
{
	struct vpmu_profile *p = profile_new();
	uint32_t main_ = user(p, "main"), f = user(p, "f"), g = user(p, "g"),
		 leaf = user(p, "leaf");
	const uint32_t by_f[] = {leaf, f, main_}, by_g[] = {leaf, g, main_},
		       f_itself[] = {f, main_};
	VPMU_OPTS(vpmu_report_opts, self, .sort = "symbol", .chains = true);
	VPMU_OPTS(vpmu_report_opts, all, .sort = "symbol", .chains = true, .children = true);
	struct vpmu_report *r;

	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, by_f, 3, 1);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, by_g, 3, 5);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, f_itself, 2, 2);
	put(p, profile_put_guest(p, "vm", ""), 1, VPMU_SIDE_HOST_USER, by_g, 3, 1);

	r = report(p, &self);
	CHECK_STR(rows(r), "leaf=7/7 f=2/2");
	CHECK_STR(chains(r, 0), "6:leaf<g<main 1:leaf<f<main");
	CHECK_STR(chains(r, 1), "2:f<main");
	CHECK_STR(chains(r, 0), "6:leaf<g<main 1:leaf<f<main");
	vpmu_report_free(r);

	r = report(p, &all);
	CHECK_STR(rows(r), "main=9/0 leaf=7/7 g=6/0 f=3/2");
	CHECK_STR(chains(r, 0), "9:main");
	CHECK_STR(chains(r, 2), "6:g<main");
	CHECK_STR(chains(r, 3), "3:f<main");
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(callees_go_inward_from_the_outermost_call)
{
	struct vpmu_profile *p = profile_new();
	uint32_t main_ = user(p, "main"), f = user(p, "f"), g = user(p, "g");
	const uint32_t again[] = {g, f, g, f, main_}, once[] = {g, f, main_};
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "symbol", .chains = true, .callees = true);
	struct vpmu_report *r;

	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, again, 5, 3);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, once, 3, 2);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &g, 1, 1);

	r = report(p, &opts);
	CHECK_STR(rows(r), "g=6/6 f=5/0 main=5/0");
	CHECK_STR(chains(r, 0), "3:g<f<g 3:g"); /* here "<" is "called" */
	CHECK_STR(chains(r, 1), "3:f<g<f<g 2:f<g");
	CHECK_STR(chains(r, 2), "3:main<f<g<f<g 2:main<f<g");
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(chains_of_limited_rows_in_several_groups_are_their_own)
{
	struct vpmu_profile *p = profile_new();
	uint32_t main_ = user(p, "main"), f = user(p, "f"), g = user(p, "g");
	const uint32_t by_f[] = { f, main_ }, by_g[] = { g, main_ };
	uint32_t one = profile_put_guest(p, "one", ""), two = profile_put_guest(p, "two", "");
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "guest,symbol", .chains = true, .children = true,
		  .limit = 3);
	struct vpmu_report *r;

	put(p, one, 0, VPMU_SIDE_HOST_USER, by_f, 2, 4);
	put(p, two, 0, VPMU_SIDE_HOST_USER, by_f, 2, 7);
	put(p, one, 0, VPMU_SIDE_HOST_USER, by_g, 2, 5);
	r = report(p, &opts);
	CHECK_STR(rows(r), "one,main=9/0 two,f=7/7 two,main=7/0");
	CHECK_STR(chains(r, 0), "9:main");
	CHECK_STR(chains(r, 1), "7:f<main");
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(places_without_a_name_are_rows_of_their_own)
{
	struct vpmu_profile *p = profile_new();
	uint32_t a = frame(p, "/lib/a.so", "0x1000", VPMU_SIDE_HOST_USER, VPMU_FRAME_NO_SYMBOLS);
	uint32_t b = frame(p, "/lib/b.so", "0x1000", VPMU_SIDE_HOST_USER, VPMU_FRAME_NO_SYMBOLS);
	uint32_t c = frame(p, "/lib/c.so", "0x1000", VPMU_SIDE_HOST_USER, VPMU_FRAME_OK);
	uint32_t d = frame(p, "/lib/d.so", "0x1000", VPMU_SIDE_HOST_USER, VPMU_FRAME_OK);
	VPMU_OPTS(vpmu_report_opts, opts, .sort = "symbol");
	struct vpmu_report *r;

	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &b, 1, 1);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &a, 1, 1);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &c, 1, 3);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &d, 1, 4);
	r = report(p, &opts);
	CHECK_STR(rows(r), "0x1000=7/7 0x1000=1/1 0x1000=1/1");
	CHECK_EQ(vpmu_report_row(r, 0)->status, VPMU_FRAME_OK);
	CHECK_EQ(vpmu_report_row(r, 2)->status, VPMU_FRAME_NO_SYMBOLS);
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(limits_hold_per_half_and_percentages_stay)
{
	struct vpmu_profile *p = profile_new();
	uint32_t vm = profile_put_guest(p, "vm", "");
	char name[8];
	VPMU_OPTS(vpmu_report_opts, three, .sort = "symbol", .limit = 3);
	VPMU_OPTS(vpmu_report_opts, heavy, .sort = "symbol", .min_percent = 25);
	struct vpmu_report *r;

	for (uint64_t i = 1; i <= 5; i++) {
		snprintf(name, sizeof(name), "s%d", (int)i);
		uint32_t host = user(p, name);
		uint32_t guest = frame(p, "g", name, VPMU_SIDE_GUEST_USER, VPMU_FRAME_OK);

		put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &host, 1, i);
		put(p, vm, 0, VPMU_SIDE_GUEST_USER, &guest, 1, 7);
	}
	r = report(p, &three);
	CHECK_STR(rows(r), "s1=7/7 s2=7/7 s3=7/7 s5=5/5 s4=4/4 s3=3/3");
	CHECK_EQ(vpmu_report_samples(r, true), 35);
	vpmu_report_free(r);
	r = report(p, &heavy);
	CHECK_STR(rows(r), "s5=5/5 s4=4/4");
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(the_coverage_is_of_what_was_selected)
{
	struct vpmu_profile *p = profile_new();
	uint32_t web = profile_put_guest(p, "web1", ""), db = profile_put_guest(p, "db1", "");
	uint32_t named = frame(p, "[kernel]", "a", VPMU_SIDE_GUEST_KERNEL, VPMU_FRAME_OK);
	uint32_t nameless = frame(p, "x", "0x10", VPMU_SIDE_GUEST_USER, VPMU_FRAME_NO_SYMBOLS);
	uint32_t opaque = frame(p, "x", "[opaque]", VPMU_SIDE_GUEST_USER, VPMU_FRAME_OPAQUE);
	uint32_t host = user(p, "b");
	const char *const who[] = { "web1" };
	VPMU_OPTS(vpmu_report_opts, guest, .guests = who, .n_guests = 1, .limit = 1);
	VPMU_OPTS(vpmu_report_opts, side, .sides = VPMU_SIDES_HOST);
	VPMU_OPTS(vpmu_report_opts, event, .event = 1);
	struct vpmu_coverage c = {};
	struct vpmu_report *r;

	put(p, web, 0, VPMU_SIDE_GUEST_KERNEL, &named, 1, 2);
	put(p, web, 0, VPMU_SIDE_GUEST_USER, &nameless, 1, 3);
	put(p, web, 0, VPMU_SIDE_GUEST_USER, &opaque, 1, 5);
	put(p, db, 0, VPMU_SIDE_GUEST_KERNEL, &named, 1, 7);
	put(p, VPMU_NO_GUEST, VPMU_NO_VCPU, VPMU_SIDE_HOST_USER, &host, 1, 11);

	r = report(p, &guest);
	vpmu_report_coverage(r, &c);
	CHECK_EQ(c.samples, 10);
	CHECK_EQ(c.sides[VPMU_SIDE_GUEST_KERNEL], 2);
	CHECK_EQ(c.sides[VPMU_SIDE_GUEST_USER], 8);
	CHECK_EQ(c.resolved, 2);
	CHECK_EQ(c.opaque, 5);
	vpmu_report_free(r);
	r = report(p, &side);
	vpmu_report_coverage(r, &c);
	CHECK(c.samples == 11 && vpmu_coverage_host(&c) == 11 && c.resolved == 11 && !c.opaque);
	vpmu_report_free(r);
	r = report(p, &event);
	vpmu_report_coverage(r, &c);
	CHECK_EQ(c.samples, 0);
	vpmu_report_free(r);
	vpmu_profile_free(p);
}

TEST(what_cannot_be_reported_is_refused_with_a_reason)
{
	struct vpmu_profile *p = profile_new();
	struct vpmu_report *r = NULL;
	struct vpmu_error error;
	VPMU_OPTS(vpmu_report_opts, bad_key, .sort = "symbol,colour");
	VPMU_OPTS(vpmu_report_opts, no_key, .sort = "");
	const char *const who[] = { "db7" };
	VPMU_OPTS(vpmu_report_opts, nobody, .guests = who, .n_guests = 1);

	CHECK_EQ(vpmu_report_new(p, NULL, &r, &error), -EINVAL);
	profile_put_guest(p, "web1", "");
	CHECK_EQ(vpmu_report_new(p, &bad_key, &r, &error), -EINVAL);
	CHECK_CONTAINS(error.text, "'colour'");
	CHECK_EQ(vpmu_report_new(p, &no_key, &r, &error), -EINVAL);
	CHECK_EQ(vpmu_report_new(p, &nobody, &r, &error), -ENOENT);
	CHECK(!r);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
