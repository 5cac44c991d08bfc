/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of /proc/PID/maps: "start-end rwxp offset major:minor inode   path" (proc(5)). */
#ifndef FORMAT_PROC_MAPS_H
#define FORMAT_PROC_MAPS_H

#include <stddef.h>
#include <stdint.h>

struct proc_maps_line {
	uint64_t start, end, offset_bytes, inode;
	uint32_t major, minor;
	uint8_t prot;  /* PROT_READ | PROT_WRITE | PROT_EXEC */
	char shared;   /* 's' or 'p' */
	const char *path; /* not NUL-terminated; as printed, "\012" for a newline */
	uint32_t path_bytes; /* 0 = anonymous */
};

/* As kallsyms_parse(). */
int proc_maps_parse(const char *text, size_t n, int (*fn)(const struct proc_maps_line *line, void *data),
		    void *data, uint64_t *ret_bad);

#endif
