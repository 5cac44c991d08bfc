/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A flame graph as one HTML file that needs nothing else: page/page.html, style and script from this
 * folder, and the graph as JSON, which the script draws on a canvas.
 *
 * Names come from guests, which may well call a function `</script><script>…`. They are in two
 * places only. In <title> they are text, with the five characters of HTML as entities. In the JSON
 * the character `<` is written \u003c, so nothing in it can end the script element it is in, nor
 * begin a comment there; a script element of type application/json is not run. From there names
 * reach the page by textContent and the canvas alone. And a Content-Security-Policy of the page's
 * own allows the one style and the one script, by their hashes, and nothing else, no network
 * either: if something did get through, the browser would not run it.
 *
 *	{"kind", "title", "source", "event", "notes": [line…], "version",
 *	 "measures": [{"name", "unit"}…], "measure": which comes first,
 *	 "statuses": [name…], "files": [file…], "names": [name…],
 *	 "frames": [name, file, kind, status, …],
 *	 "nodes": [depth, frame, total, self (, total, self of the second measure), …],
 *	 "pruned": [nodes, first measure (, second)],
 *	 "kinds": [first measure (, second) of each kind, by innermost frame, …], "unnamed": [first (, second)],
 *	 "bounds": [low, high, …]}      comparisons: 95 % interval of each node's change, in points
 */
#include <errno.h>
#include <string.h>
#include <vpmu/symbolize.h>

#include "export/flame.h"
#include "export/flame_parts.h"
#include "profile/interval.h"
#include "util/cleanup.h"
#include "util/json_write.h"
#include "util/utf8.h"

#define UNUSED UINT32_MAX

/* Numbers of what is written, in the order of first use. */
struct numbering {
	uint32_t *number; /* by id; UNUSED */
	VEC(uint32_t) used;
};

static bool numbering_init(struct numbering *n, size_t n_ids)
{
	n->number = malloc((n_ids + 1) * sizeof(*n->number));
	if (n->number)
		memset(n->number, 0xff, (n_ids + 1) * sizeof(*n->number));
	return n->number;
}

static void numbering_deinit(struct numbering *n)
{
	free(n->number);
	vec_free(&n->used);
}
#define _numbering_ __attribute__((cleanup(numbering_deinit)))

static bool number_it(struct numbering *n, uint32_t id)
{
	if (n->number[id] != UNUSED)
		return true;
	n->number[id] = (uint32_t)n->used.n;
	return vec_push(&n->used, id);
}

/* As JSON that may stand in a script element. */
static void add_string(struct output *out, const char *s)
{
	_strbuf_ struct strbuf json = {};
	struct strbuf *b = &out->pending;

	json_write_string(&json, s ? s : "");
	for (size_t i = 0; i < json.n; i++)
		if (json.text[i] == '<')
			strbuf_adds(b, "\\u003c");
		else
			strbuf_addc(b, json.text[i]);
	b->failed |= json.failed;
	output_drain(out);
}

static void add_html(struct strbuf *b, const char *s)
{
	_strbuf_ struct strbuf text = {};

	utf8_add(&text, s);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.text[i];

		if (c < 0x20 || c == 0x7f)
			strbuf_addc(b, '?');
		else if (strchr("<>&\"'", c))
			strbuf_addf(b, "&#%u;", c);
		else
			strbuf_addc(b, (char)c);
	}
	b->failed |= text.failed;
}

static void add_key_string(struct output *out, const char *key, const char *value)
{
	strbuf_addf(&out->pending, "\"%s\":", key);
	add_string(out, value);
	strbuf_adds(&out->pending, ",\n");
}

static void add_strings(const struct flame *flame, struct output *out, const char *key, const struct numbering *strings)
{
	strbuf_addf(&out->pending, "\"%s\":[", key);
	for (size_t i = 0; i < strings->used.n; i++) {
		strbuf_adds(&out->pending, i ? ",\n" : "\n");
		add_string(out, intern_string(flame->strings, strings->used.items[i]));
	}
	strbuf_adds(&out->pending, "],\n");
}

static void add_number(struct output *out, bool first, uint64_t value)
{
	if (!first)
		strbuf_addc(&out->pending, ',');
	strbuf_add_u64(&out->pending, value);
}

static void add_frames(const struct flame *flame, struct output *out, const struct numbering *frames)
{
	_numbering_ struct numbering names = {}, files = {};
	size_t n = intern_count(flame->strings);

	if (!numbering_init(&names, n) || !numbering_init(&files, n)) {
		out->error = -ENOMEM;
		return;
	}
	strbuf_adds(&out->pending, "\"frames\":[");
	for (size_t i = 0; i < frames->used.n; i++) {
		const struct flame_frame *frame = &flame->frames.items[frames->used.items[i]];

		if (!number_it(&names, frame->name) || !number_it(&files, frame->file))
			out->error = -ENOMEM;
		add_number(out, i == 0, names.number[frame->name]);
		add_number(out, false, files.number[frame->file]);
		add_number(out, false, frame->kind);
		add_number(out, false, frame->status);
		output_drain(out);
	}
	strbuf_adds(&out->pending, "],\n");
	add_strings(flame, out, "names", &names);
	add_strings(flame, out, "files", &files);
}

static void add_nodes(const struct flame *flame, struct output *out, unsigned int n_measures)
{
	_numbering_ struct numbering frames = {};

	if (!numbering_init(&frames, flame->frames.n)) {
		out->error = -ENOMEM;
		return;
	}
	strbuf_adds(&out->pending, "\"nodes\":[");
	vec_for_each(node, &flame->nodes) {
		if (!number_it(&frames, node->frame))
			out->error = -ENOMEM;
		add_number(out, node == flame->nodes.items, node->depth);
		add_number(out, false, frames.number[node->frame]);
		for (unsigned int m = 0; m < n_measures; m++) {
			add_number(out, false, node->total[m]);
			add_number(out, false, node->self[m]);
		}
		output_drain(out);
	}
	strbuf_adds(&out->pending, "],\n");
	add_frames(flame, out, &frames);
}

/* The notion of vpmu_diff_row: whether an interval holds 0. */
static void add_bounds(const struct flame *flame, struct output *out)
{
	const struct flame_node *root = flame->nodes.items;

	strbuf_adds(&out->pending, "\"bounds\":[");
	vec_for_each(node, &flame->nodes) {
		struct interval d = interval_difference(node->total[0], root->total[0], node->total[1], root->total[1],
							INTERVAL_Z_95);

		strbuf_addf(&out->pending, "%s%.4f,%.4f", node == root ? "" : ",", 100 * d.low, 100 * d.high);
		output_drain(out);
	}
	strbuf_adds(&out->pending, "],\n");
}

static void add_graph(const struct flame *flame, const struct flame_page *page, struct output *out)
{
	struct strbuf *b = &out->pending;

	strbuf_addc(b, '{');
	add_key_string(out, "kind", page->kind);
	add_key_string(out, "version", VPMU_VERSION_STRING);
	add_key_string(out, "title", page->title);
	add_key_string(out, "source", page->source);
	add_key_string(out, "event", page->event);
	strbuf_adds(b, "\"notes\":[");
	for (size_t i = 0; i < ARRAY_SIZE(page->notes) && page->notes[i]; i++) {
		strbuf_adds(b, i ? "," : "");
		add_string(out, page->notes[i]);
	}
	strbuf_adds(b, "],\n\"measures\":[");
	for (unsigned int m = 0; m < page->n_measures; m++) {
		strbuf_adds(b, m ? ",{\"name\":" : "{\"name\":");
		add_string(out, page->measures[m].name);
		strbuf_addf(b, ",\"unit\":\"%s\"}", page->measures[m].unit);
	}
	strbuf_addf(b, "],\n\"measure\":%u,\n\"statuses\":[", page->measure);
	for (int i = 0; i < VPMU_FRAME_STATUS_COUNT; i++)
		strbuf_addf(b, "%s\"%s\"", i ? "," : "", vpmu_frame_status_name((enum vpmu_frame_status)i));
	strbuf_adds(b, "],\n");
	add_nodes(flame, out, page->n_measures);
	if (flame->compares)
		add_bounds(flame, out);
	strbuf_adds(b, "\"pruned\":[");
	add_number(out, true, flame->n_pruned);
	for (unsigned int m = 0; m < page->n_measures; m++)
		add_number(out, false, flame->pruned[m]);
	strbuf_adds(b, "],\n\"kinds\":[");
	for (int kind = 0; kind < FLAME_KIND_COUNT; kind++)
		for (unsigned int m = 0; m < page->n_measures; m++)
			add_number(out, kind == 0 && m == 0, flame->of_kind[kind][m]);
	strbuf_adds(b, "],\n\"unnamed\":[");
	for (unsigned int m = 0; m < page->n_measures; m++)
		add_number(out, m == 0, flame->unnamed[m]);
	strbuf_adds(b, "]}");
}

void flame_write_page(const struct flame *flame, const struct flame_page *page, struct output *out)
{
	struct strbuf *b = &out->pending;

	strbuf_adds(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; "
		       "form-action 'none'; style-src '");
	strbuf_adds(b, flame_style_hash);
	strbuf_adds(b, "'; script-src '");
	strbuf_adds(b, flame_script_hash);
	strbuf_adds(b, "'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	add_html(b, page->title);
	strbuf_adds(b, " - vpmu</title>\n<style>");
	strbuf_adds(b, flame_style);
	strbuf_adds(b, "</style>\n</head>\n<body>\n");
	strbuf_adds(b, flame_body);
	strbuf_adds(b, "<script type=\"application/json\" id=\"graph\">\n");
	add_graph(flame, page, out);
	strbuf_adds(b, "\n</script>\n<script>");
	strbuf_adds(b, flame_script);
	strbuf_adds(b, "</script>\n</body>\n</html>\n");
	output_drain(out);
}
