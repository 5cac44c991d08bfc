/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels from the outside: here, or in a process of their own (confined.h), which callers need not know. */
#include <errno.h>
#include <string.h>

#include "guest/confined.h"
#include "guest/kernel_places.h"
#include "guest/kernel_types.h"
#include "guest/parser_process.h"
#include "util/error.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

static int no_kernel(pid_t pid, int code, struct vpmu_error *reterr)
{
	if (code == -ENOENT) {
		error_set(reterr, code, "no Linux kernel was found in the guest's memory");
		error_hint(
			reterr,
			"is it still in its firmware, encrypted (SEV, TDX), or not Linux on x86-64?");
	} else if (code == -ENOMEM) {
		error_oom(reterr);
	} else {
		error_set(reterr, code, "cannot read the memory of process %d: %s", pid,
			  strerror(-code));
		if (code == -EPERM || code == -EACCES)
			error_hint(
				reterr,
				"reading another user's process needs CAP_SYS_PTRACE: try as root");
	}
	return code;
}

static int find_confined(struct vpmu_kernel *k, struct kernel_places *places, pid_t guest, struct vpmu_error *reterr)
{
	const struct kernel_facts *facts;
	int r = confined_open(places, guest, &k->confined, reterr);

	if (r < 0)
		return r == -ENOENT ? no_kernel(guest, r, reterr) : r;
	facts = confined_facts(k->confined);
	k->image = facts->image;
	k->paging.levels = facts->paging.levels;
	k->n_named = (uint32_t)facts->n_named;
	memcpy(k->release, facts->release, sizeof(k->release));
	memcpy(k->banner, facts->banner, sizeof(k->banner));
	memcpy(k->build_id, facts->build_id, sizeof(k->build_id));
	kernel_fill_info(k, confined_memory_bytes(k->confined));
	return 0;
}

static int find_here(struct vpmu_kernel *k, struct kernel_places *places, pid_t guest, struct vpmu_error *reterr)
{
	uint32_t place;
	int r = kernel_places_find(places, k, &place);

	kernel_places_deinit(places);
	return r < 0 ? no_kernel(guest, r, reterr) : 0;
}

static int open_process(struct vpmu_kernel *k, const char *proc_path,
			const struct vpmu_guest_info *guest, struct vpmu_error *reterr)
{
	struct kernel_places places;
	int r = kernel_places_of_process(proc_path, guest, &places);

	if (r < 0)
		return no_kernel(guest->pid, r, reterr);
	r = parser_processes_used() ? find_confined(k, &places, guest->pid, reterr)
				    : find_here(k, &places, guest->pid, reterr);
	if (r == 0 && !kernel_places_same_process(proc_path, guest))
		return no_kernel(guest->pid, -ESRCH, reterr);
	return r;
}

static int open_file(struct vpmu_kernel *k, const char *path, struct vpmu_error *reterr)
{
	struct kernel_places places;
	int r = kernel_places_of_file(path, &places, reterr);

	if (r < 0)
		return r;
	r = parser_processes_used() ? find_confined(k, &places, 0, reterr) : find_here(k, &places, 0, reterr);
	return r == -ENOENT ? error_set(reterr, r, "no Linux kernel was found in '%s'", path) : r;
}

VPMU_API int vpmu_kernel_open(const struct vpmu_guest_info *guest,
			      const struct vpmu_kernel_opts *opts, struct vpmu_kernel **ret_kernel,
			      struct vpmu_error *reterr)
{
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *k = NULL;
	struct vpmu_kernel_opts o;
	int r;

	if (!opts_valid(opts, sizeof(o)))
		return error_set(reterr, -EINVAL, "unknown options for vpmu_kernel_open()");
	opts_take(&o, opts);
	if (!guest && !o.memory_path)
		return error_set(reterr, -EINVAL,
				 "neither a guest nor a file with its memory was given");
	k = calloc(1, sizeof(*k));
	if (!k)
		return error_oom(reterr);
	if (o.memory_path)
		r = open_file(k, o.memory_path, reterr);
	else
		r = open_process(k, o.proc_path ? o.proc_path : "/proc", guest, reterr);
	if (r == 0 && o.vmlinux_path)
		r = kernel_types_load_file(k, o.vmlinux_path, reterr);
	if (r < 0)
		return r;
	*ret_kernel = take_ptr(k);
	return 0;
}

VPMU_API struct vpmu_kernel *vpmu_kernel_free(struct vpmu_kernel *k)
{
	if (!k)
		return NULL;
	confined_free(k->confined);
	kernel_types_free(k->types);
	free(k->symbol_bytes);
	memory_free(k->memory);
	free(k);
	return NULL;
}

VPMU_API const struct vpmu_kernel_info *vpmu_kernel_info(const struct vpmu_kernel *k)
{
	return &k->info;
}
