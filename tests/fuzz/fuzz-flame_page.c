/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of any kind in a flame graph's page: they stay where they were put. The first byte chooses what they are names of; they end
 * at zero bytes.
 */
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "export/flame.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NAMES_MAX 64

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* The text between @from, which must be there once, and @to. */
static char *between(const char *page, const char *from, const char *to)
{
	const char *begin = strstr(page, from), *end;

	check(begin);
	begin += strlen(from);
	end = strstr(begin, to);
	check(end);
	return strndup(begin, (size_t)(end - begin));
}

static void check_page(const char *page, size_t n_names)
{
	char *title = between(page, "<title>", "</title>\n<style>");
	char *graph = between(page, "<script type=\"application/json\" id=\"graph\">", "</script>\n<script>\"use strict\";");
	struct json_object *object, *names;

	check(!strpbrk(title, "<>\"'"));
	check(!strchr(graph, '<'));
	object = json_tokener_parse(graph);
	check(object && json_object_object_get_ex(object, "names", &names));
	check(json_object_array_length(names) <= n_names + 1);
	json_object_put(object);
	free(title);
	free(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_free_ char *text = malloc(n + 1), *page = NULL;
	struct output out = { .fd = memfd_create("page", MFD_CLOEXEC) };
	struct flame_page around = { .kind = "profile", .measures = { { "samples", "" }, { "weight", "" } }, .n_measures = 2 };
	_flame_ struct flame flame = {};
	size_t n_names = 0;
	off_t end;

	if (!text || n < 1 || flame_init(&flame) < 0)
		goto done;
	memcpy(text, data, n);
	text[n] = '\0';
	flame.compares = *data & 1;
	around.title = around.source = around.event = around.notes[0] = around.measures[0].name = text + 1;
	for (const char *name = text + 1; name < text + n && n_names < NAMES_MAX; name += strlen(name) + 1, n_names++) {
		uint32_t string = flame_string(&flame, name);

		flame_push(&flame, flame_frame(&flame, &(struct flame_frame){
			.name = string, .file = string, .kind = (*data >> 1) % FLAME_KIND_COUNT,
			.status = *data % VPMU_FRAME_STATUS_COUNT }));
		if (n_names % 3 == 2)
			flame_end_stack(&flame, n_names, (uint64_t)*data << 56);
	}
	flame_end_stack(&flame, 1, 1);
	check(flame_grow(&flame, flame_label(&flame, "all"), *data + 1u) == 0);
	flame_write_page(&flame, &around, &out);
	check(output_finish(&out) == 0);
	end = lseek(out.fd, 0, SEEK_END);
	page = calloc(1, (size_t)end + 1);
	check(page && pread(out.fd, page, (size_t)end, 0) == end);
	check_page(page, n_names);
done:
	output_deinit(&out);
	close(out.fd);
	return 0;
}
