/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bpf/clock_account.h"
#include "bpf/clock.skel.h"
#include "host/bpf_load.h"
#include "host/clock_probe.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

#define N_PROGRAMS   7
#define CLOCKS_BYTES (CLOCK_PROBE_THREADS * sizeof(struct vpmu_bpf_clock))

struct clock_probe {
	struct vpmu_clock_bpf *bpf;
	struct bpf_link *links[N_PROGRAMS];
	struct vpmu_bpf_clock *clocks; /* CLOCK_PROBE_THREADS, shared with the kernel */
	bool used[CLOCK_PROBE_THREADS];
};

/* ---- life ---- */

struct clock_probe *clock_probe_free(struct clock_probe *probe)
{
	if (!probe)
		return NULL;
	for (size_t i = 0; i < N_PROGRAMS; i++)
		bpf_link__destroy(probe->links[i]);
	if (probe->clocks)
		munmap(probe->clocks, CLOCKS_BYTES);
	vpmu_clock_bpf__destroy(probe->bpf);
	free(probe);
	return NULL;
}

static uint32_t args_of(const char *name, const char *module, uint32_t usual)
{
	int n = bpf_load_tracepoint_args(name, module);

	return n > 0 ? (uint32_t)n : usual;
}

/* @btf_path: where types are looked up; NULL = the running kernel and its modules. */
static int load_with(void *data, const char *btf_path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf_path);
	struct clock_probe *probe = data;
	int r;

	probe->bpf = vpmu_clock_bpf__open_opts(&opts);
	if (!probe->bpf)
		return -errno;
	probe->bpf->rodata->vpmu_kvm_exit_args = args_of("kvm_exit", "kvm", 2);
	probe->bpf->rodata->vpmu_sched_switch_args = args_of("sched_switch", NULL, 4);
	bpf_map__set_max_entries(probe->bpf->maps.vpmu_threads, CLOCK_PROBE_THREADS);
	bpf_map__set_max_entries(probe->bpf->maps.vpmu_clocks, CLOCK_PROBE_THREADS);
	bpf_map__set_max_entries(probe->bpf->maps.vpmu_queues, (uint32_t)MAX(libbpf_num_possible_cpus(), 1));
	r = vpmu_clock_bpf__load(probe->bpf);
	if (r < 0) {
		vpmu_clock_bpf__destroy(probe->bpf);
		probe->bpf = NULL;
	}
	return r;
}

/* Without the scheduler's events there is no clock; without KVM's there is one that knows less. */
static int attach(struct clock_probe *probe)
{
	const struct {
		const struct bpf_program *program;
		bool needed;
	} programs[N_PROGRAMS] = {
		{ probe->bpf->progs.vpmu_clock_switch, true },
		{ probe->bpf->progs.vpmu_clock_wakeup, true },
		{ probe->bpf->progs.vpmu_clock_ended, true },
		{ probe->bpf->progs.vpmu_clock_entry, false },
		{ probe->bpf->progs.vpmu_clock_exit, false },
		{ probe->bpf->progs.vpmu_clock_userspace, false },
		{ probe->bpf->progs.vpmu_clock_halted, false },
	};

	for (size_t i = 0; i < N_PROGRAMS; i++) {
		probe->links[i] = bpf_program__attach(programs[i].program);
		if (!probe->links[i] && programs[i].needed)
			return -errno;
		if (!probe->links[i])
			log_debug("%s cannot be attached: %s, ignoring",
				  bpf_program__name(programs[i].program), strerror(errno));
	}
	return 0;
}

static int map_clocks(struct clock_probe *probe)
{
	void *clocks = mmap(NULL, CLOCKS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(probe->bpf->maps.vpmu_clocks), 0);

	if (clocks == MAP_FAILED)
		return -errno;
	probe->clocks = clocks;
	return 0;
}

int clock_probe_open(struct clock_probe **ret_probe, struct vpmu_error *reterr)
{
	_cleanup_(clock_probe_freep) struct clock_probe *probe = calloc(1, sizeof(*probe));
	int r;

	if (!probe)
		return error_oom(reterr);
	bpf_load_begin();
	r = bpf_load_twice(load_with, probe);
	if (r == 0)
		r = attach(probe);
	if (r == 0)
		r = map_clocks(probe);
	bpf_load_end();
	if (r < 0)
		return bpf_load_refused(r, "", reterr);
	*ret_probe = take_ptr(probe);
	return 0;
}

/* ---- threads ---- */

int clock_probe_add(struct clock_probe *probe, pid_t tid)
{
	const uint32_t key = (uint32_t)tid, n_bits = sizeof(probe->bpf->bss->vpmu_filter) * 8;
	struct timespec now;
	uint32_t slot = 0;
	struct vpmu_bpf_clock *clock;

	while (slot < CLOCK_PROBE_THREADS && probe->used[slot])
		slot++;
	if (slot == CLOCK_PROBE_THREADS)
		return -ENOSPC;
	clock = &probe->clocks[slot];
	clock_gettime(CLOCK_MONOTONIC, &now);
	*clock = (struct vpmu_bpf_clock){ .tid = key };
	clock->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	clock->since_ns = clock->start_ns;
	/* Bits of threads that are gone stay: they cost a look into the table, no more. */
	probe->bpf->bss->vpmu_filter[key % n_bits / 8] |= (uint8_t)(1u << key % 8);
	if (bpf_map_update_elem(bpf_map__fd(probe->bpf->maps.vpmu_threads), &key, &slot, BPF_ANY) < 0)
		return -errno;
	probe->used[slot] = true;
	return (int)slot;
}

void clock_probe_look(struct clock_probe *probe, pid_t pid)
{
	union bpf_iter_link_info info = { .task.pid = (uint32_t)pid };
	LIBBPF_OPTS(bpf_iter_attach_opts, only_these, .link_info = &info,
		    .link_info_len = sizeof(info));
	struct bpf_link *link;
	_close_ int fd = -1;
	char byte;

	bpf_load_begin();
	link = bpf_program__attach_iter(probe->bpf->progs.vpmu_clock_seen, &only_these);
	/* Before Linux 6.1 an iterator goes over all processes. */
	if (!link)
		link = bpf_program__attach_iter(probe->bpf->progs.vpmu_clock_seen, NULL);
	if (link)
		fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0 || read(fd, &byte, 1) < 0)
		log_debug("the threads of process %d cannot be looked at: %s, ignoring", (int)pid,
			  strerror(errno));
	bpf_link__destroy(link);
	bpf_load_end();
}

void clock_probe_remove(struct clock_probe *probe, int clock)
{
	uint32_t key = probe->clocks[clock].tid, slot;
	int fd = bpf_map__fd(probe->bpf->maps.vpmu_threads);

	/* The id of a thread that has ended may be another's by now. */
	if (bpf_map_lookup_elem(fd, &key, &slot) == 0 && slot == (uint32_t)clock)
		bpf_map_delete_elem(fd, &key);
	probe->used[clock] = false;
}

/* ---- reading ---- */

/*
 * A change takes less time than a copy. But where the host is a virtual machine itself, the CPU that makes the change may be taken away in the middle
 * of it, for as long as its own hypervisor likes.
 */
#define TRIES	      100
#define TRIES_APART   1000 /* further ones */
#define TRY_APART_NS  100000

int clock_probe_read(const struct clock_probe *probe, int clock, uint64_t now_ns,
		     struct vpmu_bpf_clock *ret_clock)
{
	const volatile struct vpmu_bpf_clock *shared = &probe->clocks[clock];
	struct vpmu_bpf_clock copy;

	for (int i = 0; i < TRIES + TRIES_APART; i++) {
		uint32_t seq = shared->seq;

		if (i >= TRIES)
			nanosleep(&(struct timespec){ .tv_nsec = TRY_APART_NS }, NULL);
		clock_barrier();
		copy = *shared;
		clock_barrier();
		if (seq & 1 || shared->seq != seq)
			continue;
		clock_until(&copy, now_ns);
		*ret_clock = copy;
		return 0;
	}
	return -EAGAIN;
}

#define BATCH 256

int clock_probe_drain(struct clock_probe *probe, clock_probe_competitor_fn fn, void *data)
{
	struct vpmu_bpf_competitor_key keys[BATCH];
	struct vpmu_bpf_competitor values[BATCH];
	int fd = bpf_map__fd(probe->bpf->maps.vpmu_competitors), r = 0;
	uint32_t at = 0;
	bool first = true;

	while (r == 0) {
		uint32_t n = BATCH;

		/* -ENOENT comes with the last ones. */
		r = bpf_map_lookup_and_delete_batch(fd, first ? NULL : &at, &at, keys, values, &n,
						    NULL);
		if (r < 0 && r != -ENOENT)
			return r;
		for (uint32_t i = 0; i < n; i++) {
			int stop = fn(&keys[i], &values[i], data);

			if (stop < 0)
				return stop;
		}
		first = false;
	}
	return 0;
}

bool clock_probe_sees_entries(const struct clock_probe *probe, uint32_t *ret_isa)
{
	*ret_isa = probe->bpf->bss->vpmu_isa;
	return probe->bpf->bss->vpmu_entries_fire;
}
