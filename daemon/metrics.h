/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics: made from the manager's parts when somebody asks (the method Metrics, in OpenMetrics), and after each reading of
 * the counters for node_exporter's textfile collector, in the older Prometheus text format (exposition.h says why).
 *
 * The textfile is written in the pool: a temporary file beside it, then rename(). When that fails it is said once, counted,
 * and tried again at the next interval. It goes away with vpmud: old figures look like new ones.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "call.h"
#include "exposition.h"
#include "manager.h"

/* Reads manager->config now and at metrics_reload(). Errors: -ENOMEM. */
int metrics_new(struct manager *manager, struct metrics **ret_metrics, struct vpmu_error *reterr);
struct metrics *metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics *, metrics_free)
void metrics_reload(struct metrics *metrics);

/*
 * metrics_make - the text as of the last reading, as @peer may see it: who is tied to certain guests gets these, and nothing of
 * the node. NULL = all of it. Errors: -ENOMEM.
 */
int metrics_make(struct metrics *metrics, const struct peer *peer, enum exposition_dialect dialect, struct strbuf *out);

/* Write the textfile, if one is configured: there was a reading. */
void metrics_update(struct metrics *metrics);

/* Failures to write the textfile so far. */
uint64_t metrics_errors(const struct metrics *metrics);

#endif
