/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "guest_names.h"
#include "json.h"
#include "time_json.h"

static struct json_object *reasons_to_json(const struct vpmu_clock_vcpu *vcpu)
{
	struct json_object *reasons = json_new_array();

	for (size_t i = 0; i < vcpu->n_reasons; i++) {
		const struct vpmu_clock_reason *reason = &vcpu->reasons[i];
		struct json_object *object = json_new_object();

		json_put_string(object, "reason", reason->name);
		json_put_int(object, "code", reason->code);
		json_put_int(object, "count", (int64_t)reason->count);
		json_put_int(object, "exit_ns", (int64_t)reason->exit_ns);
		json_put_int(object, "qemu_ns", (int64_t)reason->qemu_ns);
		json_append(reasons, object);
	}
	return reasons;
}

static struct json_object *competitors_to_json(const struct vpmu_guests *guests,
					       const struct vpmu_clock_vcpu *vcpu)
{
	struct json_object *competitors = json_new_array();

	for (size_t i = 0; i < vcpu->n_competitors; i++) {
		const struct vpmu_clock_competitor *competitor = &vcpu->competitors[i];
		struct json_object *object = json_new_object();

		json_put_string(object, "comm", competitor->comm);
		json_put_int(object, "pid", competitor->pid);
		json_put_int(object, "tid", competitor->tid);
		json_put_string(object, "guest", guest_of_pid(guests, competitor->pid));
		json_put_int(object, "ns", (int64_t)competitor->ns);
		json_append(competitors, object);
	}
	return competitors;
}

static struct json_object *vcpu_to_json(const struct vpmu_clock *clock,
					const struct vpmu_guests *guests,
					const struct vpmu_clock_vcpu *vcpu)
{
	struct json_object *object = json_new_object();
	uint64_t step_ns = 0;

	json_put_string(object, "guest", vpmu_clock_guest(clock, vcpu->guest)->name);
	json_put_int(object, "vcpu", vcpu->vcpu);
	json_put_int(object, "tid", vcpu->tid);
	json_put_bool(object, "ended", vcpu->ended);
	json_put_int(object, "start_ns", (int64_t)vcpu->start_ns);
	json_put_int(object, "wall_ns", (int64_t)vcpu->wall_ns);
	for (int part = 0; part < VPMU_CLOCK_PART_COUNT; part++) {
		const struct vpmu_clock_time *time = &vcpu->parts[part];
		char key[32];

		snprintf(key, sizeof(key), "%s_ns", vpmu_clock_part_name((enum vpmu_clock_part)part));
		if (time->known)
			json_put_int(object, key, (int64_t)time->ns);
		else
			json_put_null(object, key);
		step_ns = time->step_ns ? time->step_ns : step_ns;
	}
	json_put_int(object, "step_ns", (int64_t)step_ns);
	json_put_string(object, "why", vcpu->why);
	json_put_int(object, "unpaired", (int64_t)vcpu->unpaired);
	json_put(object, "reasons", reasons_to_json(vcpu));
	json_put(object, "competitors", competitors_to_json(guests, vcpu));
	return object;
}

struct json_object *time_json_vcpus(const struct vpmu_clock *clock,
				    const struct vpmu_guests *guests,
				    const struct vpmu_clock_times *times)
{
	struct json_object *vcpus = json_new_array();

	for (size_t i = 0; i < times->n; i++)
		json_append(vcpus, vcpu_to_json(clock, guests, &times->items[i]));
	return vcpus;
}

struct json_object *time_json_interval(const struct vpmu_clock *clock,
				       const struct vpmu_guests *guests,
				       const struct vpmu_clock_times *times)
{
	struct json_object *interval = json_new_object();

	json_put_int(interval, "start_ns", (int64_t)times->start_ns);
	json_put_int(interval, "end_ns", (int64_t)times->end_ns);
	json_put(interval, "vcpus", time_json_vcpus(clock, guests, times));
	return interval;
}
