/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sessions have in common and what each has for itself; that samples come is for tests/lab/fast. */
#include <errno.h>
#include <linux/bpf.h>

#include "host/guest_chains.h"
#include "test.h"

static struct guest_chains *open_chains(void)
{
	struct guest_chains *chains = NULL;
	struct vpmu_error error = {};
	int r;

	SKIP_WITHOUT_BPF_IN_VALGRIND();
	r = guest_chains_open(GUEST_CHAINS_WALK, &chains, &error);
	if (r == -EOPNOTSUPP || r == -EPERM || r == -EACCES)
		skip(error.text);
	CHECK_EQ(r, 0);
	return chains;
}

/* Of what the kernel calls "bpf-prog" or "bpf-map". */
static int count_of(const char *kind)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	char wanted[64];
	int n = 0;

	CHECK(dir);
	snprintf(wanted, sizeof(wanted), "anon_inode:%s", kind);
	while ((entry = readdir(dir))) {
		char path[300], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		if (readlink(path, target, sizeof(target) - 1) > 0)
			n += strcmp(target, wanted) == 0;
	}
	closedir(dir);
	return n;
}

static int count_programs(void)
{
	return count_of("bpf-prog");
}

/* What the kernel tells of a file, behind @name; 0 if that is not there. */
static long told_of(const char *fd, const char *name)
{
	char path[300], line[128];
	long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, 0);
	if (file)
		fclose(file);
	return value;
}

/* Before Linux 6.1 programs of perf events may have no others. */
TEST(hash_maps_are_allocated_beforehand)
{
	struct guest_chains *chains = open_chains();
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	int n = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (told_of(entry->d_name, "map_type:") != BPF_MAP_TYPE_HASH)
			continue;
		CHECK_EQ(told_of(entry->d_name, "map_flags:") & BPF_F_NO_PREALLOC, 0);
		n++;
	}
	CHECK_CMP(n, >=, 1);
	closedir(dir);
	guest_chains_free(chains);
}

TEST(one_program_serves_many)
{
	struct guest_chains *first = open_chains(), *second = open_chains(), *third;

	CHECK_EQ(count_programs(), 1);
	guest_chains_free(first);
	third = open_chains();
	CHECK_EQ(count_programs(), 1);
	guest_chains_free(second);
	guest_chains_free(third);
	CHECK_EQ(count_programs(), 0);
}

TEST(when_it_is_full_there_is_another)
{
	struct guest_chains *all[VPMU_BPF_MAX_SESSIONS + 1];

	for (size_t i = 0; i <= VPMU_BPF_MAX_SESSIONS; i++)
		all[i] = open_chains();
	CHECK_EQ(count_programs(), 2);
	guest_chains_free(all[VPMU_BPF_MAX_SESSIONS]);
	CHECK_EQ(count_programs(), 1);
	for (size_t i = 0; i < VPMU_BPF_MAX_SESSIONS; i++)
		guest_chains_free(all[i]);
	CHECK_EQ(count_programs(), 0);
}

TEST(rings_that_nobody_uses_go)
{
	struct guest_chains *keeper = open_chains(), *others[10];
	int before = count_of("bpf-map");

	for (int turns = 0; turns < 2; turns++) {
		for (size_t i = 0; i < 10; i++)
			others[i] = open_chains();
		CHECK_CMP(count_of("bpf-map"), >=, before + 10);
		for (size_t i = 0; i < 10; i++)
			guest_chains_free(others[i]);
		CHECK_CMP(count_of("bpf-map"), <, before + 6);
	}
	guest_chains_free(keeper);
	CHECK_EQ(count_programs(), 0);
}

/* As many as there is room for in all, by one after the other: each takes its own with it. */
TEST(guests_go_with_who_knew_them)
{
	struct guest_chains *keeper = open_chains(), *other;
	const struct vpmu_bpf_guest guest = { .kernel_cr3 = 0x1000, .levels = 4 };

	for (int i = 0; i < 3; i++) {
		other = open_chains();
		for (pid_t pid = 1; pid <= VPMU_BPF_MAX_GUESTS / 2; pid++)
			CHECK_EQ(guest_chains_know(other, pid, &guest), 0);
		CHECK_EQ(guest_chains_know(other, 1, &guest), 0);
		guest_chains_free(other);
	}
	CHECK_EQ(guest_chains_know(keeper, 1, &guest), 0);
	CHECK_EQ(guest_chains_know(keeper, 1, NULL), 0);
	CHECK_EQ(guest_chains_know(keeper, 1, NULL), 0);
	guest_chains_free(keeper);
}

int main(void)
{
	return test_main();
}
