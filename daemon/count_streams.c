/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access.h"
#include "client/json.h"
#include "count_streams.h"
#include "domains.h"
#include "readings.h"
#include "stream_reply.h"
#include "userdb.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

/* A client with so much to read gets no more for now. */
#define QUEUED_MAX (1u << 20)
/*
 * Streams of Exits and Time, of all users together: each is a program that every exit on the node runs, whoever the guest
 * belongs to. Equal ones of one user are one.
 */
#define ACCOUNTS_MAX 16
/* 0 would be sd-event's own, a quarter of a second. */
#define ACCURACY_US 1000

struct subscriber {
	struct call *call;
	uint64_t since_ns;
	uint64_t left; /* replies that it still gets */
};

struct stream {
	struct count_streams *streams; /* NULL = only the job has it any more */
	struct peer peer; /* whose eyes it looks with; its groups are a copy */
	VEC(char *) patterns;
	char *events; /* NULL = the usual ones */
	uint32_t interval_ms;
	int64_t started_ms; /* Unix time */
	bool shared, opened;
	struct count_grants grants;
	struct gauge *gauge; /* the readings' */
	struct readings *readings;
	sd_event_source *timer;
	VEC(struct subscriber *) subscribers;
	struct stream_reply reply; /* the job's */
};

struct count_streams {
	struct manager *manager;
	VEC(struct stream *) streams;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- life of a stream ---- */

static void stream_destroy(void *data)
{
	struct stream *stream = data;

	vec_for_each(pattern, &stream->patterns)
		free(*pattern);
	vec_free(&stream->patterns);
	vec_free(&stream->subscribers);
	count_grants_give_back(&stream->grants);
	stream_reply_deinit(&stream->reply);
	free((gid_t *)stream->peer.groups);
	free(stream->events);
	free(stream);
}

static void stream_end(struct stream *stream)
{
	struct count_streams *streams = stream->streams;
	size_t kept = 0;

	for (size_t i = 0; i < streams->streams.n; i++)
		if (streams->streams.items[i] != stream)
			streams->streams.items[kept++] = streams->streams.items[i];
	streams->streams.n = kept;
	stream->streams = NULL;
	stream->timer = sd_event_source_disable_unref(stream->timer);
	count_grants_give_back(&stream->grants);
	readings_free(stream->readings); /* which lets go of the stream */
}

static void drop_subscriber(struct stream *stream, size_t i)
{
	struct subscriber *subscriber = stream->subscribers.items[i];

	call_on_gone(subscriber->call, NULL, NULL);
	call_unref(subscriber->call);
	free(subscriber);
	stream->subscribers.items[i] = stream->subscribers.items[--stream->subscribers.n];
}

static void on_client_gone(struct call *call, void *data)
{
	struct stream *stream = data;

	for (size_t i = 0; i < stream->subscribers.n; i++)
		if (stream->subscribers.items[i]->call == call) {
			drop_subscriber(stream, i);
			break;
		}
	if (!stream->subscribers.n)
		stream_end(stream);
}

/* ---- intervals ---- */

static bool wants(const struct domain *domain, void *data)
{
	struct stream *stream = data;

	if (!access_may_see(stream->streams->manager->access, &stream->peer, domain->name, domain->uuid))
		return false;
	if (stream->reply.what == STREAM_EXITS && domain->guest.accel == VPMU_ACCEL_TCG)
		return false; /* it has none */
	vec_for_each(pattern, &stream->patterns)
		if (domain_matches(domain, *pattern))
			return true;
	return !stream->patterns.n;
}

static void on_read(const struct reading *reading, void *data)
{
	struct stream *stream = data;

	stream_reply_add(&stream->reply, reading);
}

/* Tells one subscriber. Returns whether that was the last it wanted. */
static bool tell(struct subscriber *subscriber, bool last, uint64_t start_ns, struct json_object *interval)
{
	if (!last && subscriber->since_ns > start_ns)
		return false;
	if (!last && call_queued_bytes(subscriber->call) > QUEUED_MAX)
		return false;
	if (last || subscriber->left == 1) {
		(void)call_reply(subscriber->call, json_object_get(interval));
		return true;
	}
	subscriber->left--;
	return call_reply_more(subscriber->call, json_object_get(interval)) < 0;
}

static void fail(struct stream *stream, const struct vpmu_error *error)
{
	while (stream->subscribers.n) {
		(void)call_fail_with(stream->subscribers.items[0]->call, error, "events");
		drop_subscriber(stream, 0);
	}
	stream_end(stream);
}

/* Nobody could be counted on at all: then the reason is the answer. */
static void on_opened(void *data)
{
	struct stream *stream = data;
	struct vpmu_error error = {};

	/* Now the first interval begins. */
	if (!stream->opened) {
		stream->opened = true;
		(void)sd_event_source_set_time_relative(stream->timer, stream->interval_ms * UINT64_C(1000));
		(void)sd_event_source_set_enabled(stream->timer, SD_EVENT_ONESHOT);
	}
	readings_error(stream->readings, &error);
	if (error.code < 0 && error.code != -ESRCH && !readings_counted(stream->readings))
		fail(stream, &error);
}

static void on_done(uint64_t start_ns, uint64_t end_ns, void *data)
{
	struct stream *stream = data;
	struct json_object *interval =
		stream_reply_take(&stream->reply, stream->streams->manager, &stream->peer, start_ns, end_ns);
	bool last = readings_guests(stream->readings) == 0;

	for (size_t i = stream->subscribers.n; i-- > 0;)
		if (tell(stream->subscribers.items[i], last, start_ns, interval))
			drop_subscriber(stream, i);
	json_object_put(interval);
	if (!stream->subscribers.n)
		stream_end(stream);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct stream *stream = data;
	uint64_t interval_us = stream->interval_ms * UINT64_C(1000), now_us = now_ns() / 1000;

	/* The pool is full: this interval becomes part of the next. */
	(void)readings_read(stream->readings);
	/* So do those that the loop was too late for. */
	do
		usec += interval_us;
	while (usec <= now_us);
	(void)sd_event_source_set_time(source, usec);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_guest_gone(uint64_t domain, void *data)
{
	struct stream *stream = data;

	(void)domain;
	/* Nothing comes any more: who waits need not wait for the interval to end. */
	if (readings_guests(stream->readings) == 0)
		(void)readings_read(stream->readings);
}

/* ---- beginning ---- */

static int copy_peer(struct peer *copy, const struct peer *peer)
{
	gid_t *groups = calloc(peer->n_groups + 1, sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	if (peer->n_groups)
		memcpy(groups, peer->groups, peer->n_groups * sizeof(*groups));
	*copy = *peer;
	copy->groups = groups;
	return 0;
}

static bool same_peer(const struct peer *a, const struct peer *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->n_groups == b->n_groups &&
	       (!a->n_groups || memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0);
}

static int copy_request(struct stream *stream, const struct count_request *request)
{
	stream->interval_ms = request->interval_ms;
	stream->reply.what = request->what;
	stream->reply.keys = request->keys;
	if (request->events && !(stream->events = strdup(request->events)))
		return -ENOMEM;
	for (size_t i = 0; i < request->n_guests; i++) {
		char *pattern = strdup(request->guests[i]);

		if (!pattern || !vec_push(&stream->patterns, pattern)) {
			free(pattern);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Counters may cost others theirs: the arbiter is asked. */
static int gauge_for(struct stream *stream, struct arbiter *arbiter, struct gauge **ret_gauge)
{
	int r;

	if (stream->reply.what == STREAM_EXITS)
		return gauge_exits_new(stream->reply.keys, NULL, ret_gauge);
	if (stream->reply.what == STREAM_TIME)
		return gauge_clock_new(NULL, ret_gauge);
	r = count_grants_ask(arbiter, stream->events, ARBITER_PRIORITY_COUNTERS, &stream->grants);
	if (r >= 0)
		r = gauge_counters_new(stream->events, NULL, &stream->grants, ret_gauge);
	if (r >= 0)
		stream->gauge = *ret_gauge;
	return r;
}

static int stream_new(struct count_streams *streams, const struct peer *peer, const struct count_request *request,
		      struct stream **ret_stream)
{
	struct manager *manager = streams->manager;
	struct stream *stream = calloc(1, sizeof(*stream));
	struct readings_opts opts = {
		.jobs = manager->jobs,
		.domains = manager->domains,
		.wants = wants,
		.read = on_read,
		.done = on_done,
		.opened = on_opened,
		.gone = on_guest_gone,
		.release = stream_destroy,
		.data = stream,
	};
	int r;

	if (!stream)
		return -ENOMEM;
	stream->streams = streams;
	stream->started_ms = (int64_t)time(NULL) * 1000;
	r = copy_peer(&stream->peer, peer);
	if (r >= 0)
		r = copy_request(stream, request);
	if (r >= 0)
		r = gauge_for(stream, manager->arbiter, &opts.gauge);
	if (r >= 0)
		r = readings_new(&opts, &stream->readings);
	if (r < 0) {
		stream_destroy(stream);
		return r;
	}
	if (!vec_push(&streams->streams, stream))
		r = -ENOMEM;
	if (r >= 0)
		r = sd_event_add_time_relative(manager->loop, &stream->timer, CLOCK_MONOTONIC,
					       stream->interval_ms * UINT64_C(1000), ACCURACY_US, on_timer, stream);
	/* Not before the guests are open; that there is one was seen, but it may be gone by now. */
	if (r >= 0 && readings_guests(stream->readings))
		r = sd_event_source_set_enabled(stream->timer, SD_EVENT_OFF);
	if (r < 0) {
		stream_end(stream);
		return r;
	}
	*ret_stream = stream;
	return 0;
}

static bool same(const struct stream *stream, const struct peer *peer, const struct count_request *request)
{
	if (!stream->shared || !same_peer(&stream->peer, peer) || stream->interval_ms != request->interval_ms ||
	    stream->reply.what != request->what || stream->reply.keys != request->keys ||
	    stream->patterns.n != request->n_guests || !stream->events != !request->events ||
	    (stream->events && !streq(stream->events, request->events)))
		return false;
	for (size_t i = 0; i < request->n_guests; i++)
		if (!streq(stream->patterns.items[i], request->guests[i]))
			return false;
	return true;
}

static bool may_account(const struct count_streams *streams)
{
	size_t n = 0;

	vec_for_each (stream, &streams->streams)
		n += (*stream)->reply.what != STREAM_COUNTERS;
	return n < ACCOUNTS_MAX;
}

/* -EDQUOT: there are too many. */
static int find_stream(struct count_streams *streams, struct call *call, const struct count_request *request,
		       struct stream **ret_stream)
{
	int r;

	/* Who wants one interval wants it now. */
	if (request->intervals != 1)
		vec_for_each(stream, &streams->streams)
			if (same(*stream, call_peer(call), request)) {
				*ret_stream = *stream;
				return 0;
			}
	if (request->what != STREAM_COUNTERS && !may_account(streams))
		return -EDQUOT;
	r = stream_new(streams, call_peer(call), request, ret_stream);
	if (r >= 0)
		(*ret_stream)->shared = request->intervals != 1;
	return r;
}

static int refuse(struct call *call)
{
	struct json_object *parameters = json_new_object();

	json_put_string(parameters, "what", "accounts of exits and time");
	json_put_int(parameters, "limit", ACCOUNTS_MAX);
	return call_fail(call, "LimitReached", parameters);
}

int count_streams_add(struct count_streams *streams, struct call *call, const struct count_request *request)
{
	struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
	struct stream *stream;
	int r;

	if (!subscriber)
		return -ENOMEM;
	r = find_stream(streams, call, request, &stream);
	if (r < 0) {
		free(subscriber);
		return r == -EDQUOT ? refuse(call) : r;
	}
	*subscriber = (struct subscriber){ .left = request->intervals };
	/* The first of a stream is there from its beginning. */
	if (stream->subscribers.n)
		subscriber->since_ns = now_ns();
	if (!vec_push(&stream->subscribers, subscriber)) {
		free(subscriber);
		if (!stream->subscribers.n)
			stream_end(stream);
		return -ENOMEM;
	}
	subscriber->call = call_ref(call);
	call_on_gone(call, on_client_gone, stream);
	return 0;
}

/* Its user may not even look any more. */
static void deny(struct stream *stream)
{
	struct vpmu_error error;
	char user[64];

	user_describe(stream->peer.uid, user, sizeof(user));
	error_set(&error, -EPERM, "user %s may not ask vpmud any more", user);
	error_hint(&error, "vpmud.conf says who may: 'readers' in [access]");
	fail(stream, &error);
}

void count_streams_reload(struct count_streams *streams)
{
	for (size_t i = streams->streams.n; i-- > 0;) {
		struct stream *stream = streams->streams.items[i];

		/* Those that have no guest left are told so when they are read, which is later. */
		if (access_may(streams->manager->access, &stream->peer, RIGHT_READ))
			readings_reconsider(stream->readings);
		else
			deny(stream);
	}
}

void count_streams_grant_changed(struct count_streams *streams, uint64_t request, size_t event, const struct grant *grant)
{
	if (!streams)
		return;
	vec_for_each (stream, &streams->streams) {
		if (!count_grants_changed(&(*stream)->grants, request, event, grant))
			continue;
		gauge_counters_regrant((*stream)->gauge, &(*stream)->grants);
		(void)readings_read_again((*stream)->readings); /* if the pool is full, with the next interval's */
	}
}

/* ---- telling of them ---- */

static bool may_see(const struct stream *stream, const struct peer *peer)
{
	const struct access *access = stream->streams->manager->access;

	return stream->peer.uid == peer->uid || (access_may(access, peer, RIGHT_OPERATE) && access_sees_all(access, peer));
}

static struct json_object *keys_json(unsigned int keys)
{
	struct json_object *list = json_new_array();

	for (unsigned int key = 0; key < VPMU_EXIT_KEY_COUNT; key++)
		if (keys >> key & 1)
			json_append_string(list, key == VPMU_EXIT_ADDRESS ? "symbol" : vpmu_exit_key_name((enum vpmu_exit_key)key));
	return list;
}

static struct json_object *stream_json(struct stream *stream, const struct peer *peer)
{
	static const char *const kinds[] = {
		[STREAM_COUNTERS] = "counters", [STREAM_EXITS] = "exits", [STREAM_TIME] = "time",
	};
	struct json_object *object = json_new_object(), *guests = json_new_array(), *active = json_new_array();
	struct manager *manager = stream->streams->manager;
	const struct domain *domain;

	vec_for_each (pattern, &stream->patterns)
		json_append_string(guests, *pattern);
	for (size_t i = 0; (domain = domains_get(manager->domains, i)); i++)
		if (domain->running && wants(domain, stream) &&
		    access_may_see(manager->access, peer, domain->name, domain->uuid))
			json_append_string(active, domain->name);
	json_put_string(object, "kind", kinds[stream->reply.what]);
	json_put_int(object, "owner_uid", stream->peer.uid);
	json_put_int(object, "calls", (int64_t)stream->subscribers.n);
	json_put(object, "guests", guests);
	json_put(object, "active_guests", active);
	if (stream->events)
		json_put_string(object, "events", stream->events);
	if (stream->reply.what == STREAM_EXITS)
		json_put(object, "by", keys_json(stream->reply.keys));
	json_put_int(object, "interval_ms", stream->interval_ms);
	json_put_int(object, "started_ms", stream->started_ms);
	return object;
}

struct json_object *count_streams_json(const struct count_streams *streams, const struct peer *peer)
{
	struct json_object *list = json_new_array();

	vec_for_each (stream, &streams->streams)
		if (may_see(*stream, peer))
			json_append(list, stream_json(*stream, peer));
	return list;
}

int count_streams_new(struct manager *manager, struct count_streams **ret_streams, struct vpmu_error *reterr)
{
	struct count_streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return error_oom(reterr);
	streams->manager = manager;
	*ret_streams = streams;
	return 0;
}

struct count_streams *count_streams_free(struct count_streams *streams)
{
	if (!streams)
		return NULL;
	while (streams->streams.n) {
		struct stream *stream = streams->streams.items[0];

		while (stream->subscribers.n)
			drop_subscriber(stream, 0);
		stream_end(stream);
	}
	vec_free(&streams->streams);
	free(streams);
	return NULL;
}
