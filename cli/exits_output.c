/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exits_output.h"
#include "output.h"

#define ALL_KEYS ((1u << VPMU_EXIT_KEY_COUNT) - 1)

/* Where no exits are to be seen, what is: the events by themselves. */
static unsigned int keys_of(struct exits_output *output, const struct exits_reading *reading)
{
	/* For what a guest's PMU costs vpmud has no others: rows are the same with it and without. */
	bool instead = output->keys == 1u << VPMU_EXIT_REASON && !output->pmu;

	if (!*reading->silent)
		return output->keys;
	if (!output->silence_said)
		say(instead ? "%s; events of KVM instead" : "%s", reading->silent);
	output->silence_said = true;
	return instead ? ALL_KEYS : output->keys;
}

static void print_text(const struct exits_output *output, const struct exits_reading *reading, unsigned int keys,
		       bool histograms)
{
	if (output->nested)
		exits_nested_text(reading);
	if (output->pmu)
		exits_pmu_text(reading);
	if (!output->nested && !output->pmu && output->keys != EXITS_STACKS)
		exits_text(reading, keys & ~EXITS_STACKS, histograms);
	exits_losses_text(&reading->rows);
}

/* Of an interval there is no more than the rows; stacks are of the whole time. */
static struct json_object *total_json(const struct exits_output *output, const struct exits_reading *reading,
				      unsigned int keys)
{
	struct json_object *total = exits_json(reading, keys & ~EXITS_STACKS);

	if (output->pmu)
		json_put(total, "pmu", exits_pmu_json(reading));
	if (output->keys & EXITS_STACKS)
		json_put(total, "stacks", exits_stacks_json(reading->exits));
	return total;
}

void exits_output_begin(struct exits_output *output, uint64_t begin_ns)
{
	output->begin_ns = begin_ns;
	if (output->json && output->intervals && !output->fold)
		json_list_begin(&output->list, NULL, "intervals");
}

void exits_output_interval(struct exits_output *output, const struct exits_reading *reading)
{
	_strbuf_ struct strbuf title = {};
	unsigned int keys = keys_of(output, reading);

	if (output->fold)
		return;
	if (output->json) {
		json_list_item(&output->list, exits_json(reading, keys & ~EXITS_STACKS));
	} else {
		strbuf_addf(&title, "%s%.3f s:\n", output->list.n++ ? "\n" : "",
			    (double)(reading->rows.end_ns - output->begin_ns) / 1e9);
		output_write(&title);
		print_text(output, reading, keys, false);
	}
	output_flush();
}

int exits_output_total(struct exits_output *output, const struct exits_reading *reading)
{
	_strbuf_ struct strbuf title = {};
	unsigned int keys = keys_of(output, reading);

	if (output->fold)
		return exits_stacks_folded(reading->exits, output->fold == FOLD_TIME);
	if (output->json && output->intervals) {
		json_list_end_with(&output->list, "total", total_json(output, reading, keys));
		return 0;
	}
	if (output->json) {
		json_print(total_json(output, reading, keys));
		return 0;
	}
	if (output->intervals) {
		strbuf_addf(&title, "\nin all, %.3f s:\n", (double)(reading->rows.end_ns - reading->rows.start_ns) / 1e9);
		output_write(&title);
	}
	print_text(output, reading, keys, output->histograms);
	if (!(output->keys & EXITS_STACKS))
		return 0;
	if (output->keys != EXITS_STACKS || output->nested || output->pmu) {
		strbuf_addc(&title, '\n');
		output_write(&title);
	}
	return exits_stacks_text(reading->exits);
}
