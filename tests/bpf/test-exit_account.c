/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bpf/exit_account.h on made-up sequences: what a vCPU's thread does, and what may be missing of it.
 */
#include <stdint.h>

#include "bpf/vpmu_bpf.h"
#include "unit/test.h"

#define N_DETAILS 8
#define TID	  42
#define VMX	  1
#define SVM	  2
#define CPUID	  0x72 /* SVM's codes */
#define HLT	  0x78
#define IOIO	  0x7b
#define MSR	  0x7c
#define VMRUN	  0x80

static struct {
	struct vpmu_bpf_exit_key key;
	struct vpmu_bpf_exit_row row;
} details[N_DETAILS];
static unsigned int n_details;
static uint32_t epoch_now = 1;

static struct vpmu_bpf_exit_row *exit_detail_row(uint32_t tid, uint32_t kind, uint64_t value)
{
	for (unsigned int i = 0; i < n_details; i++)
		if (details[i].key.tid == tid && details[i].key.kind == kind &&
		    details[i].key.value == value)
			return &details[i].row;
	if (n_details == N_DETAILS)
		return NULL;
	details[n_details].key = (struct vpmu_bpf_exit_key){ tid, kind, value };
	return &details[n_details++].row;
}

static uint32_t exit_epoch(void)
{
	return epoch_now;
}

#include "bpf/exit_account.h"

static struct vpmu_bpf_exit_thread *new_thread(void)
{
	return calloc(1, sizeof(struct vpmu_bpf_exit_thread));
}

static void leave(struct vpmu_bpf_exit_thread *t, uint64_t now_ns, uint32_t code)
{
	exit_begin(t, TID, now_ns, SVM, code);
}

/* L2 does; what kvm_exit takes for the reason may be one of L1's before. */
static void leave_nested(struct vpmu_bpf_exit_thread *t, uint64_t now_ns, uint32_t code)
{
	leave(t, now_ns, VMRUN);
	exit_nested(t, TID, code);
}

static int enter(struct vpmu_bpf_exit_thread *t, uint64_t now_ns)
{
	__u64 ns;

	return exit_end(t, TID, now_ns, 0, 0, &ns);
}

static const struct vpmu_bpf_exit_row *row_of(const struct vpmu_bpf_exit_thread *t, uint32_t code)
{
	for (uint32_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].code == code)
			return &t->rows[i];
	FAIL("no row for exits %#x", code);
}

static const struct vpmu_bpf_exit_row *detail_of(uint32_t kind, uint64_t value)
{
	for (unsigned int i = 0; i < n_details; i++)
		if (details[i].key.kind == kind && details[i].key.value == value)
			return &details[i].row;
	FAIL("no row for kind %u, value %#llx", kind, (unsigned long long)value);
}

static uint64_t in_buckets(const struct vpmu_bpf_exit_row *row)
{
	uint64_t n = 0;

	for (int i = 0; i < VPMU_BPF_EXIT_BUCKETS; i++)
		n += row->buckets[i];
	return n;
}

TEST(exits_are_told_apart_by_reason_and_timed_from_exit_to_entry)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	CHECK_EQ(enter(t, 50), 0); /* the first entry: nothing is known of its exit */
	leave(t, 100, CPUID);
	CHECK_EQ(enter(t, 1100), 1);
	leave(t, 2000, IOIO);
	enter(t, 9000);
	leave(t, 10000, CPUID);
	enter(t, 13000);
	CHECK_EQ(row_of(t, CPUID)->count, 2);
	CHECK_EQ(row_of(t, CPUID)->total_ns, 4000);
	CHECK_EQ(row_of(t, CPUID)->ranges[1].min_ns, 1000);
	CHECK_EQ(row_of(t, CPUID)->ranges[1].max_ns, 3000);
	CHECK_EQ(row_of(t, CPUID)->buckets[4], 1); /* 512 to 1023 */
	CHECK_EQ(row_of(t, CPUID)->buckets[6], 1); /* 2048 to 4095 */
	CHECK_EQ(row_of(t, IOIO)->count, 1);
	CHECK_EQ(t->n_lost_entries + t->n_lost_exits + t->n_unfit + t->n_backwards, 0);
	free(t);
}

TEST(an_exit_whose_entry_is_lost_counts_but_has_no_time)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 100, CPUID);
	exit_detail(t, TID, VPMU_BPF_EXIT_CPUID, 7);
	leave(t, 5000, IOIO);
	enter(t, 6000);
	CHECK_EQ(t->n_lost_entries, 1);
	CHECK_EQ(row_of(t, CPUID)->count, 1);
	CHECK_EQ(row_of(t, CPUID)->untimed, 1);
	CHECK_EQ(row_of(t, CPUID)->total_ns, 0);
	CHECK_EQ(in_buckets(row_of(t, CPUID)), 0);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_CPUID, 7)->untimed, 1);
	CHECK_EQ(row_of(t, IOIO)->total_ns, 1000);
	free(t);
}

TEST(an_entry_without_an_exit_is_counted_and_times_nothing)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	enter(t, 10);
	CHECK_EQ(t->n_lost_exits, 0); /* not lost: before our time */
	CHECK_EQ(enter(t, 20), 0);
	CHECK_EQ(t->n_lost_exits, 1);
	leave(t, 100, CPUID);
	enter(t, 200);
	CHECK_EQ(t->n_entries, 3);
	CHECK_EQ(row_of(t, CPUID)->total_ns, 100);
	CHECK_EQ(t->n_rows, 1);
	free(t);
}

TEST(time_asleep_preempted_polling_and_in_the_vmm_is_told_apart)
{
	struct vpmu_bpf_exit_thread *t = new_thread();
	const struct vpmu_bpf_exit_row *row;

	leave(t, 1000, HLT);
	exit_switch_out(t, 3000, 1, 0); /* after 2000 ns of polling */
	exit_switch_in(t, 8000);
	exit_halt_over(t, 7000);
	exit_switch_out(t, 8500, 0, 0); /* somebody else's turn */
	exit_switch_in(t, 9500);
	enter(t, 10000);
	row = row_of(t, HLT);
	CHECK_EQ(row->total_ns, 9000);
	CHECK_EQ(row->blocked_ns, 5000);
	CHECK_EQ(row->preempted_ns, 1000);
	CHECK_EQ(row->polled_ns, 2000);
	CHECK_EQ(row->user_ns, 0);

	leave(t, 20000, IOIO);
	exit_switch_out(t, 20100, 0, 0);
	exit_switch_in(t, 20200);
	exit_to_user(t, 21000);
	exit_switch_out(t, 22000, 1, 0); /* the VMM waits for its disk */
	exit_switch_in(t, 24000);
	exit_to_user(t, 24500); /* a signal: out once more without having been in */
	enter(t, 25000);
	row = row_of(t, IOIO);
	CHECK_EQ(row->user_ns, 2000);
	CHECK_EQ(row->blocked_ns, 2000);
	CHECK_EQ(row->preempted_ns, 100);
	free(t);
}

TEST(two_halts_within_one_exit_poll_twice)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 1000, HLT);
	exit_switch_out(t, 1500, 1, 0);
	exit_switch_in(t, 2000);
	exit_halt_over(t, 1000); /* 500 polled; woken for nothing */
	exit_halt_over(t, 300);	 /* never slept */
	enter(t, 3000);
	CHECK_EQ(row_of(t, HLT)->polled_ns, 800);
	CHECK_EQ(row_of(t, HLT)->blocked_ns, 500);
	free(t);
}

/* Which CPU it is does not matter; that the clocks of two might differ does. */
TEST(a_thread_that_moves_to_a_cpu_whose_clock_is_behind_loses_no_exit)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 5000, IOIO);
	exit_switch_out(t, 6000, 0, 0);
	exit_switch_in(t, 5900);
	enter(t, 4900);
	CHECK_EQ(row_of(t, IOIO)->count, 1);
	CHECK_EQ(row_of(t, IOIO)->total_ns, 0);
	CHECK_EQ(row_of(t, IOIO)->preempted_ns, 0);
	CHECK_EQ(row_of(t, IOIO)->buckets[0], 1);
	CHECK_EQ(t->n_backwards, 2);
	free(t);
}

TEST(a_thread_that_dies_in_an_exit_leaves_it_open_and_accounts_nothing_more)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	enter(t, 50);
	leave(t, 100, CPUID);
	enter(t, 200);
	leave(t, 300, IOIO);
	exit_to_user(t, 400);
	exit_switch_out(t, 500, 1, 1);
	CHECK_EQ(t->state, VPMU_BPF_EXIT_DEAD);
	CHECK_EQ(t->code, IOIO);
	CHECK_EQ(t->since_ns, 300);
	/* Its number is used again, before anybody noticed. */
	CHECK_EQ(enter(t, 600), 0);
	leave(t, 700, HLT);
	exit_detail(t, TID, VPMU_BPF_EXIT_MSR, 1);
	exit_switch_in(t, 800);
	CHECK_EQ(enter(t, 900), 0);
	CHECK_EQ(t->n_rows, 1);
	CHECK_EQ(t->n_exits, 2);
	CHECK_EQ(n_details, 0);
	free(t);
}

TEST(sums_that_wrap_keep_their_differences)
{
	struct vpmu_bpf_exit_thread *t = new_thread();
	struct vpmu_bpf_exit_row before;

	leave(t, 100, CPUID);
	enter(t, 200);
	t->rows[0].count = UINT64_MAX;
	t->rows[0].total_ns = UINT64_MAX - 10;
	t->rows[0].buckets[1] = UINT64_MAX;
	before = t->rows[0];
	for (int i = 1; i <= 3; i++) {
		leave(t, i * 1000u, CPUID);
		enter(t, i * 1000u + 70);
	}
	CHECK_EQ(t->rows[0].count - before.count, 3);
	CHECK_EQ(t->rows[0].total_ns - before.total_ns, 210);
	CHECK_EQ(t->rows[0].buckets[1] - before.buckets[1], 3);
	CHECK(t->rows[0].count < before.count);
	free(t);
}

TEST(the_shortest_and_longest_of_an_epoch_outlast_the_next_one)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 1000, CPUID);
	enter(t, 1700);
	epoch_now = 2;
	leave(t, 2000, CPUID);
	enter(t, 2100);
	CHECK_EQ(t->rows[0].ranges[1].epoch, 1);
	CHECK_EQ(t->rows[0].ranges[1].max_ns, 700);
	CHECK_EQ(t->rows[0].ranges[0].epoch, 2);
	CHECK_EQ(t->rows[0].ranges[0].max_ns, 100);
	free(t);
}

TEST(the_first_detail_of_an_exit_stands_for_it)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 1000, IOIO);
	exit_detail(t, TID, VPMU_BPF_EXIT_PORT, 0x3f8);
	exit_detail(t, TID, VPMU_BPF_EXIT_PORT, 0x3f9); /* a string instruction goes on */
	exit_detail(t, TID, VPMU_BPF_EXIT_VECTOR, 0xec);
	exit_to_user(t, 1200);
	enter(t, 2000);
	CHECK_EQ(n_details, 2);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_PORT, 0x3f8)->total_ns, 1000);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_PORT, 0x3f8)->user_ns, 800);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_PORT, 0x3f8)->code, IOIO);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_VECTOR, 0xec)->untimed, 1);
	free(t);
}

TEST(without_exits_details_are_events_by_themselves)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	for (int i = 0; i < 5; i++)
		exit_detail(t, TID, VPMU_BPF_EXIT_PORT, 0x80);
	exit_mmio(t, TID, 0, 0xfee00010); /* the VMM is asked, and answers */
	exit_mmio(t, TID, 1, 0xfee00010);
	exit_mmio(t, TID, 1, 0xfee00010); /* KVM knows by itself */
	exit_mmio(t, TID, 2, 0xfee00020);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_PORT, 0x80)->count, 5);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_PORT, 0x80)->untimed, 5);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_MMIO, 0xfee00000)->count, 2);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_MMIO, 0xfee00000 | VPMU_BPF_EXIT_MMIO_WRITE)->count, 1);
	CHECK_EQ(t->n_rows, 0);
	free(t);
}

TEST(what_does_not_fit_is_counted)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	for (uint32_t i = 0; i < N_DETAILS + 3; i++)
		exit_detail(t, TID, VPMU_BPF_EXIT_PORT, i);
	CHECK_EQ(t->n_unfit, 3);
	for (uint32_t code = 0; code < VPMU_BPF_EXIT_ROWS + 5; code++) {
		leave(t, code * 10 + 1, code);
		enter(t, code * 10 + 2);
	}
	CHECK_EQ(t->n_rows, VPMU_BPF_EXIT_ROWS);
	CHECK_EQ(t->n_unfit, 8);
	free(t);
}

/* Every code of either processor finds a place; those that KVM and the manuals know do not share one. */
TEST(reasons_have_places_of_their_own)
{
	static const uint32_t svm[] = { 0, 0x1f, 0x3f, 0x5f, 0x60, 0x6e, 0x7c, 0x8e, 0x9f, 0xa6, 0x400, 0x401,
					0x402, 0x403, 0x80000001, 0x80000012, 0x8000001d, 0xffffffff };
	uint8_t seen[VPMU_BPF_EXIT_INDEXES] = {};

	for (size_t i = 0; i < sizeof(svm) / sizeof(*svm); i++) {
		uint32_t index = exit_index(SVM, svm[i], 0);

		CHECK(index < 256);
		CHECK_EQ(seen[index]++, 0);
		CHECK_EQ(exit_index(SVM, svm[i], 1), index + 256);
	}
	for (uint32_t code = 0; code < 128; code++)
		CHECK_EQ(exit_index(VMX, code, 0), code);
	CHECK_EQ(exit_index(VMX, 0x80000021, 0), 33); /* a failed entry */
	CHECK_EQ(exit_index(VMX, 0xffff, 0), 255);
}

TEST(histograms_hold_every_time)
{
	CHECK_EQ(exit_bucket(0), 0);
	CHECK_EQ(exit_bucket(63), 0);
	CHECK_EQ(exit_bucket(64), 1);
	CHECK_EQ(exit_bucket(127), 1);
	CHECK_EQ(exit_bucket(128), 2);
	CHECK_EQ(exit_bucket(UINT64_MAX), VPMU_BPF_EXIT_BUCKETS - 1);
	for (unsigned int i = 1; i + 1 < VPMU_BPF_EXIT_BUCKETS; i++)
		CHECK_EQ(exit_bucket(1ull << (i + VPMU_BPF_EXIT_BUCKET_SHIFT - 1)), i);
}

TEST(a_leaf_of_cpuid_has_subleaves_or_has_not)
{
	CHECK_EQ(exit_cpuid_value(1, 77), 1);
	CHECK_EQ(exit_cpuid_value(0x40000000, 77), 0x40000000);
	CHECK_EQ(exit_cpuid_value(4, 3), 4 | 3ull << 32);
	CHECK_EQ(exit_cpuid_value(7, 1), 7 | 1ull << 32);
	CHECK_EQ(exit_cpuid_value(0x1f, 2), 0x1f | 2ull << 32);
	CHECK_EQ(exit_cpuid_value(0x8000001d, 1), 0x8000001d | 1ull << 32);
}

/* L2 executes CPUID; L1 handles it with an MSR access and has L2 entered again. */
TEST(a_trip_of_a_nested_guest_knows_what_it_cost_its_hypervisor)
{
	struct vpmu_bpf_exit_thread *t = new_thread();
	__u64 ns;

	for (uint64_t at = 1000; at <= 3000; at += 1000) {
		leave_nested(t, at, CPUID);
		exit_end(t, TID, at + 100, 0, 1, &ns); /* reflected */
		leave(t, at + 200, MSR);
		exit_end(t, TID, at + 230, 0, 1, &ns);
		leave(t, at + 300, VMRUN);
		exit_end(t, TID, at + 400, 1, 1, &ns);
	}
	leave_nested(t, 5000, 0x60); /* an interrupt of the host's: L1 hears nothing of it */
	exit_end(t, TID, 5050, 1, 1, &ns);
	leave(t, 6000, VMRUN);
	exit_end(t, TID, 6100, 1, 1, &ns);
	CHECK_EQ(row_of(t, CPUID)->nested, 1);
	CHECK_EQ(row_of(t, CPUID)->count, 3);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_TRIP, CPUID)->count, 3);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_TRIP, CPUID)->total_ns, 1200);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_ANCILLARY, (uint64_t)CPUID << 32 | MSR)->total_ns, 90);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_ANCILLARY, (uint64_t)CPUID << 32 | VMRUN)->count, 3);
	/* It ran from when it was entered; the first time that was before ours. */
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_RUN, CPUID)->count, 2);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_RUN, CPUID)->total_ns, 1200);
	CHECK_EQ(detail_of(VPMU_BPF_EXIT_RUN, 0x60)->total_ns, 1600);
	CHECK_EQ(n_details, 5);
	free(t);
}

/* The PMU raises them while KVM makes ready to enter; others are sent by way of the APIC. */
TEST(an_nmi_that_is_sent_to_others_is_not_the_sender_s_own)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	leave(t, 100, MSR);
	CHECK(exit_own_nmi(t));
	exit_detail(t, TID, VPMU_BPF_EXIT_MSR, 0x38f | VPMU_BPF_EXIT_WRITE);
	CHECK(exit_own_nmi(t));
	enter(t, 200);
	leave(t, 300, MSR);
	exit_detail(t, TID, VPMU_BPF_EXIT_MSR, 0x830 | VPMU_BPF_EXIT_WRITE);
	CHECK(!exit_own_nmi(t));
	enter(t, 400);
	leave(t, 500, 0x400);
	exit_mmio(t, TID, 2, 0xfee00300);
	CHECK(!exit_own_nmi(t));
	free(t);
}

/* xorshift: the same numbers in each run. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

/* A hundred thousand exits a second, for ten seconds; then a hundred a second. */
TEST(samples_stand_for_all_exits_and_are_no_more_than_a_thousand_a_second)
{
	struct vpmu_bpf_exit_thread *t = new_thread();
	uint32_t random = 1, samples = 0;
	uint64_t now_ns = 1, weight = 0;

	for (int i = 0; i < 1000000; i++) {
		uint32_t one_in = exit_sample_due(t, now_ns += 10000, next_random(&random));

		samples += one_in != 0;
		weight += one_in;
	}
	CHECK(samples > 2000 && samples < 11000);
	CHECK(weight > 950000 && weight < 1050000);
	weight = 0;
	for (int i = 0; i < 1000; i++)
		weight += exit_sample_due(t, now_ns += 10000000, next_random(&random));
	CHECK_EQ(t->rate_one_in, 1);
	CHECK(weight > 700 && weight < 1500);
	free(t);
}

TEST(a_quiet_guest_has_every_exit_sampled)
{
	struct vpmu_bpf_exit_thread *t = new_thread();

	for (uint64_t now_ns = 1; now_ns < 1000000000; now_ns += 1500000)
		CHECK_EQ(exit_sample_due(t, now_ns, (uint32_t)now_ns), 1);
	free(t);
}

int main(void)
{
	return test_main();
}
