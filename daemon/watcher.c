/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "libvirt_follow.h"
#include "say.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/macro.h"
#include "watcher.h"

#define STOP_WAIT_S 1

/* What thread and loop share. It outlives the watcher if the thread is stuck in libvirt, or its last words still wait. */
struct link {
	atomic_int n_refs;
	struct watcher *watcher; /* the loop's; NULL once the watcher is gone or has another link */
	struct jobs *jobs;
	pthread_mutex_t lock;
	bool closed; /* under the lock: nobody listens, and jobs may be gone */
	char *uri;
	int stop_fd;
	pthread_t thread;
	struct link *older; /* in the watcher's list of those that end */
};

struct watcher {
	struct jobs *jobs;
	struct domains *domains;
	struct link *link; /* NULL: do without libvirt */
	struct link *retired; /* their threads end, or hang */
	struct link *next; /* of a configuration that is not in force yet; nobody listens to it */
	enum watcher_state state;
	char *why;
};

/* Something that libvirt said, on its way to the loop. */
struct word {
	struct link *link;
	enum libvirt_word word;
	pid_t pid;
	char *name, *uuid, *state, *text;
};

static struct link *link_unref(struct link *link)
{
	if (link && atomic_fetch_sub(&link->n_refs, 1) == 1) {
		closep(&link->stop_fd);
		pthread_mutex_destroy(&link->lock);
		free(link->uri);
		free(link);
	}
	return NULL;
}
DEFINE_CLEANUP(struct link *, link_unref)

static struct word *word_free(struct word *word)
{
	if (word) {
		link_unref(word->link);
		free(word->name);
		free(word->uuid);
		free(word->state);
		free(word->text);
		free(word);
	}
	return NULL;
}
DEFINE_CLEANUP(struct word *, word_free)

/* ---- in the loop ---- */

/* Once for each cause, not for each attempt. */
static void went_down(struct watcher *watcher, const char *why)
{
	char *copy;

	watcher->state = WATCHER_CONNECTING;
	if (watcher->why && streq(watcher->why, why))
		return;
	say_warning("%s; following guests by /proc alone until it is there", why);
	copy = strdup(why);
	if (!copy)
		return;
	free(watcher->why);
	watcher->why = copy;
}

static void is_up(struct watcher *watcher)
{
	say_info("libvirt at %s is followed", watcher->link->uri);
	watcher->state = WATCHER_CONNECTED;
	free(watcher->why);
	watcher->why = NULL;
}

static void hear(struct watcher *watcher, const struct word *word)
{
	const struct libvirt_domain domain = { word->name, word->uuid, word->state, word->pid };

	switch (word->word) {
	case LIBVIRT_CONNECTED:
		is_up(watcher);
		domains_libvirt_begin(watcher->domains);
		break;
	case LIBVIRT_LISTED:
		domains_libvirt_end(watcher->domains);
		break;
	case LIBVIRT_HAS:
		if (domains_libvirt_has(watcher->domains, &domain) < 0)
			say_warning("no memory left for what libvirt says of '%s', ignoring it", word->name);
		break;
	case LIBVIRT_LOST:
		domains_libvirt_lost(watcher->domains, word->uuid);
		break;
	case LIBVIRT_REBOOTED:
		domains_libvirt_rebooted(watcher->domains, word->uuid);
		break;
	case LIBVIRT_DOWN:
		went_down(watcher, word->text);
		break;
	}
}

static void hear_word(void *data)
{
	_cleanup_(word_freep) struct word *word = data;

	if (word->link->watcher)
		hear(word->link->watcher, word);
}

/* ---- in the thread ---- */

static int copy_text(char **ret_copy, const char *text)
{
	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static int pass_on(enum libvirt_word what, const struct libvirt_domain *domain, const char *text, void *data)
{
	_cleanup_(word_freep) struct word *word = calloc(1, sizeof(*word));
	struct link *link = data;
	int r;

	if (!word)
		return -ENOMEM;
	word->word = what;
	word->pid = domain ? domain->pid : 0;
	if (copy_text(&word->text, text) < 0 ||
	    (domain && (copy_text(&word->name, domain->name) < 0 || copy_text(&word->uuid, domain->uuid) < 0 ||
			copy_text(&word->state, domain->state) < 0)))
		return -ENOMEM;
	word->link = link;
	atomic_fetch_add(&link->n_refs, 1);
	pthread_mutex_lock(&link->lock);
	r = link->closed ? -ECANCELED : jobs_post(link->jobs, hear_word, word);
	pthread_mutex_unlock(&link->lock);
	if (r == 0)
		word = NULL; /* now the loop's */
	return r;
}

static void *follow(void *data)
{
	struct link *link = data;

	libvirt_follow(link->uri, link->stop_fd, pass_on, link);
	link_unref(link);
	return NULL;
}

/* ---- start and stop ---- */

static int start_thread(struct link *link)
{
	sigset_t all, before;
	int r;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&link->n_refs, 1);
	r = -pthread_create(&link->thread, NULL, follow, link);
	if (r < 0)
		atomic_fetch_sub(&link->n_refs, 1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* *ret_link is NULL if there is to be no libvirt. */
static int link_new(struct jobs *jobs, const char *uri, struct link **ret_link, struct vpmu_error *reterr)
{
	_cleanup_(link_unrefp) struct link *link = NULL;
	int r;

	*ret_link = NULL;
	if (streq(uri, "none"))
		return 0;
	link = calloc(1, sizeof(*link));
	if (!link)
		return error_oom(reterr);
	atomic_init(&link->n_refs, 1);
	pthread_mutex_init(&link->lock, NULL);
	link->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (link->stop_fd < 0)
		return error_errno(reterr, -errno, "open", "eventfd");
	link->uri = strdup(uri);
	if (!link->uri)
		return error_oom(reterr);
	link->jobs = jobs;
	r = start_thread(link);
	if (r < 0)
		return error_errno(reterr, r, "start", "the thread that follows libvirt");
	*ret_link = take_ptr(link);
	return 0;
}

/* What it says comes by the loop, so it said nothing yet. */
static void listen_to(struct watcher *watcher, struct link *link)
{
	watcher->link = link;
	watcher->state = link ? WATCHER_CONNECTING : WATCHER_OFF;
	free(watcher->why);
	watcher->why = NULL;
	if (link)
		link->watcher = watcher;
}

/* Nobody listens to it any more. Its thread ends when libvirt answers. */
static void retire(struct watcher *watcher, struct link *link)
{
	uint64_t one = 1;

	if (!link)
		return;
	link->watcher = NULL;
	(void)!write(link->stop_fd, &one, sizeof(one));
	link->older = watcher->retired;
	watcher->retired = link;
}

/* Forgets the threads that have ended; @until: lets go of those that have not by then. */
static void sweep(struct watcher *watcher, const struct timespec *until)
{
	struct link **at = &watcher->retired;

	while (*at) {
		struct link *link = *at;
		bool ended = (until ? pthread_timedjoin_np(link->thread, NULL, until) :
				      pthread_tryjoin_np(link->thread, NULL)) == 0;

		if (!ended && !until) {
			at = &link->older;
			continue;
		}
		if (!ended) {
			pthread_mutex_lock(&link->lock);
			link->closed = true;
			pthread_mutex_unlock(&link->lock);
			pthread_detach(link->thread);
		}
		*at = link->older;
		link_unref(link);
	}
}

int watcher_new(struct jobs *jobs, struct domains *domains, const struct config *config, struct watcher **ret_watcher,
		struct vpmu_error *reterr)
{
	_cleanup_(watcher_freep) struct watcher *watcher = calloc(1, sizeof(*watcher));
	struct link *link;
	int r;

	if (!watcher)
		return error_oom(reterr);
	watcher->jobs = jobs;
	watcher->domains = domains;
	r = link_new(jobs, config->libvirt, &link, reterr);
	if (r < 0)
		return r;
	listen_to(watcher, link);
	*ret_watcher = take_ptr(watcher);
	return 0;
}

struct watcher *watcher_free(struct watcher *watcher)
{
	struct timespec until;

	if (!watcher)
		return NULL;
	retire(watcher, watcher->next);
	retire(watcher, watcher->link);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	sweep(watcher, &until);
	free(watcher->why);
	free(watcher);
	return NULL;
}

static bool is_followed(const struct watcher *watcher, const char *uri)
{
	return streq(uri, watcher->link ? watcher->link->uri : "none");
}

int watcher_prepare(struct watcher *watcher, const struct config *config, struct vpmu_error *reterr)
{
	retire(watcher, take_ptr(watcher->next));
	sweep(watcher, NULL);
	return is_followed(watcher, config->libvirt) ? 0 : link_new(watcher->jobs, config->libvirt, &watcher->next, reterr);
}

void watcher_reload(struct watcher *watcher, const struct config *config)
{
	if (is_followed(watcher, config->libvirt)) {
		retire(watcher, take_ptr(watcher->next));
		return;
	}
	retire(watcher, take_ptr(watcher->link));
	/* What the other libvirt said no longer holds. */
	domains_libvirt_begin(watcher->domains);
	domains_libvirt_end(watcher->domains);
	listen_to(watcher, take_ptr(watcher->next));
}

enum watcher_state watcher_state(const struct watcher *watcher, const char **ret_why)
{
	*ret_why = watcher->why;
	return watcher->state;
}
