/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests of this host, found in /proc: every process that has KVM vCPUs (files named
 * anon_inode:kvm-vcpu:N) or QEMU vCPU threads under TCG. Needs neither libvirt nor QEMU's monitor, and
 * does not touch the guest.
 *
 * A list is a snapshot; vpmu_guests_refresh() brings it up to date and says what changed (15 µs for each
 * process of the host); vpmu_guests_glance() does where something happened (1 µs). Whose file descriptors may not be read (another user's process, without
 * CAP_SYS_PTRACE) is recognised by the guest time that the kernel accounts to it, and by thread names:
 * "CPU n/KVM" and "CPU n/TCG".
 *
 * vCPUs are told from other threads by name (QEMU with debug-threads=on, as libvirt sets it, Firecracker, Cloud
 * Hypervisor, crosvm, kvmtool), else by having run guest code: then a guest that has not run yet has
 * no vCPUs here, and shows them at a later refresh.
 */
#ifndef VPMU_GUEST_H
#define VPMU_GUEST_H

#include <vpmu/common.h>
#include <vpmu/error.h>

enum vpmu_accel { VPMU_ACCEL_UNKNOWN = 0, VPMU_ACCEL_KVM = 1, VPMU_ACCEL_TCG = 2 };

struct vpmu_vcpu_info {
	uint32_t index; /* as in "CPU 3/KVM"; without such a name KVM's own number where it can be seen (the
			   vCPU is halted), else by thread id */
	pid_t tid;
};

/* All strings belong to the list and live until it is refreshed or freed. */
struct vpmu_guest_info {
	pid_t pid;
	uint64_t start_ticks;  /* /proc/PID/stat field 22: tells a reused pid from the old one */
	const char *name;      /* QEMU's -name guest=NAME, else "pid:N"; control characters replaced */
	const char *uuid;      /* QEMU's -uuid in lower case, or "" */
	const char *exe;       /* path of the running binary, "" if it may not be read */
	enum vpmu_accel accel;
	size_t n_vcpus;
	const struct vpmu_vcpu_info *vcpus; /* by index, then tid */
};

enum vpmu_guest_change {
	VPMU_GUEST_APPEARED,
	VPMU_GUEST_GONE,
	VPMU_VCPU_APPEARED,
	VPMU_VCPU_GONE,
};

struct vpmu_guests_opts {
	size_t sz;
	const char *proc_path; /* default "/proc"; tests hand in a directory of their own */
};

struct vpmu_guests; /* a snapshot of the host's guests */

/* @vcpu is NULL for changes of a whole guest. Pointers are valid during the call. */
typedef void (*vpmu_guest_change_fn)(enum vpmu_guest_change change,
				     const struct vpmu_guest_info *guest,
				     const struct vpmu_vcpu_info *vcpu, void *data);

VPMU_BEGIN_DECLS

/*
 * vpmu_guests_new - look for guests once.
 * Errors: -EINVAL (options), -ENOMEM, or what opening @proc_path gave. No guest is not an error.
 */
VPMU_API int vpmu_guests_new(const struct vpmu_guests_opts *opts, struct vpmu_guests **ret_guests,
			     struct vpmu_error *reterr);
VPMU_API struct vpmu_guests *vpmu_guests_free(struct vpmu_guests *guests);

/*
 * vpmu_guests_refresh - look again; @fn (may be NULL) hears of each change, of what is gone first. A guest that
 * appears or goes is one change; its vCPUs are told of one by one only while it stays. Old pointers die.
 * Errors: -ENOMEM, or what opening the directory gave; the list stays as it was.
 */
VPMU_API int vpmu_guests_refresh(struct vpmu_guests *guests, vpmu_guest_change_fn fn, void *data,
				 struct vpmu_error *reterr);

/*
 * vpmu_guests_glance - the same, but cheap enough for once a second: looks at processes that are new, young or called as
 * QEMU is, at guests that are new or have another number of threads than before, and at the others in turn, at each of
 * them every 64th time. So what it sees late are processes that become guests long after their start without being
 * QEMU, and vCPUs without names that begin to run late.
 */
VPMU_API int vpmu_guests_glance(struct vpmu_guests *guests, vpmu_guest_change_fn fn, void *data,
				struct vpmu_error *reterr);

VPMU_API size_t vpmu_guests_count(const struct vpmu_guests *guests);

/* vpmu_guests_get - guest @i of 0 … count-1, by name; NULL beyond the end. */
VPMU_API const struct vpmu_guest_info *vpmu_guests_get(const struct vpmu_guests *guests, size_t i);

/*
 * vpmu_guests_find - the guest that a user means by @spec: its name, its UUID, or "pid:N".
 * Errors: -ENOENT (no such guest; the text lists those there are), -ENOTUNIQ (two have that name).
 */
VPMU_API int vpmu_guests_find(const struct vpmu_guests *guests, const char *spec,
			      const struct vpmu_guest_info **ret_guest, struct vpmu_error *reterr);

/* "kvm", "tcg", "unknown": a static string. */
VPMU_API const char *vpmu_accel_name(enum vpmu_accel accel);

VPMU_END_DECLS

#endif
