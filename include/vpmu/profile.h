/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Samples, aggregated. A profile goes through two states:
 *
 *   filling    vpmu_profile_add(): one hash lookup a sample, memory by distinct (thread name, stack)
 *   resolved   vpmu_profile_resolve(): addresses became frames; from here on it stands by itself (the session
 *              or recording may go) and can be merged, reported, compared, exported, and written as bytes that
 *              become the same profile again somewhere else
 *
 * Guest and host are never mixed: a row belongs to one half, even when the sort keys do not name the side, and its
 * percentage is of that half's total.
 */
#ifndef VPMU_PROFILE_H
#define VPMU_PROFILE_H

#include <vpmu/common.h>
#include <vpmu/error.h>
#include <vpmu/sample.h>
#include <vpmu/symbolize.h>

struct vpmu_profile_opts {
	size_t sz;
	bool chains; /* keep call chains; without, only the leaf address counts */
	bool lines;  /* resolve source lines too */
};

struct vpmu_profile;

/* Sort keys; a report groups by the set that was asked for. */
enum vpmu_key {
	VPMU_KEY_GUEST,
	VPMU_KEY_VCPU,
	VPMU_KEY_SIDE,
	VPMU_KEY_PROCESS, /* host thread's name; for guest-user samples the guest's process, where known */
	VPMU_KEY_DSO,
	VPMU_KEY_SYMBOL,
	VPMU_KEY_LINE,
};
#define VPMU_KEY_COUNT 7

struct vpmu_report_opts {
	size_t sz;
	const char *sort;    /* comma-separated keys, default "side,dso,symbol". perf's short names are understood:
				sym, comm, srcline */
	unsigned int sides;  /* VPMU_SIDES_*; 0 = all */
	const char *const *guests; /* only these guests: names or UUIDs; NULL = all */
	size_t n_guests;
	uint32_t event;	     /* which event, by index */
	bool children;	     /* a row also counts the samples of what it called */
	bool chains;	     /* for vpmu_report_chains() */
	size_t limit;	     /* rows per half, 0 = all */
	double min_percent;  /* leave out rows below */
	bool callees;	     /* chains go the other way: from the row's symbol to what it called. With children, always */
};

/* Frames are shared between chains, so this is an array of pointers: frames[0]->symbol is the innermost one. */
struct vpmu_chain {
	uint64_t samples, weight;
	size_t n_frames;
	const struct vpmu_frame *const *frames;
};

/*
 * One row. Only the members named by the sort keys are set; others are NULL. Belongs to the report.
 *
 * Places without a name are not lumped together: two of them in different files are two rows, even where the keys
 * that were asked for (the symbol, say, which is an offset then) look the same.
 */
struct vpmu_row {
	bool is_guest;		   /* which half */
	const char *keys[VPMU_KEY_COUNT]; /* by enum vpmu_key */
	enum vpmu_frame_status status;	  /* of the symbol, when that is a key */
	uint64_t samples, weight;  /* of the row itself; with children: including what it called */
	uint64_t self_samples, self_weight;
	double percent, self_percent; /* of the half's weight */
};

struct vpmu_report;

struct vpmu_profile_write_opts {
	size_t sz;
	const uint32_t *guests; /* only these, by number (vpmu_profile_guest()); NULL = all */
	size_t n_guests;	/* may be 0: none */
	unsigned int sides;	/* VPMU_SIDES_*; 0 = all */
	/*
	 * Leave out what is nobody's: samples of no guest, and of the coverage what cannot be told apart by guest (what was lost,
	 * throttled, damaged; how chains ended). So each guest's part without the rest, and once the rest alone, make up the whole
	 * again when they are merged.
	 */
	bool no_rest;
	bool guests_only; /* leave out samples of no guest, but not what cannot be told apart */
};

struct vpmu_profile_read_opts {
	size_t sz;
	uint64_t max_bytes; /* refuse what unpacks to more; default 128 MiB. Hostile bytes can take twenty times as much memory */
};

struct vpmu_event_info;

struct vpmu_diff_opts {
	size_t sz;
	unsigned int base_sides, other_sides; /* VPMU_SIDES_*, 0 = all */
	uint32_t base_event, other_event;
	const char *const *base_guests, *const *other_guests; /* names or UUIDs; NULL = all */
	size_t n_base_guests, n_other_guests;
	bool by_dso;	    /* match by dso and symbol; default by symbol alone, which pairs host and guest kernels */
	double min_percent; /* leave out rows below on both sides */
	size_t limit;	    /* 0 = all */
};

/*
 * One symbol in two profiles. Shares are of the selected samples of each profile. [low, high] is the 95 % confidence
 * interval of delta (Newcombe's hybrid score interval for the difference of two proportions, which
 * assumes independent samples); significant = it does not contain 0.
 */
struct vpmu_diff_row {
	const char *symbol, *dso; /* dso: of the heavier one */
	uint64_t base_samples, other_samples;
	double base_percent, other_percent, delta, low, high; /* percent, percentage points */
	bool significant;
};

struct vpmu_diff;

VPMU_BEGIN_DECLS

/* Errors: -EINVAL, -ENOMEM. */
VPMU_API int vpmu_profile_new(const struct vpmu_profile_opts *opts, struct vpmu_profile **ret_profile,
			      struct vpmu_error *reterr);
VPMU_API struct vpmu_profile *vpmu_profile_free(struct vpmu_profile *profile);

/*
 * vpmu_profile_ref - one more owner of @profile, which is returned: it is gone once each has freed it. From then on nothing changes it
 * (what is const here may be called from several threads).
 */
VPMU_API struct vpmu_profile *vpmu_profile_ref(struct vpmu_profile *profile);

/*
 * vpmu_profile_add - count @sample. All samples between new and resolve come from one session or recording.
 * A vpmu_sample_fn with the profile as its data. Running out of memory is remembered and returned by resolve.
 */
VPMU_API void vpmu_profile_add(const struct vpmu_sample *sample, void *profile);

/*
 * vpmu_profile_resolve - name every address.
 * @coverage: totals of the session or recording the samples came from; resolved and opaque are counted here.
 * Errors: -ENOMEM, -EINVAL (resolved already).
 */
VPMU_API int vpmu_profile_resolve(struct vpmu_profile *profile, struct vpmu_symbolizer *symbolizer,
				  const struct vpmu_coverage *coverage, struct vpmu_error *reterr);

/*
 * vpmu_profile_merge - add @from to @into, by names. Events too, where both know theirs (vpmu_profile_add_event()), else by index.
 * Both are to be resolved, or @into new and empty. On failure @into is unchanged.
 * Errors: -EINVAL (not resolved, or both the same), -ENOMEM.
 */
VPMU_API int vpmu_profile_merge(struct vpmu_profile *into, const struct vpmu_profile *from,
				struct vpmu_error *reterr);

/* vpmu_profile_coverage - complete once resolved. */
VPMU_API void vpmu_profile_coverage(const struct vpmu_profile *profile,
				    struct vpmu_coverage *ret_coverage);

/*
 * vpmu_profile_add_event - what the samples' next event is (the first call tells of event 0, and so on). A profile counts without
 * knowing, but then its events have no names when it stands alone. The name is copied.
 * Errors: -ENOMEM.
 */
VPMU_API int vpmu_profile_add_event(struct vpmu_profile *profile, const struct vpmu_event_info *info,
				    struct vpmu_error *reterr);

/* Event @i, as it was told; guest @i of a resolved profile. False beyond the end. Strings belong to the profile. */
VPMU_API bool vpmu_profile_event(const struct vpmu_profile *profile, size_t i, struct vpmu_event_info *ret_info);
VPMU_API bool vpmu_profile_guest(const struct vpmu_profile *profile, size_t i, const char **ret_name,
				 const char **ret_uuid);
/* How many samples guest @i has; VPMU_NO_GUEST: how many belong to none. */
VPMU_API uint64_t vpmu_profile_guest_samples(const struct vpmu_profile *profile, uint32_t i);

/* vpmu_profile_memory - about how many bytes of memory it takes: for those who must bound what they merge. */
VPMU_API size_t vpmu_profile_memory(const struct vpmu_profile *profile);

/*
 * vpmu_profile_write - a resolved profile as bytes: compact, the same on every machine, readable by this version of the library
 * and later ones. *ret_bytes is the caller's to free().
 * Errors: -EINVAL (not resolved, no such guest), -E2BIG (more than 8192 guests), -ENOMEM.
 */
VPMU_API int vpmu_profile_write(const struct vpmu_profile *profile, const struct vpmu_profile_write_opts *opts,
				void **ret_bytes, size_t *ret_n, struct vpmu_error *reterr);

/*
 * vpmu_profile_read - the profile that @bytes are of; they may come from anybody.
 * Errors: -EBADMSG (no profile, of a later format, damaged), -EFBIG (beyond max_bytes), -EINVAL, -ENOMEM.
 */
VPMU_API int vpmu_profile_read(const void *bytes, size_t n, const struct vpmu_profile_read_opts *opts,
			       struct vpmu_profile **ret_profile, struct vpmu_error *reterr);

/*
 * vpmu_report_new - rows by @opts, heaviest first, guest half before host half; equal weights by name.
 * The profile must outlive the report, unchanged. Samples of unknown side are shown with the host's.
 * Errors: -EINVAL (unknown key: the text lists them; profile not resolved), -ENOENT (a guest that is not in the
 * profile), -ENOMEM.
 */
VPMU_API int vpmu_report_new(const struct vpmu_profile *profile, const struct vpmu_report_opts *opts,
			     struct vpmu_report **ret_report, struct vpmu_error *reterr);
VPMU_API struct vpmu_report *vpmu_report_free(struct vpmu_report *report);

/* Row @i, NULL beyond the end. */
VPMU_API const struct vpmu_row *vpmu_report_row(const struct vpmu_report *report, size_t i);

/*
 * vpmu_report_chains - the call chains of row @i, heaviest first: from the row's symbol outward, without what it called; or
 * inward, without what called it (vpmu_report_opts.callees). Of a recursion the innermost call is taken, or the outermost one.
 * They last until this is called again (all rows' chains at once would take more memory than the profile). NULL and 0
 * if the report was made without chains, or when memory runs out.
 */
VPMU_API const struct vpmu_chain *vpmu_report_chains(const struct vpmu_report *report, size_t i,
						     size_t *ret_n);

/* Samples and weight of a half, before limit and min_percent: what percentages refer to. */
VPMU_API uint64_t vpmu_report_samples(const struct vpmu_report *report, bool of_guest);
VPMU_API uint64_t vpmu_report_weight(const struct vpmu_report *report, bool of_guest);

/*
 * vpmu_report_coverage - what the figures of the report stand on. Samples, sides, resolved and opaque are of what the
 * report selected (event, sides, guests; not limit and min_percent). The rest cannot be told apart by event or guest
 * (what was lost is not known) and is the whole profile's, as vpmu_profile_coverage() gives it.
 */
VPMU_API void vpmu_report_coverage(const struct vpmu_report *report, struct vpmu_coverage *ret_coverage);

/* vpmu_diff_new - compare, largest absolute delta first. Errors as vpmu_report_new. -ENODATA: no samples on a side. */
VPMU_API int vpmu_diff_new(const struct vpmu_profile *base, const struct vpmu_profile *other,
			   const struct vpmu_diff_opts *opts, struct vpmu_diff **ret_diff,
			   struct vpmu_error *reterr);
VPMU_API struct vpmu_diff *vpmu_diff_free(struct vpmu_diff *diff);
VPMU_API const struct vpmu_diff_row *vpmu_diff_row(const struct vpmu_diff *diff, size_t i);
VPMU_API uint64_t vpmu_diff_samples(const struct vpmu_diff *diff, bool of_base);

/* "guest", "vcpu", …: a static string. */
VPMU_API const char *vpmu_key_name(enum vpmu_key key);

VPMU_END_DECLS

#endif
