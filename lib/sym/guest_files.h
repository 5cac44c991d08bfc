/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that a user handed over for one guest (or for all), read and checked. */
#ifndef SYM_GUEST_FILES_H
#define SYM_GUEST_FILES_H

#include <vpmu/symbolize.h>
#include "sym/elf_file.h"
#include "sym/named_table.h"
#include "util/vec.h"

/* A program at its link addresses. */
struct guest_image {
	char *path;
	const char *dso; /* points into path: its last component */
	struct named_table table;
	struct build_id build_id;
	uint64_t start, end; /* what it covers */
	struct lines *lines;
	bool asked_lines;
};

struct guest_files {
	struct named_table kallsyms, vmlinux;
	char *kallsyms_path, *vmlinux_path;
	char *modules; /* text */
	size_t modules_bytes;
	struct build_id vmlinux_build_id;
	int64_t kaslr_offset; /* at which the table was made */
	bool kaslr_known;     /* that this is where the kernel lies: else the vmlinux names nothing */
	struct lines *vmlinux_lines;
	bool asked_lines;
	bool warned; /* that the vmlinux cannot be used */
	VEC(struct guest_image) images;
};

void guest_files_deinit(struct guest_files *files);

/* As vpmu_symbolizer_guest_file(). On failure nothing is changed. */
int guest_files_open(struct guest_files *files, enum vpmu_guest_symbols kind, const char *path,
		     int64_t kaslr_offset, struct vpmu_error *reterr);
int guest_files_no_such_guest(uint32_t guest, struct vpmu_error *reterr);

/* @table is taken over, also on failure. */
int guest_files_add_image(struct guest_files *files, const char *path, const struct build_id *build_id,
			  struct symtab *table);

bool guest_files_any(const struct guest_files *files);

/* Is there a table of the guest's kernel that can be used? */
bool guest_files_kernel(struct guest_files *files);

/* true if a symbol was found. Else, if the address lies in an image, that image's dso is set and status NO_SYMBOL. */
bool guest_files_frame(struct guest_files *files, struct intern *strings, struct vpmu_frame *frame);

/* Sets the source line of frame->address, if one of the files tells it. */
void guest_files_line(struct guest_files *files, struct intern *strings, struct vpmu_frame *frame);

int guest_files_each(struct guest_files *files, uint32_t guest,
		     int (*fn)(uint32_t guest, const char *path, const struct build_id *build_id,
			       const struct symtab *table, void *data),
		     void *data);

#endif
