/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "session/process.h"
#include "test.h"

/*
 * A symbolizer that knows spaces only: numbers count up; a mapping at an address that its space
 * has already makes a copy, as the real one does. What a space consists of can be asked by
 * spells().
 */
static struct {
	int n;
	struct {
		uint64_t at;
		const char *path;
	} maps[8];
} spaces[64];
static uint32_t n_spaces = 1;

uint32_t symbolizer_space_new(struct vpmu_symbolizer *s)
{
	(void)s;
	return n_spaces++;
}

uint32_t symbolizer_space_map(struct vpmu_symbolizer *s, uint32_t space,
			      const struct perf_mmap_record *map)
{
	for (int i = 0; i < spaces[space].n; i++) {
		if (spaces[space].maps[i].at != map->start)
			continue;
		spaces[n_spaces] = spaces[space];
		space = symbolizer_space_new(s);
		spaces[space].maps[i].path = map->path;
		return space;
	}
	spaces[space].maps[spaces[space].n].at = map->start;
	spaces[space].maps[spaces[space].n++].path = map->path;
	return space;
}

static void comm(struct processes *p, uint64_t time, uint32_t pid, uint32_t tid, const char *name,
		 bool exec)
{
	struct perf_comm_record record = { .pid = pid, .tid = tid, .comm = name, .exec = exec };

	CHECK_EQ(processes_comm(p, time, &record), 0);
}

static void fork_(struct processes *p, uint64_t time, uint32_t ppid, uint32_t ptid, uint32_t pid,
		  uint32_t tid)
{
	struct perf_task_record record = {
		.pid = pid, .tid = tid, .ppid = ppid, .ptid = ptid, .time = time};

	CHECK_EQ(processes_fork(p, time, &record), 0);
}

static void map(struct processes *p, uint64_t time, uint32_t pid, uint64_t start, const char *path)
{
	char passing[32];
	struct perf_mmap_record record = { .pid = pid, .start = start, .path = passing };

	snprintf(passing, sizeof(passing), "%s", path);
	CHECK_EQ(processes_mmap(p, time, &record), 0);
	memset(passing, 'x', sizeof(passing));
}

/* "name: path path …" of a thread at a time */
static const char *at(struct processes *p, uint32_t pid, uint32_t tid, uint64_t time)
{
	static char text[300];
	struct process_view view;
	size_t n;

	processes_at(p, pid, tid, time, &view);
	n = (size_t)snprintf(text, sizeof(text), "%s:", view.comm);
	for (int i = 0; i < spaces[view.space].n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s",
				      spaces[view.space].maps[i].path);
	return text;
}

TEST(a_shell_forks_and_execs)
{
	struct processes *p = processes_new(NULL);

	comm(p, 0, 10, 10, "bash", false);
	map(p, 0, 10, 0x1000, "/bin/bash");
	fork_(p, 100, 10, 10, 11, 11);
	comm(p, 200, 11, 11, "ls", true);
	map(p, 201, 11, 0x1000, "/bin/ls");
	map(p, 202, 11, 0x2000, "/lib/libc");
	CHECK_EQ(processes_settle(p), 0);

	CHECK_STR(at(p, 11, 11, 150), "bash: /bin/bash");
	CHECK_STR(at(p, 11, 11, 300), "ls: /bin/ls /lib/libc");
	CHECK_STR(at(p, 11, 11, 150), "bash: /bin/bash");
	CHECK_STR(at(p, 10, 10, 300), "bash: /bin/bash");
	CHECK(!processes_free(p));
}

TEST(records_may_come_in_any_order)
{
	struct processes *p = processes_new(NULL);

	map(p, 201, 11, 0x1000, "/bin/ls");
	comm(p, 200, 11, 11, "ls", true);
	fork_(p, 100, 10, 10, 11, 11);
	map(p, 0, 10, 0x1000, "/bin/bash");
	comm(p, 0, 10, 10, "bash", false);
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 11, 11, 300), "ls: /bin/ls");
	CHECK_STR(at(p, 11, 11, 199), "bash: /bin/bash");
	processes_free(p);
}

TEST(threads_share_a_space_and_have_names_of_their_own)
{
	struct processes *p = processes_new(NULL);

	comm(p, 0, 7, 7, "qemu", false);
	fork_(p, 10, 7, 7, 7, 8);
	comm(p, 20, 7, 8, "CPU 0/KVM", false);
	map(p, 30, 7, 0x1000, "/bin/qemu");
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 7, 8, 15), "qemu: /bin/qemu");
	CHECK_STR(at(p, 7, 8, 25), "CPU 0/KVM: /bin/qemu");
	CHECK_STR(at(p, 7, 7, 25), "qemu: /bin/qemu");
	CHECK_STR(at(p, 7, 99, 25), "qemu: /bin/qemu");
	processes_free(p);
}

TEST(a_process_that_replaces_a_mapping_leaves_its_parent_alone)
{
	struct processes *p = processes_new(NULL);

	comm(p, 0, 1, 1, "a", false);
	map(p, 0, 1, 0x1000, "/old");
	fork_(p, 10, 1, 1, 2, 2);
	map(p, 20, 2, 0x1000, "/new");
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 2, 2, 15), "a: /old");
	CHECK_STR(at(p, 2, 2, 20), "a: /new");
	CHECK_STR(at(p, 1, 1, 30), "a: /old");
	processes_free(p);
}

TEST(what_proc_told_at_the_start_is_no_fork_that_was_seen)
{
	struct processes *p = processes_new(NULL);

	comm(p, 0, 1, 1, "init", false);
	map(p, 0, 1, 0x1000, "/init");
	fork_(p, 0, 1, 1, 2, 2);
	comm(p, 0, 2, 2, "sshd", false);
	map(p, 0, 2, 0x5000, "/sshd");
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 2, 2, 15), "sshd: /sshd");
	CHECK_STR(at(p, 1, 1, 15), "init: /init");
	processes_free(p);
}

TEST(a_reused_number_is_somebody_else)
{
	struct processes *p = processes_new(NULL);

	comm(p, 0, 1, 1, "sh", false);
	map(p, 0, 1, 0x1000, "/sh");
	comm(p, 5, 2, 2, "first", true);
	map(p, 6, 2, 0x2000, "/first");
	fork_(p, 50, 1, 1, 2, 2);
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 2, 2, 40), "first: /first");
	CHECK_STR(at(p, 2, 2, 60), "sh: /sh");
	processes_free(p);
}

TEST(nobody_announced_it)
{
	struct processes *p = processes_new(NULL);
	struct process_view view;

	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 5, 6, 1), ":");
	CHECK_STR(at(p, 0, 0, 1), "swapper:");
	processes_at(p, 5, 6, 1, &view);
	CHECK_EQ(view.space, SPACE_NONE);
	processes_free(p);
}

TEST(more_records_after_the_first_questions)
{
	struct processes *p = processes_new(NULL);

	comm(p, 10, 3, 3, "one", false);
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 3, 3, 100), "one:");
	comm(p, 30, 3, 3, "three", false);
	comm(p, 20, 3, 3, "two", false);
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 3, 3, 100), "three:");
	CHECK_STR(at(p, 3, 3, 25), "two:");
	comm(p, 15, 3, 3, "late", false);
	CHECK_EQ(processes_settle(p), 0);
	CHECK_STR(at(p, 3, 3, 17), "late:");
	CHECK_STR(at(p, 3, 3, 25), "two:");
	processes_free(p);
}

int main(void)
{
	return test_main();
}
