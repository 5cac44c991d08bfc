/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "arbiter.h"
#include "always_on.h"
#include "domains.h"
#include "manager.h"
#include "metrics.h"
#include "server.h"
#include "sessions.h"
#include "store.h"
#include "usage.h"
#include "util/cleanup.h"
#include "util/io.h"

static uint64_t resident_bytes(void)
{
	unsigned long long resident = 0;
	_free_ char *text = NULL;
	size_t n;

	if (io_read_file(AT_FDCWD, "/proc/self/statm", 4096, &text, &n) < 0 ||
	    sscanf(text, "%*u %llu", &resident) != 1)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the directory itself */
}

void usage_of_process(struct usage *usage)
{
	struct timespec cpu;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		usage->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	usage->memory_bytes = resident_bytes();
	usage->open_files = open_files();
}

static void collect_guests(const struct domains *domains, struct usage *usage)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(domains, i)); i++) {
		usage->guests += domain->running;
		usage->vcpus += domain->running ? (uint32_t)domain->guest.n_vcpus : 0;
	}
}

static void collect_server(const struct server *server, struct usage *usage)
{
	struct server_stats stats;

	server_stats(server, &stats);
	usage->connections = stats.connections;
	usage->calls = stats.calls;
	usage->calls_failed = stats.calls_failed;
	usage->clients_dropped = stats.clients_dropped + stats.clients_refused;
}

static void collect_samples(const struct manager *manager, struct usage *usage)
{
	struct always_on_stats always_on;

	if (manager->sessions)
		usage->samples = sessions_samples(manager->sessions, &usage->lost);
	if (!manager->always_on)
		return;
	always_on_stats(manager->always_on, &always_on);
	usage->samples += always_on.samples;
	usage->lost += always_on.lost;
}

static void collect_store(struct store *store, struct usage *usage)
{
	struct store_stats stats;

	store_stats(store, &stats);
	usage->has_store = true;
	usage->store_bytes = stats.bytes;
	usage->store_profiles = stats.profiles;
	usage->store_errors = stats.errors;
	usage->store_oldest_ms = stats.oldest_ms;
}

void usage_collect(const struct manager *manager, struct usage *ret_usage)
{
	struct usage usage = { .started_ms = manager->started_ms };

	usage_of_process(&usage);
	usage.uptime_ms = (manager_now_ns() - manager->started_ns) / 1000000;
	if (manager->domains)
		collect_guests(manager->domains, &usage);
	if (manager->server)
		collect_server(manager->server, &usage);
	if (manager->access) {
		usage.sessions = access_charged(manager->access, CHARGE_SESSION);
		usage.streams = access_charged(manager->access, CHARGE_STREAM);
	}
	collect_samples(manager, &usage);
	if (manager->store)
		collect_store(manager->store, &usage);
	if (manager->n_counters) {
		usage.has_counters = true;
		usage.free_counters = arbiter_free_counters(manager->arbiter);
	}
	if (manager->metrics)
		usage.metrics_errors = metrics_errors(manager->metrics);
	*ret_usage = usage;
}
