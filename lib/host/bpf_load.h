/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all of our BPF programs need before they are loaded. */
#ifndef HOST_BPF_LOAD_H
#define HOST_BPF_LOAD_H

#include <bpf/libbpf.h>
#include <stddef.h>
#include <vpmu/error.h>

#include "bpf/vpmu_bpf.h"

/*
 * libbpf prints to stderr unless it is told not to, which can be done for the whole process alone. What it says in this thread between
 * these two goes to the log, at debug level; all else goes where it would have gone without us.
 */
void bpf_load_begin(void);
void bpf_load_end(void);

/*
 * bpf_load_twice - @load opens and loads an object with @btf_path as its btf_custom_path; NULL =
 * types as libbpf finds them, which takes CAP_SYS_ADMIN if KVM is a module. Where that is refused
 * (-EPERM) it is called once more with what bpf_types.h puts together.
 */
int bpf_load_twice(int (*load)(void *data, const char *btf_path), void *data);

/*
 * bpf_load_refused - fills @reterr after an object was not loaded: @what ("no guest call chains: ", "") and why. Returns @code.
 */
int bpf_load_refused(int code, const char *what, struct vpmu_error *reterr);

/* Which vendor's structures surround a vCPU here. */
enum vpmu_bpf_flavour bpf_load_flavour(void);

/*
 * How many arguments the tracepoint @name has in this kernel, by its BTF or that of module @module
 * (NULL = it is in no module).
 * Errors: -ENOENT (there is none), what reading BTF gave.
 */
int bpf_load_tracepoint_args(const char *name, const char *module);

#endif
