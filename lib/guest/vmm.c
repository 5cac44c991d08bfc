/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/qemu_args.h"
#include "guest/vcpu_name.h"
#include "guest/vmm.h"
#include "util/cleanup.h"
#include "util/macro.h"
#include "util/vec.h"

/* KVM allows 4096 vCPUs at most (arch/x86/include/asm/kvm_host.h); the rest is what a hypervisor does beside. */
#define THREADS_MAX	  16384
/* Where only names can tell, in any process: vCPUs are among the first threads that a hypervisor starts. */
#define THREADS_MAX_GUESS 256
/* Options that name a guest come early (from libvirt: first of all). */
#define CMDLINE_BYTES_MAX (128 << 10)

struct thread {
	pid_t tid;
	enum vcpu_name name;
	bool runs_guest; /* it is a vCPU, by the rules for threads without names */
	enum thread_call call;
	bool has_index;
	uint32_t index;
};

struct threads {
	VEC(struct thread) all; /* the kernel's workers left out; by tid */
	size_t n_names[VCPU_NAME_OTHER + 1];
	size_t n_running;
};

static void threads_deinit(struct threads *threads)
{
	vec_free(&threads->all);
}

static int by_tid(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static int threads_read(int dir_fd, size_t n_max, struct threads *threads)
{
	_cleanup_(closedirp) DIR *dir = open_dir_at(dir_fd, "task");
	struct dirent *entry;
	char path[64];

	while (dir && (entry = readdir(dir)) && threads->all.n < n_max) {
		struct thread thread = { .tid = atoi(entry->d_name) };
		struct task_stat stat;

		if (thread.tid <= 0)
			continue;
		snprintf(path, sizeof(path), "%d/stat", thread.tid);
		if (task_stat_read(dirfd(dir), path, &stat) < 0 ||
		    (stat.flags & (TASK_USER_WORKER | TASK_IO_WORKER)))
			continue;
		thread.name = vcpu_name_parse(stat.comm, &thread.index);
		thread.has_index = thread.name != VCPU_NAME_NONE;
		thread.runs_guest = stat.guest_ticks > 0;
		threads->n_names[thread.name]++;
		threads->n_running += thread.runs_guest;
		if (!vec_push(&threads->all, thread))
			return -ENOMEM;
	}
	if (threads->all.n)
		qsort(threads->all.items, threads->all.n, sizeof(*threads->all.items), by_tid);
	return 0;
}

/* Without names: finds the threads that run the guest, and of those that sleep in it the vCPU's number. */
static void find_running(int dir_fd, pid_t pid, struct threads *threads)
{
	size_t n_files = kvm_files_count_vcpus(dir_fd);

	vec_for_each(thread, &threads->all) {
		thread->call = thread_call_read(dir_fd, thread->tid, &thread->index);
		if (thread->call != THREAD_IN_GUEST)
			continue;
		threads->n_running += !thread->runs_guest;
		thread->has_index = thread->runs_guest = true;
	}
	vec_for_each(thread, &threads->all) {
		bool busy = thread->call == THREAD_RUNNING && thread->tid != pid;

		if (!thread->runs_guest && threads->n_running < n_files && (busy || threads->all.n == n_files)) {
			thread->runs_guest = true;
			threads->n_running++;
		}
	}
}

static void take_index(struct thread *thread, uint32_t index, bool *taken, size_t n_taken)
{
	thread->index = index;
	thread->has_index = true;
	if (index < n_taken)
		taken[index] = true;
}

/* Numbers for vCPU threads that have none: the one from last time, else the lowest free one, by thread id. */
static int number_the_rest(struct threads *threads, const struct vpmu_guest_info *before)
{
	size_t n = threads->all.n, next = 0;
	_free_ bool *taken = calloc(n + 1, sizeof(*taken));

	if (!taken)
		return -ENOMEM;
	vec_for_each(thread, &threads->all)
		if (thread->runs_guest && thread->has_index)
			take_index(thread, thread->index, taken, n);
	for (size_t i = 0; before && i < before->n_vcpus; i++) {
		const struct vpmu_vcpu_info *vcpu = &before->vcpus[i];
		struct thread key = { .tid = vcpu->tid }, *thread;

		thread = n ? bsearch(&key, threads->all.items, n, sizeof(key), by_tid) : NULL;
		if (thread && thread->runs_guest && !thread->has_index &&
		    !(vcpu->index < n && taken[vcpu->index]))
			take_index(thread, vcpu->index, taken, n);
	}
	vec_for_each(thread, &threads->all) {
		if (!thread->runs_guest || thread->has_index)
			continue;
		while (taken[next])
			next++;
		take_index(thread, (uint32_t)next, taken, n);
	}
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct vpmu_vcpu_info *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

static bool is_vcpu(const struct thread *thread, enum vpmu_accel accel, bool by_name)
{
	if (accel == VPMU_ACCEL_TCG)
		return thread->name == VCPU_NAME_QEMU_TCG;
	if (by_name)
		return thread->name == VCPU_NAME_QEMU_KVM || thread->name == VCPU_NAME_OTHER;
	return thread->runs_guest;
}

/* Fills the vCPUs of @vmm, by the rules in vmm.h. */
static int choose_vcpus(int dir_fd, const struct vpmu_guest_info *before, struct threads *threads, struct vmm *vmm)
{
	bool by_name = threads->n_names[VCPU_NAME_QEMU_KVM] + threads->n_names[VCPU_NAME_OTHER] > 0;
	size_t n = 0;
	int r;

	if (vmm->info.accel == VPMU_ACCEL_KVM && !by_name) {
		find_running(dir_fd, vmm->info.pid, threads);
		r = number_the_rest(threads, before);
		if (r < 0)
			return r;
	}
	vmm->vcpus = calloc(threads->all.n + 1, sizeof(*vmm->vcpus));
	if (!vmm->vcpus)
		return -ENOMEM;
	vec_for_each(thread, &threads->all)
		if (is_vcpu(thread, vmm->info.accel, by_name))
			vmm->vcpus[n++] = (struct vpmu_vcpu_info){ thread->index, thread->tid };
	qsort(vmm->vcpus, n, sizeof(*vmm->vcpus), by_index);
	vmm->info.vcpus = vmm->vcpus;
	vmm->info.n_vcpus = n;
	return 0;
}

/* /proc/PID/exe, "" if that may not be read. A binary that an update replaced is called by its old name. */
static void read_exe(int dir_fd, char exe[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	ssize_t n = readlinkat(dir_fd, "exe", exe, PATH_MAX - 1);

	exe[n > 0 ? n : 0] = '\0';
	if (n > (ssize_t)strlen(deleted) && streq(exe + n - strlen(deleted), deleted))
		exe[n - (ssize_t)strlen(deleted)] = '\0';
}

static bool is_qemu(int dir_fd, const char *exe)
{
	char argv0[PATH_MAX];

	if (exe[0])
		return qemu_args_is_qemu(exe);
	return read_start(dir_fd, "cmdline", argv0, sizeof(argv0)) > 0 && qemu_args_is_qemu(argv0);
}

bool vmm_is_qemu(int dir_fd)
{
	char exe[PATH_MAX];

	read_exe(dir_fd, exe);
	return is_qemu(dir_fd, exe);
}

static int fill_strings(int dir_fd, pid_t pid, char *exe, struct vmm *vmm)
{
	_free_ char *cmdline = malloc(CMDLINE_BYTES_MAX);
	struct qemu_args args = {};
	ssize_t n;

	if (!cmdline)
		return -ENOMEM;
	n = read_start(dir_fd, "cmdline", cmdline, CMDLINE_BYTES_MAX);
	if (n > 0)
		qemu_args_parse(cmdline, (size_t)n, &args);
	if (!args.name[0])
		snprintf(args.name, sizeof(args.name), "pid:%d", pid);
	name_sanitise(exe);
	vmm->info.name = vmm->name = strdup(args.name);
	vmm->info.uuid = vmm->uuid = strdup(args.uuid);
	vmm->info.exe = vmm->exe = strdup(exe);
	return vmm->name && vmm->uuid && vmm->exe ? 0 : -ENOMEM;
}

/* Reads the threads where they can matter, and says what the process is. */
static int classify(int dir_fd, const char *exe, const struct task_stat *stat, const struct kvm_files *files,
		    struct threads *threads, enum vpmu_accel *ret_accel)
{
	bool by_files = files->readable && files->vcpu_fd >= 0, ran = stat->guest_ticks > 0;
	int r;

	if (files->readable && !by_files) {
		if (files->has_vm)
			return VMM_SOON;
		if (!is_qemu(dir_fd, exe))
			return VMM_NO;
	}
	if (!files->readable && !ran && stat->n_threads < 2)
		return VMM_HIDDEN;
	r = threads_read(dir_fd, files->readable || ran ? THREADS_MAX : THREADS_MAX_GUESS, threads);
	if (r < 0)
		return r;
	if (by_files || (!files->readable && (ran || threads->n_names[VCPU_NAME_QEMU_KVM])))
		*ret_accel = VPMU_ACCEL_KVM;
	else if (threads->n_names[VCPU_NAME_QEMU_TCG] && is_qemu(dir_fd, exe))
		*ret_accel = VPMU_ACCEL_TCG;
	else
		return files->readable ? VMM_NO : VMM_HIDDEN;
	return VMM_YES;
}

static int probe(int dir_fd, pid_t pid, const struct task_stat *stat, const struct vpmu_guest_info *before,
		 int known_fd, struct vmm *ret_vmm)
{
	_cleanup_(threads_deinit) struct threads threads = {};
	_cleanup_(vmm_deinit) struct vmm vmm = {};
	struct kvm_files files;
	char exe[PATH_MAX];
	int answer, r;

	kvm_files_read(dir_fd, stat->guest_ticks > 0, known_fd, &files);
	read_exe(dir_fd, exe);
	answer = classify(dir_fd, exe, stat, &files, &threads, &vmm.info.accel);
	if (answer != VMM_YES)
		return answer;
	vmm.info.pid = pid;
	vmm.info.start_ticks = stat->start_ticks;
	vmm.vcpu_fd = files.vcpu_fd;
	vmm.n_threads = stat->n_threads;
	r = choose_vcpus(dir_fd, before, &threads, &vmm);
	if (r == 0)
		r = fill_strings(dir_fd, pid, exe, &vmm);
	if (r < 0)
		return r;
	*ret_vmm = vmm;
	memset(&vmm, 0, sizeof(vmm));
	return VMM_YES;
}

int vmm_probe(int dir_fd, pid_t pid, const struct task_stat *stat, const struct vpmu_guest_info *before,
	      struct vmm *ret_vmm)
{
	return probe(dir_fd, pid, stat, before, -1, ret_vmm);
}

int vmm_probe_again(int dir_fd, const struct task_stat *stat, const struct vmm *before, struct vmm *ret_vmm)
{
	return probe(dir_fd, before->info.pid, stat, &before->info, before->vcpu_fd, ret_vmm);
}

int vmm_copy(const struct vmm *vmm, struct vmm *ret_copy)
{
	_cleanup_(vmm_deinit) struct vmm copy = *vmm;

	copy.info.name = copy.name = strdup(vmm->name);
	copy.info.uuid = copy.uuid = strdup(vmm->uuid);
	copy.info.exe = copy.exe = strdup(vmm->exe);
	copy.info.vcpus = copy.vcpus = calloc(vmm->info.n_vcpus + 1, sizeof(*copy.vcpus));
	if (!copy.name || !copy.uuid || !copy.exe || !copy.vcpus)
		return -ENOMEM;
	if (vmm->info.n_vcpus)
		memcpy(copy.vcpus, vmm->vcpus, vmm->info.n_vcpus * sizeof(*copy.vcpus));
	*ret_copy = copy;
	memset(&copy, 0, sizeof(copy));
	return 0;
}

void vmm_deinit(struct vmm *vmm)
{
	free(vmm->name);
	free(vmm->uuid);
	free(vmm->exe);
	free(vmm->vcpus);
	memset(vmm, 0, sizeof(*vmm));
}
