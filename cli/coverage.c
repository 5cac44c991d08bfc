/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "coverage.h"
#include "text.h"

void coverage_text(const struct vpmu_coverage *c, struct strbuf *out)
{
	char line[1024];

	vpmu_coverage_text(c, line, sizeof(line));
	text_add_clean(out, line);
	strbuf_addc(out, '\n');
}
