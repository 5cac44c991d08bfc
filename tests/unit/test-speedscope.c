/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "export_fixture.h"

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value))
		FAIL("no key '%s'", key);
	return value;
}

static struct json_object *parsed(const struct vpmu_profile *p, const struct vpmu_export_opts *opts)
{
	char *text = exported(p, "speedscope", opts, NULL);
	struct json_object *root = json_tokener_parse(text);

	if (!root)
		FAIL("not JSON: %s", text);
	free(text);
	return root;
}

/* Weights and samples are parallel, frame numbers exist, endValue is the sum, which is returned. */
static int64_t check_profile(struct json_object *root, struct json_object *profile)
{
	struct json_object *samples = get(profile, "samples"), *weights = get(profile, "weights");
	size_t n_frames = json_object_array_length(get(get(root, "shared"), "frames"));
	int64_t sum = 0;

	CHECK_STR(json_object_get_string(get(profile, "type")), "sampled");
	CHECK_EQ(json_object_array_length(samples), json_object_array_length(weights));
	for (size_t i = 0; i < json_object_array_length(samples); i++) {
		struct json_object *stack = json_object_array_get_idx(samples, i);

		CHECK(json_object_array_length(stack) > 0);
		for (size_t f = 0; f < json_object_array_length(stack); f++)
			CHECK_CMP(json_object_get_int64(json_object_array_get_idx(stack, f)), <, n_frames);
		sum += json_object_get_int64(json_object_array_get_idx(weights, i));
	}
	CHECK_EQ(json_object_get_int64(get(profile, "startValue")), 0);
	CHECK_EQ(json_object_get_int64(get(profile, "endValue")), sum);
	return sum;
}

TEST(a_profile_per_guest_and_vcpu_adds_up)
{
	static const struct {
		const char *name;
		int64_t sum;
	} expected[] = { { "web1 vCPU 0", 21 },
			 { "web1 vCPU 1", 3 },
			 { "web1 other threads", 2 },
			 { "[no guest]", 7 } };
	struct vpmu_profile *p = varied_profile();
	struct json_object *root = parsed(p, NULL), *profiles = get(root, "profiles");

	CHECK_EQ(json_object_array_length(profiles), ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct json_object *profile = json_object_array_get_idx(profiles, i);

		CHECK_STR(json_object_get_string(get(profile, "name")), expected[i].name);
		CHECK_EQ(check_profile(root, profile), expected[i].sum);
		CHECK_STR(json_object_get_string(get(profile, "unit")), "none");
	}
	CHECK_STR(json_object_get_string(get(root, "name")), "vpmu");
	json_object_put(root);
	vpmu_profile_free(p);
}

TEST(stacks_start_at_the_outermost_frame)
{
	VPMU_OPTS(vpmu_export_opts, opts, .sides = VPMU_SIDES_GUEST, .is_clock = true,
		  .by_weight = true, .title = "a \"title\"");
	struct vpmu_profile *p = varied_profile();
	struct json_object *root = parsed(p, &opts), *frames = get(get(root, "shared"), "frames");
	struct json_object *profile = json_object_array_get_idx(get(root, "profiles"), 0);
	struct json_object *stack = json_object_array_get_idx(get(profile, "samples"), 0);
	const char *const outermost_first[] = { "do_syscall_64_[gk]", "ksys_read_[gk]" };

	CHECK_EQ(json_object_array_length(frames), 3); /* nothing of the host is named */
	CHECK_EQ(json_object_array_length(stack), 2);
	for (size_t i = 0; i < 2; i++) {
		int number = json_object_get_int(json_object_array_get_idx(stack, i));
		struct json_object *frame = json_object_array_get_idx(frames, (size_t)number);

		CHECK_STR(json_object_get_string(get(frame, "name")), outermost_first[i]);
		CHECK_STR(json_object_get_string(get(frame, "file")), "[kernel]");
	}
	CHECK_EQ(check_profile(root, profile), 17000);
	CHECK_STR(json_object_get_string(get(profile, "unit")), "nanoseconds");
	CHECK_STR(json_object_get_string(get(root, "name")), "a \"title\"");
	json_object_put(root);
	vpmu_profile_free(p);
}

int main(void)
{
	return test_main();
}
