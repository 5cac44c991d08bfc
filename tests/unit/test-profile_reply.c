/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replies made of small profiles; through a socket and with real ones: tests/daemon/profiles.py. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <sys/stat.h>
#include <vpmu/vpmu.h>

#include "daemon/profile_reply.h"
#include "export_fixture.h"
#include "profile/tables.h"

static struct profile_reply_opts reply_opts(void)
{
	return (struct profile_reply_opts){
		.report = { .sz = sizeof(struct vpmu_report_opts) },
		.diff = { .sz = sizeof(struct vpmu_diff_opts) },
		.format = "folded",
	};
}

static struct json_object *get(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	CHECK(json_object_object_get_ex(object, name, &value));
	return value;
}

/* The one that the fixture's profile has, and another. */
static void tell_events(struct vpmu_profile *p, const char *first, const char *second)
{
	const struct vpmu_event_info infos[] = { { .name = first, .is_clock = true }, { .name = second } };

	for (int i = 0; i < 2; i++)
		CHECK_EQ(vpmu_profile_add_event(p, &infos[i], NULL), 0);
}

TEST(a_report_tells_of_each_event_in_turn)
{
	struct vpmu_profile *p = varied_profile();
	struct profile_reply_opts opts = reply_opts();
	struct json_object *reply, *rows, *row;
	int64_t samples = 0;

	tell_events(p, "cpu-clock", "page-faults");
	p->coverage.guests_not_linux = 2;
	opts.report.sort = "symbol";
	CHECK_EQ(profile_reply_report(p, &opts, &reply, NULL), 0);
	rows = get(reply, "rows");
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		samples += json_object_get_int64(get(json_object_array_get_idx(rows, i), "samples"));
	CHECK_EQ(samples, 133);
	CHECK_EQ(json_object_get_int64(get(get(reply, "coverage"), "samples")), 133);
	CHECK_EQ(json_object_get_int64(get(get(reply, "coverage"), "guests_not_linux")), 2);
	row = json_object_array_get_idx(rows, 0);
	CHECK_STR(json_object_get_string(get(row, "event")), "cpu-clock");
	row = json_object_array_get_idx(rows, json_object_array_length(rows) - 1);
	CHECK_STR(json_object_get_string(get(row, "event")), "page-faults");
	json_object_put(reply);
	vpmu_profile_free(p);
}

/* The text was made beforehand, and is what the members say. */
TEST(a_reply_reads_as_its_members_say)
{
	struct vpmu_profile *p = varied_profile();
	struct profile_reply_opts opts = reply_opts();
	struct json_object *reply, *again;

	CHECK_EQ(profile_reply_report(p, &opts, &reply, NULL), 0);
	again = json_tokener_parse(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN));
	CHECK(again);
	CHECK_EQ(json_object_array_length(get(again, "rows")), json_object_array_length(get(reply, "rows")));
	CHECK_EQ(json_object_get_int64(get(get(again, "coverage"), "samples")),
		 json_object_get_int64(get(get(reply, "coverage"), "samples")));
	json_object_put(again);
	json_object_put(reply);
	vpmu_profile_free(p);
}

TEST(what_cannot_be_sent_is_not_made)
{
	struct vpmu_profile *p = new_profile();
	struct profile_reply_opts opts = reply_opts();
	struct vpmu_error error = {};
	struct json_object *reply = NULL;
	char symbol[32];

	profile_put_guest(p, "web1", "");
	for (int i = 0; i < 100000; i++) {
		snprintf(symbol, sizeof(symbol), "function_%d", i);
		put_symbol(p, VPMU_SIDE_GUEST_USER, symbol, "app", 1);
	}
	CHECK_EQ(profile_reply_report(p, &opts, &reply, &error), -EMSGSIZE);
	CHECK_CONTAINS(error.hint, "limit");
	CHECK(!reply);
	CHECK_EQ(profile_reply_diff(p, p, &opts, &reply, &error), -EMSGSIZE);
	opts.report.limit = 100;
	CHECK_EQ(profile_reply_report(p, &opts, &reply, &error), 0);
	json_object_put(reply);
	vpmu_profile_free(p);
}

/* Cycles are compared with cycles, not with what has most samples. */
TEST(a_comparison_is_of_the_same_event)
{
	struct vpmu_profile *base = varied_profile(), *other = varied_profile();
	struct profile_reply_opts opts = reply_opts();
	struct json_object *reply;

	tell_events(base, "cpu-clock", "cycles");   /* 33 and 100 samples */
	tell_events(other, "cycles", "page-faults");
	CHECK_EQ(profile_reply_diff(base, other, &opts, &reply, NULL), 0);
	CHECK_STR(json_object_get_string(get(reply, "base_samples")), "100");
	CHECK_STR(json_object_get_string(get(reply, "other_samples")), "33");
	json_object_put(reply);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
}

TEST(an_export_is_a_file_to_read)
{
	struct vpmu_profile *p = varied_profile();
	struct profile_reply_opts opts = reply_opts();
	struct stat st;
	uint64_t bytes;
	char *text;
	int fd;

	CHECK(profile_reply_is_format("vpmu") && profile_reply_is_format("folded") && !profile_reply_is_format("jpeg"));
	CHECK_EQ(profile_reply_export(p, &opts, &fd, &bytes, NULL), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), -1); /* on a disk, not in memory */
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), (off_t)bytes);
	CHECK_EQ(pwrite(fd, "x", 1, 0), -1);
	CHECK_EQ(profile_reply_inline(fd, bytes, &text, NULL), 0);
	CHECK_EQ(strlen(text), (bytes + 2) / 3 * 4);
	free(text);
	close(fd);
	vpmu_profile_free(p);
}

TEST(a_profile_is_reduced_to_some_guests)
{
	struct vpmu_profile *p = varied_profile();
	const uint32_t guest = 0;
	struct vpmu_coverage coverage;

	CHECK_EQ(profile_reply_reduce(&p, &guest, 1, NULL), 0);
	vpmu_profile_coverage(p, &coverage);
	CHECK_EQ(coverage.samples, 126);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
