/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/vpmu_bpf.h"
#include "bpf/slots.skel.h"
#include "host/bpf_load.h"
#include "host/vm_slots.h"
#include "util/cleanup.h"
#include "util/macro.h"

#define PAGE_SHIFT	      12
#define KVM_MEM_READONLY      (1u << 1)
#define KVM_MEMSLOT_INVALID   (1u << 16)
#define KVM_MEMSLOT_GMEM_ONLY (1u << 17)

_Static_assert(VM_SLOTS_MAX == VPMU_BPF_MAX_SLOTS, "the program has room for as many");
_Static_assert(VM_ROOTS_MAX == VPMU_BPF_MAX_ROOTS, "likewise");

/* Reading the iterator to its end runs the program over the process's files. */
static int run(struct vpmu_slots_bpf *bpf, pid_t pid)
{
	union bpf_iter_link_info info = {.task.tid = (uint32_t)pid};
	LIBBPF_OPTS(bpf_iter_attach_opts, only_this, .link_info = &info,
		    .link_info_len = sizeof(info));
	struct bpf_link *link = bpf_program__attach_iter(bpf->progs.vpmu_list_slots, &only_this);
	_close_ int fd = -1;
	char byte;
	int r = 0;

	/* Before Linux 6.1 an iterator goes over all processes. */
	if (!link)
		link = bpf_program__attach_iter(bpf->progs.vpmu_list_slots, NULL);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0 || read(fd, &byte, 1) < 0)
		r = -errno;
	bpf_link__destroy(link);
	return r;
}

static int by_gpa(const void *a, const void *b)
{
	const struct vm_slot *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int take_slots(const struct vpmu_slots_bpf *bpf, struct vm_slot slots[VM_SLOTS_MAX])
{
	int n = 0;

	if (!bpf->bss->vpmu_n_machines)
		return -ENOENT;
	for (uint32_t i = 0; i < bpf->bss->vpmu_n_slots && i < VM_SLOTS_MAX; i++) {
		const struct vpmu_bpf_slot *slot = &bpf->bss->vpmu_slots[i];

		if (slot->flags &
			    (KVM_MEM_READONLY | KVM_MEMSLOT_INVALID | KVM_MEMSLOT_GMEM_ONLY) ||
		    !slot->hva)
			continue;
		slots[n++] = (struct vm_slot){
			.gpa = slot->base_gfn << PAGE_SHIFT,
			.n_bytes = slot->n_pages << PAGE_SHIFT,
			.hva = slot->hva,
		};
	}
	qsort(slots, (size_t)n, sizeof(*slots), by_gpa);
	return n;
}

/* ---- the program, loaded ---- */

/* Its results are in variables of its own: one reads at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vpmu_slots_bpf *loaded;
static unsigned int n_keepers;

static int load_with(void *data, const char *btf_path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf_path);
	struct vpmu_slots_bpf **ret_bpf = data, *bpf = vpmu_slots_bpf__open_opts(&opts);
	int r;

	if (!bpf)
		return -errno;
	r = vpmu_slots_bpf__load(bpf);
	if (r < 0)
		vpmu_slots_bpf__destroy(bpf);
	else
		*ret_bpf = bpf;
	return r;
}

static void unload_if_unused(void)
{
	if (n_keepers)
		return;
	vpmu_slots_bpf__destroy(loaded);
	loaded = NULL;
}

void vm_slots_keep(void)
{
	pthread_mutex_lock(&lock);
	n_keepers++;
	pthread_mutex_unlock(&lock);
}

void vm_slots_leave(void)
{
	pthread_mutex_lock(&lock);
	n_keepers--;
	unload_if_unused();
	pthread_mutex_unlock(&lock);
}

static int read_with(struct vpmu_slots_bpf *bpf, pid_t pid, struct vm_slot slots[VM_SLOTS_MAX],
		     uint64_t cr3[VM_ROOTS_MAX], unsigned int *ret_n_roots)
{
	int r;

	bpf->bss->vpmu_tgid = pid;
	bpf->bss->vpmu_n_slots = bpf->bss->vpmu_n_machines = bpf->bss->vpmu_n_roots = 0;
	r = run(bpf, pid);
	if (r == 0)
		r = take_slots(bpf, slots);
	if (r >= 0) {
		*ret_n_roots = MIN(bpf->bss->vpmu_n_roots, (uint32_t)VM_ROOTS_MAX);
		memcpy(cr3, bpf->bss->vpmu_roots, *ret_n_roots * sizeof(*cr3));
	}
	return r;
}

int vm_slots_read(pid_t pid, struct vm_slot slots[VM_SLOTS_MAX], uint64_t cr3[VM_ROOTS_MAX],
		  unsigned int *ret_n_roots)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	bpf_load_begin();
	if (!loaded)
		r = bpf_load_twice(load_with, &loaded);
	if (r == 0)
		r = read_with(loaded, pid, slots, cr3, ret_n_roots);
	unload_if_unused();
	bpf_load_end();
	pthread_mutex_unlock(&lock);
	return r;
}
