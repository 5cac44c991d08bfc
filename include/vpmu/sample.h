/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One sample: who, where, when, and the raw addresses. The same type whether it comes from a running
 * session or a recording. Names are added by a symbolizer (symbolize.h), counts by a profile (profile.h).
 *
 * Pointers in a sample belong to the session or recording that delivered it and are valid until its
 * callback returns.
 */
#ifndef VPMU_SAMPLE_H
#define VPMU_SAMPLE_H

#include <vpmu/common.h>

#define VPMU_NO_GUEST UINT32_MAX
#define VPMU_NO_VCPU  UINT32_MAX

/*
 * The context markers of a call chain, PERF_CONTEXT_* of linux/perf_event.h: the addresses behind a
 * marker belong to that side, until the next marker.
 */
#define VPMU_CONTEXT_HV		  ((uint64_t)-32)
#define VPMU_CONTEXT_KERNEL	  ((uint64_t)-128)
#define VPMU_CONTEXT_USER	  ((uint64_t)-512)
#define VPMU_CONTEXT_USER_DEFERRED ((uint64_t)-640)
#define VPMU_CONTEXT_GUEST	  ((uint64_t)-2048)
#define VPMU_CONTEXT_GUEST_KERNEL ((uint64_t)-2176)
#define VPMU_CONTEXT_GUEST_USER	  ((uint64_t)-2560)
/*
 * Ours, the last word of a guest's chain that does not reach its outermost frame; the difference is an enum
 * vpmu_chain_end. What was to come is unknown.
 */
#define VPMU_CONTEXT_CUT	  ((uint64_t)-3072)
#define VPMU_CONTEXT_MAX	  ((uint64_t)-4095) /* anything from here up is a marker */

/* How a guest's call chain ended. */
enum vpmu_chain_end {
	VPMU_CHAIN_COMPLETE = 0,   /* with the outermost frame */
	VPMU_CHAIN_DEPTH = 1,	   /* it has more than 127 addresses */
	VPMU_CHAIN_NO_MAPPING = 2, /* the guest's page tables have nothing where the next frame should be */
	VPMU_CHAIN_NO_MEMORY = 3,  /* they lead out of its RAM */
	VPMU_CHAIN_ABSENT = 4,	   /* the host had that page of the guest not in memory */
	VPMU_CHAIN_BAD_FRAME = 5,  /* no frame can be there: code without frame pointers, mostly */
	VPMU_CHAIN_BAD_RETURN = 6, /* no code can be at the return address */
	VPMU_CHAIN_NO_UNWIND = 7,  /* the kernel's unwind tables say nothing of that address: generated code, a module that is gone */
	VPMU_CHAIN_NO_STACK = 8,   /* it goes on where no stack was copied: the kernel's entry code, or more than there was room for */
	VPMU_CHAIN_NESTED = 9,	   /* a guest of the guest ran: neither its address nor its stack are this guest's */
};
#define VPMU_CHAIN_END_COUNT 10

/* In the place of an address: it is one of a guest that this guest runs. No address is like that: it is not canonical. */
#define VPMU_ADDRESS_NESTED ((uint64_t)1 << 63)

struct vpmu_sample {
	uint64_t time_ns;    /* of the recording's clock; 0 if the event has no time */
	uint64_t weight;     /* the period: events (or ns, for clocks) that this sample stands for */
	uint64_t ip;	     /* address of the instruction; guest-virtual on the guest's sides, or VPMU_ADDRESS_NESTED */
	pid_t pid, tid;	     /* of the host's process: for guest samples QEMU's and the vCPU thread's */
	uint32_t cpu;	     /* host CPU, UINT32_MAX if unknown */
	uint32_t event;	     /* index into the session's or recording's events */
	uint32_t guest;	     /* index into its guests, or VPMU_NO_GUEST */
	uint32_t vcpu;	     /* vCPU index, or VPMU_NO_VCPU */
	enum vpmu_side side;
	const char *comm;    /* name of the host's thread, "" if unknown; of the guest's, if guest_pid is known */
	uint32_t comm_id;    /* the same as a small number: equal ids, equal strings */
	uint32_t space;	     /* address space of user addresses, the host's or the guest's (a symbolizer's number) */
	uint32_t n_chain;    /* 0 without call chains */
	const uint64_t *chain; /* innermost first, with context markers, as the kernel wrote it */
	/*
	 * Guest samples: which process and thread ran, as the guest's first PID namespace numbers them; -1 = not known. 0 is the
	 * idle task. Known for Linux guests with type information (introspect.h) on hosts where a BPF program can look.
	 */
	int32_t guest_pid, guest_tid;
	/*
	 * So many more samples were the same in all but time and CPU, which are those of the newest (vpmu_session_opts.aggregate); weight is that
	 * of all of them. 0 wherever samples are delivered one by one.
	 */
	uint64_t n_more;
};

/*
 * What a set of samples stands on. Every report carries it; silence is never an answer.
 * Sums: samples = Σ sides[]; resolved, opaque and unresolved leaf addresses add up to samples once a
 * report was made (before that resolved is 0).
 */
struct vpmu_coverage {
	uint64_t samples;
	uint64_t sides[VPMU_SIDE_COUNT]; /* by enum vpmu_side */
	uint64_t resolved;    /* the leaf address got a symbol */
	uint64_t opaque;      /* guest samples without an address of the guest's: it is encrypted, or ran a guest of its own */
	uint64_t lost;	      /* records and samples that the kernel says it dropped */
	uint64_t throttled;   /* times the kernel paused an event: interrupts came too fast */
	uint64_t truncated_chains;
	uint64_t damaged_records; /* records that could not be decoded */
	char source[64];      /* "cpu-clock 999 Hz", "cycles:G+cycles:H 99 Hz", an event list */
	uint64_t guest_chains; /* guest samples with a call chain: Σ chain_ends[] */
	uint64_t chain_ends[VPMU_CHAIN_END_COUNT]; /* by enum vpmu_chain_end */
	uint64_t guest_processes; /* guest samples whose process is known */
	uint64_t guests_not_linux; /* guests in whose memory no Linux kernel was found: firmware, another system, encrypted */
};

/* vpmu_coverage_guest/_host - samples of either side. */
static inline uint64_t vpmu_coverage_guest(const struct vpmu_coverage *c)
{
	return c->sides[VPMU_SIDE_GUEST_KERNEL] + c->sides[VPMU_SIDE_GUEST_USER];
}

static inline uint64_t vpmu_coverage_host(const struct vpmu_coverage *c)
{
	return c->sides[VPMU_SIDE_HOST_KERNEL] + c->sides[VPMU_SIDE_HOST_USER] +
	       c->sides[VPMU_SIDE_HYPERVISOR];
}

VPMU_BEGIN_DECLS

/* "complete", "depth", "no-mapping", …: the names used in JSON. A static string. */
VPMU_API const char *vpmu_chain_end_name(enum vpmu_chain_end end);

/*
 * vpmu_coverage_text - @coverage as the line that reports show: "coverage: 4000 samples (guest 3900, host 100), …". What is
 * beyond @n bytes is left out; 512 are enough. The source's name is in it as it was recorded.
 */
VPMU_API void vpmu_coverage_text(const struct vpmu_coverage *coverage, char *text, size_t n);

VPMU_END_DECLS

#endif
