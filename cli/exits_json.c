/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/meter_shapes.h"
#include "exits_show.h"
#include "json.h"

struct json_object *exits_json(const struct exits_reading *reading, unsigned int keys)
{
	const struct vpmu_exit_rows *rows = &reading->rows;
	struct json_object *object = json_new_object(), *list = json_new_array();

	json_put_int(object, "start_ns", (int64_t)rows->start_ns);
	json_put_int(object, "end_ns", (int64_t)rows->end_ns);
	shape_exit_losses(object, rows, reading->silent, SHAPE_NUMBERS);
	for (size_t i = 0; i < rows->n; i++) {
		const struct vpmu_exit *exit = &rows->items[i];
		struct vpmu_frame frame = {};

		if (!(keys >> exit->key & 1))
			continue;
		if (exit->key == VPMU_EXIT_ADDRESS)
			exits_symbol(reading, exit, &frame);
		json_append(list, shape_exit(exit, reading->guests[exit->guest], &frame, rows, SHAPE_NUMBERS));
	}
	json_put(object, "rows", list);
	return object;
}
