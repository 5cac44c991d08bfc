/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The exits of every guest of the node by reason, and where the time of its vCPUs went, since vpmud began to look at it: the
 * sums that become metrics. Programs in the kernel account them all the time (vpmu/exits.h, vpmu/clock.h); here they are read
 * when the metrics are.
 *
 * Where KVM does not tell of exits, there are its events by kind instead. When a guest stops its sums go; what it did after the
 * last reading is in none.
 */
#ifndef DAEMON_ACCOUNTS_H
#define DAEMON_ACCOUNTS_H

#include "domains.h"
#include "gauge.h"
#include "jobs.h"
#include "util/vec.h"

/* Reasons that a guest is shown with; others are counted together. The hardware's tables have some 80. */
#define ACCOUNT_REASONS_MAX 96
#define ACCOUNT_VCPUS_MAX   512

struct account_reason {
	char name[40];
	uint64_t count, total_ns;
};

struct account_vcpu {
	uint32_t index;
	unsigned int has; /* bits by part: what this machine gives */
	uint64_t parts_ns[VPMU_CLOCK_PART_COUNT];
};

struct guest_account {
	uint64_t domain;
	bool has_exits, has_clock; /* were read at least once */
	bool silent;		   /* it ran without exits: this KVM does not tell of them */
	VEC(struct account_reason) reasons;
	uint64_t events[VPMU_EXIT_KEY_COUNT]; /* outside of exits, by key */
	VEC(struct account_vcpu) vcpus; /* by index */
};

struct accounts;

struct accounts_opts {
	struct jobs *jobs;
	struct domains *domains;
	const char *proc_path; /* for tests; NULL = /proc */
};

/* accounts_new - accounts nothing yet. Errors: -ENOMEM. */
int accounts_new(const struct accounts_opts *opts, struct accounts **ret_accounts, struct vpmu_error *reterr);
struct accounts *accounts_free(struct accounts *accounts);
DEFINE_CLEANUP(struct accounts *, accounts_free)

/* accounts_set - what is accounted from now on; what is not any more is forgotten. */
void accounts_set(struct accounts *accounts, bool exits, bool clock);

/* The sums of a guest; NULL if there are none (yet). Valid until the loop goes on. */
const struct guest_account *accounts_guest(const struct accounts *accounts, uint64_t domain);

/*
 * accounts_ask - call @fn once the sums are no older than a second: now, or after a reading. It is always called unless
 * this fails; @cancelled: by accounts_free(). Errors: -ENOMEM.
 */
int accounts_ask(struct accounts *accounts, void (*fn)(bool cancelled, void *data), void *data);

/* ---- the arithmetic, for tests ---- */

/* Adds a reading. Errors: -ENOMEM. */
int guest_account_add_exits(struct guest_account *account, const struct vpmu_exit_rows *rows);
int guest_account_add_times(struct guest_account *account, const struct vpmu_clock_times *times);
void guest_account_deinit(struct guest_account *account);

#endif
