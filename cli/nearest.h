/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_NEAREST_H
#define CLI_NEAREST_H

#include <stddef.h>

/*
 * "Did you mean": the one of @names that @word most likely was meant to be; NULL if none is near.
 */
const char *nearest(const char *word, const char *const *names, size_t n);

#endif
