/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every vCPU of the node did since vpmud began to look at its guest: the sums that become metrics. Read at the
 * configured interval, and when somebody asks for fresh ones.
 *
 * Sums are by vCPU index: a vCPU that was unplugged and plugged in again goes on where it was. When a guest stops its sums go;
 * what it did after the last reading is in none.
 */
#ifndef DAEMON_COUNTING_H
#define DAEMON_COUNTING_H

#include <vpmu/count.h>
#include "arbiter.h"
#include "domains.h"
#include "jobs.h"
#include "util/vec.h"

/* Names of threads are their process's choice, and so are vCPUs' numbers: more than these are counted, not shown. */
#define COUNTING_VCPUS_MAX 512 /* of a guest */

enum vcpu_time_kind {
	VCPU_GUEST,  /* guest code */
	VCPU_USER,   /* the hypervisor's own code */
	VCPU_SYSTEM, /* the host's kernel, KVM included */
	VCPU_WAIT,   /* runnable without a CPU: steal time */
	VCPU_SLEEP,
	VCPU_TIME_COUNT
};

enum vcpu_event {
	VCPU_VOLUNTARY_SWITCHES,
	VCPU_INVOLUNTARY_SWITCHES,
	VCPU_PAGE_FAULTS,
	VCPU_MIGRATIONS,
	VCPU_EXITS, /* KVM's own count */
	VCPU_GUEST_CYCLES,
	VCPU_HOST_CYCLES,
	VCPU_GUEST_INSTRUCTIONS,
	VCPU_HOST_INSTRUCTIONS,
	VCPU_EVENT_COUNT
};

struct vcpu_totals {
	uint32_t index;
	unsigned int has_times, has_events; /* bits by number: what this machine gives */
	uint64_t times_ns[VCPU_TIME_COUNT];
	uint64_t events[VCPU_EVENT_COUNT];
};

struct guest_totals {
	uint64_t domain;
	VEC(struct vcpu_totals) vcpus; /* by index */
	size_t n_left_out;	       /* vCPUs beyond the limit */
};

struct counting;

struct counting_opts {
	sd_event *loop;
	struct jobs *jobs;
	struct domains *domains;
	struct arbiter *arbiter; /* NULL, for tests = all is granted */
	const char *proc_path; /* for tests; NULL = /proc */
	const char *events;    /* for tests, whose threads are not real; NULL = those of enum vcpu_event */
	uint64_t interval_ns;
	void (*fn)(void *data); /* may be NULL: called in the loop after each reading that the interval brought */
	void *data;
};

/* Errors: -ENOMEM. */
int counting_new(const struct counting_opts *opts, struct counting **ret_counting, struct vpmu_error *reterr);
struct counting *counting_free(struct counting *counting);
DEFINE_CLEANUP(struct counting *, counting_free)

void counting_set_interval(struct counting *counting, uint64_t interval_ns);

/* The sums of a guest; NULL if there are none (yet). Valid until the loop goes on. */
const struct guest_totals *counting_guest(const struct counting *counting, uint64_t domain);

/*
 * counting_ask - call @fn once the sums are no older than a second: now, or after a reading. It is always called unless
 * this fails; @cancelled: by counting_free(). Errors: -ENOMEM.
 */
int counting_ask(struct counting *counting, void (*fn)(bool cancelled, void *data), void *data);

/* The arbiter has told somebody (arbiter_changed_fn). @counting may be NULL. */
void counting_grant_changed(struct counting *counting, uint64_t request, size_t event, const struct grant *grant);

/* Why a guest could not be counted on, the last time that happened; code 0 = it did not. */
void counting_error(const struct counting *counting, struct vpmu_error *ret_error);

/* ---- the arithmetic, for tests ---- */

/* Adds a reading's rows to @totals; vCPUs it has not seen are added. Errors: -ENOMEM. */
int guest_totals_add(struct guest_totals *totals, const struct vpmu_counts *counts);

#endif
