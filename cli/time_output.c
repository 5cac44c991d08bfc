/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/meter_shapes.h"
#include "output.h"
#include "time_output.h"

static struct json_object *vcpus_json(const struct time_reading *reading)
{
	struct json_object *vcpus = json_new_array();

	for (size_t i = 0; i < reading->times.n; i++) {
		const struct vpmu_clock_vcpu *vcpu = &reading->times.items[i];

		json_append(vcpus, shape_clock(vcpu, reading->guests[vcpu->guest], reading->guest_of, reading->data,
					       SHAPE_NUMBERS));
	}
	return vcpus;
}

static struct json_object *interval_json(const struct time_reading *reading)
{
	struct json_object *interval = json_new_object();

	json_put_int(interval, "start_ns", (int64_t)reading->times.start_ns);
	json_put_int(interval, "end_ns", (int64_t)reading->times.end_ns);
	json_put(interval, "vcpus", vcpus_json(reading));
	return interval;
}

void time_output_begin(struct time_output *output, uint64_t begin_ns)
{
	output->begin_ns = begin_ns;
	if (output->json)
		json_list_begin(&output->list, NULL, "intervals");
}

void time_output_interval(struct time_output *output, const struct time_reading *reading)
{
	_strbuf_ struct strbuf title = {};

	if (output->json) {
		json_list_item(&output->list, interval_json(reading));
	} else {
		strbuf_addf(&title, "%s%.3f s:\n", output->list.n++ ? "\n" : "",
			    (double)(reading->times.end_ns - output->begin_ns) / 1e9);
		output_write(&title);
		time_text(reading, false);
	}
	output_flush();
}

void time_output_total(struct time_output *output, const struct time_reading *reading)
{
	_strbuf_ struct strbuf title = {};

	if (output->json) {
		json_list_end_with(&output->list, "vcpus", vcpus_json(reading));
		return;
	}
	if (output->intervals)
		strbuf_addf(&title, "\nin all, %.3f s:\n", (double)(reading->times.end_ns - reading->times.start_ns) / 1e9);
	output_write(&title);
	time_text(reading, true);
}
