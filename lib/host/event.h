/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Event names to perf_event_attr: "cycles", "cpu-clock", "task-clock:u", "r1a8", "cpu/event=0x3c,umask=1/", libpfm4's hardware
 * names ("INST_RETIRED:ANY_P"), tracepoints ("kvm:kvm_pio"), and the modifiers :G (guest only), :H (host only), :u, :k, :h, :I
 * (not the idle task), :D (pinned), :p (precise; with H only).
 *
 * Without modifiers both sides count, as with `perf kvm`. G and H are for hardware events: the kernel ignores them for
 * all others, and where it does not it labels the samples wrongly. :u makes a software clock drop all guest samples
 * (the clock's interrupt always finds the host in its kernel).
 */
#ifndef HOST_EVENT_H
#define HOST_EVENT_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <vpmu/error.h>

struct event_spec {
	struct perf_event_attr attr; /* type, config*, exclude_*; sampling members are the session's */
	char name[128];
	bool is_clock;	  /* counts nanoseconds */
	bool is_tracepoint;
	bool is_hardware; /* goes through a core PMU: mediated vPMU matters */
};

/* One name. @tracefs: directory of tracefs ("/sys/kernel/tracing"). Errors: -EINVAL (unknown; the text names near ones where
 * cheap), -EACCES/-ENOENT for tracepoints, with hint. */
int event_parse(const char *name, const char *tracefs, struct event_spec *ret_spec, struct vpmu_error *reterr);

/* A comma-separated list; the caller frees *ret_specs. */
int event_parse_list(const char *list, const char *tracefs, struct event_spec **ret_specs, size_t *ret_n,
		     struct vpmu_error *reterr);

/* Where the first name of a list ends: at a comma that is not between two slashes. */
size_t event_name_length(const char *list);

/* Why perf_event_open() refused @spec with @code (negative errno), in words, with what to try. Returns @code. */
int event_open_error(const struct event_spec *spec, int code, const char *on_what, struct vpmu_error *reterr);

#endif
