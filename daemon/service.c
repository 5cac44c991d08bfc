/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "service.h"
#include "usage.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"
#include "watcher.h"

/* The line need not be newer than a person's look at it. */
#define STATUS_EVERY_US 5000000

struct service {
	struct manager *manager;
	sd_event_source *timer;
	char *said; /* last; NULL = nothing yet */
};

static void add_number(struct strbuf *out, uint64_t n, const char *one, const char *many)
{
	strbuf_addf(out, "%s%" PRIu64 " %s", out->n ? ", " : "", n, n == 1 ? one : many);
}

void service_status(const struct manager *manager, struct strbuf *out)
{
	const char *why = NULL;
	struct usage usage;

	usage_collect(manager, &usage);
	add_number(out, usage.guests, "guest", "guests");
	add_number(out, usage.vcpus, "vCPU", "vCPUs");
	add_number(out, usage.connections, "client", "clients");
	add_number(out, usage.sessions, "session", "sessions");
	if (watcher_state(manager->watcher, &why) == WATCHER_CONNECTING)
		strbuf_addf(out, "; without libvirt%s%s", why ? ": " : "", why ? why : "");
	if (usage.has_store && usage.store_errors)
		strbuf_addf(out, "; %" PRIu64 " failures of the store", usage.store_errors);
	if (usage.metrics_errors)
		strbuf_addf(out, "; the metrics' file could not be written %" PRIu64 " times", usage.metrics_errors);
}

static void tell_status(struct service *service)
{
	_strbuf_ struct strbuf status = {};

	service_status(service->manager, &status);
	if (status.failed || (service->said && streq(service->said, status.text)))
		return;
	sd_notifyf(0, "STATUS=%s", status.text);
	free(service->said);
	service->said = strbuf_take(&status);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	(void)usec;
	tell_status(data);
	sd_event_source_set_time_relative(source, STATUS_EVERY_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int service_new(struct manager *manager, struct service **ret_service, struct vpmu_error *reterr)
{
	_cleanup_(service_freep) struct service *service = calloc(1, sizeof(*service));
	int r;

	if (!service)
		return error_oom(reterr);
	service->manager = manager;
	r = sd_event_set_watchdog(manager->loop, true);
	/* Nobody would read the line. */
	if (r >= 0 && getenv("NOTIFY_SOCKET"))
		r = sd_event_add_time_relative(manager->loop, &service->timer, CLOCK_MONOTONIC, STATUS_EVERY_US, 0, on_timer,
					       service);
	if (r < 0)
		return error_errno(reterr, r, "add", "a timer");
	*ret_service = take_ptr(service);
	return 0;
}

struct service *service_free(struct service *service)
{
	if (!service)
		return NULL;
	sd_event_source_disable_unref(service->timer);
	free(service->said);
	free(service);
	return NULL;
}

void service_ready(struct service *service)
{
	sd_notify(0, "READY=1");
	if (service->timer)
		tell_status(service);
}

void service_reloading(void)
{
	/* Since Linux has several clocks systemd wants to know when this was. */
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, manager_now_ns() / 1000);
}

void service_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=");
}
