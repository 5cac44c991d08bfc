/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports as JSON. The command with --json and vpmud's replies have the same shapes, which are fixed: vpmu-report(1),
 * vpmu-diff(1), org.vpmu(7).
 */
#ifndef CLIENT_SHAPES_H
#define CLIENT_SHAPES_H

#include <vpmu/profile.h>
#include <vpmu/sample.h>

#include "client/json.h"

struct json_object *shape_coverage(const struct vpmu_coverage *coverage);
/* Adds the samples of a disjoint selection of the same profile; what is the whole profile's stays. */
void shape_coverage_add(struct vpmu_coverage *into, const struct vpmu_coverage *from);

/* A row without chains. @event: its name, NULL if it has none. */
struct json_object *shape_row(const struct vpmu_row *row, const char *event);

/* Row @i of @report, which is there, with its chains if the report has them. */
struct json_object *shape_report_row(const struct vpmu_report *report, size_t i, const char *event);

struct json_object *shape_diff_row(const struct vpmu_diff_row *row);

#endif
