/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "export_fixture.h"

TEST(formats_are_listed)
{
	CHECK_STR(vpmu_export_format(0), "folded");
	CHECK_STR(vpmu_export_format(1), "pprof");
	CHECK_STR(vpmu_export_format(2), "speedscope");
	CHECK_STR(vpmu_export_format(3), "flamegraph");
	CHECK(!vpmu_export_format(4));
}

TEST(bad_requests_write_nothing_and_say_why)
{
	static const char *const nobody[] = { "web9" };
	VPMU_OPTS(vpmu_export_opts, opts, .event = 9);
	struct vpmu_profile *p = varied_profile(), *unresolved = new_profile();
	int fd = memfd_create("export", MFD_CLOEXEC);
	struct vpmu_error error = {};

	CHECK_EQ(vpmu_export(p, "svg", NULL, fd, &error), -EINVAL);
	CHECK_STR(error.text, "unknown export format 'svg': there are folded, pprof, speedscope, flamegraph");
	CHECK_EQ(vpmu_export(unresolved, "folded", NULL, fd, &error), -EINVAL);
	CHECK_EQ(vpmu_export(p, "folded", &opts, fd, &error), -ENODATA);
	opts.event = 0;
	opts.sides = 1u << VPMU_SIDE_HYPERVISOR;
	CHECK_EQ(vpmu_export(p, "folded", &opts, fd, &error), -ENODATA);
	CHECK_CONTAINS(error.text, "no hypervisor samples");
	opts.guests = nobody;
	opts.n_guests = 1;
	CHECK_EQ(vpmu_export(p, "folded", &opts, fd, &error), -ENOENT);
	opts.sz = 1;
	CHECK_EQ(vpmu_export(p, "folded", &opts, fd, &error), -EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	close(fd);
	vpmu_profile_free(p);
	vpmu_profile_free(unresolved);
}

TEST(a_full_disk_is_reported_by_every_format)
{
	struct vpmu_profile *p = varied_profile();
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		skip("no /dev/full here");
	for (size_t i = 0; vpmu_export_format(i); i++) {
		struct vpmu_error error = {};

		CHECK_EQ(vpmu_export(p, vpmu_export_format(i), NULL, fd, &error), -ENOSPC);
		CHECK_CONTAINS(error.text, strerror(ENOSPC));
		CHECK_CONTAINS(error.text, vpmu_export_format(i));
	}
	close(fd);
	vpmu_profile_free(p);
}

/* More than one chunk of output: the first failure comes in the middle of the work. */
TEST(writing_stops_at_the_first_failure)
{
	struct vpmu_profile *p = new_profile();
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char name[32];

	if (fd < 0)
		skip("no /dev/full here");
	profile_put_guest(p, "web1", "");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "function_%d", i);
		put_symbol(p, VPMU_SIDE_HOST_USER, name, "/bin/x", 1);
	}
	for (size_t i = 0; vpmu_export_format(i); i++)
		CHECK_EQ(vpmu_export(p, vpmu_export_format(i), NULL, fd, NULL), -ENOSPC);
	close(fd);
	vpmu_profile_free(p);
}

TEST(a_large_profile_arrives_whole)
{
	struct vpmu_profile *p = new_profile();
	uint64_t sum = 0;
	char name[32], *text, *line, *saved = NULL;

	profile_put_guest(p, "web1", "");
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "function_%d", i);
		put_symbol(p, VPMU_SIDE_HOST_USER, name, "/bin/x", (uint64_t)i + 1);
	}
	text = exported(p, "folded", NULL, NULL);
	for (line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved))
		sum += strtoull(strrchr(line, ' ') + 1, NULL, 10);
	CHECK_EQ(sum, 20000 * 20001 / 2);
	free(text);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
