/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Conventions that hold for every function of libvpmu.
 *
 * Objects are opaque: `vpmu_X_new()` or `vpmu_X_open()` makes one, `vpmu_X_free()` ends it. Every
 * `_free()` accepts NULL and returns NULL, so `x = vpmu_X_free(x)` leaves no dangling pointer.
 *
 * Functions return 0 (or a count, where said) or a negative errno. Where errno cannot tell the whole
 * story the last parameter is `struct vpmu_error *reterr`: optional, filled only on failure, never
 * allocates. Results come back through trailing `ret_*` parameters, untouched on failure.
 *
 * Option structs start with `size_t sz`, the caller's sizeof. Zero means "default" in every member,
 * so VPMU_OPTS() and a few designated initialisers are all it takes, and an old program keeps working
 * with a newer library. Members that the library does not know (a newer program with an older library)
 * are refused with -EINVAL unless they are zero.
 *
 * Threads: different objects may be used by different threads at the same time; one object by one
 * thread at a time. Nothing is global, except the log callback (log.h).
 *
 * The library never prints, never exits, installs no signal handler. It reads the environment variables
 * named in libvpmu(3) and no others.
 */
#ifndef VPMU_COMMON_H
#define VPMU_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define VPMU_BEGIN_DECLS extern "C" {
#define VPMU_END_DECLS }
#else
#define VPMU_BEGIN_DECLS
#define VPMU_END_DECLS
#endif

#define VPMU_API __attribute__((visibility("default")))

/*
 * Declares an option struct, e.g. VPMU_OPTS(vpmu_session_opts, opts, .frequency_hz = 99);
 * In C++ (before designated initialisers): declare it, zero it, set .sz yourself.
 */
#define VPMU_OPTS(type, name, ...) struct type name = { .sz = sizeof(struct type), __VA_ARGS__ }

/* Where a processor was when a sample was taken: the record's cpumode (linux/perf_event.h). */
enum vpmu_side {
	VPMU_SIDE_UNKNOWN = 0,
	VPMU_SIDE_HOST_KERNEL = 1,
	VPMU_SIDE_HOST_USER = 2,
	VPMU_SIDE_HYPERVISOR = 3,
	VPMU_SIDE_GUEST_KERNEL = 4,
	VPMU_SIDE_GUEST_USER = 5,
};
#define VPMU_SIDE_COUNT 6

/* Sets of sides, for options that select some: bit N stands for side N. 0 in an option means all. */
#define VPMU_SIDES_HOST	 (1u << VPMU_SIDE_HOST_KERNEL | 1u << VPMU_SIDE_HOST_USER | 1u << VPMU_SIDE_HYPERVISOR)
#define VPMU_SIDES_GUEST (1u << VPMU_SIDE_GUEST_KERNEL | 1u << VPMU_SIDE_GUEST_USER)
#define VPMU_SIDES_ALL	 (VPMU_SIDES_HOST | VPMU_SIDES_GUEST | 1u << VPMU_SIDE_UNKNOWN)

VPMU_BEGIN_DECLS

/* "guest-kernel", "host-user", …, "unknown": the names used in reports and JSON. A static string. */
VPMU_API const char *vpmu_side_name(enum vpmu_side side);

VPMU_END_DECLS

#endif
