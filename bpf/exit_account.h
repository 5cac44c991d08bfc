/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The account of VM exits: what follows from the order in which one vCPU's thread leaves its guest,
 * sleeps, is preempted, goes to the VMM and enters the guest again. Pure logic, compiled twice:
 * into the BPF program that KVM's tracepoints run, and as ordinary C into the unit tests, which
 * make up the order of things. Its includer defines first:
 *
 *	exit_detail_row(tid, kind, value)	the row for exits of that kind and value; NULL = no room
 *	exit_epoch()				number of the stretch of time that the shortest and longest are kept of, from 1
 *
 *	            kvm_exit                                            kvm_entry
 *	  guest        |   KVM    | VMM (user_ns) |   KVM     asleep  KVM   |      guest
 *	  -------------+----------+---------------+---------+-blocked_ns-+--+-------------
 *	               since_ns   kvm_userspace_exit      sched_switch
 *
 * An exit is accounted when it is over, at the entry. What goes wrong:
 *
 *	exit, exit	the entry was not seen: the first exit counts, but has no time ("untimed")
 *	entry, entry	the exit was not seen: on AMD up to Linux 6.4 those that KVM handled in its fast path
 *	nothing yet	the first event of a thread may be an entry: its exit was before our time, and is not accounted
 *	dead		a thread that ends while it handles an exit: user space sees the exit and since when
 *
 * The thread may change CPUs in between; everything is kept by thread, so that does not matter. The
 * clock is the same on all CPUs; should it go back all the same, the time is 0, and that it
 * happened is counted. Sums wrap at 2^64 as unsigned numbers do, so differences stay right.
 *
 * A nested guest (L2; L1 is the guest) leaves to us, too. What L1 wants to know is reflected: we
 * enter L1, which handles it, and exits many times itself on the way, until it has us enter L2
 * again. From one to the other is a trip; from the end of that to L2's next exit L2 runs. What L2's own clock shows
 * between two exits is both: to enter it and to leave it is part of its run.
 */
#ifndef EXIT_ACCOUNT_H
#define EXIT_ACCOUNT_H

#include "vpmu_bpf.h"

#define exit_inline static inline __attribute__((always_inline))

/*
 * A small number for a reason: its place in row_of. VMX's basic reasons are below 128. SVM's codes
 * lie in islands (AMD APM vol. 2, appendix C; Linux: arch/x86/include/uapi/asm/svm.h): 0 to 0xbf;
 * 0x400, nested page faults and AVIC; 0x80000000, what SEV-ES guests ask for; the rest shares the
 * last number.
 */
exit_inline __u32 exit_index(__u32 isa, __u32 code, __u32 nested)
{
	__u32 index = 0xff;

	if (isa != 2)
		index = (code & 0xffff) < 128 ? code & 127 : 0xff;
	else if (code < 0xc0)
		index = code;
	else if (code - 0x400 < 0x20)
		index = 0xc0 + (code & 0x1f);
	else if (code - 0x80000000U < 0x1f)
		index = 0xe0 + (code & 0x1f);
	return index + (nested ? 256 : 0);
}

exit_inline __u32 exit_bucket(__u64 ns)
{
	__u32 bits = 0;

	ns >>= VPMU_BPF_EXIT_BUCKET_SHIFT;
	/* Binary search: BPF has no instruction that counts leading zeros. */
	if (ns >> 32) {
		ns >>= 32;
		bits += 32;
	}
	if (ns >> 16) {
		ns >>= 16;
		bits += 16;
	}
	if (ns >> 8) {
		ns >>= 8;
		bits += 8;
	}
	if (ns >> 4) {
		ns >>= 4;
		bits += 4;
	}
	if (ns >> 2) {
		ns >>= 2;
		bits += 2;
	}
	if (ns >> 1) {
		ns >>= 1;
		bits += 1;
	}
	bits += (__u32)ns;
	return bits < VPMU_BPF_EXIT_BUCKETS ? bits : VPMU_BPF_EXIT_BUCKETS - 1;
}

/*
 * The verifier wants to see a bound just before it matters, where the compiler may know better and
 * leave it out.
 */
#define exit_masked(n, size)                                                                       \
	({                                                                                         \
		__u64 n_ = (n);                                                                    \
		__asm__ volatile("" : "+r"(n_));                                                   \
		n_ & ((size) - 1);                                                                 \
	})

exit_inline struct vpmu_bpf_exit_row *exit_row(struct vpmu_bpf_exit_thread *t)
{
	__u32 index = exit_index(t->isa, t->code, t->nested), n;
	struct vpmu_bpf_exit_row *row;

	n = t->row_of[exit_masked(index, VPMU_BPF_EXIT_INDEXES)];
	if (n)
		return &t->rows[exit_masked(n - 1, VPMU_BPF_EXIT_ROWS)];
	n = t->n_rows;
	if (n >= VPMU_BPF_EXIT_ROWS)
		return 0;
	row = &t->rows[exit_masked(n, VPMU_BPF_EXIT_ROWS)];
	row->code = t->code;
	row->has_code = 1;
	row->nested = t->nested;
	t->row_of[exit_masked(index, VPMU_BPF_EXIT_INDEXES)] = (__u8)(n + 1);
	t->n_rows = n + 1;
	return row;
}

/* One more in @row. @ns: how long it took. */
exit_inline void exit_add_time(struct vpmu_bpf_exit_row *row, __u64 ns)
{
	__u32 epoch = exit_epoch(), bucket = exit_bucket(ns);
	struct vpmu_bpf_exit_range *range = &row->ranges[epoch & 1];

	row->count++;
	row->total_ns += ns;
	row->buckets[exit_masked(bucket, VPMU_BPF_EXIT_BUCKETS)]++;
	if (range->epoch != epoch) {
		range->epoch = epoch;
		range->min_ns = range->max_ns = ns;
		return;
	}
	if (ns < range->min_ns)
		range->min_ns = ns;
	if (ns > range->max_ns)
		range->max_ns = ns;
}

exit_inline void exit_add_parts(struct vpmu_bpf_exit_row *row, const struct vpmu_bpf_exit_thread *t)
{
	row->user_ns += t->user_ns;
	row->blocked_ns += t->blocked_ns;
	row->preempted_ns += t->preempted_ns;
	row->polled_ns += t->polled_ns;
}

exit_inline void exit_add_untimed(struct vpmu_bpf_exit_row *row)
{
	row->count++;
	row->untimed++;
}

exit_inline __u64 exit_since(struct vpmu_bpf_exit_thread *t, __u64 now_ns, __u64 since_ns)
{
	if (now_ns >= since_ns)
		return now_ns - since_ns;
	t->n_backwards++;
	return 0;
}

/* Adds the exit that ends to the row of its detail of @kind. @timed: with @ns. */
static __attribute__((noinline)) void exit_add_detail(struct vpmu_bpf_exit_thread *t, __u32 tid,
						      __u32 kind, int timed, __u64 ns)
{
	struct vpmu_bpf_exit_row *row =
		exit_detail_row(tid, kind, t->details[exit_masked(kind, VPMU_BPF_EXIT_KINDS)]);

	if (!row) {
		t->n_unfit++;
		return;
	}
	row->code = t->code;
	row->has_code = 1;
	row->nested = t->nested;
	if (!timed) {
		exit_add_untimed(row);
		return;
	}
	exit_add_time(row, ns);
	exit_add_parts(row, t);
}

exit_inline void exit_add_details(struct vpmu_bpf_exit_thread *t, __u32 tid, int timed, __u64 ns)
{
	__u32 set = t->detail_set;

	if (!set)
		return;
	/* No loop: the verifier of Linux 6.1 takes some that clang makes for endless. */
	if (set >> VPMU_BPF_EXIT_MSR & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_MSR, timed, ns);
	if (set >> VPMU_BPF_EXIT_PORT & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_PORT, timed, ns);
	if (set >> VPMU_BPF_EXIT_MMIO & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_MMIO, timed, ns);
	if (set >> VPMU_BPF_EXIT_CPUID & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_CPUID, timed, ns);
	if (set >> VPMU_BPF_EXIT_HYPERCALL & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_HYPERCALL, timed, ns);
	if (set >> VPMU_BPF_EXIT_FAULT & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_FAULT, timed, ns);
	if (set >> VPMU_BPF_EXIT_RIP & 1)
		exit_add_detail(t, tid, VPMU_BPF_EXIT_RIP, timed, ns);
}

/* ---- which exits are looked at closely ---- */

/*
 * Whether this exit is sampled: returns how many exits it stands for, or 0. Which one of so many is
 * left to chance (@random), so that no pattern of the guest's is always met at the same place; one
 * of how many follows the rate: at most EXIT_SAMPLES of them in EXIT_STRETCH_NS, less often as soon
 * as there are more, more often again once there were few.
 */
#define EXIT_STRETCH_NS 10000000
#define EXIT_SAMPLES	10
#define EXIT_ONE_IN_MAX (1u << 20)

exit_inline __u32 exit_sample_due(struct vpmu_bpf_exit_thread *t, __u64 now_ns, __u32 random)
{
	__u32 one_in = t->rate_one_in ? t->rate_one_in : 1;

	if (now_ns - t->rate_from_ns >= EXIT_STRETCH_NS) {
		if (t->rate_samples < EXIT_SAMPLES / 4 && one_in > 1)
			one_in /= 2;
		t->rate_from_ns = now_ns;
		t->rate_samples = 0;
	} else if (t->rate_samples >= EXIT_SAMPLES && one_in < EXIT_ONE_IN_MAX) {
		one_in *= 2;
		t->rate_samples = 0;
	}
	t->rate_one_in = one_in;
	if (random & (one_in - 1))
		return 0;
	t->rate_samples++;
	return one_in;
}

/* ---- what happens ---- */

/* kvm_exit. */
exit_inline void exit_begin(struct vpmu_bpf_exit_thread *t, __u32 tid, __u64 now_ns, __u32 isa,
			    __u32 code)
{
	if (t->state == VPMU_BPF_EXIT_DEAD)
		return;
	if (t->state == VPMU_BPF_EXIT_OUTSIDE) {
		struct vpmu_bpf_exit_row *row = exit_row(t);

		t->n_lost_entries++;
		if (row)
			exit_add_untimed(row);
		else
			t->n_unfit++;
		exit_add_details(t, tid, 0, 0);
	}
	t->state = VPMU_BPF_EXIT_OUTSIDE;
	t->n_exits++;
	t->isa = (__u8)isa;
	t->code = code;
	t->nested = 0;
	t->since_ns = now_ns;
	t->off_ns = t->user_from_ns = 0;
	t->off_before_user_ns = t->off_before_halt_ns = 0;
	t->user_ns = t->blocked_ns = t->preempted_ns = t->polled_ns = 0;
	t->detail_set = 0;
	t->place.one_in = 0;
}

exit_inline void exit_trip_row(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 kind, __u64 value,
			       __u64 ns)
{
	struct vpmu_bpf_exit_row *row = exit_detail_row(tid, kind, value);

	if (!row) {
		t->n_unfit++;
		return;
	}
	row->code = (__u32)value;
	row->has_code = 1;
	row->nested = kind != VPMU_BPF_EXIT_ANCILLARY;
	exit_add_time(row, ns);
}

/* kvm_nested_vmexit: it was L2 that left, with @code. */
exit_inline void exit_nested(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 code)
{
	if (t->state != VPMU_BPF_EXIT_OUTSIDE)
		return;
	t->nested = 1;
	t->code = code;
	t->trip_since_ns = t->since_ns;
	t->trip_code = code;
	if (t->run_since_ns)
		exit_trip_row(t, tid, VPMU_BPF_EXIT_RUN, code, exit_since(t, t->since_ns, t->run_since_ns));
	t->run_since_ns = 0;
}

/* The exit that ends now, after @ns, and trips of a nested guest. @nested: L2 is entered. */
exit_inline void exit_trip(struct vpmu_bpf_exit_thread *t, __u32 tid, __u64 now_ns, __u64 ns,
			   __u32 nested)
{
	if (!t->trip_since_ns)
		return;
	if (t->nested) {
		/* We handled it ourselves, L1 knows nothing of it. */
		if (nested)
			t->trip_since_ns = 0;
		return;
	}
	exit_trip_row(t, tid, VPMU_BPF_EXIT_ANCILLARY, (__u64)t->trip_code << 32 | t->code, ns);
	if (!nested)
		return;
	exit_trip_row(t, tid, VPMU_BPF_EXIT_TRIP, t->trip_code,
		      exit_since(t, now_ns, t->trip_since_ns));
	t->trip_since_ns = 0;
}

/*
 * kvm_entry. @nested: into L2; @trips: note trips. Returns 1, with how long the exit took, if one
 * was accounted.
 */
exit_inline int exit_end(struct vpmu_bpf_exit_thread *t, __u32 tid, __u64 now_ns, __u32 nested,
			 int trips, __u64 *ret_ns)
{
	struct vpmu_bpf_exit_row *row;
	__u8 before = t->state;
	__u64 ns, off_ns;

	if (before == VPMU_BPF_EXIT_DEAD)
		return 0;
	t->state = VPMU_BPF_EXIT_INSIDE;
	t->n_entries++;
	t->run_since_ns = trips && nested ? now_ns : 0;
	if (before != VPMU_BPF_EXIT_OUTSIDE) {
		t->n_lost_exits += before == VPMU_BPF_EXIT_INSIDE;
		return 0;
	}
	ns = exit_since(t, now_ns, t->since_ns);
	if (t->user_from_ns) {
		off_ns = t->blocked_ns + t->preempted_ns - t->off_before_user_ns;
		t->user_ns = exit_since(t, now_ns, t->user_from_ns);
		t->user_ns -= off_ns < t->user_ns ? off_ns : t->user_ns;
	}
	row = exit_row(t);
	if (row) {
		exit_add_time(row, ns);
		exit_add_parts(row, t);
	} else {
		t->n_unfit++;
	}
	exit_add_details(t, tid, 1, ns);
	if (trips)
		exit_trip(t, tid, now_ns, ns, nested);
	*ret_ns = ns;
	return 1;
}

/* sched_switch, away from the thread. @blocked: it sleeps; @dead: for ever. */
exit_inline void exit_switch_out(struct vpmu_bpf_exit_thread *t, __u64 now_ns, int blocked, int dead)
{
	if (dead) {
		t->state = VPMU_BPF_EXIT_DEAD;
		return;
	}
	if (t->state != VPMU_BPF_EXIT_OUTSIDE)
		return;
	t->off_ns = now_ns;
	t->off_blocked = blocked != 0;
}

/* sched_switch, to the thread. */
exit_inline void exit_switch_in(struct vpmu_bpf_exit_thread *t, __u64 now_ns)
{
	__u64 ns;

	if (t->state != VPMU_BPF_EXIT_OUTSIDE || !t->off_ns)
		return;
	ns = exit_since(t, now_ns, t->off_ns);
	if (t->off_blocked)
		t->blocked_ns += ns;
	else
		t->preempted_ns += ns;
	t->off_ns = 0;
}

/* kvm_userspace_exit: from here to the entry it is the VMM's time, and KVM's on the way back. */
exit_inline void exit_to_user(struct vpmu_bpf_exit_thread *t, __u64 now_ns)
{
	if (t->state != VPMU_BPF_EXIT_OUTSIDE || t->user_from_ns)
		return;
	t->user_from_ns = now_ns;
	t->off_before_user_ns = t->blocked_ns + t->preempted_ns;
}

/* kvm_vcpu_wakeup: a halt of @ns is over. What of it the thread was not switched out, it polled. */
exit_inline void exit_halt_over(struct vpmu_bpf_exit_thread *t, __u64 ns)
{
	__u64 off_ns = t->blocked_ns + t->preempted_ns;
	__u64 slept_ns = off_ns - t->off_before_halt_ns;

	if (t->state != VPMU_BPF_EXIT_OUTSIDE)
		return;
	t->off_before_halt_ns = off_ns;
	if (ns > slept_ns)
		t->polled_ns += ns - slept_ns;
}

/*
 * The exit is about @value. The first such value of an exit stands for it. Outside of exits (they
 * are not traced here, or KVM handled it in a fast path of its own) it is an event by itself.
 */
exit_inline void exit_detail(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 kind, __u64 value)
{
	struct vpmu_bpf_exit_row *row;

	if (t->state == VPMU_BPF_EXIT_DEAD)
		return;
	if (kind < VPMU_BPF_EXIT_KINDS && kind != VPMU_BPF_EXIT_VECTOR &&
	    t->state == VPMU_BPF_EXIT_OUTSIDE) {
		if (t->detail_set >> kind & 1)
			return;
		t->detail_set |= 1u << kind;
		t->details[exit_masked(kind, VPMU_BPF_EXIT_KINDS)] = value;
		return;
	}
	row = exit_detail_row(tid, kind, value);
	if (!row) {
		t->n_unfit++;
		return;
	}
	exit_add_untimed(row);
}

/*
 * An NMI for this vCPU? Not one that it is just sending to others, by its APIC's command register:
 * those are accepted in its thread, too.
 */
exit_inline int exit_own_nmi(const struct vpmu_bpf_exit_thread *t)
{
	if (t->state != VPMU_BPF_EXIT_OUTSIDE)
		return 1;
	if (t->detail_set >> VPMU_BPF_EXIT_MSR & 1 && (__u32)t->details[VPMU_BPF_EXIT_MSR] == 0x830)
		return 0;
	return !(t->detail_set >> VPMU_BPF_EXIT_MMIO & 1);
}

/*
 * kvm_cpuid: the leaf, and the subleaf where there are any; elsewhere ecx is what happened to be in
 * it. (Intel SDM vol. 2 and AMD APM vol. 3, "CPUID"; KVM: cpuid_function_is_indexed().)
 */
exit_inline __u64 exit_cpuid_value(__u32 leaf, __u32 subleaf)
{
	int indexed = leaf < 32 ? 0xe195a890U >> leaf & 1 :
				  leaf == 0x24 || leaf == 0x8000001d || leaf == 0x80000026;

	return indexed ? (__u64)subleaf << 32 | leaf : leaf;
}

/*
 * kvm_mmio. @type: 0 a read that the VMM has to serve, 1 a read (that one again, once served), 2 a
 * write.
 */
exit_inline void exit_mmio(struct vpmu_bpf_exit_thread *t, __u32 tid, __u32 type, __u64 gpa)
{
	__u64 page = gpa >> 12 << 12, waiting = t->mmio_page;

	t->mmio_page = type == 0 ? page + 1 : 0;
	if (type == 1 && waiting == page + 1)
		return;
	exit_detail(t, tid, VPMU_BPF_EXIT_MMIO, page | (type == 2 ? VPMU_BPF_EXIT_MMIO_WRITE : 0));
}

#endif
