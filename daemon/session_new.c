/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "session_new.h"
#include "util/error.h"
#include "util/macro.h"

#define NAME_MAX_CHARS	 64
#define GUESTS_MAX	 1000

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = {
		[SESSION_STARTING] = "running",
		[SESSION_RUNNING] = "running",
		[SESSION_DONE] = "done",
		[SESSION_FAILED] = "failed",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "failed";
}

void session_refusal_deinit(struct session_refusal *refusal)
{
	free(refusal->subject);
	session_plan_deinit(&refusal->plan);
	*refusal = (struct session_refusal){};
}

/* ---- life ---- */

struct session *session_ref(struct session *session)
{
	session->refs++;
	return session;
}

struct session *session_unref(struct session *session)
{
	if (!session || --session->refs)
		return NULL;
	runner_free(session->runner);
	vpmu_profile_free(session->total);
	vec_free(&session->looks);
	session_plan_deinit(&session->plan);
	vec_for_each (guest, &session->guests)
		free(*guest);
	vec_free(&session->guests);
	vec_for_each (guest, &session->seen) {
		free(guest->name);
		free(guest->uuid);
	}
	vec_free(&session->seen);
	closep(&session->record_fd);
	free((void *)session->owner.groups);
	free(session->name);
	free(session->events);
	free(session->cmdline);
	free(session->why);
	free(session);
	return NULL;
}

/* ---- parts ---- */

static int bad(struct session_refusal *refusal, const char *parameter, const char *text)
{
	refusal->subject = strdup(parameter);
	return error_set(&refusal->error, -EINVAL, "%s", text);
}

static int take_name(struct session *session, const char *name, bool (*taken)(const void *data, const char *name),
		     const void *data, struct session_refusal *refusal)
{
	static uint64_t last_number;
	char made_up[32];

	for (const char *c = name; c && *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-+@:", *c))
			return bad(refusal, "name", "letters, digits and any of . _ - + @ : make a name");
	if (name && (!*name || strlen(name) > NAME_MAX_CHARS))
		return bad(refusal, "name", "a name has 1 to 64 characters");
	if (name && taken(data, name))
		return error_set(&refusal->error, -EEXIST, "there is a session '%s'", name);
	while (!name || taken(data, name)) {
		snprintf(made_up, sizeof(made_up), "session-%llu", (unsigned long long)++last_number);
		name = made_up;
	}
	session->name = strdup(name);
	return session->name ? 0 : error_oom(&refusal->error);
}

static int take_owner(struct session *session, const struct peer *owner)
{
	gid_t *groups = malloc(MAX(owner->n_groups, 1u) * sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	if (owner->n_groups)
		memcpy(groups, owner->groups, owner->n_groups * sizeof(*groups));
	session->owner = *owner;
	session->owner.groups = groups;
	return 0;
}

static int take_guests(struct session *session, const struct session_wishes *wishes, struct session_refusal *refusal)
{
	if (wishes->n_guests > GUESTS_MAX)
		return bad(refusal, "guests", "no more than 1000 patterns");
	for (size_t i = 0; i < wishes->n_guests; i++) {
		char *guest = strdup(wishes->guests[i]);

		if (!guest || !vec_push(&session->guests, guest)) {
			free(guest);
			return error_oom(&refusal->error);
		}
	}
	return 0;
}

/* How the session is to be opened, but for the events, which are the arbiter's to grant. */
static void settle_options(struct session *session)
{
	session->opts.frequency_hz = session->plan.frequency_hz;
	session_plan_pace(&session->opts, session->whole_process);
	/* A session waits for others, unless it is to end. */
	session->opts.wait_for_guests = !session->ends_with_guests && !session->node_wide;
}

static int plan_events(struct session *session, const struct session_wishes *wishes, struct session_refusal *refusal)
{
	int r;

	session->opts = (struct vpmu_session_opts){
		.sz = sizeof(session->opts),
		.sides = wishes->sides,
		.events = wishes->events,
		.frequency_hz = wishes->frequency_hz,
		.period = wishes->period,
		.host_chains = wishes->chains,
		.guest_chains = wishes->chains,
	};
	r = session_plan_make(&session->opts, &session->plan, &refusal->error);
	session->opts.events = NULL;
	if (r == -EINVAL)
		refusal->subject = strdup(wishes->events ? "events" : wishes->period ? "period" : "frequency_hz");
	if (r < 0)
		return r;
	settle_options(session);
	return 0;
}

static int64_t real_time_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int session_new(const struct session_wishes *wishes, bool (*taken)(const void *data, const char *name), const void *data,
		struct session **ret_session, struct session_refusal *refusal)
{
	_close_ int record_fd = wishes->record_fd;
	_cleanup_(session_unrefp) struct session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return error_oom(&refusal->error);
	session->refs = 1;
	session->is_recording = record_fd >= 0;
	session->ends_with_guests = session->is_recording || wishes->ends_with_guests;
	session->record_fd = take_fd(&record_fd);
	session->connection = wishes->connection;
	session->node_wide = wishes->node_wide;
	session->whole_process = wishes->whole_process;
	session->duration_ns = wishes->duration_ns;
	session->priority = wishes->priority;
	session->started_ms = real_time_ms();
	if (wishes->duration_ns)
		session->end_ns = manager_now_ns() + wishes->duration_ns;
	if (wishes->priority < -100 || wishes->priority > 100)
		return bad(refusal, "priority", "a priority is from -100 to 100");
	r = take_name(session, wishes->name, taken, data, refusal);
	if (r == 0)
		r = take_guests(session, wishes, refusal);
	if (r == 0 && take_owner(session, wishes->owner) < 0)
		r = error_oom(&refusal->error);
	if (r == 0 && wishes->cmdline && !(session->cmdline = strdup(wishes->cmdline)))
		r = error_oom(&refusal->error);
	if (r == 0)
		r = plan_events(session, wishes, refusal);
	if (r < 0)
		return r;
	*ret_session = take_ptr(session);
	return 0;
}

/* ---- what can be asked ---- */

void session_info(const struct session *session, struct session_info *ret_info)
{
	uint64_t now = manager_now_ns();
	bool over = session->state == SESSION_DONE || session->state == SESSION_FAILED;

	*ret_info = (struct session_info){
		.name = session->name,
		.owner_uid = session->owner.uid,
		.owner_pid = session->owner.pid,
		.lasting = session->connection == 0,
		.node_wide = session->node_wide,
		.chains = session->opts.host_chains,
		.is_recording = session->is_recording,
		.guests = (const char *const *)session->guests.items,
		.n_guests = session->guests.n,
		.state = session->state,
		.why = session->why,
		.source = session->plan.source,
		.plan = &session->plan,
		.frequency_hz = session->plan.frequency_hz,
		.period = session->plan.period,
		.sides = session->opts.sides,
		.priority = session->priority,
		.started_ms = session->started_ms,
		.remaining_ms = -1,
		.status = session->status,
	};
	if (session->end_ns)
		ret_info->remaining_ms = !over && session->end_ns > now ? (int64_t)((session->end_ns - now) / 1000000) : 0;
	if (session->runner)
		runner_status(session->runner, &ret_info->status);
}
