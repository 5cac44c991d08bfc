/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests of a recording, and whose each thread was.
 *
 * Our recordings say so in a section of their own. In others a guest is a process with threads
 * called "CPU n/KVM" (QEMU's names) or with samples on a guest's side; it is called "pid:N". vCPU
 * threads without such a name are numbered in order of their thread ids, after those with one.
 */
#ifndef SESSION_RECORDING_GUESTS_H
#define SESSION_RECORDING_GUESTS_H

#include <vpmu/guest.h>
#include <vpmu/sample.h>
#include "util/idtable.h"
#include "util/intern.h"
#include "util/vec.h"

struct recording_guest {
	struct vpmu_guest_info info; /* .vcpus: set by recording_guests_settle() */
	VEC(struct vpmu_vcpu_info) vcpus;
	uint64_t from_ns, until_ns;  /* its life; 0 = not known, not over */
	bool declared;		     /* by the section: its vCPUs are known */
	bool shares_pid;	     /* with others, at other times: see .shared */
};

struct recording_thread {
	uint32_t tid, guest, vcpu;
};

struct recording_life {
	uint64_t from_ns;
	uint32_t pid, guest;
};

struct recording_guests {
	VEC(struct recording_guest) all;
	VEC(struct recording_thread) threads;
	struct idtable by_pid, by_tid; /* of all (the first of each pid), of threads */
	VEC(struct recording_life) shared; /* of all that share a pid; settled: by pid and time */
	struct intern *strings;
	uint32_t last_pid, last_tid;   /* noted last: samples of a vCPU come in runs */
};

void recording_guests_deinit(struct recording_guests *g);

/*
 * A guest as the section has it, and when it lived: during a long recording a pid may be used again. 0
 * or -ENOMEM.
 */
int recording_guests_declare(struct recording_guests *g, const struct vpmu_guest_info *info,
			     uint64_t from_ns, uint64_t until_ns);

/* A sample on a guest's side was seen in this thread. */
int recording_guests_note_sample(struct recording_guests *g, uint32_t pid, uint32_t tid);

/* A thread got this name. */
int recording_guests_note_comm(struct recording_guests *g, uint32_t pid, uint32_t tid,
			       const char *comm);

/* Nothing more will be noted: numbers vCPUs, fills in infos. */
int recording_guests_settle(struct recording_guests *g);

/* Whose was this thread then? VPMU_NO_GUEST, VPMU_NO_VCPU if nobody's. */
void recording_guests_at(const struct recording_guests *g, uint32_t pid, uint32_t tid, uint64_t time_ns,
			 uint32_t *ret_guest, uint32_t *ret_vcpu);

#endif
