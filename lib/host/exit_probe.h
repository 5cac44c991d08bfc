/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The BPF programs that account VM exits, bpf/exits.bpf.c: loaded and attached to KVM's
 * tracepoints, told which threads to account, and read.
 */
#ifndef HOST_EXIT_PROBE_H
#define HOST_EXIT_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vpmu/error.h>
#include "bpf/vpmu_bpf.h"
#include "util/cleanup.h"

struct exit_probe;

/*
 * Whether exits cannot be expected here: KVM runs guests without VMX or SVM, and its kvm_exit and
 * kvm_entry are mute. (No promise: guests show.)
 */
bool exit_probe_mute(void);

struct exit_probe_plan {
	uint32_t kinds;	      /* bits by enum vpmu_bpf_exit_kind: what is to be told apart */
	uint32_t max_threads; /* accounted at the same time */
	uint32_t max_details; /* rows by kind and value, of all threads */
	bool chains;	      /* sample exits with the guest's call chains */
};

/*
 * Loads the programs and attaches them; nothing is accounted yet. Errors: -EOPNOTSUPP (built
 * without BPF), -EPERM, -ENOENT (no KVM), what the kernel said; one line that tells, with what to
 * do.
 */
int exit_probe_open(const struct exit_probe_plan *plan, struct exit_probe **ret_probe,
		    struct vpmu_error *reterr);
struct exit_probe *exit_probe_free(struct exit_probe *probe);
DEFINE_CLEANUP(struct exit_probe *, exit_probe_free)

/*
 * Accounts thread @tid from now on, from 0. Errors: -E2BIG (max_threads), what the kernel said.
 * Removing forgets its details as well.
 */
int exit_probe_add_thread(struct exit_probe *probe, pid_t tid);
void exit_probe_remove_thread(struct exit_probe *probe, pid_t tid);

/*
 * Sums of @tid. Read while they are added to: the parts of one row may be apart by an exit.
 * -ENOENT: not accounted.
 */
int exit_probe_read(const struct exit_probe *probe, pid_t tid, struct vpmu_bpf_exit_thread *ret);

/*
 * Every detail row of every thread, in no order. Stops when @fn returns a negative number, and
 * returns that.
 */
typedef int (*exit_probe_detail_fn)(const struct vpmu_bpf_exit_key *key,
				    const struct vpmu_bpf_exit_row *row, void *data);
int exit_probe_each_detail(const struct exit_probe *probe, exit_probe_detail_fn fn, void *data);

/*
 * Hands over what was sampled since the last time. Stops when @fn returns a negative number, and
 * returns that.
 */
int exit_probe_drain(struct exit_probe *probe,
		     int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data);

/* Begins a new epoch; returns the number of the one that ended, whose ranges stand still now. */
uint32_t exit_probe_next_epoch(struct exit_probe *probe);

/* How often a program could not run because it ran on that CPU already: events that were missed. */
uint64_t exit_probe_missed(const struct exit_probe *probe);

/* Names of wanted tracepoints that this kernel does not have, "kvm_x, kvm_y"; "" if it has all. */
const char *exit_probe_missing(const struct exit_probe *probe);

#endif
