/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests by index, and where the names of their code come from: tables carried in the recording, then files that the user gave, in the
 * order kallsyms, vmlinux, images. A guest without files of its own uses those given for every guest (VPMU_NO_GUEST).
 */
#ifndef SYM_GUEST_H
#define SYM_GUEST_H

#include <vpmu/guest.h>
#include "sym/elf_file.h"
#include "sym/files.h"
#include "sym/named_table.h"

struct guests_symbols;

struct guests_symbols *guests_symbols_new(struct sym_env *env);
struct guests_symbols *guests_symbols_free(struct guests_symbols *guests);
DEFINE_CLEANUP(struct guests_symbols *, guests_symbols_free)

/* -EINVAL unless @index is known or the next one. */
int guests_symbols_set(struct guests_symbols *guests, uint32_t index, const char *name, const char *uuid);
uint32_t guests_symbols_count(const struct guests_symbols *guests);
/* "" beyond the end. */
const char *guests_symbols_name(const struct guests_symbols *guests, uint32_t index);
const char *guests_symbols_uuid(const struct guests_symbols *guests, uint32_t index);

/* As vpmu_symbolizer_guest_file(). */
int guests_symbols_file(struct guests_symbols *guests, uint32_t guest, enum vpmu_guest_symbols kind,
			const char *path, int64_t kaslr_offset, struct vpmu_error *reterr);

/*
 * Guest @index is the one of @info, which runs on this host now: where it has neither a table nor files, its kernel's symbols are read
 * out of its memory when one is first asked for.
 */
int guests_symbols_runs(struct guests_symbols *guests, uint32_t index, const struct vpmu_guest_info *info);

/*
 * The kernel of guest @index, once it is known; NULL until then and if there is none. Begins to look for it, and does not wait.
 * The kernel is good until the next call of anything here.
 */
struct vpmu_kernel *guests_symbols_kernel(struct guests_symbols *guests, uint32_t index);
/* There was none when it was looked for last. */
bool guests_symbols_is_not_linux(const struct guests_symbols *guests, uint32_t index);
bool guests_symbols_is_looked_for(const struct guests_symbols *guests, uint32_t index);
/* The next call looks anew: there was none yet, or the guest has booted since. */
void guests_symbols_look_again(struct guests_symbols *guests, uint32_t index);

/* As symbolizer_guest_gone(), symbolizer_forget_gone() and, of files, symbolizer_forget_spaces(). */
void guests_symbols_gone(struct guests_symbols *guests, uint32_t index);
void guests_symbols_forget_gone(struct guests_symbols *guests);
void guests_symbols_forget_files(struct guests_symbols *guests);

/* Reads the symbols of guests whose memory was read once again: they may have loaded modules since. */
void guests_symbols_refresh(struct guests_symbols *guests);

/* A table that came with the recording; taken over, also on failure. @image_path: NULL for the kernel. */
int guests_symbols_table(struct guests_symbols *guests, uint32_t guest, const char *image_path,
			 const struct build_id *build_id, struct symtab *table);

/* Fills in all of *frame but address and side, which are set. @lines: the source line too. Leaves it alone if nothing is known of the address. */
void guests_symbols_frame(struct guests_symbols *guests, uint32_t guest, bool lines, struct vpmu_frame *frame);

/* The user files of guest @index, made when first asked for; NULL when out of memory. */
struct files *guests_symbols_user_files(struct guests_symbols *guests, uint32_t index);

/* The user's programs of guest @index are at hand: VPMU_GUEST_ROOT. */
bool guests_symbols_have_root(struct guests_symbols *guests, uint32_t index);

/* Every table there is, @path NULL for kernels. Stops when @fn returns non-zero, returns that. */
int guests_symbols_each(struct guests_symbols *guests,
			int (*fn)(uint32_t guest, const char *path, const struct build_id *build_id,
				  const struct symtab *table, void *data),
			void *data);

#endif
