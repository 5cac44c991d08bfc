/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The call is a fake here, so that it can be a slow reader at will: what it was told is a text. tests/daemon has real clients. */
#include <errno.h>
#include <json-c/json.h>

#include "daemon/subscriptions.h"
#include "fake_proc.h"
#include "util/strbuf.h"

#define UUID_1 "00000000-0000-0000-0000-000000000001"
#define UUID_2 "00000000-0000-0000-0000-000000000002"

struct call {
	int n_refs;
	size_t queued;	      /* what waits to be read */
	int n_until_full;     /* replies until so much waits that nothing more is sent */
	struct strbuf told;
	void (*gone)(struct call *call, void *data);
	void *gone_data;
	const char *hidden;   /* a guest that it may not see */
};

struct call *call_ref(struct call *call)
{
	call->n_refs++;
	return call;
}

struct call *call_unref(struct call *call)
{
	if (call)
		call->n_refs--;
	return NULL;
}

size_t call_queued_bytes(const struct call *call)
{
	return call->queued;
}

const struct peer *call_peer(const struct call *call)
{
	return (const struct peer *)call;
}

void call_on_gone(struct call *call, void (*fn)(struct call *call, void *data), void *data)
{
	call->gone = fn;
	call->gone_data = data;
}

int call_strings(const struct call *call, const char *name, const char ***ret_strings, size_t *ret_n)
{
	(void)call, (void)name, (void)ret_strings, (void)ret_n;
	return -ENOSYS;
}

int call_bad_value(struct call *call, const char *parameter, const char *format, ...)
{
	(void)call, (void)parameter, (void)format;
	return -ENOSYS;
}

bool access_may_see(const struct access *access, const struct peer *peer, const char *name, const char *uuid)
{
	const struct call *call = (const struct call *)peer;

	(void)access, (void)uuid;
	return !call->hidden || strcmp(call->hidden, name) != 0;
}

/* "change name" or "change name vcpu", separated by commas. */
int call_reply_more(struct call *call, struct json_object *parameters)
{
	struct json_object *guest = json_object_object_get(parameters, "guest"),
			   *vcpu = json_object_object_get(parameters, "vcpu");

	strbuf_addf(&call->told, "%s%s", call->told.n ? ", " : "",
		    json_object_get_string(json_object_object_get(parameters, "change")));
	if (guest)
		strbuf_addf(&call->told, " %s", json_object_get_string(json_object_object_get(guest, "name")));
	if (vcpu)
		strbuf_addf(&call->told, " %s", json_object_get_string(json_object_object_get(vcpu, "index")));
	json_object_put(parameters);
	if (call->n_until_full > 0 && --call->n_until_full == 0)
		call->queued = SIZE_MAX;
	return 0;
}

struct world {
	sd_event *loop;
	struct config config;
	bool profiled;
	struct domains *domains;
	struct guest_views *views;
	struct subscriptions *subscriptions;
	struct call call;
};

static bool is_profiled(const struct domain *domain, void *data)
{
	return domain->running && *(bool *)data;
}

static void world_open(struct world *world)
{
	*world = (struct world){ .config.other_guests = true };
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	CHECK_EQ(guest_views_new(world->domains, is_profiled, &world->profiled, &world->views, NULL), 0);
	CHECK_EQ(subscriptions_new(world->loop, world->domains, world->views, NULL, &world->subscriptions, NULL), 0);
}

static void world_close(struct world *world)
{
	subscriptions_free(world->subscriptions);
	guest_views_free(world->views);
	domains_free(world->domains);
	sd_event_unref(world->loop);
	CHECK_EQ(world->call.n_refs, 0);
	strbuf_deinit(&world->call.told);
}

static void subscribe(struct world *world, const char *pattern)
{
	const char **patterns = NULL;

	if (pattern) {
		patterns = calloc(1, sizeof(*patterns));
		CHECK(patterns);
		patterns[0] = pattern;
	}
	CHECK_EQ(subscriptions_add(world->subscriptions, &world->call, patterns, pattern != NULL), 0);
}

/* Lets the loop do what is due, and compares what the client was told by that. */
#define CHECK_TOLD(world, what)                                                        \
	do {                                                                           \
		while (sd_event_run((world)->loop, 0) > 0)                             \
			;                                                              \
		CHECK_STR((world)->call.told.text ? (world)->call.told.text : "", what); \
		strbuf_clear(&(world)->call.told);                                     \
	} while (0)

static void libvirt_has(struct world *world, const char *name, const char *uuid, const char *state)
{
	const struct libvirt_domain of_libvirt = { name, uuid, state, 0 };

	CHECK_EQ(domains_libvirt_has(world->domains, &of_libvirt), 0);
}

static void fake_vcpu(int pid, int index)
{
	char text[64];

	snprintf(text, sizeof(text), "CPU %d/KVM", index);
	fake_thread(pid, pid + 2 + index, text, 5);
}

static void fake_qemu(int pid, const char *name)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=%s%c", 0, 0, name, 0);

	fake_process(pid, "qemu-system-x86", 2);
	fake_write(fake_path("%d/cmdline", pid), text, (size_t)n);
	fake_link(pid, "fd/9", "anon_inode:kvm-vcpu:0");
	fake_vcpu(pid, 0);
}

static void fake_end(int pid)
{
	CHECK_EQ(nftw(fake_path("%d", pid), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

TEST(those_there_come_first_then_what_changes)
{
	struct world world;

	fake_qemu(400, "web1");
	world_open(&world);
	libvirt_has(&world, "off", UUID_2, "shutoff");
	subscribe(&world, NULL);
	CHECK_TOLD(&world, "present off, present web1, settled");
	fake_qemu(500, "web2");
	domains_look(world.domains);
	CHECK_TOLD(&world, "appeared web2");
	fake_vcpu(400, 1);
	domains_look(world.domains);
	CHECK_TOLD(&world, "vcpu-appeared web1 1");
	libvirt_has(&world, "off", UUID_2, "crashed");
	CHECK_TOLD(&world, "changed off");
	libvirt_has(&world, "renamed", UUID_2, "crashed");
	CHECK_TOLD(&world, "changed renamed");
	fake_end(500);
	domains_look(world.domains);
	domains_libvirt_lost(world.domains, UUID_2);
	CHECK_TOLD(&world, "gone web2, gone renamed");
	world_close(&world);
}

TEST(several_changes_at_once_are_one)
{
	struct world world;

	world_open(&world);
	subscribe(&world, NULL);
	CHECK_TOLD(&world, "settled");
	libvirt_has(&world, "web1", UUID_1, "shutoff");
	libvirt_has(&world, "web1", UUID_1, "paused");
	libvirt_has(&world, "web1", UUID_1, "running");
	libvirt_has(&world, "web2", UUID_2, "running");
	domains_libvirt_lost(world.domains, UUID_2);
	CHECK_TOLD(&world, "appeared web1");
	libvirt_has(&world, "web1", UUID_1, "running");
	CHECK_TOLD(&world, "");
	world_close(&world);
}

/* Its vCPUs are in the reply, and are not told of one by one. */
TEST(a_process_started_anew_is_one_change)
{
	struct world world;

	fake_qemu(400, "web1");
	world_open(&world);
	libvirt_has(&world, "web1", UUID_1, "running");
	subscribe(&world, NULL);
	CHECK_TOLD(&world, "present web1, settled");
	fake_end(400);
	domains_look(world.domains);
	CHECK_TOLD(&world, "changed web1");
	fake_qemu(500, "web1");
	libvirt_has(&world, "web1", UUID_1, "running");
	CHECK_TOLD(&world, "changed web1");
	world_close(&world);
}

TEST(only_guests_that_are_meant_and_may_be_seen)
{
	struct world world;

	world_open(&world);
	world.call.hidden = "web2";
	subscribe(&world, "web*");
	libvirt_has(&world, "web1", UUID_1, "shutoff");
	libvirt_has(&world, "web2", UUID_2, "shutoff");
	libvirt_has(&world, "db", "00000000-0000-0000-0000-000000000003", "shutoff");
	CHECK_TOLD(&world, "present web1, settled");
	libvirt_has(&world, "web3", UUID_2, "shutoff");
	CHECK_TOLD(&world, "appeared web3");
	libvirt_has(&world, "mine", UUID_2, "shutoff");
	CHECK_TOLD(&world, "gone web3");
	world.call.hidden = "web1";
	subscriptions_reload(world.subscriptions);
	CHECK_TOLD(&world, "gone web1");
	world_close(&world);
}

/* What it missed is made up for once it reads, as far as it still holds. */
TEST(who_reads_slowly_is_told_less_and_nothing_wrong)
{
	struct world world;

	world_open(&world);
	libvirt_has(&world, "web1", UUID_1, "shutoff");
	libvirt_has(&world, "web2", UUID_2, "shutoff");
	world.call.n_until_full = 1;
	subscribe(&world, NULL);
	CHECK_TOLD(&world, "present web1");
	for (int i = 0; i < 100; i++) {
		libvirt_has(&world, "web1", UUID_1, i % 2 ? "shutoff" : "crashed");
		libvirt_has(&world, "short", "00000000-0000-0000-0000-000000000003", "shutoff");
		domains_libvirt_lost(world.domains, "00000000-0000-0000-0000-000000000003");
	}
	libvirt_has(&world, "web1", UUID_1, "paused");
	CHECK_TOLD(&world, "");
	world.call.queued = 0;
	WAIT_UNTIL(strstr(world.call.told.n ? world.call.told.text : "", "settled"),
		   CHECK_CMP(sd_event_run(world.loop, 20000), >=, 0));
	CHECK_TOLD(&world, "changed web1, present web2, settled");
	world_close(&world);
}

TEST(a_client_that_goes_is_forgotten)
{
	struct world world;

	world_open(&world);
	subscribe(&world, NULL);
	CHECK_TOLD(&world, "settled");
	world.call.gone(&world.call, world.call.gone_data);
	CHECK_EQ(world.call.n_refs, 0);
	libvirt_has(&world, "web1", UUID_1, "shutoff");
	CHECK_TOLD(&world, "");
	world_close(&world);
}

int main(void)
{
	return test_main();
}
