/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "fake_proc.h"
#include "host/event_pmu.h"

/* A sysfs as a Skylake shows it, cut down. */
static void fake_pmus(void)
{
	fake_text(fake_path("bus/event_source/devices/cpu/type"), "4\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/event"), "config:0-7\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/umask"), "config:8-15\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/wide"), "config:0-7,32-35\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/ldlat"), "config1:0-15\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/inv"), "config:23\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/broken"), "config:9-70\n");
	fake_text(fake_path("bus/event_source/devices/cpu/format/stranger"), "config9:0\n");
	fake_text(fake_path("bus/event_source/devices/cpu/events/mem-loads"), "event=0xcd,umask=0x1,ldlat=3\n");
	fake_text(fake_path("bus/event_source/devices/cpu/events/loop"), "loop\n");
	fake_text(fake_path("bus/event_source/devices/msr/type"), "9\n");
	fake_text(fake_path("bus/event_source/devices/cpu_atom/type"), "10\n");
	fake_text(fake_path("bus/event_source/devices/cpu_atom/cpus"), "4-7\n");
}

static struct event_spec parse(const char *text, const char *expected_rest)
{
	struct event_spec spec = {};
	struct vpmu_error error = {};
	const char *rest = NULL;

	if (event_pmu_parse(fake_dir(), text, &spec, &rest, &error) < 0)
		FAIL("'%s': %s", text, error.text);
	CHECK_STR(rest, expected_rest);
	return spec;
}

TEST(terms_fill_the_bits_that_sysfs_names)
{
	struct event_spec spec;

	fake_pmus();
	spec = parse("cpu/event=0x3c,umask=0x1,inv/u", "u");
	CHECK_EQ(spec.attr.type, 4);
	CHECK_EQ(spec.attr.config, 0x80013c);
	CHECK(spec.is_hardware);
	CHECK_EQ(parse("cpu/wide=0xabc/", "").attr.config, 0xa000000bc);
	spec = parse("cpu/mem-loads,ldlat=30/", "");
	CHECK_EQ(spec.attr.config, 0x1cd);
	CHECK_EQ(spec.attr.config1, 30);
	spec = parse("msr/config=2,name=aperf/:k", ":k");
	CHECK_EQ(spec.attr.type, 9);
	CHECK_EQ(spec.attr.config, 2);
	CHECK_STR(spec.name, "aperf");
	CHECK(!spec.is_hardware);
	CHECK(parse("cpu_atom/config=0xc0,config1=1,config2=2/", "").is_hardware);
}

TEST(terms_that_cannot_be_are_refused)
{
	static const char *const texts[] = {
		"nopmu/a/", "cpu/event=1", "../cpu/event=1/", "/event=1/", "cpu/nothing/", "cpu/event=/", "cpu/event=12x/",
		"cpu/event=0x100/", "cpu/inv=2/", "cpu/broken=1/", "cpu/stranger=1/", "cpu/loop/", "cpu/../type/",
		"cpu/config=99999999999999999999/",
	};

	fake_pmus();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct event_spec spec = { .name = "untouched" };
		struct vpmu_error error = {};
		const char *rest = NULL;

		if (event_pmu_parse(fake_dir(), texts[i], &spec, &rest, &error) != -EINVAL)
			FAIL("'%s' was taken", texts[i]);
		CHECK(error.text[0] && !rest);
		CHECK_STR(spec.name, "untouched");
	}
}

int main(void)
{
	return test_main();
}
