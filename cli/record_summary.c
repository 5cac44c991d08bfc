/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <vpmu/vpmu.h>

#include "coverage.h"
#include "json.h"
#include "output.h"
#include "record_summary.h"
#include "text.h"
#include "client/shapes.h"
#include "util/strbuf.h"

static uint64_t file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void record_summary_guest(struct record_summary *s, const struct vpmu_guest_info *guest)
{
	s->all_emulated = guest->accel == VPMU_ACCEL_TCG && (s->all_emulated || !s->guests.n);
	if (s->guests.n < NAME_LIST_MAX)
		s->guests.items[s->guests.n++] = guest->name;
}

/*
 * Guest samples were asked for and none came: never silent. The likeliest cause first; NULL if
 * there is nothing to explain.
 */
static const char *why_no_guest_samples(const struct record_summary *s)
{
	const struct vpmu_coverage *c = &s->coverage;

	if (!s->wants_guest || vpmu_coverage_guest(c))
		return NULL;
	if (s->all_emulated)
		return "the guest is emulated (TCG): QEMU translates its code, the processor is never in the guest; "
		       "its time is on the host side, in the process's own code";
	if (s->guests_gone && !c->samples)
		return "the guest ended before its vCPUs were sampled";
	if (s->named_events)
		return "the event did not happen inside the guest, or this host cannot count it there; "
		       "try without -e, and 'vpmu doctor'";
	if (!c->samples)
		return "its vCPUs did not run: an idle guest costs no time; put load on it, or record for longer (-d)";
	if (c->samples < 100)
		return "the vCPUs hardly ran, and then in the host: put load on the guest, or record for longer (-d)";
	return "the vCPUs ran, but always in the host: a guest busy with exits only, or a KVM that does not tell "
	       "the profiler when a sample hits a guest; see 'vpmu doctor' and the host side of the report";
}

void record_summary_text(const struct record_summary *s)
{
	_strbuf_ struct strbuf names = {}, written = {};
	const struct vpmu_coverage *c = &s->coverage;
	const char *why;
	bool small;

	for (size_t i = 0; i < s->guests.n && i < 8; i++) {
		strbuf_adds(&names, i ? ", " : s->whole_host ? " (with guests " : "");
		strbuf_adds(&names, i == 7 ? "..." : s->guests.items[i]);
	}
	if (s->whole_host && names.n)
		strbuf_addc(&names, ')');
	/* Not all of them if the disk is full. */
	if (s->recorded != c->samples)
		strbuf_addf(&written, "%" PRIu64 " of ", s->recorded);
	small = file_bytes(s->path) < 100000; /* "0.0 MB" would be none at all */
	say("recorded %s%" PRIu64 " sample%s (guest %" PRIu64 ", host %" PRIu64 ", lost %" PRIu64
	    ")%s%s to %s, %.1f %s; source %s",
	    written.text ? written.text : "", c->samples, text_s(c->samples), vpmu_coverage_guest(c), vpmu_coverage_host(c), c->lost,
	    s->whole_host ? " of the host" : names.n ? " of " : "", names.text ? names.text : "", s->path,
	    (double)file_bytes(s->path) / (small ? 1e3 : 1e6), small ? "kB" : "MB", c->source);
	if (c->throttled)
		say_warning("the kernel paused the events %" PRIu64 " time%s because samples came too "
			    "fast; try a lower -F", c->throttled, text_s(c->throttled));
	if (s->guests_gone)
		say_warning("stopped after %.1f s: nothing is left to record, the guest is gone",
			    (double)s->elapsed_ns / 1e9);
	if (s->why)
		say_warning("ended after %.1f s: %s", (double)s->elapsed_ns / 1e9, s->why);
	why = why_no_guest_samples(s);
	if (why)
		say_warning("no guest samples: %s", why);
}

void record_summary_json(const struct record_summary *s)
{
	struct json_object *object = json_new_object(), *guests = json_new_array();

	for (size_t i = 0; i < s->guests.n; i++)
		json_append_string(guests, s->guests.items[i]);
	json_put_string(object, "file", s->path);
	json_put_int(object, "size_bytes", (int64_t)file_bytes(s->path));
	json_put_int(object, "recorded_samples", (int64_t)s->recorded);
	json_put_int(object, "elapsed_ns", (int64_t)s->elapsed_ns);
	json_put(object, "guests", guests);
	json_put_bool(object, "guests_gone", s->guests_gone);
	json_put_string(object, "why", s->why);
	json_put(object, "coverage", shape_coverage(&s->coverage));
	json_put_string(object, "note", why_no_guest_samples(s));
	json_print(object);
}
