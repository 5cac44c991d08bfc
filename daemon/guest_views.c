/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "guest_views.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/vec.h"

/* What is kept for a domain, as long as it is one. */
struct slot {
	uint64_t id;
	uint64_t state, process;
	struct guest_view *view; /* NULL: to be made anew */
};

struct guest_views {
	struct domains *domains;
	guest_profiled_fn profiled;
	void *profiled_data;
	int listener;
	VEC(struct slot) slots; /* by id */
};

struct guest_view *guest_view_ref(struct guest_view *view)
{
	view->n_refs++;
	return view;
}

struct guest_view *guest_view_unref(struct guest_view *view)
{
	if (view && --view->n_refs == 0) {
		json_object_put(view->json);
		free(view);
	}
	return NULL;
}

struct json_object *guest_vcpu_json(const struct vpmu_vcpu_info *vcpu)
{
	struct json_object *object = json_new_object();

	json_put_int(object, "index", vcpu->index);
	json_put_int(object, "tid", vcpu->tid);
	return object;
}

static struct json_object *make_json(const struct domain *domain, bool profiled)
{
	struct json_object *object = json_new_object(), *vcpus = json_new_array();

	json_put_string(object, "name", domain->name);
	json_put_string(object, "uuid", domain->uuid);
	if (domain->running)
		json_put_int(object, "pid", domain->guest.pid);
	else
		json_put_null(object, "pid");
	json_put_string(object, "accel", vpmu_accel_name(domain->guest.accel));
	json_put_string(object, "state", domain->state);
	json_put_bool(object, "libvirt", domain->libvirt);
	json_put_string(object, "kernel", domain->running ? domain->kernel : NULL);
	json_put_string(object, "why", domain->why);
	json_put_bool(object, "profiled", profiled);
	for (size_t i = 0; domain->running && i < domain->guest.n_vcpus; i++)
		json_append(vcpus, guest_vcpu_json(&domain->guest.vcpus[i]));
	json_put(object, "vcpus", vcpus);
	return object;
}

/* The object is written as text once, and from then on copies that text into every reply it is part of. */
static int remember_text(struct json_object *object)
{
	char *text = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));

	if (!text)
		return -ENOMEM;
	json_object_set_serializer(object, json_object_userdata_to_json_string, text, json_object_free_userdata);
	return 0;
}

static struct guest_view *make_view(const struct slot *slot, const struct domain *domain, bool profiled)
{
	size_t n = domain->running ? domain->guest.n_vcpus : 0;
	_cleanup_(guest_view_unrefp) struct guest_view *view = calloc(1, sizeof(*view) + n * sizeof(view->vcpus[0]));

	if (!view)
		return NULL;
	view->n_refs = 1;
	view->id = slot->id;
	view->state = slot->state;
	view->process = slot->process;
	view->profiled = profiled;
	view->n_vcpus = n;
	if (n)
		memcpy(view->vcpus, domain->guest.vcpus, n * sizeof(view->vcpus[0]));
	view->json = make_json(domain, profiled);
	if (!view->json || remember_text(view->json) < 0)
		return NULL;
	return take_ptr(view);
}

static int by_id(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct slot *find_slot(struct guest_views *views, uint64_t id)
{
	struct slot key = { .id = id };

	return views->slots.n ? bsearch(&key, views->slots.items, views->slots.n, sizeof(key), by_id) : NULL;
}

static struct slot *need_slot(struct guest_views *views, uint64_t id)
{
	struct slot *slot = find_slot(views, id);

	if (slot)
		return slot;
	if (!vec_push(&views->slots, (struct slot){ .id = id }))
		return NULL;
	/* Ids go up: it is in its place, unless memory was short when it should have been made. */
	qsort(views->slots.items, views->slots.n, sizeof(struct slot), by_id);
	return find_slot(views, id);
}

static void drop_slot(struct guest_views *views, uint64_t id)
{
	struct slot *slot = find_slot(views, id);

	if (!slot)
		return;
	guest_view_unref(slot->view);
	memmove(slot, slot + 1, (size_t)(views->slots.items + views->slots.n - (slot + 1)) * sizeof(*slot));
	views->slots.n--;
}

static void on_change(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		      void *data)
{
	struct guest_views *views = data;
	struct slot *slot;

	(void)vcpu;
	if (change == DOMAIN_GONE) {
		drop_slot(views, domain->id);
		return;
	}
	slot = need_slot(views, domain->id);
	if (!slot)
		return;
	slot->view = guest_view_unref(slot->view);
	if (change == DOMAIN_STARTED || change == DOMAIN_STOPPED)
		slot->process++;
	if (change != DOMAIN_VCPU_APPEARED && change != DOMAIN_VCPU_GONE)
		slot->state++;
}

int guest_views_new(struct domains *domains, guest_profiled_fn profiled, void *data, struct guest_views **ret_views,
		    struct vpmu_error *reterr)
{
	_cleanup_(guest_views_freep) struct guest_views *views = calloc(1, sizeof(*views));

	if (!views)
		return error_oom(reterr);
	views->domains = domains;
	views->profiled = profiled;
	views->profiled_data = data;
	views->listener = domains_listen(domains, on_change, views);
	if (views->listener < 0)
		return error_oom(reterr);
	*ret_views = take_ptr(views);
	return 0;
}

struct guest_views *guest_views_free(struct guest_views *views)
{
	if (!views)
		return NULL;
	if (views->listener > 0)
		domains_unlisten(views->domains, views->listener);
	vec_for_each(slot, &views->slots)
		guest_view_unref(slot->view);
	vec_free(&views->slots);
	free(views);
	return NULL;
}

struct guest_view *guest_views_get(struct guest_views *views, const struct domain *domain)
{
	bool profiled = views->profiled(domain, views->profiled_data);
	struct slot *slot = need_slot(views, domain->id);

	if (!slot)
		return NULL;
	if (slot->view && slot->view->profiled != profiled) {
		slot->view = guest_view_unref(slot->view);
		slot->state++;
	}
	if (!slot->view)
		slot->view = make_view(slot, domain, profiled);
	return slot->view;
}

struct json_object *guest_view_json(const struct guest_view *view)
{
	return json_object_get(view->json);
}
