/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fuzzer is one function that is given bytes. libFuzzer calls it with bytes of its own making
 * (tests/fuzz/run), replay.c with the files of its corpus, as an ordinary test. A fuzzer says what
 * must hold by HOLDS(); that nothing is read outside of what was given is for the sanitizers to
 * say: hence the exact copies, and touch().
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Reads every byte. */
static inline void touch(const void *bytes, size_t n)
{
	static volatile uint8_t sum;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}

static inline void touch_string(const char *string)
{
	touch(string, strlen(string));
}

/* A copy with nothing behind it. */
static inline void *exact_copy(const void *bytes, size_t n)
{
	void *copy = calloc(1, n ? n : 1);

	HOLDS(copy);
	if (n)
		memcpy(copy, bytes, n);
	return copy;
}

#endif
