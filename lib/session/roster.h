/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests of a session, and whose each thread is. Guests are never forgotten: an index means
 * the same guest to the end, also when it is dead. A vCPU that comes back with another thread
 * (unplugged and plugged again) is listed with both.
 */
#ifndef SESSION_ROSTER_H
#define SESSION_ROSTER_H

#include <stdbool.h>
#include <vpmu/guest.h>
#include <vpmu/sample.h>
#include "session/tasks.h"
#include "util/vec.h"

struct kernel_orc;

struct roster_guest {
	struct vpmu_guest_info
		info; /* strings and vcpus are owned; proc_fd tells whether it lives */
	VEC(struct vpmu_vcpu_info) vcpus;
	int proc_fd; /* /proc/PID: of this process, even if its pid is used again; -1 = gone */
	uint64_t from_ns, until_ns; /* the process's life, CLOCK_MONOTONIC; 0 = not known, not over */
	bool whole;  /* all threads are profiled */
	bool follow; /* its threads are targets (not so when whole CPUs are) */
	bool warned; /* that a thread could not be profiled */
	bool sampled;		       /* inside the guest, at least once */
	bool told_gone;		       /* the symbolizer knows that it is dead */
	bool tasks_known;	       /* guest_kernels.c's, as the next two: samples tell their task */
	uint64_t look_at_ns, retry_ns;
	struct kernel_orc *orc; /* the kernel's unwind tables; NULL = not known, or it has none */
	uint64_t modules_at_ns, modules_wait_ns; /* when to look for more of them */
	bool not_linux; /* so it was when looked at last; kept when it has ended */
	struct tasks threads;			 /* when last looked at */
	uint32_t looks_unsettled, looks_at_same; /* follow.c's */
};

struct roster_key {
	pid_t id;
	uint32_t guest, vcpu;
};

struct roster_keys { /* a VEC, sorted by id */
	struct roster_key *items;
	size_t n, room;
};

struct roster {
	VEC(struct roster_guest *) guests;
	struct roster_keys threads;   /* vCPU threads by tid */
	struct roster_keys processes; /* guests by pid */
};

void roster_deinit(struct roster *roster);

/*
 * Adds a copy of @info, which owns @proc_fd from now on (also on failure). Returns the index or
 * -ENOMEM.
 */
int roster_add(struct roster *roster, const struct vpmu_guest_info *info, int proc_fd);

/* The living guest with this pid and start time: its index, or VPMU_NO_GUEST. */
uint32_t roster_find(const struct roster *roster, const struct vpmu_guest_info *info);

/* Guest @index has these vCPUs now; those not known yet are added. */
int roster_add_vcpus(struct roster *roster, uint32_t index, const struct vpmu_vcpu_info *vcpus,
		     size_t n);

/* Forgets the guest added last, which is buried: nobody has seen its index. */
void roster_drop_last(struct roster *roster);

/* Guest @index is dead: its pid and threads may soon be others'. */
void roster_bury(struct roster *roster, uint32_t index);

/* Whose thread is @tid of process @pid? VPMU_NO_GUEST, VPMU_NO_VCPU if nobody's. */
void roster_at(const struct roster *roster, pid_t pid, pid_t tid, uint32_t *ret_guest,
	       uint32_t *ret_vcpu);

#endif
