/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process of the guest with a memory map that has something of everything: enough areas for a
 * tree of several levels, files that are deleted, oddly named, shared or in no directory at all;
 * and with threads.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define MANY 400

static void *thread(void *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
	for (;;)
		pause();
	return NULL;
}

static char *map(int fd, int flags)
{
	char *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : PAGE);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

static int file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, 8 * PAGE) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* A BPF program that does nothing has a name in /proc/kallsyms. */
static void load_program(const char *name)
{
	struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)nothing,
		.insn_cnt = 2,
		.license = (uintptr_t) "GPL",
	};

	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	if (syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0)
		perror("loading a program failed");
}

int main(int argc, char **argv)
{
	char *many = mmap(NULL, MANY * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *named;
	static char names[2][16] = {"first thread", "second thread"};
	pthread_t threads[2];
	int memory = memfd_create("guest memory", 0);

	if (many == MAP_FAILED || memory < 0 || ftruncate(memory, 8 * PAGE) < 0 || argc != 2)
		return 1;
	for (int i = 0; i < MANY; i += 2)
		mprotect(many + i * PAGE, PAGE, PROT_READ | PROT_WRITE);
	map(-1, MAP_SHARED | MAP_ANONYMOUS);
	map(memory, MAP_SHARED);
	map(file("/tmp/deleted"), MAP_SHARED);
	unlink("/tmp/deleted");
	map(file("/tmp/two\nlines and blanks"), MAP_PRIVATE);
	named = map(-1, MAP_PRIVATE | MAP_ANONYMOUS);
	prctl(0x53564d41 /* PR_SET_VMA */, 0 /* PR_SET_VMA_ANON_NAME */, named, PAGE,
	      "a named area");
	/* The program itself lies on an overlay; this is one more file there. */
	map(file(argv[1]), MAP_PRIVATE);
	load_program("first");
	load_program("second");
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, thread, names[i]);
	pause();
	return 0;
}
