/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From addresses to names. A session and a recording each own a symbolizer that knows their guests and
 * processes (vpmu_session_symbolizer(), vpmu_recording_symbolizer()); what a caller adds are the places
 * where symbols lie.
 *
 * Sources, in order, by side:
 *   host-kernel   tables carried in the recording; /proc/kallsyms if it is this boot's kernel (cached on
 *                 disk by boot)
 *   host-user     tables carried in the recording; the mapped file's own symbols, its debug file by build-id
 *                 (/usr/lib/debug, ~/.debug), debuginfod if DEBUGINFOD_URLS is set
 *   guest-kernel  tables carried in the recording; --guest-kallsyms; --guest-vmlinux; --guest-image; in a
 *                 session, where none of these is given, the guest's memory (introspect.h)
 *   guest-user    where the guest's processes are known (Linux guests, sample.h): tables carried in the recording; the mapped
 *                 file below --guest-root; its debug file by build-id, as for the host's. Else --guest-image
 *
 * Tables are loaded on first use. An address that gets no name keeps a status that says why.
 */
#ifndef VPMU_SYMBOLIZE_H
#define VPMU_SYMBOLIZE_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/sample.h>

enum vpmu_frame_status {
	VPMU_FRAME_OK = 0,	      /* symbol found */
	VPMU_FRAME_UNMAPPED,	      /* no mapping holds this address */
	VPMU_FRAME_NO_SYMBOLS,	      /* mapped, but there is no symbol table: dso and offset are known */
	VPMU_FRAME_NO_SYMBOL,	      /* there is a table, no symbol of it covers the address */
	VPMU_FRAME_HIDDEN,	      /* kptr_restrict or missing rights hide kernel addresses */
	VPMU_FRAME_OPAQUE,	      /* no address was given: an encrypted guest */
	/*
	 * The chain goes on, but nobody knows how: the walk of a guest's stack had to end (enum vpmu_chain_end), or a
	 * marker follows that is not known. Chains that the kernel cut have no such frame; the coverage counts them.
	 */
	VPMU_FRAME_TRUNCATED,
	VPMU_FRAME_NOT_THIS_KERNEL,   /* recorded under another kernel, whose table is not at hand */
	VPMU_FRAME_NESTED,	      /* in a guest that this guest runs: VPMU_ADDRESS_NESTED */
};
#define VPMU_FRAME_STATUS_COUNT 9

struct vpmu_frame {
	const char *symbol;	/* NULL unless status is OK */
	const char *dso;	/* "[kernel]", "[kvm]", a file's path; "[unknown]" when unmapped */
	const char *build_id;	/* lower-case hex, "" if unknown */
	uint64_t address;	/* as sampled */
	uint64_t dso_offset;	/* file offset in a user file, else the address itself */
	uint64_t symbol_offset; /* from the symbol's start; 0 unless OK */
	enum vpmu_side side;
	enum vpmu_frame_status status;
	const char *src_file;	/* NULL unless lines were asked for and found */
	uint32_t src_line;	/* 0 likewise */
};

struct vpmu_symbolizer; /* owned by its session or recording; never freed by the caller */

/* Settings of a symbolizer, handed over with the options of a session or a recording. */
struct vpmu_symbolizer_opts {
	size_t sz;
	const char *kallsyms_path; /* default "/proc/kallsyms" */
	const char *cache_dir;	   /* default $XDG_CACHE_HOME/vpmu or ~/.cache/vpmu; "" = no cache */
	const char *debug_dirs;	   /* colon-separated, default "/usr/lib/debug" */
	bool no_debuginfod;	   /* do not ask the network even if DEBUGINFOD_URLS is set */
	bool in_background;	   /* no name waits until the kernel is found in a guest's memory; none of it before */
};

/* Where a guest's names come from. Paths are opened on the spot, so that a typo fails at once. */
enum vpmu_guest_symbols {
	VPMU_GUEST_KALLSYMS = 1, /* a copy of the guest's /proc/kallsyms of this boot, read as root */
	VPMU_GUEST_MODULES = 2,	 /* a copy of its /proc/modules: sizes, so that the last symbol of a module ends */
	VPMU_GUEST_VMLINUX = 3,	 /* its vmlinux, not stripped */
	VPMU_GUEST_IMAGE = 4,	 /* any ELF file that runs in the guest at its link addresses */
	VPMU_GUEST_ROOT = 5,	 /* a directory with its files: what "/" is in the guest */
	VPMU_GUEST_TYPES = 6,	 /* of a guest that runs here: a vmlinux with section .BTF, for a kernel without type information
				    (vpmu_kernel_opts.vmlinux_path); before the session starts. It names nothing by itself */
};

/* What became of the vmlinux's KASLR offset. */
#define VPMU_KASLR_AUTO INT64_MIN /* work it out from the guest's kallsyms; without those the vmlinux names nothing */

VPMU_BEGIN_DECLS

/*
 * vpmu_symbolizer_guest_file - names for @guest (an index into the session's or recording's guests;
 * VPMU_NO_GUEST: for every guest that has none of its own).
 * @kaslr_offset: bytes, for VPMU_GUEST_VMLINUX: run-time address minus link address, or VPMU_KASLR_AUTO.
 * A kernel that KASLR did not move (nokaslr) has 0, which must be said: a vmlinux alone does not tell where its kernel lies.
 * Errors: what opening gave; -EINVAL (not of that kind; the text says what is wrong with it), -EACCES with
 * a hint for a kallsyms whose addresses are all zero (kptr_restrict inside the guest), -EBUSY (VPMU_GUEST_TYPES: the guest's kernel is
 * being read already).
 */
VPMU_API int vpmu_symbolizer_guest_file(struct vpmu_symbolizer *symbolizer, uint32_t guest,
					enum vpmu_guest_symbols kind, const char *path,
					int64_t kaslr_offset, struct vpmu_error *reterr);

/*
 * vpmu_symbolize - the frames of @sample, innermost first: its ip, then its call chain, if any.
 * @lines: look up source lines too (slow the first time: debug information is read).
 * @frames: room for @n_frames; further ones are dropped.
 * Returns the number of frames stored. Strings belong to the symbolizer and live as long as it does.
 */
VPMU_API size_t vpmu_symbolize(struct vpmu_symbolizer *symbolizer, const struct vpmu_sample *sample,
			       bool lines, struct vpmu_frame *frames, size_t n_frames);

/*
 * vpmu_symbolizer_hurry - for who has to end: from now on no table is loaded any more, and nobody is asked for one. Addresses whose
 * table is not there by then get no name (VPMU_FRAME_NO_SYMBOLS), so that vpmu_profile_resolve() and vpmu_session_stop()
 * take no longer than what is loading just now, and a few milliseconds. Cannot be taken back.
 * May be called from any thread, while another one uses the symbolizer.
 */
VPMU_API void vpmu_symbolizer_hurry(struct vpmu_symbolizer *symbolizer);

/*
 * vpmu_symbolizer_await_guests_until - for who has to end, but not at once: from @time_ns (CLOCK_MONOTONIC) on nobody waits for processes
 * that parse guests' memory (vpmu/introspect.h), which may hang. What they would have named gets no name; all other tables are loaded.
 * 0 = as long as they may take, the default. May be called from any thread, while another one uses the symbolizer.
 */
VPMU_API void vpmu_symbolizer_await_guests_until(struct vpmu_symbolizer *symbolizer, uint64_t time_ns);

/* "ok", "unmapped", "no-symbols", …: the names used in JSON. A static string. */
VPMU_API const char *vpmu_frame_status_name(enum vpmu_frame_status status);

VPMU_END_DECLS

#endif
