/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's test driver lives in this process: test:///default has one domain, "test", and everybody who opens it sees the same. */
#include <errno.h>
#include <libvirt/libvirt.h>
#include <sys/resource.h>

#include "daemon/watcher.h"
#include "fake_proc.h"

struct world {
	sd_event *loop;
	struct jobs *jobs;
	struct domains *domains;
	struct watcher *watcher;
	struct config config;
};

static void world_open(struct world *world, char *uri)
{
	*world = (struct world){ .config = { .libvirt = uri, .other_guests = true } };
	CHECK_EQ(sd_event_new(&world->loop), 0);
	CHECK_EQ(jobs_new(world->loop, 1, &world->jobs, NULL), 0);
	CHECK_EQ(domains_new(world->loop, &world->config, fake_dir(), &world->domains, NULL), 0);
	CHECK_EQ(watcher_new(world->jobs, world->domains, &world->config, &world->watcher, NULL), 0);
}

static void world_close(struct world *world)
{
	watcher_free(world->watcher);
	jobs_free(world->jobs);
	domains_free(world->domains);
	sd_event_unref(world->loop);
}

static const struct domain *domain_named(const struct world *world, const char *name)
{
	const struct domain *domain;

	for (size_t i = 0; (domain = domains_get(world->domains, i)); i++)
		if (strcmp(domain->name, name) == 0)
			return domain;
	return NULL;
}

#define RUN_UNTIL(world, cond) WAIT_UNTIL(cond, CHECK_CMP(sd_event_run((world)->loop, 10000), >=, 0))

static bool has_state(const struct world *world, const char *name, const char *state)
{
	const struct domain *domain = domain_named(world, name);

	return domain && strcmp(domain->state, state) == 0;
}

static enum watcher_state state_of(const struct world *world)
{
	const char *why;

	return watcher_state(world->watcher, &why);
}

TEST(what_happens_in_libvirt_is_followed)
{
	static const char new[] = "<domain type='test'><name>new</name><memory>1024</memory><os><type>hvm</type></os></domain>";
	struct world world;
	virConnectPtr conn;
	virDomainPtr dom;

	world_open(&world, (char[]){ "test:///default" });
	RUN_UNTIL(&world, has_state(&world, "test", "running"));
	CHECK_EQ(state_of(&world), WATCHER_CONNECTED);
	CHECK(domain_named(&world, "test")->libvirt && !domain_named(&world, "test")->running);
	RUN_UNTIL(&world, domain_named(&world, "test")->why);
	CHECK_CONTAINS(domain_named(&world, "test")->why, "no process");

	conn = virConnectOpen("test:///default");
	CHECK(conn);
	dom = virDomainLookupByName(conn, "test");
	CHECK_EQ(virDomainSuspend(dom), 0);
	RUN_UNTIL(&world, has_state(&world, "test", "paused"));
	CHECK_EQ(virDomainDestroy(dom), 0);
	RUN_UNTIL(&world, has_state(&world, "test", "shutoff"));
	CHECK_EQ(virDomainRename(dom, "renamed", 0), 0);
	RUN_UNTIL(&world, has_state(&world, "renamed", "shutoff"));
	CHECK(!domain_named(&world, "test"));
	CHECK_EQ(virDomainCreate(dom), 0);
	RUN_UNTIL(&world, has_state(&world, "renamed", "running"));
	CHECK_EQ(virDomainDestroy(dom), 0);
	CHECK_EQ(virDomainUndefine(dom), 0);
	RUN_UNTIL(&world, !domain_named(&world, "renamed"));
	virDomainFree(dom);

	dom = virDomainCreateXML(conn, new, 0);
	CHECK(dom);
	RUN_UNTIL(&world, has_state(&world, "new", "running"));
	CHECK_EQ(virDomainDestroy(dom), 0); /* it is transient */
	RUN_UNTIL(&world, !domain_named(&world, "new"));
	virDomainFree(dom);
	virConnectClose(conn);
	world_close(&world);
}

TEST(a_libvirt_that_is_not_there_is_no_failure)
{
	char *const uris[] = { (char[]){ "test:///nonexistent.xml" },
				      (char[]){ "qemu+unix:///system?socket=/nonexistent/libvirt-sock" },
				      (char[]){ "nonsense://" } };

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct world world;
		const char *why;

		world_open(&world, uris[i]);
		RUN_UNTIL(&world, (watcher_state(world.watcher, &why), why));
		CHECK_EQ(state_of(&world), WATCHER_CONNECTING);
		CHECK_CONTAINS(why, uris[i]);
		CHECK_EQ(domains_count(world.domains), 0);
		world_close(&world);
	}
}

/* The file is libvirt's node with its domains. It comes to be while the watcher tries again and again. */
TEST(a_libvirt_that_comes_late_is_found)
{
	static const char node[] = "<node><domain type='test'><name>late</name><memory>1024</memory>"
				   "<os><type>hvm</type></os></domain></node>";
	char uri[PATH_MAX + 16], path[PATH_MAX];
	struct world world;
	const char *why;

	snprintf(path, sizeof(path), "%s", fake_path("node.xml"));
	snprintf(uri, sizeof(uri), "test://%s", path);
	world_open(&world, uri);
	RUN_UNTIL(&world, (watcher_state(world.watcher, &why), why));
	fake_text(path, node);
	RUN_UNTIL(&world, domain_named(&world, "late"));
	CHECK_EQ(watcher_state(world.watcher, &why), WATCHER_CONNECTED);
	CHECK(!why);
	world_close(&world);
}

TEST(another_uri_replaces_what_was_known)
{
	struct world world;

	world_open(&world, (char[]){ "none" });
	CHECK_EQ(state_of(&world), WATCHER_OFF);
	world.config.libvirt = (char[]){ "test:///default" };
	CHECK_EQ(watcher_prepare(world.watcher, &world.config, NULL), 0);
	watcher_reload(world.watcher, &world.config);
	RUN_UNTIL(&world, domain_named(&world, "test"));
	world.config.libvirt = (char[]){ "none" };
	CHECK_EQ(watcher_prepare(world.watcher, &world.config, NULL), 0);
	watcher_reload(world.watcher, &world.config);
	CHECK_EQ(domains_count(world.domains), 0);
	CHECK_EQ(state_of(&world), WATCHER_OFF);
	world_close(&world);
}

TEST(another_libvirt_is_followed_after_the_first)
{
	static const char node[] = "<node><domain type='test'><name>other</name><memory>1024</memory><os><type>hvm</type></os></domain></node>";
	char path[64], uri[96];
	struct world world;

	snprintf(path, sizeof(path), "%s/other.xml", fake_dir());
	fake_text(path, node);
	snprintf(uri, sizeof(uri), "test://%s", path);
	world_open(&world, (char[]){ "test:///default" });
	RUN_UNTIL(&world, domain_named(&world, "test"));
	for (int i = 0; i < 5; i++) {
		world.config.libvirt = i % 2 ? (char[]){ "test:///default" } : uri;
		CHECK_EQ(watcher_prepare(world.watcher, &world.config, NULL), 0);
		watcher_reload(world.watcher, &world.config);
		CHECK_EQ(domains_count(world.domains), 0);
		RUN_UNTIL(&world, domain_named(&world, i % 2 ? "test" : "other"));
		CHECK_EQ(domains_count(world.domains), 1);
	}
	world_close(&world);
}

TEST(what_cannot_be_changed_to_changes_nothing)
{
	struct config other = { .libvirt = (char[]){ "test:///nonexistent.xml" }, .other_guests = true };
	struct rlimit before;
	struct vpmu_error error;
	struct world world;

	world_open(&world, (char[]){ "test:///default" });
	RUN_UNTIL(&world, domain_named(&world, "test"));
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
	CHECK_EQ(watcher_prepare(world.watcher, &other, &error), -EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(state_of(&world), WATCHER_CONNECTED);
	CHECK(domain_named(&world, "test"));
	/* Nor does what is not taken. */
	CHECK_EQ(watcher_prepare(world.watcher, &other, &error), 0);
	for (int i = 0; i < 10; i++)
		CHECK_CMP(sd_event_run(world.loop, 10000), >=, 0);
	watcher_reload(world.watcher, &world.config);
	CHECK_EQ(state_of(&world), WATCHER_CONNECTED);
	CHECK(domain_named(&world, "test"));
	world_close(&world);
}

static void nothing(int watch, int fd, int events, void *data)
{
	(void)watch, (void)fd, (void)events, (void)data;
}

int main(void)
{
	/* libvirt keeps its loop's descriptor for good, from the first use on: before a test counts its own. */
	virEventRegisterDefaultImpl();
	virEventRemoveHandle(virEventAddHandle(STDIN_FILENO, 0, nothing, NULL, NULL));
	return test_main();
}
