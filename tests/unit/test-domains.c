/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "child_guest.h"
#include "daemon/domains.h"
#include "fake_proc.h"

#define UUID_1 "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define UUID_2 "6ba7b811-9dad-11d1-80b4-00c04fd430c8"

/* A world: a loop, domains over the fake /proc, and what a listener heard since the last check. */
struct world {
	sd_event *loop;
	struct domains *domains;
	struct config config;
	char heard[2048];
};

static void hear(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu, void *data)
{
	static const char *const words[] = { "appeared", "started", "stopped", "changed", "vcpu+", "vcpu-", "gone" };
	struct world *world = data;
	size_t n = strlen(world->heard);

	if (vcpu)
		snprintf(world->heard + n, sizeof(world->heard) - n, "%s%s %s %u", n ? ", " : "", words[change],
			 domain->name, vcpu->index);
	else
		snprintf(world->heard + n, sizeof(world->heard) - n, "%s%s %s", n ? ", " : "", words[change], domain->name);
}

static struct world *world_new(bool other_guests)
{
	struct world *world = calloc(1, sizeof(*world));

	CHECK(world);
	world->config.other_guests = other_guests;
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	CHECK_CMP(domains_listen(world->domains, hear, world), >, 0);
	return world;
}

static void world_free(struct world *world)
{
	domains_free(world->domains);
	sd_event_unref(world->loop);
	free(world);
}

#define CHECK_HEARD(world, what)                    \
	do {                                        \
		CHECK_STR((world)->heard, what);    \
		(world)->heard[0] = '\0';           \
	} while (0)

static void look(struct world *world)
{
	domains_look(world->domains);
}

static void libvirt_has(struct world *world, const char *name, const char *uuid, const char *state, pid_t pid)
{
	const struct libvirt_domain of_libvirt = { name, uuid, state, pid };

	CHECK_EQ(domains_libvirt_has(world->domains, &of_libvirt), 0);
}

static void fake_vcpu(int pid, int index)
{
	char text[64];

	snprintf(text, sizeof(text), "CPU %d/KVM", index);
	fake_thread(pid, pid + 2 + index, text, 5);
}

/* A QEMU as libvirt starts it, with two vCPUs. @uuid may be NULL. */
static void fake_qemu(int pid, const char *name, const char *uuid)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=%s,debug-threads=on%c", 0, 0, name, 0);

	if (uuid)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "-uuid%c%s%c", 0, uuid, 0);
	fake_process(pid, "qemu-system-x86", 4);
	fake_write(fake_path("%d/cmdline", pid), text, (size_t)n);
	fake_link(pid, "exe", "/usr/bin/qemu-system-x86_64");
	fake_link(pid, "fd/9", "anon_inode:kvm-vcpu:0");
	fake_vcpu(pid, 0);
	fake_vcpu(pid, 1);
}

static void fake_end(int pid)
{
	CHECK_EQ(nftw(fake_path("%d", pid), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static const struct domain *domain_named(const struct world *world, const char *name)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(world->domains, i)); i++)
		if (strcmp(domain->name, name) == 0)
			return domain;
	FAIL("there is no domain '%s'", name);
}

TEST(guests_without_libvirt_come_and_go)
{
	struct world *world;
	const struct domain *domain;

	fake_qemu(400, "web2", UUID_2);
	world = world_new(true);
	CHECK_EQ(domains_count(world->domains), 1);
	fake_qemu(500, "web1", NULL);
	look(world);
	CHECK_HEARD(world, "appeared web1, started web1");
	domain = domains_get(world->domains, 0);
	CHECK_STR(domain->name, "web1");
	CHECK_STR(domain->uuid, "");
	CHECK_STR(domain->state, "running");
	CHECK(domain->running && !domain->libvirt && !domain->why && !domain->kernel);
	CHECK_EQ(domain->guest.n_vcpus, 2);
	CHECK_EQ(domain->guest.vcpus[1].tid, 503);
	CHECK_STR(domain->guest.exe, "/usr/bin/qemu-system-x86_64");
	CHECK_STR(domains_get(world->domains, 1)->name, "web2");
	CHECK(!domains_get(world->domains, 2));
	fake_end(500);
	look(world);
	CHECK_HEARD(world, "stopped web1, gone web1");
	look(world);
	CHECK_HEARD(world, "");
	CHECK_EQ(domains_count(world->domains), 1);
	world_free(world);
}

TEST(vcpus_are_plugged_and_unplugged)
{
	struct world *world;

	fake_qemu(400, "web1", UUID_1);
	world = world_new(true);
	fake_vcpu(400, 2);
	fake_stat(fake_path("400/stat"), 400, "qemu-system-x86", 0x400000, 5, FAKE_YOUNG, 0);
	look(world);
	CHECK_HEARD(world, "vcpu+ web1 2");
	CHECK_EQ(domain_named(world, "web1")->guest.n_vcpus, 3);
	CHECK_EQ(nftw(fake_path("400/task/403"), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
	look(world);
	CHECK_HEARD(world, "vcpu- web1 1");
	CHECK_EQ(domain_named(world, "web1")->guest.vcpus[1].index, 2);
	world_free(world);
}

TEST(what_libvirt_defines_is_known_before_it_runs_and_after)
{
	struct world *world = world_new(false);
	const struct domain *domain;
	uint64_t id;

	libvirt_has(world, "web1", UUID_1, "shutoff", 0);
	CHECK_HEARD(world, "appeared web1");
	domain = domain_named(world, "web1");
	id = domain->id;
	CHECK(domain->libvirt && !domain->running);
	fake_qemu(400, "web1", UUID_1);
	libvirt_has(world, "web1", UUID_1, "running", 400);
	CHECK_HEARD(world, "changed web1, started web1");
	CHECK(domain->running && !domain->why);
	CHECK_EQ(domain->guest.pid, 400);
	libvirt_has(world, "web1", UUID_1, "paused", 400);
	CHECK_HEARD(world, "changed web1");
	fake_end(400);
	look(world);
	CHECK_HEARD(world, "stopped web1");
	CHECK_STR(domain->state, "shutoff");
	CHECK_EQ(domain->guest.pid, 400);
	CHECK_EQ(domains_by_id(world->domains, id)->id, id);
	domains_libvirt_lost(world->domains, UUID_1);
	CHECK_HEARD(world, "gone web1");
	CHECK(!domains_by_id(world->domains, id));
	world_free(world);
}

/* As after a destroy and start, or a restore, that happened between two looks. */
TEST(a_new_process_is_a_new_incarnation_of_the_same_domain)
{
	struct world *world;
	uint64_t id;

	fake_qemu(400, "web1", UUID_1);
	world = world_new(false);
	libvirt_has(world, "web1", UUID_1, "running", 400);
	id = domain_named(world, "web1")->id;
	domains_set_kernel(world->domains, id, "6.1.0", NULL);
	world->heard[0] = '\0';
	fake_end(400);
	fake_qemu(410, "web1", UUID_1);
	look(world);
	CHECK_HEARD(world, "stopped web1, started web1");
	CHECK_EQ(domain_named(world, "web1")->id, id);
	CHECK_EQ(domain_named(world, "web1")->guest.pid, 410);
	CHECK(!domain_named(world, "web1")->kernel);
	world_free(world);
}

TEST(a_guest_seen_first_in_proc_becomes_libvirts)
{
	struct world *world;
	uint64_t id;

	fake_qemu(400, "web1", UUID_1);
	world = world_new(true);
	id = domain_named(world, "web1")->id;
	libvirt_has(world, "web1", UUID_1, "paused", 400);
	CHECK_HEARD(world, "changed web1");
	CHECK_EQ(domain_named(world, "web1")->id, id);
	CHECK(domain_named(world, "web1")->libvirt && domain_named(world, "web1")->running);
	CHECK_STR(domain_named(world, "web1")->state, "paused");
	CHECK_EQ(domains_count(world->domains), 1);
	world_free(world);
}

TEST(a_borrowed_name_is_not_the_domain)
{
	struct world *world = world_new(true);

	libvirt_has(world, "web1", UUID_1, "shutoff", 0);
	fake_qemu(400, "web1", NULL);
	fake_qemu(500, "web1", UUID_2);
	look(world);
	CHECK_EQ(domains_count(world->domains), 3);
	CHECK(!domains_get(world->domains, 0)->running);
	CHECK(domains_get(world->domains, 0)->libvirt);
	CHECK(domains_get(world->domains, 1)->running && !domains_get(world->domains, 1)->libvirt);
	CHECK(domains_get(world->domains, 2)->running && !domains_get(world->domains, 2)->libvirt);
	world_free(world);
}

/* A user's own QEMU, called by the UUID of a domain that is shut off. */
TEST(a_borrowed_uuid_is_not_the_domain)
{
	struct world *world = world_new(true);

	libvirt_has(world, "web1", UUID_1, "shutoff", 0);
	fake_qemu(400, "web1", UUID_1);
	fake_user(400, 12345);
	look(world);
	CHECK_EQ(domains_count(world->domains), 2);
	CHECK(domains_get(world->domains, 0)->libvirt && !domains_get(world->domains, 0)->running);
	CHECK(domains_get(world->domains, 1)->running && !domains_get(world->domains, 1)->libvirt);
	fake_qemu(500, "web1", UUID_1);
	libvirt_has(world, "web1", UUID_1, "running", 500);
	CHECK_EQ(domains_count(world->domains), 2);
	CHECK(domains_get(world->domains, 0)->libvirt);
	CHECK_EQ(domains_get(world->domains, 0)->guest.pid, 500);
	CHECK(!domains_get(world->domains, 1)->libvirt);
	CHECK_EQ(domains_get(world->domains, 1)->guest.pid, 400);
	world_free(world);
}

/* Two of root's with one UUID: libvirt's word on which of them it is comes later. */
TEST(the_pid_that_libvirt_names_decides)
{
	struct world *world = world_new(false);

	libvirt_has(world, "web1", UUID_1, "running", 0);
	fake_qemu(400, "web1", UUID_1);
	look(world);
	CHECK_EQ(domain_named(world, "web1")->guest.pid, 400);
	fake_qemu(500, "web1", UUID_1);
	libvirt_has(world, "web1", UUID_1, "running", 500);
	CHECK_EQ(domain_named(world, "web1")->guest.pid, 500);
	CHECK(domain_named(world, "web1")->running && !domain_named(world, "web1")->why);
	/* One of another user is taken if libvirt says so: `user` in qemu.conf may be anybody. */
	fake_end(500);
	fake_qemu(600, "web1", UUID_1);
	fake_user(600, 12345);
	libvirt_has(world, "web1", UUID_1, "running", 600);
	CHECK_EQ(domain_named(world, "web1")->guest.pid, 600);
	world_free(world);
}

TEST(a_domain_without_a_process_says_so)
{
	struct world *world = world_new(true);
	const struct domain *domain;

	libvirt_has(world, "web1", UUID_1, "running", 0);
	CHECK_HEARD(world, "appeared web1, changed web1");
	domain = domain_named(world, "web1");
	CHECK_CONTAINS(domain->why, "no process");
	libvirt_has(world, "web1", UUID_1, "running", 0);
	CHECK_HEARD(world, "");
	fake_qemu(400, "web1", NULL);
	look(world);
	CHECK_HEARD(world, "started web1");
	CHECK(!domain->why);
	world_free(world);
}

TEST(other_guests_are_left_out_if_the_configuration_says_so)
{
	struct world *world;

	fake_qemu(400, "by-hand", UUID_2);
	fake_qemu(500, "web1", UUID_1);
	world = world_new(false);
	CHECK_EQ(domains_count(world->domains), 0);
	libvirt_has(world, "web1", UUID_1, "running", 500);
	CHECK_HEARD(world, "appeared web1, started web1");
	world->config.other_guests = true;
	domains_reload(world->domains, &world->config);
	CHECK_HEARD(world, "appeared by-hand, started by-hand");
	world->config.other_guests = false;
	domains_reload(world->domains, &world->config);
	CHECK_HEARD(world, "stopped by-hand, gone by-hand");
	domains_libvirt_lost(world->domains, UUID_1);
	CHECK_HEARD(world, "stopped web1, gone web1");
	world_free(world);
}

/* libvirtd was away: a domain was renamed, one undefined, one stopped and one is new. */
TEST(a_new_list_of_libvirts_replaces_the_old_one)
{
	struct world *world;

	fake_qemu(400, "runs", UUID_1);
	world = world_new(false);
	libvirt_has(world, "runs", UUID_1, "running", 400);
	libvirt_has(world, "off", "00000000-0000-0000-0000-000000000001", "shutoff", 0);
	libvirt_has(world, "undefined", "00000000-0000-0000-0000-000000000002", "shutoff", 0);
	world->heard[0] = '\0';
	domains_libvirt_begin(world->domains);
	libvirt_has(world, "runs", UUID_1, "running", 400);
	libvirt_has(world, "a-new-name", "00000000-0000-0000-0000-000000000001", "shutoff", 0);
	libvirt_has(world, "new", "00000000-0000-0000-0000-000000000003", "running", 0);
	domains_libvirt_end(world->domains);
	CHECK_HEARD(world, "changed a-new-name, appeared new, gone undefined, changed new");
	CHECK_STR(domains_get(world->domains, 0)->name, "a-new-name");
	CHECK_STR(domains_get(world->domains, 2)->name, "runs");
	CHECK_STR(domains_get(world->domains, 2)->guest.name, "runs");
	world_free(world);
}

TEST(what_is_known_of_a_kernel_is_told)
{
	struct world *world;
	uint64_t id;

	fake_qemu(400, "web1", UUID_1);
	world = world_new(true);
	id = domain_named(world, "web1")->id;
	domains_set_kernel(world->domains, id, NULL, "not a Linux kernel");
	CHECK_HEARD(world, "changed web1");
	CHECK_STR(domain_named(world, "web1")->why, "not a Linux kernel");
	domains_set_kernel(world->domains, id, "6.1.0-43-amd64", NULL);
	CHECK_HEARD(world, "changed web1");
	domains_set_kernel(world->domains, id, "6.1.0-43-amd64", NULL);
	CHECK_HEARD(world, "");
	CHECK_STR(domain_named(world, "web1")->kernel, "6.1.0-43-amd64");
	CHECK(!domain_named(world, "web1")->why);
	domains_set_kernel(world->domains, id + 1, "none", NULL);
	CHECK_HEARD(world, "");
	world_free(world);
}

TEST(names_hold_no_control_characters)
{
	struct world *world = world_new(true);

	libvirt_has(world, "we\nb\x1b[1m", UUID_1, "shutoff", 0);
	CHECK_STR(domains_get(world->domains, 0)->name, "we?b?[1m");
	world_free(world);
}

struct fickle {
	struct world *world;
	int id, heard;
};

static void hear_once(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		      void *data)
{
	struct fickle *fickle = data;

	(void)change, (void)domain, (void)vcpu;
	fickle->heard++;
	domains_unlisten(fickle->world->domains, fickle->id);
	CHECK_CMP(domains_listen(fickle->world->domains, hear, fickle->world), >, 0);
}

TEST(listeners_may_leave_and_join_while_they_are_told)
{
	struct world *world = world_new(true);
	struct fickle fickle = { .world = world };

	fickle.id = domains_listen(world->domains, hear_once, &fickle);
	libvirt_has(world, "web1", UUID_1, "shutoff", 0);
	CHECK_HEARD(world, "appeared web1");
	libvirt_has(world, "web1", UUID_1, "crashed", 0);
	CHECK_HEARD(world, "changed web1, changed web1");
	CHECK_EQ(fickle.heard, 1);
	world_free(world);
}

static void hear_end(enum domain_change change, const struct domain *domain, const struct vpmu_vcpu_info *vcpu,
		     void *data)
{
	pid_t *pid = data;

	(void)vcpu;
	if (change == DOMAIN_STOPPED && domain->guest.pid == *pid)
		*pid = 0;
}

/* The real /proc. Nobody waits for the child, so it stays there as a zombie. */
TEST(death_is_heard_of_at_once)
{
	_cleanup_(sd_event_unrefp) sd_event *loop = NULL;
	const struct config config = { .other_guests = true };
	struct domains *domains;
	pid_t pid = child_guest_new(), waited = pid;

	CHECK_EQ(sd_event_new(&loop), 0);
	CHECK_EQ(domains_new(loop, &config, NULL, &domains, NULL), 0);
	CHECK_CMP(domains_listen(domains, hear_end, &waited), >, 0);
	kill(pid, SIGKILL);
	WAIT_UNTIL(!waited, CHECK_CMP(sd_event_run(loop, 10000), >=, 0));
	child_guest_end(pid);
	domains_free(domains);
}

int main(void)
{
	return test_main();
}
