/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmu list: the guests of this host, and what can be profiled of each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vpmu/vpmu.h>

#include "util/cleanup.h"
#include "util/macro.h"
#include "util/vec.h"
#include "command.h"
#include "json.h"
#include "json_read.h"
#include "output.h"
#include "remote.h"
#include "table.h"
#include "text.h"

DEFINE_CLEANUP(struct vpmu_guests *, vpmu_guests_free)
DEFINE_CLEANUP(struct vpmu_host *, vpmu_host_free)
DEFINE_CLEANUP(struct vpmu_kernel *, vpmu_kernel_free)

struct list_args {
	struct common_args common;
	struct remote_args remote;
};

/* Looking for the guests' kernels must not take longer than one likes to wait for a list. */
#define LOOK_BUDGET_NS 3000000000u

/* A guest as it is printed, whoever found it. Strings belong to the list it is from, or to vpmud's reply. */
struct line {
	const char *name, *uuid, *accel, *state, *kernel, *why; /* the last three: NULL = not known */
	int64_t pid;						/* 0 = it does not run */
	VEC(struct vpmu_vcpu_info) vcpus;
	bool of_guest, of_host;	/* what can be profiled */
	bool remote, libvirt, profiled;
	char *found; /* what kernel or why is, where we looked for it */
};

/* What `vpmu list` prints. */
struct lines {
	VEC(struct line) lines;
	bool has_states; /* somebody told them */
	size_t n_not_looked_at;
};

static void lines_deinit(struct lines *lines)
{
	vec_for_each(line, &lines->lines) {
		vec_free(&line->vcpus);
		free(line->found);
	}
	vec_free(&lines->lines);
}

/*
 * Without a sampling source there is nothing to see. TCG translates the guest's code into QEMU's
 * own: the processor never is in a guest, so all time is the host's.
 */
static void what_can_be_profiled(struct line *line, bool has_source)
{
	line->of_host = has_source && line->pid;
	line->of_guest = line->of_host && !streq(line->accel, "tcg");
}

/* Takes @line. */
static int add_line(struct lines *lines, struct line *line)
{
	lines->has_states |= line->state != NULL;
	if (vec_push(&lines->lines, *line))
		return 0;
	vec_free(&line->vcpus);
	free(line->found);
	return -ENOMEM;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Which Linux runs in the guest, or why that cannot be told. */
static void look_into(const struct vpmu_guest_info *guest, struct line *line)
{
	_cleanup_(vpmu_kernel_freep) struct vpmu_kernel *kernel = NULL;
	struct vpmu_error error = {};

	if (vpmu_kernel_open(guest, NULL, &kernel, &error) == 0)
		line->kernel = line->found = strdup(vpmu_kernel_info(kernel)->release);
	else
		line->why = line->found = strdup(error.text);
}

static int add_local(struct lines *lines, const struct vpmu_guest_info *guest, bool has_source, uint64_t until_ns)
{
	struct line line = { .name = guest->name, .uuid = guest->uuid, .pid = guest->pid,
			     .accel = vpmu_accel_name(guest->accel) };

	if (!vec_reserve(&line.vcpus, guest->n_vcpus))
		return -ENOMEM;
	for (size_t i = 0; i < guest->n_vcpus; i++)
		line.vcpus.items[line.vcpus.n++] = guest->vcpus[i];
	what_can_be_profiled(&line, has_source);
	if (now_ns() < until_ns)
		look_into(guest, &line);
	else
		lines->n_not_looked_at++;
	return add_line(lines, &line);
}

/* A Guest of org.vpmu(7). */
static int add_remote(struct lines *lines, struct json_object *guest, bool has_source)
{
	struct line line = { .name = json_get_string(guest, "name"), .uuid = json_get_string(guest, "uuid"),
			     .pid = json_get_int(guest, "pid", 0), .accel = json_get_string(guest, "accel"),
			     .state = json_get_string_or_null(guest, "state"),
			     .kernel = json_get_string_or_null(guest, "kernel"), .why = json_get_string_or_null(guest, "why"),
			     .remote = true, .libvirt = json_get_bool(guest, "libvirt"),
			     .profiled = json_get_bool(guest, "profiled") };
	size_t n = json_length(guest, "vcpus");

	if (!vec_reserve(&line.vcpus, n))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct json_object *vcpu = json_item(guest, "vcpus", i);

		line.vcpus.items[line.vcpus.n++] = (struct vpmu_vcpu_info){
			.index = (uint32_t)json_get_int(vcpu, "index", 0), .tid = (pid_t)json_get_int(vcpu, "tid", 0) };
	}
	what_can_be_profiled(&line, has_source);
	return add_line(lines, &line);
}

static struct json_object *line_to_json(const struct line *line)
{
	struct json_object *object = json_new_object();
	struct json_object *vcpus = json_new_array(), *profile = json_new_array();

	for (size_t i = 0; i < line->vcpus.n; i++) {
		struct json_object *vcpu = json_new_object();

		json_put_int(vcpu, "index", line->vcpus.items[i].index);
		json_put_int(vcpu, "tid", line->vcpus.items[i].tid);
		json_append(vcpus, vcpu);
	}
	if (line->of_guest)
		json_append_string(profile, "guest");
	if (line->of_host)
		json_append_string(profile, "host");
	json_put_string(object, "name", line->name);
	json_put_string(object, "uuid", line->uuid);
	if (line->pid)
		json_put_int(object, "pid", line->pid);
	else
		json_put_null(object, "pid");
	json_put_string(object, "accel", line->accel);
	json_put_string(object, "state", line->state); /* without libvirt only its monitor could tell a paused guest */
	json_put_string(object, "kernel", line->kernel);
	json_put(object, "vcpus", vcpus);
	json_put(object, "profile", profile);
	json_put_string(object, "why", line->why);
	if (line->remote) {
		json_put_bool(object, "libvirt", line->libvirt);
		json_put_bool(object, "profiled", line->profiled);
	}
	return object;
}

static void print_json(const struct lines *lines)
{
	struct json_list list;

	json_list_begin(&list, NULL, "guests");
	for (size_t i = 0; i < lines->lines.n; i++)
		json_list_item(&list, line_to_json(&lines->lines.items[i]));
	json_list_end(&list);
}

static void add_row(struct table *table, const struct line *line, bool has_states)
{
	table_cell(table, TINT_NONE, line->name);
	table_cell(table, TINT_NONE, line->uuid[0] ? line->uuid : "-");
	if (line->pid)
		table_cellf(table, TINT_NONE, "%lld", (long long)line->pid);
	else
		table_cell(table, TINT_NONE, "-");
	if (has_states)
		table_cell(table, TINT_NONE, line->state ? line->state : "-");
	table_cell_u64(table, TINT_NONE, line->vcpus.n);
	table_cell(table, TINT_NONE, line->accel);
	table_cell(table, TINT_NONE, line->kernel ? line->kernel : "-");
	table_cell(table, TINT_NONE, line->of_guest ? "guest,host" : line->of_host ? "host" : "nothing");
}

static void print_table(const struct lines *lines)
{
	_table_ struct table table = {};
	_strbuf_ struct strbuf out = {};

	table_column(&table, "NAME", TABLE_CUT_TAIL);
	table_column(&table, "UUID", TABLE_LEFT);
	table_column(&table, "PID", TABLE_RIGHT);
	if (lines->has_states)
		table_column(&table, "STATE", TABLE_LEFT);
	table_column(&table, "VCPUS", TABLE_RIGHT);
	table_column(&table, "ACCEL", TABLE_LEFT);
	table_column(&table, "KERNEL", TABLE_LEFT);
	table_column(&table, "PROFILE", TABLE_LEFT);
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			table_print_head(&table, &out);
		for (size_t i = 0; i < lines->lines.n; i++) {
			add_row(&table, &lines->lines.items[i], lines->has_states);
			if (pass)
				table_print_row(&table, &out);
			else
				table_measure_row(&table);
		}
	}
	output_write(&out);
}

/* @doctor: the command that looks at the host from where this one did. */
static void print(const struct lines *lines, bool json, bool has_source, const char *doctor)
{
	if (json)
		print_json(lines);
	else if (lines->lines.n)
		print_table(lines);
	if (lines->lines.n && !has_source)
		say("nothing can be profiled here, '%s' tells why", doctor);
	vec_for_each(line, &lines->lines)
		if (line->why && !json)
			say("%s: %s", line->name, line->why);
}

static enum status list_remote(const struct list_args *args, struct vpmu_client *client)
{
	__attribute__((cleanup(lines_deinit))) struct lines lines = {};
	_reply_ struct json_object *guests = NULL, *host = NULL;
	struct vpmu_error error = {};
	bool has_source;
	int r;

	r = remote_call(client, "ListGuests", NULL, &guests, &error);
	if (r >= 0)
		r = remote_call(client, "Capabilities", NULL, &host, &error);
	if (r < 0)
		return say_error(&error);
	has_source = !streq(json_get_string(host, "source"), "none");
	for (size_t i = 0; r >= 0 && i < json_length(guests, "guests"); i++)
		r = add_remote(&lines, json_item(guests, "guests", i), has_source);
	if (r < 0)
		return say_oom();
	print(&lines, args->common.json, has_source, "vpmu doctor");
	if (!lines.lines.n)
		say("vpmud knows no guests that this user may see");
	return STATUS_DONE;
}

static enum status list_local(const struct list_args *args)
{
	__attribute__((cleanup(lines_deinit))) struct lines lines = {};
	_cleanup_(vpmu_guests_freep) struct vpmu_guests *guests = NULL;
	_cleanup_(vpmu_host_freep) struct vpmu_host *host = NULL;
	struct vpmu_error error = {};
	uint64_t until_ns = now_ns() + LOOK_BUDGET_NS;
	bool has_source;
	int r = 0;

	if (vpmu_guests_new(NULL, &guests, &error) < 0 || vpmu_host_new(NULL, &host, &error) < 0)
		return say_error(&error);
	has_source = vpmu_host_source(host, NULL) != VPMU_SOURCE_NONE;
	for (size_t i = 0; r >= 0 && i < vpmu_guests_count(guests); i++)
		r = add_local(&lines, vpmu_guests_get(guests, i), has_source, until_ns);
	if (r < 0)
		return say_oom();
	print(&lines, args->common.json, has_source, "vpmu doctor --local");
	if (lines.n_not_looked_at)
		say("the kernel%s of %zu guest%s %s not looked for: there are many, and vpmud would know",
		    text_s(lines.n_not_looked_at), lines.n_not_looked_at, text_s(lines.n_not_looked_at),
		    text_were(lines.n_not_looked_at));
	if (!lines.lines.n)
		say("no guests found (is a virtual machine running? if another user runs it, try as root)");
	return STATUS_DONE;
}

static enum status run_list(const void *opaque, const struct name_list *operands)
{
	const struct list_args *args = opaque;
	_cleanup_(vpmu_client_freep) struct vpmu_client *client = NULL;
	enum status status;

	(void)operands;
	status = remote_open(&args->remote, 0, &client);
	if (status != STATUS_DONE)
		return status;
	return client ? list_remote(args, client) : list_local(args);
}

const struct command command_list = {
	.name = "list",
	.summary = "list the guests of this host",
	.groups = (const struct option_group[]){
		{ remote_options, offsetof(struct list_args, remote) },
		{ common_options, 0 },
		{},
	},
	.args_bytes = sizeof(struct list_args),
	.run = run_list,
};
