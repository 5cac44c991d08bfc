/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's call chain by its frame pointers, read through the guest's own page tables.
 *
 * This is compiled twice: into a BPF program, where it runs in the interrupt that takes the sample,
 * and as ordinary C into the unit tests. So it calls nothing but what its includer defines first:
 *
 *	guest_hva(memory, gpa)	where guest-physical @gpa lies in our own address space; 0 = nowhere
 *	guest_copy(dst, n, hva)	copies n bytes from there; negative if they cannot be had now
 *	guest_loop(n, fn, ctx)	calls fn(i, ctx) until it returns 1, n times at most
 *	struct guest_memory	whatever guest_hva() wants to know
 *	guest_walk_function	what a function is that is called from many places: a global one for the kernel's
 *				verifier, which then looks at it once instead of at each place
 *
 * Frames (System V ABI, x86-64): a function that keeps a frame pointer pushes its caller's rbp and
 * points rbp there. Hence each frame is a pair {caller's rbp, return address}; stacks grow downwards, so
 * the pairs' addresses rise on the way out, and the outermost one has 0 for its caller's. The first and last instructions of a function
 * have no frame: guest_code.h.
 *
 * Page tables (Intel SDM vol. 3, "4-level paging and 5-level paging"; AMD APM vol. 2, "Long-mode page
 * translation"): nine bits of the address select an entry in each level's page of 512; bit 0 of
 * an entry says that it is there, bits 51:12 are the next table's or the page's address, bit 7 ends the
 * walk early with a page of 1 GiB or 2 MiB.
 *
 * All of it is the guest's and may be made to mislead. Every number of steps is bounded; a chain can be
 * wrong only in ways in which the guest could have arranged its stack anyway.
 *
 * Code without frame pointers uses rbp for anything. What then looks like a frame is told from one where that is cheap:
 * frames rise, by no more than FRAME_MAX_BYTES; a caller is in the same half of the address space; and a caller of a kernel's is
 * within reach of it, for kernels and their modules lie close together (Linux: the last 2 GiB), away from the data that they point to.
 */
#ifndef GUEST_WALK_H
#define GUEST_WALK_H

#include "guest_code.h"
#include "vpmu_bpf.h"

#define PAGE_PRESENT	1ULL
#define PAGE_LARGE	(1ULL << 7)
#define PAGE_ADDRESS	0x000ffffffffff000ULL
#define GUEST_PAGE_SIZE 4096ULL
#define FRAME_MAX_BYTES (16ULL << 20)
#define KERNEL_REACH	(2ULL << 30)
#define WINDOW_BYTES	512ULL

struct guest_walk {
	struct guest_memory memory;
	__u64 cr3;
	__u64 bp;
	__u64 sp; /* with it, a caller that has no frame below it yet is found: guest_code.h; 0 = not known */
	__u64 ip; /* of the code that bp and sp belong to */
	__u32 n_callers; /* frames that were found by it */
	/* The page that was read last: most of a chain lies in one or two. */
	__u64 page_gva, page_hva; /* hva 0 = none yet */
	/* A piece of the stack: the next frames are mostly in it, and a copy costs much the same whatever its size. */
	__u64 window_gva, window_bytes;
	__u64 window[WINDOW_BYTES / 8];
	__u8 code[GUEST_CODE_BYTES];
	__u32 levels;		  /* of page tables: 4 or 5 */
	__u32 upper;		  /* 1 = the stack and all callers are in the upper half of addresses */
	__u64 cpu_base;		  /* of the guest kernel's per-CPU data; 0 = not known */
	struct vpmu_bpf_sample sample;
};

/*
 * Whether @gva is in the half of the address space that the sampled code runs in. (By its address, for kernels: small ones run
 * in the lower half.)
 */
static inline __attribute__((always_inline)) int guest_own_half(const struct guest_walk *w,
								__u64 gva)
{
	__u32 bits = w->levels == 5 ? 56 : 47;

	return gva >> bits == (w->upper ? ~0ULL >> bits : 0);
}

/* Whether @gva can be where the sampled code returns to. */
static inline __attribute__((always_inline)) int guest_may_return(const struct guest_walk *w,
								  __u64 gva)
{
	if (!gva || !guest_own_half(w, gva))
		return 0;
	return !w->upper || gva - w->sample.ip + KERNEL_REACH < 2 * KERNEL_REACH;
}

/* Finds the page of @gva. Returns 0, with page_gva and page_hva set, or an enum vpmu_bpf_end. */
guest_walk_function int guest_find_page(struct guest_walk *w, __u64 gva)
{
	__u64 table, entry, hva;
	__u32 shift;

	if (!w)
		return VPMU_BPF_END_NO_MAPPING;
	table = w->cr3 & PAGE_ADDRESS;
	shift = w->levels == 5 ? 48 : 39;
	for (int step = 0; step < 5; step++) {
		hva = guest_hva(&w->memory, table + (gva >> shift & 511) * 8);
		if (!hva)
			return VPMU_BPF_END_NO_MEMORY;
		if (guest_copy(&entry, sizeof(entry), hva) < 0)
			return VPMU_BPF_END_ABSENT;
		if (!(entry & PAGE_PRESENT))
			return VPMU_BPF_END_NO_MAPPING;
		table = entry & PAGE_ADDRESS;
		if (shift == 12)
			break;
		if (entry & PAGE_LARGE) {
			if (shift > 30)
				return VPMU_BPF_END_NO_MAPPING; /* reserved there */
			/* Bit 12 of a large page's entry is no address bit. */
			table = (table >> shift << shift) | (gva & ((1ULL << shift) - 1) & ~0xfffULL);
			break;
		}
		shift -= 9;
	}
	hva = guest_hva(&w->memory, table);
	if (!hva)
		return VPMU_BPF_END_NO_MEMORY;
	w->page_gva = gva & ~(GUEST_PAGE_SIZE - 1);
	w->page_hva = hva;
	return 0;
}

static inline __attribute__((always_inline)) __u64 guest_in_page(const struct guest_walk *w,
								 __u64 gva)
{
	return w->page_hva + (gva & (GUEST_PAGE_SIZE - 1));
}

static inline __attribute__((always_inline)) int guest_enter_page(struct guest_walk *w, __u64 gva)
{
	if (w->page_hva && (gva & ~(GUEST_PAGE_SIZE - 1)) == w->page_gva)
		return 0;
	return guest_find_page(w, gva);
}

/* The pair at w->bp lies across two pages. */
static inline __attribute__((always_inline)) int guest_read_across(struct guest_walk *w,
								   __u64 frame[2])
{
	int r;

	if (guest_copy(frame, 8, guest_in_page(w, w->bp)) < 0)
		return VPMU_BPF_END_ABSENT;
	r = guest_find_page(w, w->bp + 8);
	if (r)
		return r;
	return guest_copy(frame + 1, 8, w->page_hva) < 0 ? VPMU_BPF_END_ABSENT : 0;
}

/*
 * Reads the pair at w->bp, which is aligned to 8 bytes.
 *
 * Of two registers that are a constant apart the verifier keeps the bounds together since Linux 6.11 (98d7ca374ba4, "bpf: Track delta
 * between "linked" registers."); until 6.17 (7a998a731627, "bpf, verifier: Improve precision for BPF_ADD and BPF_SUB") the lower one
 * lost its upper bound by that. So it is not offset that something is added to.
 */
static inline __attribute__((always_inline)) int guest_read_frame(struct guest_walk *w,
								  __u64 frame[2])
{
	__u64 bp = w->bp, offset = bp - w->window_gva, n;

	if (offset > WINDOW_BYTES - 16 || w->window_bytes < 16 || offset > w->window_bytes - 16) {
		int r = guest_enter_page(w, bp);

		if (r)
			return r;
		n = GUEST_PAGE_SIZE - (bp & (GUEST_PAGE_SIZE - 1));
		if (n < 16)
			return guest_read_across(w, frame);
		if (n > WINDOW_BYTES)
			n = WINDOW_BYTES;
		w->window_bytes = 0;
		if (guest_copy(w->window, (__u32)n, guest_in_page(w, bp)) < 0)
			return VPMU_BPF_END_ABSENT;
		w->window_gva = bp;
		w->window_bytes = n;
		offset = 0;
	}
	frame[0] = w->window[offset / 8];
	frame[1] = w->window[offset / 8 + 1];
	return 0;
}

/* A word that does not lie across two pages. */
static inline __attribute__((always_inline)) int guest_read_word(struct guest_walk *w, __u64 gva,
								 __u64 *ret)
{
	if ((gva & (GUEST_PAGE_SIZE - 1)) > GUEST_PAGE_SIZE - 8 || guest_enter_page(w, gva))
		return -1;
	return guest_copy(ret, 8, guest_in_page(w, gva)) < 0 ? -1 : 0;
}

/* What there is of the code around @gva, in its page. */
static inline __attribute__((always_inline)) int guest_read_code(struct guest_walk *w, __u64 gva)
{
	__u64 offset = gva & (GUEST_PAGE_SIZE - 1), n = GUEST_PAGE_SIZE - offset;

	__builtin_memset(w->code, 0, sizeof(w->code));
	if (guest_enter_page(w, gva))
		return -1;
	if (n > GUEST_CODE_AFTER)
		n = GUEST_CODE_AFTER;
	if (offset < GUEST_CODE_BEFORE)
		return guest_copy(w->code + GUEST_CODE_BEFORE, (__u32)n, guest_in_page(w, gva));
	return guest_copy(w->code, (__u32)n + GUEST_CODE_BEFORE, guest_in_page(w, gva - GUEST_CODE_BEFORE));
}

/* The return address that w->code leads to, and sp behind it. Returns 0 = there is none. */
static inline __attribute__((always_inline)) __u64 guest_return_address(struct guest_walk *w, enum guest_code_place place)
{
	__u64 at = w->sp, top = 0, word = 0;

	if (place == GUEST_CODE_FRAME || (at & 7) || !guest_own_half(w, at))
		return 0;
	if (place == GUEST_CODE_POPPED || place == GUEST_CODE_PUSHED) {
		if (guest_read_word(w, place == GUEST_CODE_POPPED ? at - 8 : at, &top) || top != w->bp)
			return 0;
		at += place == GUEST_CODE_PUSHED ? 8 : 0;
	}
	if (guest_read_word(w, at, &word) || !guest_may_return(w, word))
		return 0;
	w->sp = at + 8;
	return word;
}

/*
 * Finds the caller that the frames leave out. Another one if it was a ret that leads there: what is returned to may be a ret, too, or the
 * beginning of a function, behind its call of __fentry__.
 */
guest_walk_function int guest_find_caller(struct guest_walk *w)
{
	enum guest_code_place place;
	__u64 caller;
	__u32 n = 0;

	if (!w || guest_read_code(w, w->ip))
		return 0;
	do {
		place = guest_code_place(w->code);
		caller = guest_return_address(w, place);
		if (!caller || guest_read_code(w, caller) || !guest_code_after_call(w->code))
			return 0;
		w->sample.frames[n++] = caller;
		w->sample.n_frames = (__u8)n;
		w->n_callers = n;
	} while (n < 2 && place == GUEST_CODE_RETURN);
	return 0;
}

struct guest_walk_context {
	struct guest_walk *walk;
	const struct vpmu_bpf_guest *guest;
};

/*
 * What a frame pointer of 0 means. A kernel's code always has a caller (but for a few instructions of entry code): 0 from the start
 * is a kernel without frame pointers.
 */
static inline __attribute__((always_inline)) __u8 outermost(const struct guest_walk *w)
{
	return w->upper && w->sample.n_frames == w->n_callers ? VPMU_BPF_END_BAD_FRAME : VPMU_BPF_END_COMPLETE;
}

static long guest_walk_step(__u32 i, void *data)
{
	struct guest_walk *w = ((struct guest_walk_context *)data)->walk;
	__u64 frame[2] = {}, bp = w->bp;
	__u32 n = w->sample.n_frames;
	int r;

	(void)i;
	if (!bp) {
		w->sample.end = outermost(w);
		return 1;
	}
	if (n >= VPMU_BPF_MAX_ADDRESSES - 1) {
		w->sample.end = VPMU_BPF_END_DEPTH;
		return 1;
	}
	if ((bp & 7) || !guest_own_half(w, bp)) {
		w->sample.end = VPMU_BPF_END_BAD_FRAME;
		return 1;
	}
	r = guest_read_frame(w, frame);
	if (r) {
		w->sample.end = (__u8)r;
		return 1;
	}
	if (!frame[1] && !frame[0]) { /* how some start-up code marks its frame */
		w->sample.end = outermost(w);
		return 1;
	}
	if (!guest_may_return(w, frame[1])) {
		w->sample.end = VPMU_BPF_END_BAD_RETURN;
		return 1;
	}
	w->sample.frames[n] = frame[1];
	w->sample.n_frames = (__u8)(n + 1);
	w->bp = frame[0];
	/* Frames rise. This also ends circles. */
	if (frame[0] && frame[0] - bp - 1 >= FRAME_MAX_BYTES) {
		w->sample.end = VPMU_BPF_END_BAD_FRAME;
		return 1;
	}
	return 0;
}

/*
 * Fills in frames, n_frames and end of w->sample. To be set before: memory, cr3, levels, upper, bp, sp, ip; ip of the sample.
 */
static inline __attribute__((always_inline)) void guest_walk_frames(struct guest_walk *w)
{
	struct guest_walk_context context = {.walk = w};

	w->page_hva = 0;
	w->window_bytes = 0;
	w->sample.n_frames = 0;
	w->sample.end = VPMU_BPF_END_DEPTH;
	w->n_callers = 0;
	if (w->sp) {
		guest_find_caller(w);
		/* No frame is below the stack's end. */
		if (w->bp && w->bp - w->sp >= FRAME_MAX_BYTES) {
			w->sample.end = VPMU_BPF_END_BAD_FRAME;
			return;
		}
	}
	/* One more than there can be frames: the last step sees whether there would be another. */
	guest_loop(VPMU_BPF_MAX_ADDRESSES, guest_walk_step, &context);
}

/* One word of the running task after the other. */
static long guest_task_step(__u32 i, void *data)
{
	struct guest_walk_context *context = data;
	const struct vpmu_bpf_guest *guest = context->guest;
	struct guest_walk *w = context->walk;
	struct vpmu_bpf_task *task = &w->sample.task;
	__u64 at, word = 0;

	if (i == 0)
		at = w->cpu_base + guest->current_offset;
	else if (i == 1)
		at = task->gva + guest->pid_offset;
	else if (i == 2)
		at = task->gva + guest->mm_offset;
	else
		at = task->gva + guest->comm_offset + (i == 3 ? 0 : 8);
	if (guest_read_word(w, at, &word)) {
		task->gva = 0;
		return 1;
	}
	if (i == 0) {
		task->gva = word;
	} else if (i == 1) {
		task->pid = (__s32)word;
		task->tgid = (__s32)(word >> 32);
	} else if (i == 2) {
		task->mm_gva = word;
	} else {
		__builtin_memcpy(task->comm + (i == 3 ? 0 : 8), &word, 8);
	}
	return i == 4 || !task->gva;
}

/*
 * Fills in w->sample.task: the kernel keeps a pointer to the running task in each CPU's own data. To be set before: memory, cpu_base.
 * Afterwards w->cr3 and w->levels are the kernel's.
 */
static inline __attribute__((always_inline)) void
guest_walk_task(struct guest_walk *w, const struct vpmu_bpf_guest *guest)
{
	struct guest_walk_context context = {.walk = w, .guest = guest};

	w->page_hva = 0;
	w->cr3 = guest->kernel_cr3;
	w->levels = guest->levels;
	w->sample.task.gva = 0;
	guest_loop(5, guest_task_step, &context);
}

#endif
