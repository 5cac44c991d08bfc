/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One copy of each string, and a small number for it: equal numbers, equal strings. Strings never move and live as long
 * as the pool. Number 0 is the empty string.
 */
#ifndef UTIL_INTERN_H
#define UTIL_INTERN_H

#include <stddef.h>
#include <stdint.h>
#include "util/cleanup.h"

#define INTERN_FAILED UINT32_MAX /* out of memory */

struct intern;

struct intern *intern_new(void);
struct intern *intern_free(struct intern *pool);
DEFINE_CLEANUP(struct intern *, intern_free)

uint32_t intern_add(struct intern *pool, const char *string);
uint32_t intern_add_bytes(struct intern *pool, const char *bytes, size_t n);

/* The string of a number that the pool handed out. */
const char *intern_string(const struct intern *pool, uint32_t id);
uint32_t intern_count(const struct intern *pool);
/* About how much memory it takes. */
size_t intern_bytes(const struct intern *pool);

#endif
