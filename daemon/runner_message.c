/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <time.h>

#include "runner_private.h"
#include "util/macro.h"

static void message_free(struct runner_message *message)
{
	vpmu_profile_free(message->profile);
	runner_unref(message->runner);
	free(message);
}

static void deliver(void *data)
{
	struct runner_message *message = data;
	struct runner *runner = message->runner;
	const struct vpmu_error *error = message->error.code ? &message->error : NULL;

	if (!runner->freed) {
		switch (message->what) {
		case MESSAGE_STARTED:
			runner->events.started(runner, error, runner->data);
			break;
		case MESSAGE_REFUSED:
			if (runner->events.refused)
				runner->events.refused(runner, message->pid, error, runner->data);
			break;
		case MESSAGE_FULL:
			if (runner->events.full)
				runner->events.full(runner, runner->data);
			break;
		case MESSAGE_ENDED:
			runner->events.ended(runner, error, runner->data);
			break;
		case MESSAGE_CUT:
			message->fn(take_ptr(message->profile), error, message->data);
			break;
		}
	}
	message_free(message);
}

/* Whoever waits for a message would wait for ever without it, so the thread waits for memory if there is none. */
void runner_post(struct runner *runner, const struct runner_message *content)
{
	struct runner_message *message;

	while (!(message = malloc(sizeof(*message))) && !runner->dropped)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	if (!message) {
		vpmu_profile_free(content->profile);
		return;
	}
	*message = *content;
	message->runner = runner;
	atomic_fetch_add(&runner->refs, 1);
	while (jobs_post(runner->jobs, deliver, message) < 0) {
		if (runner->dropped) {
			message_free(message);
			return;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}
