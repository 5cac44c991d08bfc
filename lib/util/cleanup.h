/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owning locals clean up after themselves; ownership is given away by take_ptr()/take_fd() in the last statement. */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Defines the helper for `_cleanup_(foo_freep) struct foo *x = NULL;` from a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, destructor)                                                           \
	static inline void destructor##p(type *p)                                                  \
	{                                                                                          \
		if (*p)                                                                            \
			(void)destructor(*p);                                                      \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _free_	_cleanup_(freep)
#define _close_ _cleanup_(closep)
#define _fclose_ _cleanup_(fclosep)

#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
