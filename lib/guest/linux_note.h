/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a Linux kernel is, by what it notes down itself (format/vmcoreinfo.h): for kernels whose page tables do not look as linux_image.h
 * has it, such as those that have all of their text in pages of 4 KiB.
 *
 * Notes may be old (a warm reset leaves memory as it was), or part of a file: one counts if the page tables that it names lead to
 * where it says that the kernel is.
 */
#ifndef GUEST_LINUX_NOTE_H
#define GUEST_LINUX_NOTE_H

#include "guest/linux_image.h"

/* As linux_image_find(). */
int linux_note_find(struct memory *memory, int (*accept)(const struct linux_image *image, void *data), void *data);

#endif
