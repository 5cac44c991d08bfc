/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real processes that look like QEMU's emulation: this program, copied to a name of QEMU's, with busy threads called as QEMU
 * calls its vCPUs. Their host side can be profiled wherever there are perf events. main() begins with
 *
 *	qemu_process_main(argc, argv);
 */
#ifndef TESTS_UNIT_QEMU_PROCESS_H
#define TESTS_UNIT_QEMU_PROCESS_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "busy.h"
#include "test.h"

static void *spin_as_vcpu(void *data)
{
	char name[16];

	snprintf(name, sizeof(name), "CPU %d/TCG", *(int *)data);
	prctl(PR_SET_NAME, name);
	for (;;)
		;
	return NULL;
}

/* "-name guest=NAME -smp N": spins until it is killed, or its parent goes. */
static void qemu_process_main(int argc, char **argv)
{
	static int indexes[64];
	pthread_t thread;

	if (argc < 5 || strcmp(argv[1], "-name") != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < atoi(argv[4]) && i < 64; i++) {
		indexes[i] = i;
		if (pthread_create(&thread, NULL, spin_as_vcpu, &indexes[i]) != 0)
			exit(1);
	}
	for (;;)
		pause();
}

/* A copy of this program, called as QEMU is. */
static void qemu_copy(char *directory, char *path, size_t room)
{
	struct stat st;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;

	CHECK(mkdtemp(directory));
	snprintf(path, room, "%s/qemu-system-x86_64", directory);
	to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	CHECK(from >= 0 && to >= 0 && fstat(from, &st) == 0);
	while (sendfile(to, from, NULL, (size_t)st.st_size) > 0)
		;
	close(from);
	close(to);
}

static int count_vcpu_threads(pid_t pid)
{
	char task[64];
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	snprintf(task, sizeof(task), "/proc/%d/task", (int)pid);
	dir = opendir(task);
	while (dir && (entry = readdir(dir))) {
		char comm[400], text[32] = "";
		FILE *f;

		snprintf(comm, sizeof(comm), "%s/%s/comm", task, entry->d_name);
		f = fopen(comm, "re");
		n += f && fgets(text, sizeof(text), f) && strstr(text, "/TCG");
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Starts one with @n_vcpus and waits until its threads have their names. */
static pid_t qemu_start(const char *name, int n_vcpus)
{
	char directory[] = "/tmp/qemu-process-XXXXXX", path[128], guest[128], n[16];
	pid_t pid;

	qemu_copy(directory, path, sizeof(path));
	snprintf(guest, sizeof(guest), "guest=%s,debug-threads=on", name);
	snprintf(n, sizeof(n), "%d", n_vcpus);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execl(path, path, "-name", guest, "-smp", n, NULL);
		_exit(127);
	}
	WAIT_UNTIL(count_vcpu_threads(pid) == n_vcpus, pause_ms(5));
	/* It runs: nothing is left behind, whatever becomes of the test. */
	unlink(path);
	rmdir(directory);
	return pid;
}

static void qemu_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
