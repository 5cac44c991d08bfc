/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What clients see of a guest: the interface's type Guest, made once for each change of the guest and not for each question. A view
 * is a snapshot: who keeps one can tell later what changed since.
 */
#ifndef DAEMON_GUEST_VIEWS_H
#define DAEMON_GUEST_VIEWS_H

#include "domains.h"

struct json_object;

struct guest_view {
	unsigned int n_refs;
	uint64_t id;
	uint64_t state;	   /* another number: something other than the vCPUs changed */
	uint64_t process;  /* another number: it was started anew, or stopped */
	bool profiled;
	struct json_object *json;
	size_t n_vcpus;
	struct vpmu_vcpu_info vcpus[];
};

struct guest_view *guest_view_ref(struct guest_view *view);
struct guest_view *guest_view_unref(struct guest_view *view);
DEFINE_CLEANUP(struct guest_view *, guest_view_unref)

struct guest_views;

/* Does the always-on session sample this guest? Asked each time that the guest is looked at. */
typedef bool (*guest_profiled_fn)(const struct domain *domain, void *data);

/* Errors: -ENOMEM. */
int guest_views_new(struct domains *domains, guest_profiled_fn profiled, void *data, struct guest_views **ret_views,
		    struct vpmu_error *reterr);
struct guest_views *guest_views_free(struct guest_views *views); /* before domains */
DEFINE_CLEANUP(struct guest_views *, guest_views_free)

/* The view of @domain as it is now; belongs to @views. NULL when out of memory. */
struct guest_view *guest_views_get(struct guest_views *views, const struct domain *domain);

/* An object for `guest` in a reply: a reference of its own, cheap to put into any number of replies. */
struct json_object *guest_view_json(const struct guest_view *view);
/* The same for a vCPU. NULL when out of memory. */
struct json_object *guest_vcpu_json(const struct vpmu_vcpu_info *vcpu);

#endif
