/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the session layer tells a symbolizer about the run, and what the profile layer asks of it. (What callers of the library
 * see is vpmu/symbolize.h.)
 *
 * Address spaces. A space is a number that stands for the mappings of a host process over a stretch of its life. It is
 * cheap to share: a child uses its parent's space until something is mapped over something else, only then it gets a copy.
 * Mappings are added to a space in place as long as they contradict nothing there: an address that was not mapped before
 * cannot have been sampled before, so older samples keep their meaning.
 */
#ifndef SYM_SYMBOLIZER_H
#define SYM_SYMBOLIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmu/error.h>
#include <vpmu/guest.h>
#include <vpmu/symbolize.h>
#include "format/cfi.h"
#include "format/perf_record.h"
#include "sym/symtab.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

#define SPACE_NONE 0 /* nothing mapped */

int symbolizer_new(const struct vpmu_symbolizer_opts *opts, struct vpmu_symbolizer **ret_symbolizer,
		   struct vpmu_error *reterr);
struct vpmu_symbolizer *symbolizer_free(struct vpmu_symbolizer *symbolizer);
DEFINE_CLEANUP(struct vpmu_symbolizer *, symbolizer_free)

/* ---- filled by session/ ---- */

/* Guest @index is @info (strings are copied). Called in order of index, again when more is known. */
int symbolizer_set_guest(struct vpmu_symbolizer *s, uint32_t index, const struct vpmu_guest_info *info);
/* It runs on this host: names of its kernel may come out of its memory. */
int symbolizer_guest_runs(struct vpmu_symbolizer *s, uint32_t index, const struct vpmu_guest_info *info);
/* What guests have loaded since is read too. */
void symbolizer_refresh_guests(struct vpmu_symbolizer *s);
const char *symbolizer_guest_name(const struct vpmu_symbolizer *s, uint32_t index);
const char *symbolizer_guest_uuid(const struct vpmu_symbolizer *s, uint32_t index);
uint32_t symbolizer_n_guests(const struct vpmu_symbolizer *s);

/*
 * The host kernel that was running: its build-id (n 0 = unknown) and where `_text` (or the symbol named by the recording's
 * kernel mapping; NULL = unknown) was. Tells whether this boot's /proc/kallsyms may be used; without a call it may.
 */
void symbolizer_set_host_kernel(struct vpmu_symbolizer *s, const uint8_t *build_id, size_t n,
				const char *ref_symbol, uint64_t ref_address);

/* Of which boot (/proc/sys/kernel/random/boot_id); "" = unknown. KASLR moves a kernel in each boot. */
void symbolizer_set_boot(struct vpmu_symbolizer *s, const char *boot_id);

/* It was another one than the one that runs here; nothing else is known of it. */
void symbolizer_set_other_kernel(struct vpmu_symbolizer *s);

/* Build-id of a mapped file, from the recording; used to refuse a file that changed since. */
int symbolizer_set_build_id(struct vpmu_symbolizer *s, const char *path, const uint8_t *build_id, size_t n);

/* A table from a recording (format/vpmu_section.h). Copies. -EBADMSG if the image is damaged. */
struct vpmu_section_table;
int symbolizer_add_table(struct vpmu_symbolizer *s, const struct vpmu_section_table *table);

/* Kernel code that came with the recording's PERF_RECORD_KSYMBOL (BPF programs, trampolines). */
int symbolizer_add_ksymbol(struct vpmu_symbolizer *s, uint64_t address, uint32_t length_bytes,
			   const char *name);

/* A new space with nothing in it. UINT32_MAX when out of memory. */
uint32_t symbolizer_space_new(struct vpmu_symbolizer *s);

/*
 * @map is now part of @space. Returns the space to use from now on: the same one, or a changed copy if @map replaces something
 * (the old number keeps the old meaning); UINT32_MAX when out of memory. Mappings that are not executable are ignored.
 */
uint32_t symbolizer_space_map(struct vpmu_symbolizer *s, uint32_t space, const struct perf_mmap_record *map);

/*
 * The same for processes in guests. @head: the first page of the file, as it was in memory; NULL = not known. map->build_id is
 * taken from it.
 */
uint32_t symbolizer_guest_space(struct vpmu_symbolizer *s, uint32_t guest);
uint32_t symbolizer_guest_map(struct vpmu_symbolizer *s, uint32_t space, const struct perf_mmap_record *map,
			      const void *head);
/*
 * The file at @address of such a space, and the symbols of it that the process has in memory: needed if nobody has told yet, and used where
 * no better ones are found. @table is taken over; NULL = it has none.
 */
bool symbolizer_guest_needs_resident(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address);
void symbolizer_guest_resident(struct vpmu_symbolizer *s, uint32_t space, uint64_t address, struct symtab *table);
/*
 * How the code at @address of such a space is unwound. *ret_row: the row that holds there; NULL = none does, or the file is not at hand or
 * has no rows.
 */
enum symbolizer_code {
	SYMBOLIZER_CODE_NONE,	 /* nothing is known to be mapped there */
	SYMBOLIZER_CODE_MAPPED,	 /* a file is, but not one with rows */
	SYMBOLIZER_CODE_HAS_CFI, /* one with rows */
};
enum symbolizer_code symbolizer_guest_code(struct vpmu_symbolizer *s, uint32_t space, uint64_t address,
					   const struct cfi_row **ret_row);
/* [vdso] is in no file: all of it, as the process at @address of that space has it in memory. needs_image(): nothing is known of it yet. */
bool symbolizer_guest_needs_image(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address);
void symbolizer_guest_image(struct vpmu_symbolizer *s, uint32_t space, uint64_t address, void *bytes, size_t n_bytes);
/* Whether there may be any such file: the guest's are at hand (VPMU_GUEST_ROOT). */
bool symbolizer_guest_has_files(struct vpmu_symbolizer *s, uint32_t guest);

/*
 * Guest @guest has ended: nothing is looked for in its memory any more. symbolizer_forget_gone(): nobody will ask about samples of those that
 * have ended, so their tables go too.
 */
void symbolizer_guest_gone(struct vpmu_symbolizer *s, uint32_t guest);
void symbolizer_forget_gone(struct vpmu_symbolizer *s);

/* All spaces of guests and the files in them go: nobody has their numbers any more. false when out of memory: they stay. */
bool symbolizer_forget_spaces(struct vpmu_symbolizer *s);

/* Is there code at @address in @space, one of a guest's? */
bool symbolizer_is_mapped(const struct vpmu_symbolizer *s, uint32_t space, uint64_t address);

/*
 * The kernel of a guest that runs here, once it is known; NULL until then. Begins to look for it in its memory, and does not wait. Good
 * until anything else is asked of the symbolizer.
 */
struct vpmu_kernel *symbolizer_guest_kernel(struct vpmu_symbolizer *s, uint32_t guest);
/* There was none when it was looked for last: it is in its firmware, encrypted, or another system. */
bool symbolizer_guest_is_not_linux(const struct vpmu_symbolizer *s, uint32_t guest);
bool symbolizer_guest_is_looked_for(const struct vpmu_symbolizer *s, uint32_t guest);
/* The next call looks anew: there was none yet, or the guest has booted since. */
void symbolizer_guest_look_again(struct vpmu_symbolizer *s, uint32_t guest);

/* ---- asked by profile/ and export/ ---- */

/*
 * One address by itself. @space: for host-user addresses, and for guest-user ones if it is a space of that guest. Strings in *ret_frame live as long as the symbolizer. The caller may rely on
 * equal pointers for equal symbol and dso strings of one symbolizer (they are interned).
 */
void symbolizer_frame(struct vpmu_symbolizer *s, enum vpmu_side side, uint32_t guest, uint32_t space,
		      uint64_t address, bool lines, struct vpmu_frame *ret_frame);

/* The side that the addresses behind a call chain's context marker belong to; UNKNOWN for a marker that Linux does not have. */
enum vpmu_side symbolizer_side_of_marker(uint64_t marker);

/*
 * For a recording about to be finished: appends a VPMU_SYMBOLS section with every table loaded so far to @out. Of the host
 * kernel's only what touches @kernel_pages (see symtab_subset()); NULL = all of it, several megabytes.
 */
int symbolizer_save_tables(struct vpmu_symbolizer *s, const uint64_t *kernel_pages, size_t n_kernel_pages,
			   struct strbuf *out);

/* The user files that were looked up and have a build-id: for the BUILD_ID feature. */
void symbolizer_each_file(struct vpmu_symbolizer *s,
			  void (*fn)(const char *path, const uint8_t *build_id, size_t n, void *data),
			  void *data);

#endif
