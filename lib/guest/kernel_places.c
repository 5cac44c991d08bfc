/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "guest/kernel_places.h"
#include "guest/linux_note.h"
#include "guest/proc_pid.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/macro.h"

void kernel_places_deinit(struct kernel_places *places)
{
	for (uint32_t i = 0; i < places->n; i++)
		places->memories[i] = memory_free(places->memories[i]);
	places->n = 0;
}

/* ---- where memory may be ---- */

/* Where KVM says that the memory is. -EOPNOTSUPP: KVM could not be asked. */
static int ask_kvm(pid_t pid, struct kernel_places *places)
{
	_free_ struct vm_slot *slots = calloc(VM_SLOTS_MAX, sizeof(*slots));
	_free_ struct memory_segment *segments = calloc(VM_SLOTS_MAX, sizeof(*segments));
	unsigned int n_roots = 0;
	int n;

	if (!slots || !segments)
		return -ENOMEM;
	n = vm_slots_read(pid, slots, places->cr3, &n_roots);
	if (n <= 0) {
		log_debug("KVM does not say where the memory of process %d is: %s", pid,
			  n < 0 ? strerror(-n) : "it has none");
		return -EOPNOTSUPP;
	}
	for (int i = 0; i < n; i++)
		segments[i] = (struct memory_segment){slots[i].gpa, slots[i].n_bytes, slots[i].hva};
	if (memory_of_process(pid, segments, (size_t)n, &places->memories[0]) < 0)
		return -EOPNOTSUPP;
	places->n = 1;
	places->n_roots = n_roots;
	places->told = true;
	return 0;
}

static int guess(const char *proc_path, pid_t pid, struct kernel_places *places)
{
	struct memory_layout layouts[MEMORY_LAYOUTS_MAX];
	int n = memory_layouts_guess(proc_path, pid, layouts);

	for (int i = 0; i < n; i++) {
		int r = memory_of_process(pid, layouts[i].segments, layouts[i].n_segments, &places->memories[i]);

		if (r < 0)
			return r;
		places->n++;
	}
	return n < 0 ? n : 0;
}

int kernel_places_of_process(const char *proc_path, const struct vpmu_guest_info *guest, struct kernel_places *ret)
{
	int r = -EOPNOTSUPP;

	*ret = (struct kernel_places){};
	if (guest->accel == VPMU_ACCEL_KVM)
		r = ask_kvm(guest->pid, ret);
	if (r == -EOPNOTSUPP)
		r = guess(proc_path, guest->pid, ret);
	if (r < 0)
		kernel_places_deinit(ret);
	return r;
}

bool kernel_places_same_process(const char *proc_path, const struct vpmu_guest_info *guest)
{
	struct task_stat stat;
	char path[512];

	snprintf(path, sizeof(path), "%s/%d/stat", proc_path, guest->pid);
	return !guest->start_ticks || (task_stat_read(AT_FDCWD, path, &stat) == 0 &&
				       stat.start_ticks == guest->start_ticks);
}

int kernel_places_of_file(const char *path, struct kernel_places *ret, struct vpmu_error *reterr)
{
	int r;

	*ret = (struct kernel_places){.told = true};
	r = memory_of_file(path, &ret->memories[0], reterr);
	ret->n = r == 0;
	return r;
}

/* ---- the kernel in one of them ---- */

/* Gives the memory back. */
static void forget(struct vpmu_kernel *k)
{
	free(k->symbol_bytes);
	*k = (struct vpmu_kernel){};
}

static int find_in(struct kernel_places *places, uint32_t i, struct vpmu_kernel *k)
{
	int r = -ENOENT;

	k->memory = places->memories[i];
	if (places->n_roots) {
		r = linux_image_try_roots(k->memory, places->cr3, places->n_roots, kernel_accept, k);
		log_debug(r == 0 ? "the kernel was found by a vCPU's page tables"
				 : "no vCPU's page tables are known to lead to a kernel: searching all memory");
	}
	if (r == -ENOENT)
		r = linux_image_find(k->memory, kernel_accept, k);
	if (r == -ENOENT)
		r = linux_note_find(k->memory, kernel_accept, k);
	if (r < 0)
		forget(k);
	return r;
}

/*
 * The kernel says that its memory ends where it ends by this layout. A kernel low in memory is
 * found by any layout, but with a wrong one the rest of memory is not where it is looked for. In
 * one piece of memory the end is the firmware's, so there is nothing to compare.
 */
static bool layout_fits(struct vpmu_kernel *k)
{
	size_t n;
	const struct memory_segment *last = memory_segments(k->memory, &n) + n - 1;
	uint64_t max_pfn;

	if (!k->gva[KERNEL_MAX_PFN] ||
	    kernel_read_image(k, k->gva[KERNEL_MAX_PFN], &max_pfn, sizeof(max_pfn)) < 0)
		return true;
	if (n == 1)
		return max_pfn <= last->n_bytes / PAGE_BYTES;
	return max_pfn == (last->gpa + last->n_bytes) / PAGE_BYTES;
}

int kernel_places_find(struct kernel_places *places, struct vpmu_kernel *k, uint32_t *ret_place)
{
	uint32_t second_best = UINT32_MAX, i;
	int r = -ENOENT;

	for (i = 0; i < places->n; i++) {
		r = find_in(places, i, k);
		if (r == 0 && (places->told || layout_fits(k)))
			break;
		if (r == 0 && second_best == UINT32_MAX)
			second_best = i;
		if (r == 0)
			forget(k);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	if (i == places->n && second_best != UINT32_MAX) {
		log_debug(
			"the guest's memory ends elsewhere than its layout would have it: parts may be missing");
		i = second_best;
		r = find_in(places, i, k);
	}
	if (r < 0 || i == places->n)
		return r < 0 ? r : -ENOENT;
	*ret_place = i;
	places->memories[i] = NULL; /* now the kernel's */
	return 0;
}
