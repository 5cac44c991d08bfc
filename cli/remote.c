/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/error.h"
#include "util/macro.h"
#include "json.h"
#include "output.h"
#include "remote.h"

#define WAKE_MS	    100
#define PATIENCE_MS 60000ull /* with a vpmud that has much to do */

const struct option_spec remote_options[] = {
	{ .name = "local", .set = option_flag, .max = 1, .offset = offsetof(struct remote_args, local),
	  .help = "do it without vpmud, even if it runs" },
	{ .name = "socket", .arg = "PATH", .set = option_string, .offset = offsetof(struct remote_args, socket),
	  .alternative = true,
	  .help = "where vpmud listens (default /run/vpmud/org.vpmu, if it is there)" },
	{},
};

void remote_reply_free(struct json_object **reply)
{
	json_object_put(*reply);
}

enum status remote_open(const struct remote_args *args, uint64_t quiet_ms, struct vpmu_client **ret_client)
{
	VPMU_OPTS(vpmu_client_opts, opts, .socket = args->socket, .wake_ms = WAKE_MS,
		  .timeout_ms = (uint32_t)MIN(PATIENCE_MS + quiet_ms, (uint64_t)INT32_MAX));
	const char *named = args->socket ? args->socket : getenv("VPMU_SOCKET");
	struct vpmu_error error = {};
	int r;

	*ret_client = NULL;
	if (args->local && args->socket)
		return say_usage("--local and --socket exclude each other");
	if (args->local)
		return STATUS_DONE;
	r = vpmu_client_new(&opts, ret_client, &error);
	if (r >= 0)
		return STATUS_DONE;
	if (named && *named)
		return say_error(&error);
	if (r == -EACCES)
		say("vpmud is not for this user (%s); going on without it", error.hint);
	else if (r != -ENOENT)
		say("%s; going on without vpmud", error.text);
	return STATUS_DONE;
}

/* What to try is told by vpmud in terms of its methods, by us in terms of commands. */
static int with_hint(struct vpmu_client *client, int code, struct vpmu_error *reterr)
{
	char hint[128];

	if (!reterr || code >= 0)
		return code;
	snprintf(hint, sizeof(hint), "%.127s", reterr->hint);
	if (code == -EACCES)
		error_hint(reterr, "%s%sroot can do it without vpmud: --local", hint, hint[0] ? "; " : "");
	if (streq(vpmu_client_error(client), "org.vpmu.GuestNotFound"))
		error_hint(reterr, "'vpmu list' tells which there are");
	if (code == -ECONNRESET)
		error_hint(reterr, "'journalctl -u vpmud' may tell why; stat, time, exits, top and record can do without it: --local");
	if (code == -ENOSYS)
		error_hint(reterr, "it is older than this command: --local does without it");
	return code;
}

static const char *text_of(struct json_object *parameters)
{
	return json_object_to_json_string_ext(parameters, JSON_C_TO_STRING_PLAIN);
}

static int parse(const char *text, struct json_object **ret_reply, struct vpmu_error *reterr)
{
	*ret_reply = json_tokener_parse(text);
	return *ret_reply ? 0 : error_oom(reterr);
}

int remote_call(struct vpmu_client *client, const char *method, struct json_object *parameters,
		struct json_object **ret_reply, struct vpmu_error *reterr)
{
	_reply_ struct json_object *taken = parameters ? parameters : json_new_object();
	_free_ char *text = NULL;
	int r;

	r = vpmu_client_call(client, method, text_of(taken), &text, reterr);
	return r < 0 ? with_hint(client, r, reterr) : parse(text, ret_reply, reterr);
}

struct listener {
	remote_fn fn;
	void *data;
};

static int listen_to(const char *text, int fd, void *data)
{
	_reply_ struct json_object *reply = NULL;
	_close_ int open = fd;
	struct listener *listener = data;

	if (text && parse(text, &reply, NULL) < 0)
		return -ENOMEM;
	return listener->fn(reply, take_fd(&open), listener->data);
}

int remote_stream(struct vpmu_client *client, const char *method, struct json_object *parameters, remote_fn fn,
		  void *data, struct vpmu_error *reterr)
{
	_reply_ struct json_object *taken = parameters;
	struct listener listener = { fn, data };

	return with_hint(client, vpmu_client_more(client, method, text_of(taken), listen_to, &listener, reterr), reterr);
}

struct fetched {
	struct json_object *reply;
	int fd;
};

static int keep(struct json_object *reply, int fd, void *data)
{
	_close_ int open = fd;
	struct fetched *fetched = data;

	if (!reply)
		return 0;
	remote_reply_free(&fetched->reply);
	fetched->reply = json_object_get(reply);
	if (open >= 0) {
		closep(&fetched->fd);
		fetched->fd = take_fd(&open);
	}
	return 0;
}

int remote_fetch(struct vpmu_client *client, const char *method, struct json_object *parameters,
		 struct json_object **ret_reply, int *ret_fd, struct vpmu_error *reterr)
{
	struct fetched fetched = { .fd = -1 };
	int r = remote_stream(client, method, parameters, keep, &fetched, reterr);

	if (r >= 0 && fetched.fd < 0)
		r = error_set(reterr, -EPROTO, "vpmud answered %s without a file", method);
	if (r < 0) {
		remote_reply_free(&fetched.reply);
		closep(&fetched.fd);
		return r;
	}
	*ret_reply = fetched.reply;
	*ret_fd = fetched.fd;
	return 0;
}

struct json_object *remote_names(const struct name_list *names)
{
	struct json_object *array = json_new_array();

	for (size_t i = 0; i < names->n; i++)
		json_append_string(array, names->items[i]);
	return array;
}

const char *remote_side(unsigned int sides)
{
	if (sides == VPMU_SIDES_GUEST)
		return "guest";
	return sides == VPMU_SIDES_HOST ? "host" : "both";
}
