/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What vpmud costs, what it does and what it lost: collected from its parts for Stats and for metrics, so that both say the
 * same.
 */
#ifndef DAEMON_USAGE_H
#define DAEMON_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t started_ms; /* Unix time */
	uint64_t uptime_ms;
	uint64_t cpu_ns, memory_bytes;
	uint32_t open_files;
	uint32_t guests, vcpus; /* that run now */
	uint32_t connections, sessions, streams;
	uint64_t calls, calls_failed, clients_dropped;
	uint64_t samples, lost;
	bool has_store;
	uint64_t store_bytes, store_profiles, store_errors;
	int64_t store_oldest_ms; /* 0 = empty */
	uint64_t metrics_errors;
	bool has_counters; /* there is a PMU */
	uint32_t free_counters;
};

struct manager;

/* usage_collect - all of it. Parts that the manager does not have are zero. */
void usage_collect(const struct manager *manager, struct usage *ret_usage);

/* usage_of_process - of this process: cpu_ns, memory_bytes, open_files. What /proc does not tell stays 0. */
void usage_of_process(struct usage *usage);

#endif
