/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line that every report carries: what its figures stand on. */
#ifndef CLI_COVERAGE_H
#define CLI_COVERAGE_H

#include <vpmu/sample.h>
#include "util/strbuf.h"

void coverage_text(const struct vpmu_coverage *coverage, struct strbuf *out);
/* Adds the samples of a disjoint selection of the same profile; what is the whole profile's stays. */
void coverage_add(struct vpmu_coverage *into, const struct vpmu_coverage *from);

#endif
