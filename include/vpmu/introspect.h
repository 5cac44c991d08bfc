/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's Linux kernel, read out of the guest's memory from the host: its symbols, modules,
 * processes and their memory maps. Nothing is installed in the guest, it is not stopped, and QEMU's
 * monitor is not used.
 *
 * A kernel is found in the memory of the guest's process (process_vm_readv(2)), which needs the
 * rights to trace it: the same user, or CAP_SYS_PTRACE. Where a KVM guest has its memory the host's
 * kernel is asked (a BPF program reads KVM's memory slots); where that is not possible, and for
 * emulated guests, it is guessed from /proc/PID/maps, which finds memory in one piece only. Linux on
 * x86-64 with 4 or 5 levels of page tables, 5.4 and later. Offsets inside the kernel's structures
 * come from its own type information (BTF), or from that of a vmlinux that is handed in; a kernel without either gives its
 * own symbols only.
 *
 * The guest goes on running meanwhile, and its memory may say anything. What cannot be read or does
 * not hold together is left out; lists that never end are cut. Strings may hold any byte but NUL.
 */
#ifndef VPMU_INTROSPECT_H
#define VPMU_INTROSPECT_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>

struct vpmu_kernel; /* one boot of one guest's kernel */

struct vpmu_kernel_opts {
	size_t sz;
	const char *proc_path;	 /* default "/proc" */
	const char *memory_path; /* instead of a guest: a file with its memory from address 0 on
				    (QEMU's pmemsave) */
	const char *vmlinux_path; /* for a kernel without type information: an ELF file of the same build that has it, in
				     section .BTF. Not opened if the kernel has its own */
};

/* Strings belong to the kernel; "" where the guest does not say. */
struct vpmu_kernel_info {
	const char *release;  /* as `uname -r` says inside */
	const char *banner;   /* "Linux version …" */
	const char *build_id; /* lower-case hex */
	uint64_t text_gva;    /* where the kernel begins (_text), virtual and physical: KASLR moves
				 both */
	uint64_t text_gpa;
	uint32_t paging_levels; /* 4 or 5; 0: the kernel's page tables were not found */
	size_t n_symbols;	/* without modules' */
	uint64_t memory_bytes;	/* of the guest */
};

/* A line of /proc/kallsyms. Strings live during the call. */
struct vpmu_kernel_symbol {
	uint64_t gva;
	char type; /* as nm's */
	const char *name;
	const char *module; /* NULL for the kernel itself */
};

/* A line of /proc/modules. Strings live during the call. */
struct vpmu_kernel_module {
	const char *name;
	uint64_t size_bytes;
	int64_t references; /* -1: the kernel does not count them, as it never unloads modules */
	const char *users; /* names of the modules that use it, each with a comma behind it; "-" for
			      none */
	const char *state; /* "Live", "Loading", "Unloading" */
	uint64_t text_gva;
	const char *taints; /* "OE"; "" for none */
};

/* A thread. The string lives during the call. */
struct vpmu_kernel_task {
	pid_t pid, tgid;    /* of the thread, of its process; as the guest's first namespace numbers them */
	const char *comm;   /* at most 15 bytes; /proc/PID/comm puts more behind kernel threads' names */
	bool kernel_thread;
};

/* A line of /proc/PID/maps. Strings live during the call. */
struct vpmu_kernel_mapping {
	uint64_t start_gva, end_gva;
	bool readable, writable, executable, shared;
	uint64_t offset_bytes;
	uint32_t major, minor; /* of the file system */
	uint64_t inode;
	const char *name; /* a path as seen from the guest's root, "[heap]" and the like, or "" */
};

/* What a callback returns: 0 to go on; anything else ends the walk and is what that returns. */
typedef int (*vpmu_kernel_symbol_fn)(const struct vpmu_kernel_symbol *symbol, void *data);
typedef int (*vpmu_kernel_module_fn)(const struct vpmu_kernel_module *module, void *data);
typedef int (*vpmu_kernel_task_fn)(const struct vpmu_kernel_task *task, void *data);
typedef int (*vpmu_kernel_mapping_fn)(const struct vpmu_kernel_mapping *mapping, void *data);

VPMU_BEGIN_DECLS

/*
 * vpmu_kernel_open - find the kernel of @guest (may be NULL if a file is given).
 * Reads a word of each page of the guest that is resident, until it is found.
 * Errors: -ENOENT (no Linux kernel there: firmware, another system, an encrypted guest), -EPERM or
 * -EACCES (the process may not be traced), -ESRCH (it is gone), -EINVAL (options), -ENOMEM, what
 * opening a file gave. Of a vmlinux: -EINVAL (not a regular file), -ENOEXEC (not an ELF file), -ENODATA (it has no section .BTF;
 * `pahole -J` makes one out of debug information), -ESTALE (its build-id is not that of the guest's kernel), -EFBIG, -EBADMSG (damaged),
 * -EOPNOTSUPP (its types are not those of a kernel that is known).
 */
VPMU_API int vpmu_kernel_open(const struct vpmu_guest_info *guest,
			      const struct vpmu_kernel_opts *opts, struct vpmu_kernel **ret_kernel,
			      struct vpmu_error *reterr);
VPMU_API struct vpmu_kernel *vpmu_kernel_free(struct vpmu_kernel *kernel);

/* vpmu_kernel_info - belongs to the kernel, does not change. */
VPMU_API const struct vpmu_kernel_info *vpmu_kernel_info(const struct vpmu_kernel *kernel);

/*
 * vpmu_kernel_each_symbol - what the guest's /proc/kallsyms says to its root, in the same order:
 * the kernel's own symbols, then those of modules. Errors: -ESTALE (the guest has booted anew; open
 * again), -ESRCH (its process is gone), -EOPNOTSUPP (modules cannot be read for lack of type
 * information; the kernel's symbols were delivered), -ENOMEM.
 */
VPMU_API int vpmu_kernel_each_symbol(struct vpmu_kernel *kernel, vpmu_kernel_symbol_fn fn,
				     void *data, struct vpmu_error *reterr);

/* vpmu_kernel_each_module - what the guest's /proc/modules says, newest first. Errors: as above. */
VPMU_API int vpmu_kernel_each_module(struct vpmu_kernel *kernel, vpmu_kernel_module_fn fn,
				     void *data, struct vpmu_error *reterr);

/* vpmu_kernel_each_task - every thread of every process, oldest process first. Errors: as above. */
VPMU_API int vpmu_kernel_each_task(struct vpmu_kernel *kernel, vpmu_kernel_task_fn fn, void *data,
				   struct vpmu_error *reterr);

/*
 * vpmu_kernel_each_mapping - what /proc/PID/maps says in the guest, by ascending addresses; nothing for
 * kernel threads. Errors: as above; -ENOENT (no such process).
 */
VPMU_API int vpmu_kernel_each_mapping(struct vpmu_kernel *kernel, pid_t pid, vpmu_kernel_mapping_fn fn,
				      void *data, struct vpmu_error *reterr);

/*
 * vpmu_parser_use - from here on what is in guests' memory is parsed in processes of their own, which have no rights: no capabilities, no
 * system calls but to read and write the one socket that they have, and limits on memory and time. They ask this process for bytes of the
 * guest, and answer with tables, which are taken as those of an enemy. A parser that crashes or hangs is ended; what was asked for
 * fails with -EIO then, and is tried again with growing pauses.
 *
 * @path, @argv: how to start a program that calls vpmu_parser_main() at once, such as "/proc/self/exe" with an option that says so;
 * both must stay. NULL: an end to it: what is under way fails, soon, and what is asked for later, with -ESHUTDOWN.
 * Without any call all is parsed in this process. For the whole process, before guests are looked at.
 * Sessions (vpmu/session.h) and vpmu_kernel_open() do so then; of a kernel that was opened so only vpmu_kernel_info()
 * is to be had, the other functions here give -EOPNOTSUPP.
 */
VPMU_API void vpmu_parser_use(const char *path, const char *const argv[]);

/*
 * vpmu_parser_main - what that program does: gives up its rights, and makes parsers as it is told by its standard input, which
 * is a socket, until that ends. Returns the status to exit with. To be called in a process with one thread.
 */
VPMU_API int vpmu_parser_main(void);

VPMU_END_DECLS

#endif
