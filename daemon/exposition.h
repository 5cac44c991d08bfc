/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text in which metrics are handed to Prometheus: families of samples,
 *
 *	# HELP vpmu_guest_vcpu_seconds Time of each vCPU …
 *	# TYPE vpmu_guest_vcpu_seconds counter
 *	# UNIT vpmu_guest_vcpu_seconds seconds
 *	vpmu_guest_vcpu_seconds_total{guest="web1",vcpu="0",mode="guest"} 17.25
 *	# EOF
 *
 * There are two dialects, and no text is right in both. In OpenMetrics (https://prometheus.io/docs/specs/om/) a counter's family is named
 * without "_total", and its samples with it; "# EOF" ends the text. The older Prometheus text format (version 0.0.4), which is
 * all that node_exporter's textfile collector and `promtool check metrics` read, wants the family of a counter to have its
 * samples' name. It takes what OpenMetrics says for counters without type or help, and OpenMetrics refuses the other way
 * ("clashing name"). So whoever writes says which one it shall be; the samples are the same.
 *
 * Label values are foreign: they become UTF-8, are cut, and escaped. The number of samples is bounded.
 */
#ifndef DAEMON_EXPOSITION_H
#define DAEMON_EXPOSITION_H

#include "util/strbuf.h"

#define EXPOSITION_LABEL_MAX 256 /* bytes of a value, before escaping */

enum exposition_dialect { EXPOSITION_OPENMETRICS, EXPOSITION_PROMETHEUS };

struct exposition {
	struct strbuf *out;
	enum exposition_dialect dialect;
	size_t max_samples; /* 0 = no limit */
	size_t n_samples, n_left_out;
	char name[96]; /* of the family's samples */
};

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_INFO };

/*
 * exposition_family - @name without the suffix that its type has ("_total", "_info"), but with its unit, which is @unit
 * (NULL = none). @help: one line.
 */
void exposition_family(struct exposition *x, const char *name, enum exposition_type type, const char *unit,
		       const char *help);

/* A sample of the family. @labels: what exposition_label() made; NULL = none. */
void exposition_u64(struct exposition *x, const struct strbuf *labels, uint64_t value);
void exposition_ns(struct exposition *x, const struct strbuf *labels, uint64_t value_ns); /* as seconds */
void exposition_ms(struct exposition *x, const struct strbuf *labels, uint64_t value_ms); /* as seconds */

void exposition_end(struct exposition *x);

/* Appends NAME="VALUE" to @labels. */
void exposition_label(struct strbuf *labels, const char *name, const char *value);

#endif
