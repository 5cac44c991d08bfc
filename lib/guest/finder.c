/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's guests: a walk over /proc, and what to remember of it.
 *
 * What it costs. Listing the open files of a process takes the kernel some 4 µs for each file, so that a node with
 * thousands of processes would be at it for a second. They are listed for those processes only that
 *
 *	have guest time: /proc/PID/stat says so (10 µs), for every KVM guest that has run for a tick;
 *	are less than a minute old: their guest, if there is to be one, may be about to start;
 *	run a program called as QEMU is (5 µs more; remembered until the process changes its name);
 *	were guests at the last look, or are setting up a virtual machine.
 *
 * So of all guests one kind is missed until its first tick: a hypervisor that is not QEMU, that has been waiting for
 * longer than a minute, and whose guest never ran. It could not be sampled either.
 *
 * A glance reads the directory /proc, where a process that was there at the last look is known by its number and its
 * inode, and for each guest the link count of /proc/PID/task: two more than there are threads
 * (proc_task_getattr() in fs/proc/base.c). Of everything else it looks at a part, another one each time.
 */
#include <vpmu/guest.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/vmm.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define YOUNG_NS	(60 * 1000000000ull)
#define GLANCE_YOUNG_NS (10 * 1000000000ull)
#define GLANCE_TURNS	64

/* A process that is no guest. */
struct other {
	pid_t pid;
	bool is_qemu, soon; /* look at it every time */
	bool is_kernel;
	uint64_t start_ticks;
	uint64_t inode;
	char comm[16]; /* a new program brings a new name: exec() sets it */
};

struct snapshot {
	VEC(struct vmm) guests;	    /* by name, then pid */
	VEC(struct vmm *) by_pid;   /* the same */
	VEC(struct other) others;   /* by pid */
};

/* One walk over /proc. */
struct walk {
	int proc_fd;
	uint64_t now_ns; /* since boot, as start times are */
	pid_t turn;	 /* of a glance; -1: everybody is looked at */
	const struct snapshot *last;
	struct snapshot *next;
};

struct vpmu_guests {
	char *proc_path;
	struct snapshot now;
	pid_t turn; /* whose it was at the last glance: those with this remainder */
};

static void snapshot_deinit(struct snapshot *snapshot)
{
	vec_for_each(guest, &snapshot->guests)
		vmm_deinit(guest);
	vec_free(&snapshot->guests);
	vec_free(&snapshot->by_pid);
	vec_free(&snapshot->others);
}

static int by_name(const void *a, const void *b)
{
	const struct vpmu_guest_info *x = &((const struct vmm *)a)->info, *y = &((const struct vmm *)b)->info;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->pid > y->pid) - (x->pid < y->pid);
}

static int by_pid(const void *a, const void *b)
{
	const struct other *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int guest_by_pid(const void *a, const void *b)
{
	pid_t x = (*(struct vmm *const *)a)->info.pid, y = (*(struct vmm *const *)b)->info.pid;

	return (x > y) - (x < y);
}

static const struct vmm *find_guest(const struct snapshot *snapshot, pid_t pid)
{
	struct vmm key = { .info.pid = pid }, *at = &key, **found = NULL;

	if (snapshot->by_pid.n)
		found = bsearch(&at, snapshot->by_pid.items, snapshot->by_pid.n, sizeof(at), guest_by_pid);
	return found ? *found : NULL;
}

static const struct vmm *same_guest(const struct snapshot *snapshot, pid_t pid, uint64_t start_ticks)
{
	const struct vmm *found = find_guest(snapshot, pid);

	return found && found->info.start_ticks == start_ticks ? found : NULL;
}

static const struct other *find_other(const struct snapshot *snapshot, pid_t pid)
{
	struct other key = { .pid = pid };

	return snapshot->others.n ?
		       bsearch(&key, snapshot->others.items, snapshot->others.n, sizeof(key), by_pid) :
		       NULL;
}

static const struct other *same_other(const struct snapshot *snapshot, pid_t pid, uint64_t start_ticks)
{
	const struct other *found = find_other(snapshot, pid);

	return found && found->start_ticks == start_ticks ? found : NULL;
}

static uint64_t since_boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_younger(const struct walk *walk, uint64_t start_ticks, uint64_t age_ns)
{
	return walk->now_ns < start_ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK)) + age_ns;
}

static int add_guest(struct walk *walk, struct vmm *vmm, uint64_t inode)
{
	vmm->inode = inode;
	if (vec_push(&walk->next->guests, *vmm))
		return 0;
	vmm_deinit(vmm);
	return -ENOMEM;
}

/* Looks at one process and files it; 0 or -ENOMEM. */
static int look_at(struct walk *walk, const char *pid_text, uint64_t inode)
{
	_cleanup_(closedirp) DIR *dir = open_dir_at(walk->proc_fd, pid_text);
	struct other other = { .pid = atoi(pid_text), .inode = inode };
	const struct other *known;
	const struct vmm *before;
	struct task_stat stat;
	int answer = VMM_NO;
	struct vmm vmm;

	/* Of a process whose first thread has ended others may go on. */
	if (!dir || task_stat_read(dirfd(dir), "stat", &stat) < 0 || (stat.state == 'Z' && stat.n_threads <= 1))
		return 0;
	other.start_ticks = stat.start_ticks;
	other.is_kernel = stat.flags & TASK_KTHREAD;
	snprintf(other.comm, sizeof(other.comm), "%.15s", stat.comm);
	before = same_guest(walk->last, other.pid, stat.start_ticks);
	known = same_other(walk->last, other.pid, stat.start_ticks);
	if (other.is_kernel)
		return vec_push(&walk->next->others, other) ? 0 : -ENOMEM;
	if (known && streq(known->comm, other.comm))
		other.is_qemu = known->is_qemu;
	else
		other.is_qemu = vmm_is_qemu(dirfd(dir));
	if (before)
		answer = vmm_probe_again(dirfd(dir), &stat, before, &vmm);
	else if (stat.guest_ticks || other.is_qemu || (known && known->soon) ||
		 is_younger(walk, stat.start_ticks, YOUNG_NS))
		answer = vmm_probe(dirfd(dir), other.pid, &stat, NULL, &vmm);
	if (answer < 0)
		return answer;
	if (answer == VMM_YES)
		return add_guest(walk, &vmm, inode);
	other.soon = answer == VMM_SOON;
	return vec_push(&walk->next->others, other) ? 0 : -ENOMEM;
}

static bool has_same_threads(const struct walk *walk, const char *pid_text, const struct vmm *guest)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%.16s/task", pid_text);
	return fstatat(walk->proc_fd, path, &st, 0) == 0 && st.st_nlink == guest->n_threads + 2;
}

/* Carries over what was known of a process if a glance shows no reason to look. 1 if there is one, 0 or -ENOMEM. */
static int keep(struct walk *walk, const char *pid_text, uint64_t inode)
{
	pid_t pid = atoi(pid_text);
	const struct other *other = find_other(walk->last, pid);
	const struct vmm *guest = other ? NULL : find_guest(walk->last, pid);
	struct vmm copy;

	if (walk->turn < 0 || pid % GLANCE_TURNS == walk->turn)
		return 1;
	if (other && other->inode == inode && !other->is_qemu && !other->soon &&
	    !is_younger(walk, other->start_ticks, GLANCE_YOUNG_NS))
		return vec_push(&walk->next->others, *other) ? 0 : -ENOMEM;
	if (!guest || guest->inode != inode || !guest->info.n_vcpus ||
	    is_younger(walk, guest->info.start_ticks, GLANCE_YOUNG_NS) || !has_same_threads(walk, pid_text, guest))
		return 1;
	if (vmm_copy(guest, &copy) < 0)
		return -ENOMEM;
	return add_guest(walk, &copy, inode);
}

static int put_in_order(struct snapshot *snapshot)
{
	if (snapshot->guests.n)
		qsort(snapshot->guests.items, snapshot->guests.n, sizeof(*snapshot->guests.items), by_name);
	if (snapshot->others.n)
		qsort(snapshot->others.items, snapshot->others.n, sizeof(*snapshot->others.items), by_pid);
	vec_for_each(guest, &snapshot->guests)
		if (!vec_push(&snapshot->by_pid, guest))
			return -ENOMEM;
	if (snapshot->by_pid.n)
		qsort(snapshot->by_pid.items, snapshot->by_pid.n, sizeof(struct vmm *), guest_by_pid);
	return 0;
}

static int look(const char *proc_path, pid_t turn, const struct snapshot *last, struct snapshot *next,
		struct vpmu_error *reterr)
{
	_cleanup_(closedirp) DIR *dir = opendir(proc_path);
	struct walk walk = { .now_ns = since_boot_ns(), .turn = turn, .last = last, .next = next };
	struct dirent *entry;

	if (!dir)
		return error_errno(reterr, -errno, "open", proc_path);
	walk.proc_fd = dirfd(dir);
	while ((entry = readdir(dir))) {
		int r;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		r = keep(&walk, entry->d_name, entry->d_ino);
		if (r > 0)
			r = look_at(&walk, entry->d_name, entry->d_ino);
		if (r < 0)
			return error_oom(reterr);
	}
	return put_in_order(next) < 0 ? error_oom(reterr) : 0;
}

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)

VPMU_API int vpmu_guests_new(const struct vpmu_guests_opts *opts, struct vpmu_guests **ret_guests,
			     struct vpmu_error *reterr)
{
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	struct vpmu_guests_opts o;
	int r;

	if (!opts_valid(opts, sizeof(o)))
		return error_set(reterr, -EINVAL, "unknown options for the list of guests");
	opts_take(&o, opts);
	guests = calloc(1, sizeof(*guests));
	if (!guests)
		return error_oom(reterr);
	guests->proc_path = strdup(o.proc_path ? o.proc_path : "/proc");
	if (!guests->proc_path)
		return error_oom(reterr);
	r = vpmu_guests_refresh(guests, NULL, NULL, reterr);
	if (r < 0)
		return r;
	*ret_guests = take_ptr(guests);
	return 0;
}

VPMU_API struct vpmu_guests *vpmu_guests_free(struct vpmu_guests *guests)
{
	if (guests) {
		snapshot_deinit(&guests->now);
		free(guests->proc_path);
		free(guests);
	}
	return NULL;
}

/* Tells of each vCPU that @guest has and @other, the same guest at another time, has not. */
static void tell_vcpus(const struct vpmu_guest_info *guest, const struct vpmu_guest_info *other,
		       enum vpmu_guest_change change, vpmu_guest_change_fn fn, void *data)
{
	size_t j = 0;

	for (size_t i = 0; i < guest->n_vcpus; i++) {
		const struct vpmu_vcpu_info *vcpu = &guest->vcpus[i];

		while (j < other->n_vcpus &&
		       (other->vcpus[j].index < vcpu->index ||
			(other->vcpus[j].index == vcpu->index && other->vcpus[j].tid < vcpu->tid)))
			j++;
		if (j == other->n_vcpus || other->vcpus[j].index != vcpu->index ||
		    other->vcpus[j].tid != vcpu->tid)
			fn(change, guest, vcpu, data);
	}
}

/* What is gone comes before what is new, so that a listener's tables need not hold both. */
static void tell_changes(const struct snapshot *last, const struct snapshot *next, vpmu_guest_change_fn fn,
			 void *data)
{
	vec_for_each(old, &last->guests) {
		const struct vmm *new = same_guest(next, old->info.pid, old->info.start_ticks);

		if (!new)
			fn(VPMU_GUEST_GONE, &old->info, NULL, data);
		else
			tell_vcpus(&old->info, &new->info, VPMU_VCPU_GONE, fn, data);
	}
	vec_for_each(new, &next->guests) {
		const struct vmm *old = same_guest(last, new->info.pid, new->info.start_ticks);

		if (!old)
			fn(VPMU_GUEST_APPEARED, &new->info, NULL, data);
		else
			tell_vcpus(&new->info, &old->info, VPMU_VCPU_APPEARED, fn, data);
	}
}

static int refresh(struct vpmu_guests *guests, pid_t turn, vpmu_guest_change_fn fn, void *data,
		   struct vpmu_error *reterr)
{
	_cleanup_(snapshot_deinit) struct snapshot next = {};
	struct snapshot last;
	int r = look(guests->proc_path, turn, &guests->now, &next, reterr);

	if (r < 0)
		return r;
	if (fn)
		tell_changes(&guests->now, &next, fn, data);
	last = guests->now;
	guests->now = next;
	next = last;
	return 0;
}

VPMU_API int vpmu_guests_refresh(struct vpmu_guests *guests, vpmu_guest_change_fn fn, void *data,
				 struct vpmu_error *reterr)
{
	return refresh(guests, -1, fn, data, reterr);
}

VPMU_API int vpmu_guests_glance(struct vpmu_guests *guests, vpmu_guest_change_fn fn, void *data,
				struct vpmu_error *reterr)
{
	guests->turn = (guests->turn + 1) % GLANCE_TURNS;
	return refresh(guests, guests->turn, fn, data, reterr);
}

VPMU_API size_t vpmu_guests_count(const struct vpmu_guests *guests)
{
	return guests->now.guests.n;
}

VPMU_API const struct vpmu_guest_info *vpmu_guests_get(const struct vpmu_guests *guests, size_t i)
{
	return i < guests->now.guests.n ? &guests->now.guests.items[i].info : NULL;
}

/* "pid:N" means that process and nothing else, whatever a guest may have been named. */
static bool is_meant(const struct vpmu_guest_info *guest, const char *spec)
{
	char pid[32];

	if (starts_with(spec, "pid:")) {
		snprintf(pid, sizeof(pid), "pid:%d", guest->pid);
		return streq(spec, pid);
	}
	return streq(guest->name, spec) || (guest->uuid[0] && strcasecmp(guest->uuid, spec) == 0);
}

/* Whether the open files of a process, of all of them with @pid 0, may not be listed. */
static bool is_hidden(const struct vpmu_guests *guests, pid_t pid)
{
	char path[PATH_MAX];

	vec_for_each(other, &guests->now.others) {
		if (other->is_kernel || (pid && other->pid != pid))
			continue;
		snprintf(path, sizeof(path), "%.*s/%d/fd", PATH_MAX - 32, guests->proc_path, other->pid);
		if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 && errno == EACCES)
			return true;
	}
	return false;
}

static void hint_not_found(const struct vpmu_guests *guests, const char *spec, struct vpmu_error *reterr)
{
	pid_t pid = starts_with(spec, "pid:") ? atoi(spec + 4) : 0;
	bool exists = false;

	vec_for_each(other, &guests->now.others)
		exists |= other->pid == pid && !other->is_kernel;
	if (pid && !exists)
		error_hint(reterr, "there is no process %d", pid);
	else if (is_hidden(guests, pid))
		error_hint(reterr, "other users' processes may not be looked into: run as root, or with CAP_SYS_PTRACE");
	else if (pid)
		error_hint(reterr, "the process holds no KVM vCPU; emulated guests are known by their thread names: "
				   "start QEMU with -name GUEST,debug-threads=on");
	else if (spec[0] && strspn(spec, "0123456789") == strlen(spec))
		error_hint(reterr, "a process is named as pid:%.20s", spec);
}

static int not_found(const struct vpmu_guests *guests, const char *spec, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf there = {};
	int code;

	vec_for_each(guest, &guests->now.guests)
		strbuf_addf(&there, "%s'%s'", there.n ? ", " : "", guest->info.name);
	if (there.n)
		code = error_set(reterr, -ENOENT, "no guest '%.200s' here; there are %s", spec, there.text);
	else
		code = error_set(reterr, -ENOENT, "no guest '%.200s' here, nor any other", spec);
	hint_not_found(guests, spec, reterr);
	return code;
}

static int not_unique(const struct vpmu_guests *guests, const char *spec, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf pids = {};

	vec_for_each(guest, &guests->now.guests)
		if (is_meant(&guest->info, spec))
			strbuf_addf(&pids, "%spid:%d", pids.n ? ", " : "", guest->info.pid);
	error_set(reterr, -ENOTUNIQ, "more than one guest is called '%.200s': %s", spec,
		  pids.text ? pids.text : "");
	error_hint(reterr, "say which by pid:N or by its UUID");
	return -ENOTUNIQ;
}

VPMU_API int vpmu_guests_find(const struct vpmu_guests *guests, const char *spec,
			      const struct vpmu_guest_info **ret_guest, struct vpmu_error *reterr)
{
	const struct vpmu_guest_info *found = NULL;

	vec_for_each(guest, &guests->now.guests) {
		if (!is_meant(&guest->info, spec))
			continue;
		if (found)
			return not_unique(guests, spec, reterr);
		found = &guest->info;
	}
	if (!found)
		return not_found(guests, spec, reterr);
	*ret_guest = found;
	return 0;
}
