/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-c/json.h>

#include "daemon/guest_views.h"
#include "fake_proc.h"

#define UUID_1 "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

struct world {
	sd_event *loop;
	struct config config;
	bool profiled;
	struct domains *domains;
	struct guest_views *views;
};

static bool is_profiled(const struct domain *domain, void *data)
{
	return domain->running && *(bool *)data;
}

static void world_open(struct world *world)
{
	*world = (struct world){ .config.other_guests = true, .profiled = true };
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	CHECK_EQ(guest_views_new(world->domains, is_profiled, &world->profiled, &world->views, NULL), 0);
}

static void world_close(struct world *world)
{
	guest_views_free(world->views);
	domains_free(world->domains);
	sd_event_unref(world->loop);
}

static struct guest_view *view_now(struct world *world)
{
	struct guest_view *view = guest_views_get(world->views, domains_get(world->domains, 0));

	CHECK(view);
	return view;
}

static void check_text(const struct guest_view *view, const char *text)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "guest", guest_view_json(view));
	CHECK_STR(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE), text);
	json_object_put(reply);
}

static void fake_qemu(int pid, int n_vcpus)
{
	static const char cmdline[] = "qemu-system-x86_64\0-name\0guest=web1\0-uuid\0" UUID_1;
	char text[64];

	fake_process(pid, "qemu-system-x86", 1 + n_vcpus);
	fake_write(fake_path("%d/cmdline", pid), cmdline, sizeof(cmdline));
	fake_link(pid, "fd/9", "anon_inode:kvm-vcpu:0");
	for (int i = 0; i < n_vcpus; i++) {
		snprintf(text, sizeof(text), "CPU %d/KVM", i);
		fake_thread(pid, pid + 2 + i, text, 5);
	}
}

TEST(a_view_is_what_the_interface_says)
{
	const struct libvirt_domain off = { "web1", UUID_1, "shutoff", 0 };
	struct world world;

	world_open(&world);
	CHECK_EQ(domains_libvirt_has(world.domains, &off), 0);
	check_text(view_now(&world),
		   "{\"guest\":{\"name\":\"web1\",\"uuid\":\"" UUID_1 "\",\"pid\":null,\"accel\":\"unknown\","
		   "\"state\":\"shutoff\",\"libvirt\":true,\"kernel\":null,\"why\":null,\"profiled\":false,\"vcpus\":[]}}");
	fake_qemu(400, 2);
	domains_look(world.domains);
	domains_set_kernel(world.domains, domains_get(world.domains, 0)->id, "6.1.0", NULL);
	check_text(view_now(&world),
		   "{\"guest\":{\"name\":\"web1\",\"uuid\":\"" UUID_1 "\",\"pid\":400,\"accel\":\"kvm\","
		   "\"state\":\"running\",\"libvirt\":true,\"kernel\":\"6.1.0\",\"why\":null,\"profiled\":true,"
		   "\"vcpus\":[{\"index\":0,\"tid\":402},{\"index\":1,\"tid\":403}]}}");
	world_close(&world);
}

TEST(a_view_is_made_anew_when_something_changed)
{
	struct guest_view *first, *second, *third;
	struct world world;

	fake_qemu(400, 1);
	world_open(&world);
	first = guest_view_ref(view_now(&world));
	CHECK(view_now(&world) == first);
	fake_thread(400, 410, "CPU 1/KVM", 5);
	domains_look(world.domains);
	second = guest_view_ref(view_now(&world));
	CHECK(second != first);
	CHECK_EQ(second->state, first->state);
	CHECK_EQ(second->process, first->process);
	CHECK_EQ(first->n_vcpus, 1);
	CHECK_EQ(second->n_vcpus, 2);
	world.profiled = false;
	third = view_now(&world);
	CHECK(third->state != second->state);
	CHECK_EQ(third->process, second->process);
	CHECK(!third->profiled && second->profiled);
	guest_view_unref(first);
	guest_view_unref(second);
	world_close(&world);
}

TEST(a_new_process_is_another_one)
{
	const struct libvirt_domain runs = { "web1", UUID_1, "running", 400 };
	struct world world;
	uint64_t process;

	fake_qemu(400, 1);
	world_open(&world);
	CHECK_EQ(domains_libvirt_has(world.domains, &runs), 0);
	process = view_now(&world)->process;
	CHECK_EQ(nftw(fake_path("400"), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	domains_look(world.domains);
	CHECK(view_now(&world)->process != process);
	process = view_now(&world)->process;
	fake_qemu(410, 1);
	domains_look(world.domains);
	CHECK(view_now(&world)->process != process);
	world_close(&world);
}

int main(void)
{
	return test_main();
}
