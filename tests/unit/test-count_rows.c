/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No machine is asked: what a PMU would have counted is written into the readings. */
#include "session/count_rows.h"
#include "test.h"

#define S 1000000000ull /* a second */

/* Everything that a row depends on. */
struct scene {
	struct count_plan plan;
	struct intern *whys;
	struct count_target target;
	struct count_rows rows;
};

static struct count_reading *make_reading(const struct scene *scene)
{
	struct count_reading *reading = calloc(
		1, sizeof(*reading) + count_plan_values(&scene->plan) * sizeof(reading->values[0]));

	CHECK(reading);
	return reading;
}

static void scene_init(struct scene *scene, const char *events)
{
	struct event_spec *specs;
	struct vpmu_error error;
	size_t n;

	*scene = (struct scene){ .whys = intern_new() };
	if (event_parse_list(events, "/nowhere", &specs, &n, &error) < 0)
		FAIL("%s", error.text);
	CHECK_EQ(count_plan_add(&scene->plan, specs, n, false), 0);
	CHECK_EQ(count_plan_group(&scene->plan), 0);
	free(specs);
	scene->target.slots = calloc(count_plan_values(&scene->plan), sizeof(*scene->target.slots));
	scene->target.stats_fd = -1;
	scene->target.base = make_reading(scene);
	scene->target.now = make_reading(scene);
	scene->target.now->time_ns = 10 * S;
}

static void set(struct scene *scene, size_t i, uint64_t value, uint64_t enabled_ns,
		uint64_t running_ns)
{
	scene->target.now->values[i] = (struct counter_value){ value, enabled_ns, running_ns };
}

/* The row of counter @i: they come after the times. */
static const struct vpmu_count *row_of(struct scene *scene, size_t i)
{
	scene->rows.n = 0;
	CHECK_EQ(count_rows_add(&scene->rows, &scene->plan, scene->whys, &scene->target,
				scene->target.base),
		 0);
	return &scene->rows.items[scene->rows.n - count_plan_values(&scene->plan) + i];
}

static void scene_end(struct scene *scene)
{
	free(scene->target.slots);
	free(scene->target.base);
	free(scene->target.now);
	vec_free(&scene->rows);
	count_plan_deinit(&scene->plan);
	intern_free(scene->whys);
}

TEST(instructions_are_told_by_cycle_and_side)
{
	struct scene scene;

	scene_init(&scene, "cycles,instructions");
	set(&scene, 0, 2000, S, S); /* guest */
	set(&scene, 1, 1000, S, S); /* host */
	set(&scene, 2, 3000, S, S);
	set(&scene, 3, 500, S, S);
	CHECK_EQ(row_of(&scene, 2)->sides, VPMU_SIDES_GUEST);
	CHECK_STR(row_of(&scene, 2)->base, "cycles");
	CHECK(row_of(&scene, 2)->ratio == 1.5);
	CHECK_EQ(row_of(&scene, 3)->sides, VPMU_SIDES_HOST);
	CHECK(row_of(&scene, 3)->ratio == 0.5);
	CHECK(!row_of(&scene, 0)->base);
	CHECK_EQ(row_of(&scene, 0)->status, VPMU_COUNT_OK);
	scene_end(&scene);
}

TEST(what_took_turns_is_scaled_and_says_so)
{
	struct scene scene;
	const struct vpmu_count *row;

	scene_init(&scene, "branches:G,branch-misses:G");
	set(&scene, 0, 1009, 4 * S, S);
	set(&scene, 1, 101, 4 * S, S);
	row = row_of(&scene, 0);
	CHECK_EQ(row->value, 4 * 1009);
	CHECK(row->scaled);
	CHECK_EQ(row->enabled_ns, 4 * S);
	CHECK_EQ(row->running_ns, S);
	CHECK_EQ(row->status, VPMU_COUNT_OK);
	row = row_of(&scene, 1);
	CHECK(row->ratio > 0.1000 && row->ratio < 0.1002); /* counted together: of the same time */
	scene_end(&scene);
}

TEST(only_the_interval_is_scaled)
{
	struct scene scene;

	scene_init(&scene, "cycles:G");
	scene.target.base->values[0] = (struct counter_value){ 1000000, 100 * S, S };
	set(&scene, 0, 1000700, 101 * S, 2 * S); /* this second it was counted all the time */
	CHECK_EQ(row_of(&scene, 0)->value, 700);
	CHECK(!row_of(&scene, 0)->scaled);
	scene_end(&scene);
}

TEST(what_had_no_turn_has_no_value)
{
	struct scene scene;
	const struct vpmu_count *row;

	scene_init(&scene, "cycles:G,instructions:G");
	set(&scene, 0, 0, S, 0);
	set(&scene, 1, 700, S, S);
	row = row_of(&scene, 0);
	CHECK_EQ(row->status, VPMU_COUNT_NOT_COUNTED);
	CHECK_CONTAINS(row->why, "no room");
	CHECK_EQ(row->value, 0);
	row = row_of(&scene, 1);
	CHECK_EQ(row->value, 700);
	CHECK(!row->base); /* nothing to divide by */
	scene_end(&scene);
}

TEST(what_was_refused_says_why_and_spoils_no_other)
{
	struct scene scene;
	const struct vpmu_count *row;

	scene_init(&scene, "cycles:G,page-faults");
	scene.target.slots[0] =
		(struct count_slot){ -95, intern_add(scene.whys, "there is no PMU") };
	set(&scene, 1, 53, S, S);
	row = row_of(&scene, 0);
	CHECK_EQ(row->status, VPMU_COUNT_UNAVAILABLE);
	CHECK_STR(row->why, "there is no PMU");
	row = row_of(&scene, 1);
	CHECK_EQ(row->status, VPMU_COUNT_OK);
	CHECK_EQ(row->value, 53);
	CHECK(!row->why);
	scene_end(&scene);
}

TEST(a_thread_that_slept_has_counts_of_none)
{
	struct scene scene;
	const struct vpmu_count *row;

	scene_init(&scene, "cycles:G,cpu-clock");
	row = row_of(&scene, 0);
	CHECK_EQ(row->status, VPMU_COUNT_OK);
	CHECK_EQ(row->value, 0);
	CHECK(!row->scaled);
	row = row_of(&scene, 1);
	CHECK_STR(row->base, "wall-time");
	CHECK(row->ratio == 0);
	scene_end(&scene);
}

int main(void)
{
	return test_main();
}
