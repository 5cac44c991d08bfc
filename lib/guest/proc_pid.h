/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of one process in /proc, as far as finding guests needs them. Everything is read relative to an open
 * /proc/PID: should the process end and its number be given to another, reads fail instead of mixing the two.
 */
#ifndef GUEST_PROC_PID_H
#define GUEST_PROC_PID_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc/PID/stat or /proc/PID/task/TID/stat says. */
struct task_stat {
	char comm[64]; /* kernel threads have long ones */
	char state;    /* 'R', 'S', …; 'Z': dead, but nobody has asked for its exit status */
	uint32_t flags;
	uint64_t n_threads;
	uint64_t start_ticks;
	uint64_t user_ticks, system_ticks; /* of the whole process, or of the thread */
	uint64_t guest_ticks;		   /* is part of user_ticks */
};

/* task_stat.flags, from include/linux/sched.h */
#define TASK_KTHREAD	 0x00200000
#define TASK_USER_WORKER 0x00004000 /* a kernel thread inside a process (vhost, KVM's own), since 6.4 */
#define TASK_IO_WORKER	 0x00000010

/* 0, or a negative errno: gone (-ENOENT, -ESRCH), -EBADMSG. */
int task_stat_read(int dir_fd, const char *path, struct task_stat *ret_stat);

/* The KVM files among a process's open files. */
struct kvm_files {
	bool readable; /* false: another user's process, and no CAP_SYS_PTRACE */
	bool has_vm;   /* a virtual machine; may be false where vcpu_fd is set */
	int vcpu_fd;   /* one that is a vCPU's, or -1 */
};

/*
 * Looks until it finds a vCPU. @known_fd: where one was last time, or -1. @ran_guest_code: there must be one; look for
 * it however many files there are.
 */
void kvm_files_read(int dir_fd, bool ran_guest_code, int known_fd, struct kvm_files *ret_files);
size_t kvm_files_count_vcpus(int dir_fd);

enum thread_call {
	THREAD_ELSEWHERE, /* asleep in some other call, or that may not be seen */
	THREAD_RUNNING,	  /* on a CPU, or waiting for one */
	THREAD_IN_GUEST,  /* asleep in ioctl(KVM_RUN): a halted vCPU; *ret_vcpu is which */
};

enum thread_call thread_call_read(int dir_fd, pid_t tid, uint32_t *ret_vcpu);

/* The start of a file, NUL-terminated; its length or a negative errno. */
ssize_t read_start(int dir_fd, const char *path, char *text, size_t room);

/* NULL with errno. */
DIR *open_dir_at(int dir_fd, const char *path);

static inline void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#endif
