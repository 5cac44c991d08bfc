/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QEMU command line says about who the guest is. The bytes are whatever the process put there.
 *
 * QEMU's options (qemu-options.hx, util/keyval.c): one dash or two, the value in the next argument, a list
 * of KEY=VALUE separated by commas, a comma inside a value doubled. `-name` may start with the bare value of
 * `guest`. An option given twice: the later one counts.
 */
#ifndef GUEST_QEMU_ARGS_H
#define GUEST_QEMU_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#define GUEST_NAME_BYTES_MAX 256 /* with its NUL; longer names are cut */
#define GUEST_UUID_BYTES     37

struct qemu_args {
	char name[GUEST_NAME_BYTES_MAX]; /* printable UTF-8, "" if there is none */
	char uuid[GUEST_UUID_BYTES];	 /* in lower case, "" if there is none or it is malformed */
};

/* @cmdline: /proc/PID/cmdline, arguments that end in NUL; an argument without one (cut off) is ignored. */
void qemu_args_parse(const char *cmdline, size_t n_bytes, struct qemu_args *ret_args);

/* true if @path's last component is what QEMU's system emulators are called */
bool qemu_args_is_qemu(const char *path);

/* Makes @s safe for a terminal and for JSON: control characters and bytes that are no UTF-8 become '?'. */
void name_sanitise(char *s);

#endif
