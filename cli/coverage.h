/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line that every report carries: what its figures stand on. */
#ifndef CLI_COVERAGE_H
#define CLI_COVERAGE_H

#include <vpmu/sample.h>
#include "util/strbuf.h"

void coverage_text(const struct vpmu_coverage *coverage, struct strbuf *out);

#endif
