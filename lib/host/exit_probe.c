/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/bpf_load.h"
#include "host/exit_probe.h"
#include "bpf/exits.skel.h"
#include "util/error.h"
#include "util/macro.h"

#define KIND(name)    (1u << VPMU_BPF_EXIT_##name)
#define ALWAYS	      0
#define N_TRACEPOINTS 15
#define RING_BYTES    (2u << 20)
#define DETAILS_AT_ONCE 512 /* no bucket of the table has as many */

/* The tracepoints, and which kinds of details they are for. */
static const struct tracepoint {
	const char *name;
	uint32_t kinds; /* ALWAYS: whatever is asked for */
} tracepoints[N_TRACEPOINTS] = {
	{ "kvm_exit", ALWAYS },
	{ "kvm_nested_vmexit", ALWAYS },
	{ "kvm_entry", ALWAYS },
	{ "kvm_userspace_exit", ALWAYS },
	{ "kvm_vcpu_wakeup", ALWAYS },
	{ "sched_switch", ALWAYS },
	{ "kvm_msr", KIND(MSR) },
	{ "kvm_pio", KIND(PORT) },
	{ "kvm_mmio", KIND(MMIO) },
	{ "kvm_fast_mmio", KIND(MMIO) },
	{ "kvm_cpuid", KIND(CPUID) },
	{ "kvm_hypercall", KIND(HYPERCALL) },
	{ "kvm_page_fault", KIND(FAULT) },
	{ "kvm_inj_virq", KIND(VECTOR) },
	{ "kvm_apic_accept_irq", KIND(VECTOR) },
};

struct exit_probe {
	struct vpmu_exits_bpf *bpf;
	struct bpf_link *links[N_TRACEPOINTS];
	struct ring_buffer *ring;	     /* of samples; NULL = none are taken */
	int (*fn)(const struct vpmu_bpf_sample *sample, void *data); /* while draining */
	void *data;
	struct vpmu_bpf_exit_thread *fresh; /* what a new thread begins with */
	bool *taken;			    /* places of threads */
	uint32_t n_places;
	char missing[256];
};

bool exit_probe_mute(void)
{
	return bpf_load_flavour() == VPMU_BPF_FLAVOUR_GENERIC;
}

static struct bpf_program *program_of(const struct exit_probe *probe, size_t i)
{
	char name[64];

	snprintf(name, sizeof(name), "vpmu_%s", tracepoints[i].name);
	return bpf_object__find_program_by_name(probe->bpf->obj, name);
}

static bool is_wanted(const struct exit_probe_plan *plan, size_t i)
{
	return tracepoints[i].kinds == ALWAYS || tracepoints[i].kinds & plan->kinds;
}

static uint32_t args_of(const char *name, const char *module, uint32_t usual)
{
	int n = bpf_load_tracepoint_args(name, module);

	return n > 0 ? (uint32_t)n : usual;
}

/* @btf_path: where types are looked up; NULL = the running kernel and its modules. */
struct loading {
	struct exit_probe *probe;
	const struct exit_probe_plan *plan;
};

static int load_with(void *data, const char *btf_path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf_path);
	const struct loading *loading = data;
	struct exit_probe *probe = loading->probe;
	const struct exit_probe_plan *plan = loading->plan;
	struct vpmu_exits_bpf *bpf = probe->bpf = vpmu_exits_bpf__open_opts(&opts);
	int r;

	if (!bpf)
		return -errno;
	bpf->bss->vpmu_epoch = 1;
	bpf->bss->vpmu_generation = 1;
	bpf->rodata->vpmu_kinds = plan->kinds;
	bpf->rodata->vpmu_flavour = bpf_load_flavour();
	bpf->rodata->vpmu_chains = plan->chains;
	bpf->rodata->vpmu_trips = plan->kinds >> VPMU_BPF_EXIT_TRIP & 1;
	bpf->rodata->vpmu_kvm_exit_args = args_of("kvm_exit", "kvm", 2);
	bpf->rodata->vpmu_kvm_page_fault_args = args_of("kvm_page_fault", "kvm", 3);
	bpf->rodata->vpmu_sched_switch_args = args_of("sched_switch", NULL, 4);
	r = bpf_map__set_max_entries(bpf->maps.vpmu_threads, plan->max_threads);
	if (r == 0)
		r = bpf_map__set_max_entries(bpf->maps.vpmu_places, plan->max_threads);
	if (r == 0)
		r = bpf_map__set_max_entries(bpf->maps.vpmu_details, plan->max_details);
	if (r == 0 && plan->chains)
		r = bpf_map__set_max_entries(bpf->maps.vpmu_exit_samples, RING_BYTES);
	for (size_t i = 0; i < N_TRACEPOINTS; i++)
		bpf_program__set_autoload(program_of(probe, i), is_wanted(plan, i));
	if (r == 0)
		r = vpmu_exits_bpf__load(bpf);
	if (r < 0) {
		vpmu_exits_bpf__destroy(bpf);
		probe->bpf = NULL;
	}
	return r;
}

static void note_missing(struct exit_probe *probe, const char *name)
{
	size_t n = strlen(probe->missing);

	snprintf(probe->missing + n, sizeof(probe->missing) - n, "%s%s", n ? ", " : "", name);
}

static int attach(struct exit_probe *probe, const struct exit_probe_plan *plan,
		  struct vpmu_error *reterr)
{
	for (size_t i = 0; i < N_TRACEPOINTS; i++) {
		const char *name = tracepoints[i].name;

		if (!is_wanted(plan, i))
			continue;
		probe->links[i] = bpf_program__attach_raw_tracepoint(program_of(probe, i), name);
		if (probe->links[i])
			continue;
		if (errno != ENOENT)
			return error_set(reterr, -errno, "cannot attach to tracepoint %s: %s", name,
					 strerror(errno));
		note_missing(probe, name);
	}
	if (probe->links[0])
		return 0;
	error_set(reterr, -ENOENT, "this kernel has no tracepoint kvm_exit");
	error_hint(reterr, "is KVM there? (modprobe kvm_intel or kvm_amd)");
	return -ENOENT;
}

static int on_record(void *data, void *record, size_t n_bytes)
{
	const struct exit_probe *probe = data;
	const struct vpmu_bpf_sample *sample = record;

	if (n_bytes < VPMU_BPF_SAMPLE_BYTES(0) || n_bytes < VPMU_BPF_SAMPLE_BYTES((size_t)sample->n_frames))
		return 0;
	return probe->fn(sample, probe->data);
}

static int open_ring(struct exit_probe *probe, struct vpmu_error *reterr)
{
	probe->ring = ring_buffer__new(bpf_map__fd(probe->bpf->maps.vpmu_exit_samples), on_record, probe, NULL);
	if (probe->ring)
		return 0;
	return error_set(reterr, -errno, "no call chains of exits: cannot map the ring buffer: %s", strerror(errno));
}

int exit_probe_open(const struct exit_probe_plan *plan, struct exit_probe **ret_probe,
		    struct vpmu_error *reterr)
{
	_cleanup_(exit_probe_freep) struct exit_probe *probe = calloc(1, sizeof(*probe));
	int r;

	if (!probe)
		return error_oom(reterr);
	probe->fresh = calloc(1, sizeof(*probe->fresh));
	probe->taken = calloc(plan->max_threads, sizeof(*probe->taken));
	probe->n_places = plan->max_threads;
	if (!probe->fresh || !probe->taken)
		return error_oom(reterr);
	bpf_load_begin();
	r = bpf_load_twice(load_with, &(struct loading){ probe, plan });
	r = r < 0 ? bpf_load_refused(r, "cannot account VM exits: ", reterr) : attach(probe, plan, reterr);
	bpf_load_end();
	if (r == 0 && plan->chains)
		r = open_ring(probe, reterr);
	if (r < 0)
		return r;
	*ret_probe = take_ptr(probe);
	return 0;
}

struct exit_probe *exit_probe_free(struct exit_probe *probe)
{
	if (!probe)
		return NULL;
	for (size_t i = 0; i < N_TRACEPOINTS; i++)
		bpf_link__destroy(probe->links[i]); /* accepts NULL */
	ring_buffer__free(probe->ring); /* accepts NULL */
	vpmu_exits_bpf__destroy(probe->bpf);
	free(probe->taken);
	free(probe->fresh);
	free(probe);
	return NULL;
}

/* Programs look again where threads are. */
static void places_changed(struct exit_probe *probe)
{
	__atomic_fetch_add(&probe->bpf->bss->vpmu_generation, 1, __ATOMIC_SEQ_CST);
}

static int find_place(const struct exit_probe *probe, pid_t tid, uint32_t *ret_place)
{
	uint32_t key = (uint32_t)tid;

	return bpf_map_lookup_elem(bpf_map__fd(probe->bpf->maps.vpmu_places), &key, ret_place) < 0 ? -errno :
												     0;
}

int exit_probe_add_thread(struct exit_probe *probe, pid_t tid)
{
	uint32_t place = 0, key = (uint32_t)tid;

	while (place < probe->n_places && probe->taken[place])
		place++;
	if (place == probe->n_places)
		return -E2BIG;
	probe->fresh->tid = key;
	if (bpf_map_update_elem(bpf_map__fd(probe->bpf->maps.vpmu_threads), &place, probe->fresh, BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(probe->bpf->maps.vpmu_places), &key, &place, BPF_ANY) < 0)
		return -errno;
	probe->taken[place] = true;
	places_changed(probe);
	return 0;
}

/* Deletes the details of one thread. The keys behind one that was deleted cannot be asked for, so it comes first. */
static void remove_details(struct exit_probe *probe, uint32_t tid)
{
	int fd = bpf_map__fd(probe->bpf->maps.vpmu_details);
	struct vpmu_bpf_exit_key key, next;
	bool more = bpf_map_get_next_key(fd, NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(fd, &key, &next) == 0;
		if (key.tid == tid)
			bpf_map_delete_elem(fd, &key);
		key = next;
	}
}

void exit_probe_remove_thread(struct exit_probe *probe, pid_t tid)
{
	uint32_t key = (uint32_t)tid, place;

	if (find_place(probe, tid, &place) < 0)
		return;
	bpf_map_delete_elem(bpf_map__fd(probe->bpf->maps.vpmu_places), &key);
	probe->taken[place] = false;
	places_changed(probe);
	remove_details(probe, key);
}

int exit_probe_read(const struct exit_probe *probe, pid_t tid, struct vpmu_bpf_exit_thread *ret)
{
	uint32_t place;
	int r = find_place(probe, tid, &place);

	if (r < 0)
		return r;
	return bpf_map_lookup_elem(bpf_map__fd(probe->bpf->maps.vpmu_threads), &place, ret) < 0 ? -errno : 0;
}

/* Many at a time: a system call for each would be most of what reading costs. */
int exit_probe_each_detail(const struct exit_probe *probe, exit_probe_detail_fn fn, void *data)
{
	int fd = bpf_map__fd(probe->bpf->maps.vpmu_details), r = 0;
	_free_ struct vpmu_bpf_exit_key *keys = calloc(DETAILS_AT_ONCE, sizeof(*keys));
	_free_ struct vpmu_bpf_exit_row *rows = calloc(DETAILS_AT_ONCE, sizeof(*rows));
	uint32_t place;
	void *from = NULL;

	if (!keys || !rows)
		return -ENOMEM;
	for (;;) {
		uint32_t n = DETAILS_AT_ONCE;
		bool is_last = bpf_map_lookup_batch(fd, from, &place, keys, rows, &n, NULL) < 0;

		if (is_last && errno != ENOENT)
			return -errno;
		for (uint32_t i = 0; r >= 0 && i < n; i++)
			r = fn(&keys[i], &rows[i], data);
		if (is_last || r < 0)
			return MIN(r, 0);
		from = &place;
	}
}

int exit_probe_drain(struct exit_probe *probe,
		     int (*fn)(const struct vpmu_bpf_sample *sample, void *data), void *data)
{
	int r;

	if (!probe->ring)
		return 0;
	probe->fn = fn;
	probe->data = data;
	r = ring_buffer__consume(probe->ring);
	return MIN(r, 0);
}

uint32_t exit_probe_next_epoch(struct exit_probe *probe)
{
	return __atomic_fetch_add(&probe->bpf->bss->vpmu_epoch, 1, __ATOMIC_SEQ_CST);
}

uint64_t exit_probe_missed(const struct exit_probe *probe)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < N_TRACEPOINTS; i++) {
		struct bpf_prog_info info = {};
		uint32_t n = sizeof(info);

		if (probe->links[i] &&
		    bpf_obj_get_info_by_fd(bpf_program__fd(program_of(probe, i)), &info, &n) == 0)
			missed += info.recursion_misses;
	}
	return missed;
}

const char *exit_probe_missing(const struct exit_probe *probe)
{
	return probe->missing;
}
