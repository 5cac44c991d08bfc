/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a guest's kernel once it was found, as plain bytes: the process that found it hands them out, and another may go on
 * from there (guest/parser.h). Who keeps them between the two understands only what it must show (strings, made clean) and the watch.
 */
#ifndef GUEST_KERNEL_FACTS_H
#define GUEST_KERNEL_FACTS_H

#include "guest/kernel.h"
#include "guest/kernel_types.h"

/*
 * Words of memory that stay as they are until the guest boots anew: comparing them takes no understanding. They are the way to
 * level2_kernel_pgt and its first entry (linux_image.h), without the bits that the processor sets, and the banner.
 */
#define KERNEL_WATCH_WORDS 10
struct kernel_watch {
	uint64_t n;
	struct {
		uint64_t gpa, mask, value;
	} words[KERNEL_WATCH_WORDS];
};

struct kernel_facts {
	uint32_t place; /* of kernel_places */
	uint32_t has_types;
	struct linux_image image;
	struct paging paging;
	uint64_t gva[KERNEL_SYMBOLS];
	uint64_t n_named;
	char release[65], banner[512], build_id[41];
	struct kernel_types types;
	struct kernel_watch watch;
};

void kernel_facts_take(struct vpmu_kernel *kernel, uint32_t place, struct kernel_facts *ret);
/* @kernel is zero but for its memory; it knows all but its own symbols then. -ENOMEM. */
int kernel_facts_give(const struct kernel_facts *facts, struct vpmu_kernel *kernel);

/* Facts from a process that is not trusted: strings end and are printable, numbers of ours are in range. -EBADMSG. */
int kernel_facts_check(struct kernel_facts *facts, uint32_t n_places);

/* 0, -ESTALE (something else is there), -ESRCH. */
int kernel_watch_check(const struct kernel_watch *watch, struct memory *memory);

#endif
