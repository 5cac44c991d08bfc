/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report for programs. The shape is fixed: docs/man/vpmu-report.1. */
#ifndef CLI_REPORT_JSON_H
#define CLI_REPORT_JSON_H

#include <vpmu/vpmu.h>
#include "input.h"
#include "json.h"

void report_json_begin(struct json_list *list, const struct input *input,
		       const struct vpmu_coverage *coverage);
/* The coverage of one of several events. */
struct json_object *report_json_event(const struct vpmu_report *report, const struct vpmu_event_info *event);
void report_json_rows(struct json_list *list, const struct vpmu_report *report,
		      const struct vpmu_event_info *event);

#endif
