/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "util/error.h"
#include "output.h"
#include "stat_json.h"
#include "stat_text.h"

void stat_output_begin(struct stat_output *output)
{
	if (output->json)
		json_list_begin(&output->list, NULL, "intervals");
}

void stat_output_interval(struct stat_output *output, const struct stat_reading *reading)
{
	_strbuf_ struct strbuf title = {};

	if (output->json) {
		json_list_item(&output->list, stat_json(reading));
	} else {
		strbuf_addf(&title, "%s%.3f s:\n", output->list.n++ ? "\n" : "",
			    (double)(reading->counts.end_ns - output->begin_ns) / 1e9);
		output_write(&title);
		stat_text(reading);
	}
	output_flush();
}

void stat_output_total(struct stat_output *output, const struct stat_reading *reading)
{
	_strbuf_ struct strbuf title = {};

	if (output->json && !output->intervals)
		json_list_item(&output->list, stat_json(reading));
	if (output->json) {
		json_list_end_with(&output->list, "total", stat_json(reading));
		return;
	}
	if (output->intervals) {
		strbuf_addf(&title, "\nin all, %.3f s:\n",
			    (double)(reading->counts.end_ns - reading->counts.start_ns) / 1e9);
		output_write(&title);
	}
	stat_text(reading);
}

int stat_check_events(const struct stat_reading *reading, struct vpmu_error *reterr)
{
	const struct vpmu_count *refused = NULL;

	for (size_t i = 0; i < reading->counts.n; i++) {
		const struct vpmu_count *count = &reading->counts.items[i];

		if (count->is_account)
			continue;
		if (count->status != VPMU_COUNT_UNAVAILABLE)
			return 0;
		refused = refused ? refused : count;
	}
	return refused ? error_set(reterr, -EOPNOTSUPP, "%s", refused->why ? refused->why : refused->event) : 0;
}
