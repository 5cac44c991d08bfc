/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/ability.h"
#include "session/plan.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/strbuf.h"

#define DEFAULT_FREQUENCY_HZ 999
#define MAX_RATE	     "perf_event_max_sample_rate"
#define DEFAULT_RING_BYTES   (512u * 1024)
#define DEFAULT_GUEST_STACK_BYTES 8192u /* most chains of C programs need less than a quarter of it */
#define TYPICAL_CHAIN_FRAMES 32

void plan_deinit(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_events; i++)
		vec_free(&plan->events[i].ids);
	free(plan->events);
	guest_chains_free(plan->guest_chains);
	memset(plan, 0, sizeof(*plan));
}

/* A number out of /proc/sys/kernel; 0 = cannot be read. */
static unsigned long kernel_setting(const struct vpmu_session_opts *opts, const char *name)
{
	const char *proc = opts->guests.proc_path ? opts->guests.proc_path : "/proc";
	_free_ char *text = NULL;
	char path[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/sys/kernel/%s", proc, name);
	return io_read_file(AT_FDCWD, path, 64, &text, &n) < 0 ? 0 : strtoul(text, NULL, 10);
}

/* The kernel lowers its limit by itself where interrupts take long: no reason to refuse a rate that nobody asked for. */
static uint32_t default_frequency_hz(const struct vpmu_session_opts *opts)
{
	unsigned long limit_hz = kernel_setting(opts, MAX_RATE);

	if (!limit_hz || limit_hz >= DEFAULT_FREQUENCY_HZ)
		return DEFAULT_FREQUENCY_HZ;
	log_warn("sampling at %lu Hz, not %u: kernel." MAX_RATE " allows no more", limit_hz, DEFAULT_FREQUENCY_HZ);
	return (uint32_t)limit_hz;
}

/* Tracepoints have a period of their own, unless a frequency is asked for. */
static uint32_t choose_frequency_hz(const struct vpmu_session_opts *opts, const struct event_spec *specs, size_t n)
{
	bool needed = false;

	for (size_t i = 0; i < n; i++)
		needed |= !specs[i].is_tracepoint;
	return opts->frequency_hz || opts->period || !needed ? opts->frequency_hz : default_frequency_hz(opts);
}

static int check_options(const struct vpmu_session_opts *opts, struct vpmu_error *reterr)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE), ring = opts->ring_bytes;
	unsigned long limit_hz = opts->frequency_hz ? kernel_setting(opts, MAX_RATE) : 0;

	if (opts->frequency_hz && opts->period)
		return error_set(reterr, -EINVAL, "a frequency and a period exclude each other");
	if (opts->sides & ~VPMU_SIDES_ALL)
		return error_set(reterr, -EINVAL, "unknown side in the set 0x%x", opts->sides);
	if (ring % page || (ring & (ring - 1)))
		return error_set(
			reterr, -EINVAL,
			"a ring of %u bytes is not a power of two times the page size (%u)", ring,
			page);
	if (opts->guest_stack_bytes > VPMU_BPF_STACK_BYTES)
		return error_set(reterr, -EINVAL, "%u bytes of a program's stack are more than the %u that there is room for",
				 opts->guest_stack_bytes, VPMU_BPF_STACK_BYTES);
	if (limit_hz && opts->frequency_hz > limit_hz) {
		error_set(reterr, -EINVAL, "%u Hz is more than this kernel allows: %lu Hz",
			  opts->frequency_hz, limit_hz);
		error_hint(reterr,
			   "a lower frequency, or: sysctl kernel." MAX_RATE "=%u",
			   opts->frequency_hz);
		return -EINVAL;
	}
	return 0;
}

const char *plan_tracefs_path(void)
{
	static const char usual[] = "/sys/kernel/tracing", old[] = "/sys/kernel/debug/tracing";

	/* If it is nowhere, the usual place is the one to name: the old one may not even exist. */
	if (access("/sys/kernel/tracing/events", F_OK) < 0 && access("/sys/kernel/debug/tracing/events", F_OK) == 0)
		return old;
	return usual;
}

/* The best source of this host, as a list of event names. */
static int choose_source(const struct vpmu_session_opts *opts, unsigned int sides,
			 enum vpmu_source *ret_source, const char **ret_names,
			 struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_host_opts, host_opts, .proc_path = opts->guests.proc_path);
	const char *why = "";
	struct vpmu_host *host;
	int r;

	r = host_new_some(&host_opts, HOST_ABILITIES_FOR_SOURCE, &host, reterr);
	if (r < 0)
		return r;
	*ret_source = vpmu_host_source(host, &why);
	if (*ret_source == VPMU_SOURCE_CYCLES) {
		*ret_names = !(sides & VPMU_SIDES_HOST)	   ? "cycles:G"
			     : !(sides & VPMU_SIDES_GUEST) ? "cycles:H"
							   : "cycles:G,cycles:H";
	} else if (*ret_source == VPMU_SOURCE_CPU_CLOCK) {
		*ret_names = "cpu-clock";
	} else {
		const struct vpmu_ability_info *events =
			vpmu_host_ability(host, VPMU_ABILITY_PERF_EVENTS);

		r = events->code ? events->code : -EOPNOTSUPP;
		error_set(reterr, r, "nothing to sample with: %s",
			  why && *why ? why : events->detail);
		error_hint(reterr, "%s", *events->how ? events->how : "see: vpmu doctor");
	}
	vpmu_host_free(host);
	return r;
}

/*
 * A hardware event that counts guest time keeps new guests with a mediated vPMU from starting
 * (shared rules in kernel/events/core.c, perf_create_mediated_pmu()): a profiler must never do
 * that.
 */
static int refuse_if_mediated(const struct plan *plan, const struct vpmu_session_opts *opts,
			      struct vpmu_error *reterr)
{
	VPMU_OPTS(vpmu_host_opts, host_opts, .proc_path = opts->guests.proc_path);
	const struct event_spec *culprit = NULL;
	struct vpmu_host *host;
	int r;

	for (size_t i = 0; i < plan->n_events; i++)
		if (plan->events[i].spec.is_hardware && !plan->events[i].spec.attr.exclude_guest)
			culprit = &plan->events[i].spec;
	if (!culprit)
		return 0;
	r = host_new_some(&host_opts, 1u << VPMU_ABILITY_MEDIATED_PMU, &host, reterr);
	if (r < 0)
		return r;
	if (!vpmu_host_ability(host, VPMU_ABILITY_MEDIATED_PMU)->ok) {
		r = error_set(
			reterr, -EOPNOTSUPP,
			"'%s' would keep guests from starting: KVM's mediated vPMU is on here",
			culprit->name);
		error_hint(reterr, "cpu-clock, or '%s:H' for the host's side alone", culprit->name);
	}
	vpmu_host_free(host);
	return r;
}

/* Sides are told apart by the hardware where it can, else by the record. */
static void set_sides(struct plan_event *event, unsigned int wanted)
{
	struct perf_event_attr *attr = &event->spec.attr;

	if (event->spec.is_hardware) {
		attr->exclude_host |= !(wanted & VPMU_SIDES_HOST);
		attr->exclude_guest |= !(wanted & VPMU_SIDES_GUEST);
		/*
		 * An overflow that is reported after the exit comes with the host's address and
		 * mode, though the guest made it: not to be left out.
		 */
		event->sides = VPMU_SIDES_ALL;
		return;
	}
	event->sides = wanted;
	if (attr->exclude_host)
		event->sides &= VPMU_SIDES_GUEST;
	if (attr->exclude_guest)
		event->sides &= VPMU_SIDES_HOST;
	attr->exclude_host = attr->exclude_guest = 0;
}

/* In the attributes too, so that a recording tells it wherever it is read. */
static uint16_t max_chain(const struct vpmu_session_opts *opts)
{
	unsigned long max = kernel_setting(opts, "perf_event_max_stack");

	return max && max <= UINT16_MAX ? (uint16_t)max : PERF_MAX_STACK_DEFAULT;
}

static int set_attr(struct plan_event *event, const struct plan *plan, const struct vpmu_session_opts *opts, bool first)
{
	struct perf_event_attr *attr = &event->spec.attr;

	attr->size = sizeof(*attr);
	attr->sample_type = PLAN_SAMPLE_TYPE;
	if (opts->host_chains || opts->guest_chains) {
		attr->sample_type |= PERF_SAMPLE_CALLCHAIN;
		attr->sample_max_stack = plan->max_chain;
	}
	attr->exclude_callchain_kernel = attr->exclude_callchain_user =
		opts->guest_chains && !opts->host_chains;
	if (event->spec.is_tracepoint)
		attr->sample_type |= PERF_SAMPLE_RAW;
	attr->read_format = PERF_FORMAT_ID | PERF_FORMAT_LOST;
	attr->disabled = 1;
	attr->sample_id_all = 1;
	if (opts->period) {
		attr->sample_period = opts->period;
	} else if (event->spec.is_tracepoint && !opts->frequency_hz) {
		attr->sample_period =
			1; /* each of them: what is asked of a tracepoint, and what perf does */
	} else {
		attr->freq = 1;
		attr->sample_freq = plan->frequency_hz;
	}
	/* A clock that BPF programs can read too, so that their records can be merged by time. */
	attr->use_clockid = 1;
	attr->clockid = CLOCK_MONOTONIC;
	if (first) {
		attr->mmap = attr->mmap2 = attr->comm = attr->comm_exec = attr->task = 1;
		attr->ksymbol = 1;
	}
	event->info = (struct vpmu_event_info){
		.name = event->spec.name,
		.is_clock = event->spec.is_clock,
		.frequency_hz = attr->freq ? attr->sample_freq : 0,
		.period = attr->freq ? 0 : attr->sample_period,
		.excludes_guest = attr->exclude_guest,
		.is_hardware = event->spec.is_hardware,
		.is_tracepoint = event->spec.is_tracepoint,
	};
	return perf_layout_init(&event->layout, attr);
}

static void add_rate(struct strbuf *line, const struct vpmu_event_info *info)
{
	if (info->frequency_hz)
		strbuf_addf(line, " %llu Hz", (unsigned long long)info->frequency_hz);
	else
		strbuf_addf(line, " every %llu%s", (unsigned long long)info->period,
			    info->is_clock ? " ns" : "");
}

/* "cycles:G+cycles:H 999 Hz", "kvm:kvm_pio every 1,cpu-clock 999 Hz" */
static void describe(struct plan *plan)
{
	const struct vpmu_event_info *last = &plan->events[plan->n_events - 1].info;
	_strbuf_ struct strbuf line = {};
	bool one_rate = true;

	for (size_t i = 0; i < plan->n_events; i++)
		one_rate &= plan->events[i].info.frequency_hz == last->frequency_hz &&
			    plan->events[i].info.period == last->period;
	for (size_t i = 0; i < plan->n_events; i++) {
		if (i)
			strbuf_addc(&line, plan->source == VPMU_SOURCE_CYCLES ? '+' : ',');
		strbuf_adds(&line, plan->events[i].info.name);
		if (!one_rate)
			add_rate(&line, &plan->events[i].info);
	}
	if (one_rate)
		add_rate(&line, last);
	snprintf(plan->source_line, sizeof(plan->source_line), "%s", line.failed ? "" : line.text);
}

static uint64_t expected_bytes(const struct plan *plan)
{
	uint64_t record = sizeof(struct plan_sample) - (plan->chains ? 0 : sizeof(uint64_t)),
		 total = 0;

	if (plan->chains)
		record += TYPICAL_CHAIN_FRAMES * sizeof(uint64_t);
	for (size_t i = 0; i < plan->n_events; i++) {
		const struct vpmu_event_info *info = &plan->events[i].info;

		if (info->frequency_hz)
			total += info->frequency_hz * record;
		else if (info->is_clock)
			total += 1000000000u / info->period * record;
		else
			return 0;
	}
	return total;
}

bool plan_open_guest_chains(struct plan *plan)
{
	unsigned int wanted = (plan->walks_guests ? GUEST_CHAINS_WALK : 0) | (plan->aggregates ? GUEST_CHAINS_COUNT : 0) |
			      (plan->host_chains ? GUEST_CHAINS_HOST : 0);
	struct vpmu_error error = {};

	if (plan->guest_chains || plan->tried_guest_chains)
		return plan->guest_chains;
	plan->tried_guest_chains = true;
	if (guest_chains_open(wanted, &plan->guest_chains, &error) == 0) {
		if (plan->aggregates && !guest_chains_counted(plan->guest_chains))
			log_debug("samples come one by one: the kernel gives no maps to count them in");
		return true;
	}
	if (plan->walks_guests)
		log_warn("%s%s%s%s", error.text, error.hint[0] ? " (" : "", error.hint,
			 error.hint[0] ? ")" : "");
	else
		log_debug("samples of guests without their tasks: %s", error.text);
	return false;
}

int plan_init(struct plan *plan, const struct vpmu_session_opts *opts, struct vpmu_error *reterr)
{
	unsigned int wanted = opts->sides ? opts->sides : VPMU_SIDES_ALL;
	_free_ struct event_spec *specs = NULL;
	const char *names = opts->events;
	int r;

	memset(plan, 0, sizeof(*plan));
	if ((wanted & VPMU_SIDES_HOST) && (wanted & VPMU_SIDES_GUEST))
		wanted |= 1u << VPMU_SIDE_UNKNOWN;
	r = check_options(opts, reterr);
	if (r < 0)
		return r;
	plan->tracefs = plan_tracefs_path();
	plan->source = VPMU_SOURCE_EVENTS;
	if (!names)
		r = choose_source(opts, wanted, &plan->source, &names, reterr);
	if (r == 0)
		r = event_parse_list(names, plan->tracefs, &specs, &plan->n_events, reterr);
	if (r < 0)
		return r;
	plan->events = calloc(plan->n_events, sizeof(*plan->events));
	if (!plan->events)
		return error_oom(reterr);
	plan->chains = opts->host_chains || opts->guest_chains;
	plan->max_chain = max_chain(opts);
	plan->frequency_hz = choose_frequency_hz(opts, specs, plan->n_events);
	plan->ring_bytes_asked_for = opts->ring_bytes != 0;
	plan->ring_bytes = opts->ring_bytes ? opts->ring_bytes : DEFAULT_RING_BYTES;
	for (size_t i = 0; i < plan->n_events && r == 0; i++) {
		plan->events[i].spec = specs[i];
		set_sides(&plan->events[i], wanted);
		plan->filters |= plan->events[i].sides != VPMU_SIDES_ALL;
		r = set_attr(&plan->events[i], plan, opts, i == 0);
	}
	if (r == 0 && plan->source == VPMU_SOURCE_EVENTS)
		r = refuse_if_mediated(plan, opts, reterr);
	if (r < 0) {
		plan_deinit(plan);
		return r;
	}
	plan->sees_guests = wanted & VPMU_SIDES_GUEST;
	plan->walks_guests = plan->sees_guests && opts->guest_chains;
	plan->guest_stack_bytes = opts->guest_stack_bytes ? opts->guest_stack_bytes : DEFAULT_GUEST_STACK_BYTES;
	plan->aggregates = opts->aggregate;
	plan->host_chains = opts->host_chains;
	if (plan->walks_guests || plan->aggregates)
		plan_open_guest_chains(plan);
	describe(plan);
	plan->bytes_a_second = expected_bytes(plan);
	return 0;
}
