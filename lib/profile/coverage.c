/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <vpmu/sample.h>

#include "util/macro.h"
#include "util/strbuf.h"

static void add_chain_ends(const struct vpmu_coverage *c, struct strbuf *out)
{
	const char *before = " (";

	for (int end = VPMU_CHAIN_DEPTH; end < VPMU_CHAIN_END_COUNT; end++) {
		if (!c->chain_ends[end])
			continue;
		strbuf_addf(out, "%s%s %" PRIu64, before, vpmu_chain_end_name((enum vpmu_chain_end)end), c->chain_ends[end]);
		before = ", ";
	}
	if (before[0] == ',')
		strbuf_addc(out, ')');
}

static void add_text(const struct vpmu_coverage *c, struct strbuf *out)
{
	/* Rounded down: "100.0 % resolved" means all of them. */
	uint64_t permille = c->samples ? (uint64_t)((__uint128_t)c->resolved * 1000 / c->samples) : 0;

	strbuf_addf(out, "coverage: %" PRIu64 " sample%s (guest %" PRIu64 ", host %" PRIu64, c->samples,
		    c->samples == 1 ? "" : "s", vpmu_coverage_guest(c), vpmu_coverage_host(c));
	if (c->sides[VPMU_SIDE_UNKNOWN])
		strbuf_addf(out, ", unknown %" PRIu64, c->sides[VPMU_SIDE_UNKNOWN]);
	strbuf_addf(out, "), %" PRIu64 ".%" PRIu64 " %% resolved, ", permille / 10, permille % 10);
	strbuf_addf(out, "%" PRIu64 " opaque, %" PRIu64 " lost, %" PRIu64 " throttled", c->opaque, c->lost,
		    c->throttled);
	if (c->guest_processes)
		strbuf_addf(out, ", %" PRIu64 " with guest process", c->guest_processes);
	if (c->guest_chains)
		strbuf_addf(out, ", %" PRIu64 " guest chain%s", c->guest_chains, c->guest_chains == 1 ? "" : "s");
	if (c->truncated_chains)
		strbuf_addf(out, ", %" PRIu64 " chain%s cut", c->truncated_chains,
			    c->truncated_chains == 1 ? "" : "s");
	add_chain_ends(c, out);
	if (c->damaged_records)
		strbuf_addf(out, ", %" PRIu64 " record%s damaged", c->damaged_records,
			    c->damaged_records == 1 ? "" : "s");
	if (c->guests_not_linux)
		strbuf_addf(out, ", no Linux kernel in %" PRIu64 " guest%s", c->guests_not_linux,
			    c->guests_not_linux == 1 ? "" : "s");
	strbuf_addf(out, "; source %.*s", (int)sizeof(c->source), c->source[0] ? c->source : "unknown");
}

VPMU_API void vpmu_coverage_text(const struct vpmu_coverage *coverage, char *text, size_t n)
{
	_strbuf_ struct strbuf out = {};

	add_text(coverage, &out);
	if (n)
		snprintf(text, n, "%s", out.text ? out.text : "");
}
