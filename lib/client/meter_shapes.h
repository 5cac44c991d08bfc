/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exits and vCPUs' times in JSON: the same members in the output of `vpmu exits --json` and `vpmu time --json`, where counts are
 * numbers, and in vpmud's replies, where they are text (client/json.h, json_put_big()).
 */
#ifndef CLIENT_METER_SHAPES_H
#define CLIENT_METER_SHAPES_H

#include <vpmu/clock.h>
#include <vpmu/exits.h>
#include "client/json.h"

enum shape_counts { SHAPE_NUMBERS, SHAPE_TEXT };

#define SHAPE_NESTED_KEYS (1u << VPMU_EXIT_TRIP | 1u << VPMU_EXIT_ANCILLARY | 1u << VPMU_EXIT_RUN)

/* What users call keys, "msr", "symbol", "nested": bits by enum vpmu_exit_key; 0 = there is none of that name. */
unsigned int shape_keys(const char *name);

/* @frame: what is at the address, of rows by ADDRESS. @rows: those it is one of, for what there is per trip. */
struct json_object *shape_exit(const struct vpmu_exit *exit, const char *guest, const struct vpmu_frame *frame,
			       const struct vpmu_exit_rows *rows, enum shape_counts counts);

/* Of an ANCILLARY row: how many there are for each trip; 0 if no trip is over yet. */
double shape_per_trip(const struct vpmu_exit_rows *rows, const struct vpmu_exit *exit);

/* Of an ANCILLARY row: the code of its trip. */
uint32_t shape_trip_code(const struct vpmu_exit *ancillary);

/* The row of exits of L2 with @code on the vCPU of @of: REASON, TRIP or RUN. NULL: there is none. */
const struct vpmu_exit *shape_nested_row(const struct vpmu_exit_rows *rows, const struct vpmu_exit *of,
					 enum vpmu_exit_key key, uint32_t code);

/* What a reading lost, as members of @object. */
void shape_exit_losses(struct json_object *object, const struct vpmu_exit_rows *rows, const char *silent,
		       enum shape_counts counts);

/* @guest_of: whose process that of a competitor is; NULL = nobody's. */
struct json_object *shape_clock(const struct vpmu_clock_vcpu *vcpu, const char *guest,
				const char *(*guest_of)(pid_t pid, const void *data), const void *data,
				enum shape_counts counts);

#endif
