/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest call chains. The kernel runs this program on each overflow of a sampling event that it is attached to. If the
 * interrupt hit the guest, the program walks the guest's stack, puts the sample with its chain into the ring
 * buffer and returns 0, which keeps the kernel from writing a record of its own. In every other case it
 * returns 1, and the kernel records the sample as if we were not here: host samples with the host's chain, guest samples that
 * we cannot read without any. So each sample is recorded exactly once, and there is nothing to pair afterwards. (For a session
 * that only wants to know how many there were of which kind, samples of guest and host are counted in maps: sample_count.bpf.h.)
 *
 * Which vCPU? The one whose thread was interrupted. KVM registers a preemption notifier with a thread for as long as the
 * thread has a vCPU loaded, and nobody else in the kernel uses these notifiers; the notifier is part of the
 * struct kvm_vcpu. So there is no table of threads to keep up to date, and vCPUs that come, go, or move to another thread
 * need no care. As a check, the address space of the virtual machine must be that of the thread: KVM itself
 * insists on it when the vCPU is run.
 *
 * Was it the guest that was hit? arch.handling_intr_from_guest says so, the way perf asks KVM: it is set while KVM handles an
 * interrupt or NMI that made the guest exit. Since Linux 6.9 perf also asks for the right one of the two, so that an NMI which hits
 * the host, while it handles a timer interrupt from the guest, is not taken for the guest's. We do so on all kernels.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "guest_regs.bpf.h"
#include "guest_stack.h"
#include "sample_count.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Allocated beforehand: before Linux 6.1 (96da3f7d489d, "bpf: Remove tracing program restriction on map types") perf events' programs may have no other. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VPMU_BPF_MAX_GUESTS);
	__type(key, struct vpmu_bpf_guest_key);
	__type(value, struct vpmu_bpf_guest);
} vpmu_guests SEC(".maps");

/* Samples, by session. One buffer for all CPUs: what it cannot take is recorded without. */
struct vpmu_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VPMU_BPF_RING_BYTES);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS);
	__type(key, __u32);
	__array(values, struct vpmu_ring);
} vpmu_rings SEC(".maps");

/* By session, and within it by enum vpmu_bpf_miss. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VPMU_BPF_MAX_SESSIONS * VPMU_BPF_MISS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} vpmu_misses SEC(".maps");

/* The walk's last member is the record's first. */
struct scratch {
	struct guest_stack_copy copy;
	struct guest_walk walk;
	struct vpmu_bpf_stack stack;
	__u8 bytes[GUEST_STACK_BYTES];
};
_Static_assert(__builtin_offsetof(struct guest_walk, sample) + sizeof(struct vpmu_bpf_sample) == sizeof(struct guest_walk),
	       "nothing between sample and stack");

/* Too large for the stack. The kernel runs no second perf program on a CPU before the first is done. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} vpmu_walks SEC(".maps");

static __always_inline void count_miss(__u32 session, __u32 why)
{
	__u32 i = session * VPMU_BPF_MISS_COUNT + why;
	__u64 *n = bpf_map_lookup_elem(&vpmu_misses, &i);

	if (n)
		(*n)++;
}

/* Which of the guest's tasks runs. The walk goes on by the page tables of before. */
static __always_inline void tell_task(struct guest_walk *w, const struct vpmu_bpf_guest *guest)
{
	__u64 cr3 = w->cr3;
	__u32 levels = w->levels;

	guest_walk_task(w, guest);
	w->cr3 = cr3;
	w->levels = levels;
}

/*
 * Copies the kernel's stack, and has the walk that follows begin where user mode was left or, if it was not, nowhere. 0: there is no
 * stack to be had, and all is as it was. Not in line, as the verifier has enough to do.
 */
static __noinline __u32 take_stack(struct scratch *s, const struct vpmu_bpf_guest *guest)
{
	struct guest_walk *w;
	__u64 cr3;
	__u32 n, levels;
	int has_user;

	if (!s || !guest)
		return 0;
	w = &s->walk;
	cr3 = w->cr3;
	levels = w->levels;
	s->stack.user_ip = 0;
	n = guest_copy_stack(w, guest, &s->stack, &s->copy, s->bytes);
	has_user = n && guest_user_registers(w, guest, &s->stack, s->bytes, n);
	if (has_user && !guest_in_own_space(w, guest, cr3)) {
		s->stack.user_ip = 0;
		has_user = 0;
	}
	w->cr3 = cr3;
	w->levels = levels;
	if (!n)
		return 0;
	w->upper = 0;
	if (!has_user)
		w->bp = w->sp = 0;
	return n;
}

/*
 * Copies a piece of user mode's stack behind the @n bytes of the kernel's, which may be none. Returns how many bytes there are. The
 * sample is one of user mode, or its kernel's stack told the registers with which that was left.
 */
static __noinline __u32 take_user_stack(struct scratch *s, const struct vpmu_bpf_guest *guest, __u32 n)
{
	struct guest_walk *w;

	if (!s || !guest || !guest->user_stack_bytes || guest->user_stack_bytes > VPMU_BPF_STACK_BYTES)
		return n;
	w = &s->walk;
	if (w->sample.user) {
		s->stack.n_slices = 0;
		s->stack.end = VPMU_BPF_END_COMPLETE;
		s->stack.user_ip = w->sample.ip;
		s->stack.user_sp = s->stack.sp;
		s->stack.user_bp = s->stack.bp;
	} else if (!n || !s->stack.user_ip) {
		return n;
	}
	return guest_copy_user_stack(w, guest, &s->stack, &s->copy, s->bytes, n);
}

static __always_inline long send(void *ring, struct scratch *s, __u32 n_stack)
{
	__u32 n = s->walk.sample.n_frames, bytes = VPMU_BPF_SAMPLE_BYTES(n);

	if (n_stack)
		bytes = sizeof(struct vpmu_bpf_record) + n_stack;
	if (n > VPMU_BPF_MAX_ADDRESSES - 1 || bytes > sizeof(struct vpmu_bpf_record) + GUEST_STACK_BYTES)
		return -1;
	return bpf_ringbuf_output(ring, &s->walk.sample, bytes, BPF_RB_NO_WAKEUP);
}

/* The host was hit. */
static __noinline int take_host_sample(struct bpf_perf_event_data *ctx, __u64 cookie, struct scratch *s)
{
	__u64 ids = bpf_get_current_pid_tgid();
	struct vpmu_bpf_sample *sample;

	if (!s)
		return 1;
	sample = &s->walk.sample;
	sample->event_id = VPMU_BPF_COOKIE_ID(cookie);
	sample->ip = ctx->regs.rip;
	sample->period = ctx->sample_period;
	sample->pid = ids >> 32;
	sample->tid = (__u32)ids;
	sample->user = (ctx->regs.cs & 3) == 3;
	return count_host_sample(ctx, cookie, sample) ? 0 : 1;
}

/* Which task ran and, if @chains, how it got where it was. Returns how many bytes of its stack were copied. */
static __always_inline __u32 look_into_guest(struct kvm_vcpu *vcpu, struct kvm *kvm, struct scratch *s, const struct vpmu_bpf_guest *guest,
					     bool chains)
{
	struct guest_walk *w = &s->walk;
	__u32 n_stack = 0;

	prepare_walk(kvm, w);
	w->sample.end = VPMU_BPF_END_COMPLETE;
	if (guest && w->cpu_base)
		tell_task(w, guest);
	if (chains && guest && w->sample.task.gva) {
		read_stack_registers(vcpu, &s->stack);
		s->stack.has_user = 0;
		if (w->upper)
			n_stack = take_stack(s, guest);
		n_stack = take_user_stack(s, guest, n_stack);
	}
	/* What such a kernel has in rbp is anything. */
	if (chains && guest && guest->stack_bytes && w->upper && !n_stack)
		w->sample.end = VPMU_BPF_END_NO_STACK;
	else if (chains)
		guest_walk_frames(w);
	return n_stack;
}

/*
 * Who wants neither call chains (VPMU_BPF_COOKIE_CHAINS) nor counts (VPMU_BPF_COOKIE_COUNT) gets samples of guests in vpmu_guests only, and of
 * nested guests: the kernel would record the address that these were at as if it were one of the guest that runs them.
 */
SEC("perf_event")
int vpmu_sample(struct bpf_perf_event_data *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), ids = bpf_get_current_pid_tgid();
	__u32 zero = 0, n_stack = 0, session = VPMU_BPF_COOKIE_SESSION(cookie);
	struct vpmu_bpf_guest_key key = {.session = session, .pid = ids >> 32};
	struct kvm *kvm = NULL;
	struct kvm_vcpu *vcpu = current_vcpu(&kvm);
	const struct vpmu_bpf_guest *guest;
	struct guest_walk *w;
	struct scratch *s;
	bool chains = cookie & VPMU_BPF_COOKIE_CHAINS, counted = cookie & VPMU_BPF_COOKIE_COUNT, nested;
	void *ring;
	int miss;

	s = bpf_map_lookup_elem(&vpmu_walks, &zero);
	if (!vcpu || BPF_CORE_READ(vcpu, arch.handling_intr_from_guest) !=
			     (cookie & VPMU_BPF_COOKIE_NMI ? KVM_HANDLING_NMI : KVM_HANDLING_IRQ))
		return counted ? take_host_sample(ctx, cookie, s) : 1;
	guest = bpf_map_lookup_elem(&vpmu_guests, &key);
	ring = bpf_map_lookup_elem(&vpmu_rings, &session);
	if (!s || !ring)
		return 1;
	w = &s->walk;
	miss = read_registers(vcpu, w);
	nested = miss == VPMU_BPF_MISS_NESTED;
	if (!nested && !chains && !counted && !guest)
		return 1;
	if (miss >= 0)
		count_miss(session, (__u32)miss);
	if (nested)
		mark_nested(vcpu, w);
	else if (miss >= 0 || (!chains && !counted && !w->cpu_base))
		return 1;
	w->sample.event_id = VPMU_BPF_COOKIE_ID(cookie);
	w->sample.time_ns = bpf_ktime_get_ns();
	w->sample.period = ctx->sample_period;
	w->sample.pid = key.pid;
	w->sample.tid = (__u32)ids;
	w->sample.cpu = bpf_get_smp_processor_id();
	w->sample.n_frames = 0;
	w->sample.task.gva = 0;
	if (!nested)
		n_stack = look_into_guest(vcpu, kvm, s, guest, chains);
	w->sample.has_stack = n_stack != 0;
	if (counted && !n_stack && count_guest_sample(session, &w->sample))
		return 0;
	if (send(ring, s, n_stack) < 0) {
		count_miss(session, VPMU_BPF_MISS_ROOM);
		return 1;
	}
	return 0;
}
