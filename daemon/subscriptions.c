/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "guest_select.h"
#include "subscriptions.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

/* With so much waiting for a client it is told nothing more until it has read, which is looked at so often. */
#define QUEUED_BYTES_MAX (256 << 10)
#define SLOW_READER_US	 200000

struct subscription {
	struct subscriptions *all;
	struct call *call;
	const char **patterns;
	size_t n_patterns;
	bool settled;
	VEC(struct guest_view *) told; /* by id */
};

struct subscriptions {
	struct domains *domains;
	struct guest_views *views;
	struct access *access;
	int listener;
	sd_event_source *soon;	/* something changed */
	sd_event_source *later; /* somebody reads slowly */
	VEC(struct subscription *) list;
};

static struct subscription *subscription_free(struct subscription *subscription)
{
	if (!subscription)
		return NULL;
	vec_for_each(view, &subscription->told)
		guest_view_unref(*view);
	vec_free(&subscription->told);
	call_unref(subscription->call);
	free(subscription->patterns);
	free(subscription);
	return NULL;
}
DEFINE_CLEANUP(struct subscription *, subscription_free)

/* ---- telling one client ---- */

/* false: not now. */
static bool send(struct subscription *subscription, const char *change, const struct guest_view *view,
		 const struct vpmu_vcpu_info *vcpu)
{
	struct json_object *reply;

	if (call_queued_bytes(subscription->call) > QUEUED_BYTES_MAX)
		return false;
	reply = json_new_object();
	json_put_string(reply, "change", change);
	json_put(reply, "guest", view ? guest_view_json(view) : NULL);
	json_put(reply, "vcpu", vcpu ? guest_vcpu_json(vcpu) : NULL);
	return call_reply_more(subscription->call, reply) >= 0;
}

static bool has_vcpu(const struct guest_view *view, const struct vpmu_vcpu_info *vcpu)
{
	for (size_t i = 0; i < view->n_vcpus; i++)
		if (view->vcpus[i].index == vcpu->index && view->vcpus[i].tid == vcpu->tid)
			return true;
	return false;
}

/* Of a process that was started anew all vCPUs are new, which goes without saying. */
static bool send_difference(struct subscription *subscription, const struct guest_view *old,
			    const struct guest_view *new)
{
	bool same_process = old->process == new->process, sent = true;

	for (size_t i = 0; sent && same_process && i < old->n_vcpus; i++)
		if (!has_vcpu(new, &old->vcpus[i]))
			sent = send(subscription, "vcpu-gone", new, &old->vcpus[i]);
	if (sent && old->state != new->state)
		sent = send(subscription, "changed", new, NULL);
	for (size_t i = 0; sent && same_process && i < new->n_vcpus; i++)
		if (!has_vcpu(old, &new->vcpus[i]))
			sent = send(subscription, "vcpu-appeared", new, &new->vcpus[i]);
	return sent;
}

/* Where @id is among the told, or would be. */
static size_t told_at(const struct subscription *subscription, uint64_t id)
{
	size_t low = 0, high = subscription->told.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (subscription->told.items[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool tell_of(struct subscription *subscription, struct guest_view *view)
{
	size_t at = told_at(subscription, view->id), n = subscription->told.n;
	struct guest_view **place = subscription->told.items + at;

	if (at < n && (*place)->id == view->id) {
		/* What was sent of a difference is sent again if the rest had to wait; nobody is hurt. */
		if (*place == view)
			return true;
		if (!send_difference(subscription, *place, view))
			return false;
		guest_view_unref(*place);
		*place = guest_view_ref(view);
		return true;
	}
	if (!vec_reserve(&subscription->told, 1) ||
	    !send(subscription, subscription->settled ? "appeared" : "present", view, NULL))
		return false;
	place = subscription->told.items + at;
	memmove(place + 1, place, (n - at) * sizeof(*place));
	*place = guest_view_ref(view);
	subscription->told.n++;
	return true;
}

static bool may_hear_of(const struct subscription *subscription, const struct domain *domain)
{
	return guest_selected(domain, subscription->all->access, call_peer(subscription->call), subscription->patterns,
			      subscription->n_patterns);
}

static bool tell_of_those_gone(struct subscription *subscription)
{
	for (size_t i = subscription->told.n; i-- > 0;) {
		struct guest_view **place = subscription->told.items + i;
		const struct domain *domain = domains_by_id(subscription->all->domains, (*place)->id);

		if (domain && may_hear_of(subscription, domain))
			continue;
		if (!send(subscription, "gone", *place, NULL))
			return false;
		guest_view_unref(*place);
		memmove(place, place + 1, (subscription->told.n - i - 1) * sizeof(*place));
		subscription->told.n--;
	}
	return true;
}

/* false: the client has to read first, or memory is short. */
static bool bring_up_to_date(struct subscription *subscription)
{
	struct subscriptions *all = subscription->all;
	const struct domain *domain;

	if (!tell_of_those_gone(subscription))
		return false;
	for (size_t i = 0; (domain = domains_get(all->domains, i)); i++) {
		struct guest_view *view;

		if (!may_hear_of(subscription, domain))
			continue;
		view = guest_views_get(all->views, domain);
		if (!view || !tell_of(subscription, view))
			return false;
	}
	if (!subscription->settled)
		subscription->settled = send(subscription, "settled", NULL, NULL);
	return subscription->settled;
}

/* ---- all of them ---- */

static void tell_all(struct subscriptions *all)
{
	bool done = true;

	for (size_t i = 0; i < all->list.n; i++)
		done &= bring_up_to_date(all->list.items[i]);
	if (done)
		return;
	sd_event_source_set_time_relative(all->later, SLOW_READER_US);
	sd_event_source_set_enabled(all->later, SD_EVENT_ONESHOT);
}

static int on_soon(sd_event_source *source, void *data)
{
	(void)source;
	tell_all(data);
	return 0;
}

static int on_later(sd_event_source *source, uint64_t now_us, void *data)
{
	(void)source;
	(void)now_us;
	tell_all(data);
	return 0;
}

static void on_change(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		      void *data)
{
	(void)change;
	(void)domain;
	(void)vcpu;
	subscriptions_reload(data);
}

void subscriptions_reload(struct subscriptions *all)
{
	if (all->list.n)
		sd_event_source_set_enabled(all->soon, SD_EVENT_ONESHOT);
}

static void on_gone(struct call *call, void *data)
{
	_cleanup_(subscription_freep) struct subscription *subscription = data;
	struct subscriptions *all = subscription->all;
	size_t kept = 0;

	(void)call;
	vec_for_each(other, &all->list)
		if (*other != subscription)
			all->list.items[kept++] = *other;
	all->list.n = kept;
}

int subscriptions_add(struct subscriptions *all, struct call *call, const char **patterns, size_t n)
{
	_cleanup_(subscription_freep) struct subscription *subscription = calloc(1, sizeof(*subscription));

	if (!subscription) {
		free(patterns);
		return -ENOMEM;
	}
	subscription->all = all;
	subscription->call = call_ref(call);
	subscription->patterns = patterns;
	subscription->n_patterns = n;
	if (!vec_push(&all->list, subscription))
		return -ENOMEM;
	call_on_gone(call, on_gone, subscription);
	subscription = NULL; /* now the list's */
	subscriptions_reload(all);
	return 0;
}

int subscriptions_new(sd_event *loop, struct domains *domains, struct guest_views *views, struct access *access,
		      struct subscriptions **ret_subscriptions, struct vpmu_error *reterr)
{
	_cleanup_(subscriptions_freep) struct subscriptions *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return error_oom(reterr);
	all->domains = domains;
	all->views = views;
	all->access = access;
	r = sd_event_add_defer(loop, &all->soon, on_soon, all);
	if (r >= 0)
		r = sd_event_source_set_enabled(all->soon, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &all->later, CLOCK_MONOTONIC, 0, 0, on_later, all);
	if (r >= 0)
		r = sd_event_source_set_enabled(all->later, SD_EVENT_OFF);
	if (r < 0)
		return error_errno(reterr, r, "make", "event sources");
	all->listener = domains_listen(domains, on_change, all);
	if (all->listener < 0)
		return error_oom(reterr);
	*ret_subscriptions = take_ptr(all);
	return 0;
}

struct subscriptions *subscriptions_free(struct subscriptions *all)
{
	if (!all)
		return NULL;
	if (all->listener > 0)
		domains_unlisten(all->domains, all->listener);
	vec_for_each(subscription, &all->list) {
		call_on_gone((*subscription)->call, NULL, NULL);
		subscription_free(*subscription);
	}
	vec_free(&all->list);
	sd_event_source_disable_unref(all->soon);
	sd_event_source_disable_unref(all->later);
	free(all);
	return NULL;
}
