/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>

#include "export_fixture.h"
#include "export/flame.h"

/* The page's parts between @from and @to. */
static char *between(const char *page, const char *from, const char *to)
{
	const char *begin = strstr(page, from), *end;

	if (!begin)
		FAIL("no '%s' in the page", from);
	begin += strlen(from);
	end = strstr(begin, to);
	CHECK(end);
	return strndup(begin, (size_t)(end - begin));
}

static struct json_object *graph_of(const char *page)
{
	char *text = between(page, "<script type=\"application/json\" id=\"graph\">", "</script>");
	struct json_object *graph = json_tokener_parse(text);

	if (!graph)
		FAIL("not JSON: %s", text);
	free(text);
	return graph;
}

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		FAIL("no key '%s'", key);
	return value;
}

static uint64_t number(struct json_object *array, size_t i)
{
	return json_object_get_uint64(json_object_array_get_idx(array, i));
}

/* The path to each node and its numbers, a line each: "all;web1;f (guest-kernel's number) total self …". */
static char *paths_of(struct json_object *graph)
{
	struct json_object *nodes = get(graph, "nodes"), *frames = get(graph, "frames"), *names = get(graph, "names");
	size_t step = 2 + 2 * json_object_array_length(get(graph, "measures"));
	uint32_t path[64];
	struct strbuf b = {};

	for (size_t i = 0; i < json_object_array_length(nodes); i += step) {
		size_t depth = number(nodes, i);

		CHECK_CMP(depth, <, ARRAY_SIZE(path));
		path[depth] = (uint32_t)number(nodes, i + 1);
		for (size_t d = 0; d <= depth; d++)
			strbuf_addf(&b, "%s%s", d ? ";" : "",
				    json_object_get_string(json_object_array_get_idx(names, number(frames, 4 * path[d]))));
		strbuf_addf(&b, " [%d]", (int)number(frames, 4 * path[depth] + 2));
		for (size_t k = 2; k < step; k++)
			strbuf_addf(&b, " %d", (int)number(nodes, i + k));
		strbuf_addc(&b, '\n');
	}
	return strbuf_take(&b);
}

TEST(stacks_with_one_beginning_are_one_path)
{
	struct vpmu_profile *p = varied_profile();
	char *page = exported(p, "flamegraph", NULL, NULL);
	struct json_object *graph = graph_of(page);
	char *paths = paths_of(graph);

	/* kinds: 0 label, 1 guest kernel, 2 guest user, 3 host kernel, 4 QEMU, 5 other host processes */
	CHECK_CONTAINS(paths, "all [0] 33 0 33000 0\n");
	CHECK_CONTAINS(paths, "all;web1 [0] 26 0 26000 0\n");
	CHECK_CONTAINS(paths, "all;web1;do_syscall_64;ksys_read [1] 17 17 17000 17000\n");
	CHECK_CONTAINS(paths, "all;web1;kvm_cpu_exec [4] 4 0 4000 0\n");
	CHECK_CONTAINS(paths, "all;web1;kvm_cpu_exec;do_syscall_64 [3] 4 4 4000 4000\n");
	CHECK_CONTAINS(paths, "all;web1;Lcom/x;run [2] 3 3 3000 3000\n");
	CHECK_CONTAINS(paths, "all;web1;libc.so.6+0x26d0a [4] 2 2 2000 2000\n");
	CHECK_CONTAINS(paths, "all;[no guest];caf\xef\xbf\xbd;kvm_cpu_exec [5] 7 7 7000 7000\n");
	CHECK_STR(json_object_get_string(get(graph, "title")), "web1");
	CHECK_CONTAINS(json_object_get_string(json_object_array_get_idx(get(graph, "notes"), 0)),
		       "coverage: 33 samples (guest 20, host 13)");
	CHECK_EQ(number(get(graph, "pruned"), 0), 0);
	free(paths);
	free(page);
	json_object_put(graph);
	vpmu_profile_free(p);
}

TEST(only_what_was_asked_for_is_in_it)
{
	VPMU_OPTS(vpmu_export_opts, opts, .sides = VPMU_SIDES_GUEST, .by_weight = true, .is_clock = true, .title = "perf.data");
	struct vpmu_profile *p = varied_profile();
	char *page = exported(p, "flamegraph", &opts, NULL);
	struct json_object *graph = graph_of(page);
	char *paths = paths_of(graph);

	CHECK_CONTAINS(paths, "all [0] 20 0 20000 0\n");
	CHECK(!strstr(page, "kvm_cpu_exec"));
	CHECK_EQ(json_object_get_int(get(graph, "measure")), 1);
	CHECK_STR(json_object_get_string(get(json_object_array_get_idx(get(graph, "measures"), 1), "unit")), "ns");
	CHECK_STR(json_object_get_string(get(graph, "source")), "perf.data");
	free(paths);
	free(page);
	json_object_put(graph);
	vpmu_profile_free(p);
}

TEST(a_profile_without_chains_says_so)
{
	struct vpmu_profile *p = new_profile(), *with = varied_profile();
	char *page;

	profile_put_guest(p, "web1", "");
	put_symbol(p, VPMU_SIDE_GUEST_USER, "main", "/bin/a", 3);
	page = exported(p, "flamegraph", NULL, NULL);
	CHECK_CONTAINS(page, "\"there are no call chains in the profile");
	free(page);
	page = exported(with, "flamegraph", NULL, NULL);
	CHECK(!strstr(page, "\"there are no call chains in the profile"));
	free(page);
	vpmu_profile_free(p);
	vpmu_profile_free(with);
}

/* Where a page can be broken out of, and what breaks readers of JSON. */
static const char *const hostile_names[] = {
	"</script><script>alert(1)</script>", "<!--<script>", "\"onload=\"x", "'><img src=x>", "\\u003c/script>",
	"a\x01\x1b[31m\x7f", "\xe2\x80\xae" "gpj.exe", "caf\xe9", "{{x}} ${y} `z`", "]]>", "\xe2\x80\xa8line",
};

TEST(names_stay_names)
{
	struct vpmu_profile *p = new_profile();
	char *page, *title, *script;
	struct json_object *graph, *names;

	profile_put_guest(p, "</title><script>alert(2)</script>", "");
	for (size_t i = 0; i < ARRAY_SIZE(hostile_names); i++)
		put_symbol(p, VPMU_SIDE_GUEST_USER, hostile_names[i], "</script>", 1);
	page = exported(p, "flamegraph", NULL, NULL);
	title = between(page, "<title>", "</title>");
	CHECK_STR(title, "&#60;/title&#62;&#60;script&#62;alert(2)&#60;/script&#62; - vpmu");
	/* Two script elements, of which the first is the graph; in that there is no '<' at all. */
	script = between(page, "id=\"graph\">", "</script>\n<script>\"use strict\";");
	CHECK(!strchr(script, '<'));
	graph = graph_of(page);
	names = get(graph, "names");
	CHECK_EQ(json_object_array_length(names), ARRAY_SIZE(hostile_names) + 2);
	CHECK_STR(json_object_get_string(json_object_array_get_idx(names, 2)), hostile_names[0]);
	CHECK(!strstr(page, "alert(1)</script>"));
	json_object_put(graph);
	free(script);
	free(title);
	free(page);
	vpmu_profile_free(p);
}

TEST(frames_that_are_too_small_are_counted)
{
	struct flame flame;
	uint64_t self = 0;

	CHECK_EQ(flame_init(&flame), 0);
	for (uint32_t i = 0; i < 4000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%u", i);
		flame_push(&flame, flame_label(&flame, i % 2 ? "odd" : "even"));
		flame_push(&flame, flame_label(&flame, name));
		flame_end_stack(&flame, i < 10 ? 1000 : 1, 0);
	}
	CHECK_EQ(flame_grow(&flame, flame_label(&flame, "all"), 100), 0);
	CHECK_EQ(flame.nodes.n, 1 + 2 + 10); /* all, odd and even, the ten large ones */
	CHECK_EQ(flame.n_pruned, 3990);
	CHECK_EQ(flame.pruned[0], 3990);
	CHECK_EQ(flame.nodes.items[0].total[0], 13990);
	vec_for_each(node, &flame.nodes)
		self += node->self[0];
	CHECK_EQ(self, 10000);
	flame_deinit(&flame);
}

TEST(a_deep_recursion_is_a_column)
{
	struct flame flame;
	uint32_t again;

	CHECK_EQ(flame_init(&flame), 0);
	again = flame_label(&flame, "again");
	for (uint32_t n = 1; n <= 3000; n += 2999) {
		for (uint32_t i = 0; i < n; i++)
			flame_push(&flame, again);
		flame_end_stack(&flame, n, UINT64_MAX);
	}
	CHECK_EQ(flame_grow(&flame, flame_label(&flame, "all"), FLAME_NODES_MAX), 0);
	CHECK_EQ(flame.nodes.n, 3001);
	CHECK_EQ(flame.nodes.items[1].total[0], 3001);
	CHECK_EQ(flame.nodes.items[1].self[0], 1);
	CHECK_EQ(flame.nodes.items[3000].total[0], 3000);
	CHECK_EQ(flame.nodes.items[0].total[1], UINT64_MAX); /* does not come round */
	flame_deinit(&flame);
}

/* @samples of each of the two functions below main, in that guest. */
static struct vpmu_profile *side_of(const char *guest, const char *uuid, const char *dso, uint64_t first, uint64_t second)
{
	struct vpmu_profile *p = new_profile();
	uint32_t g = profile_put_guest(p, guest, uuid), outer = put_frame(p, VPMU_SIDE_GUEST_USER, "main", dso);
	uint32_t a[] = { put_frame(p, VPMU_SIDE_GUEST_USER, "parse", dso), outer };
	uint32_t b[] = { put_frame(p, VPMU_SIDE_GUEST_USER, "0x4f00", dso), outer };

	put_hit(p, &(struct hit){ g, 0, 0, "CPU 0/KVM", VPMU_SIDE_GUEST_USER, first, 0, a, 2 });
	put_hit(p, &(struct hit){ g, 0, 0, "CPU 0/KVM", VPMU_SIDE_GUEST_USER, second, 0, b, 2 });
	return p;
}

static struct vpmu_profile *side(const char *guest, const char *dso, uint64_t first, uint64_t second)
{
	return side_of(guest, "", dso, first, second);
}

/* Both are freed. */
static struct json_object *compared(struct vpmu_profile *base, struct vpmu_profile *other, bool by_dso)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .by_dso = by_dso);
	int fd = memfd_create("flamegraph", MFD_CLOEXEC);
	struct json_object *graph;
	char path[64], *page;
	size_t n;

	CHECK_EQ(vpmu_flamegraph_diff(base, other, &opts, NULL, fd, NULL), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(io_read_file(AT_FDCWD, path, 1 << 26, &page, &n), 0);
	close(fd);
	graph = graph_of(page);
	free(page);
	vpmu_profile_free(base);
	vpmu_profile_free(other);
	return graph;
}

static void check_paths(struct json_object *graph, const char *const lines[], size_t n)
{
	char *paths = paths_of(graph);

	for (size_t i = 0; i < n; i++)
		CHECK_CONTAINS(paths, lines[i]);
	free(paths);
	json_object_put(graph);
}

TEST(one_guest_is_compared_with_itself)
{
	struct json_object *graph = compared(side("web1", "/bin/a", 900, 100), side("web1", "/bin/b", 500, 500), false);
	struct json_object *bounds = get(graph, "bounds");
	/* Numbers: total and self of the first, then of the second. What has no name is told apart by its file. */
	static const char *const lines[] = {
		"all;web1;main [2] 1000 0 1000 0\n",
		"all;web1;main;parse [2] 900 900 500 500\n",
		"all;web1;main;a+0x4f00 [2] 100 100 0 0\n",
		"all;web1;main;b+0x4f00 [2] 0 0 500 500\n",
	};

	CHECK(json_object_get_double(json_object_array_get_idx(bounds, 0)) < 0); /* all: no change */
	CHECK(json_object_get_double(json_object_array_get_idx(bounds, 1)) > 0);
	check_paths(graph, lines, ARRAY_SIZE(lines));
}

TEST(two_guests_are_compared_by_what_they_run)
{
	static const char *const lines[] = {
		"all;main [2] 1000 0 1000 0\n",
		"all;main;parse [2] 900 900 500 500\n",
		"all;main;a+0x4f00 [2] 100 100 0 0\n",
	};
	static const char *const by_file[] = { "all;main [2] 1000 0 0 0\n", "all;main [2] 0 0 1000 0\n" };

	check_paths(compared(side("web1", "/bin/a", 900, 100), side("web2", "/bin/a", 500, 500), false), lines, ARRAY_SIZE(lines));
	check_paths(compared(side("web1", "/bin/a", 900, 100), side("web2", "/bin/b", 500, 500), true), by_file, ARRAY_SIZE(by_file));
}

TEST(guests_of_one_name_are_told_apart_by_their_uuids)
{
	static const char a[] = "00000000-0000-0000-0000-00000000000a", b[] = "00000000-0000-0000-0000-00000000000b";
	static const char *const one[] = { "all;web;main [2] 1000 0 1000 0\n" };
	static const char *const two[] = { "all;main [2] 1000 0 1000 0\n" };
	static const char *const level[] = { "all;web [0] 1000 0 1000 0\n", "all;web [0] 0 0 1000 0\n" };
	struct vpmu_profile *both = side_of("web", a, "/bin/a", 900, 100);
	uint32_t g = profile_put_guest(both, "web", b), f = put_frame(both, VPMU_SIDE_GUEST_USER, "main", "/bin/a");

	check_paths(compared(side_of("web", a, "/bin/a", 900, 100), side_of("web", a, "/bin/a", 500, 500), false), one, 1);
	check_paths(compared(side_of("web", a, "/bin/a", 900, 100), side_of("web", b, "/bin/a", 500, 500), false), two, 1);
	put_hit(both, &(struct hit){ g, 0, 0, "CPU 0/KVM", VPMU_SIDE_GUEST_USER, 1000, 0, &f, 1 });
	check_paths(compared(side_of("web", a, "/bin/a", 900, 100), both, false), level, ARRAY_SIZE(level));
}

TEST(without_samples_there_is_no_comparison)
{
	VPMU_OPTS(vpmu_diff_opts, opts, .other_event = 3);
	struct vpmu_profile *p = side("web1", "/bin/a", 1, 1), *unresolved = new_profile();
	struct vpmu_error error;

	CHECK_EQ(vpmu_flamegraph_diff(p, p, &opts, NULL, -1, &error), -ENODATA);
	CHECK_CONTAINS(error.text, "no samples in the other profile");
	CHECK_EQ(vpmu_flamegraph_diff(p, unresolved, NULL, NULL, -1, &error), -EINVAL);
	CHECK_EQ(vpmu_flamegraph_diff(p, p, NULL, NULL, -1, &error), -EBADF);
	vpmu_profile_free(p);
	vpmu_profile_free(unresolved);
}

TEST(without_stacks_there_is_nothing_to_draw_of_exits)
{
	VPMU_OPTS(vpmu_exits_opts, opts, .stacks = false);
	struct vpmu_exits *exits;
	struct vpmu_error error;

	for (int i = 0; i < 2; i++, opts.stacks = true) {
		CHECK_EQ(vpmu_exits_new(&opts, &exits, NULL), 0);
		CHECK_EQ(vpmu_flamegraph_exits(exits, NULL, -1, &error), i ? -ENODATA : -EINVAL);
		CHECK_CONTAINS(error.text, i ? "no exits were sampled" : "were not asked for");
		vpmu_exits_free(exits);
	}
}

int main(void)
{
	return test_main();
}
