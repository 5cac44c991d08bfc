/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The always-on session over children that look like guests: needs perf events, but no KVM. Its minutes are short here. */
#include <dirent.h>
#include <sys/prctl.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/always_on.h"
#include "daemon/store.h"
#include "fake_proc.h"
#include "self_guest.h"
#include "util/cleanup.h"
#include "util/macro.h"

#define MINUTE_MS 500

struct stage {
	struct manager m;
	struct config config;
	char store_path[PATH_MAX];
	bool answered;
	int error;
	struct vpmu_profile *profile;
};

/* A child that spins in a thread with a vCPU's name, and what /proc would show of a QEMU around it. */
static pid_t spinning_guest(const char *name)
{
	pid_t pid = fork();
	char text[128];
	int n = snprintf(text, sizeof(text), "qemu-system-x86_64%c-name%cguest=%s%c", 0, 0, name, 0);
	struct vpmu_guest_info info;

	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* where a story fails */
		prctl(PR_SET_NAME, "CPU 0/KVM");
		for (;;)
			;
	}
	info = self_guest(pid, NULL);
	fake_stat(fake_path("%d/stat", pid), pid, "qemu-system-x86", 0x400000, 1, info.start_ticks, 0);
	fake_stat(fake_path("%d/task/%d/stat", pid, pid), pid, "CPU 0/KVM", 0x400040, 1, info.start_ticks, 5);
	fake_path("%d/fd/", pid);
	fake_write(fake_path("%d/cmdline", pid), text, (size_t)n);
	fake_link(pid, "exe", "/usr/bin/qemu-system-x86_64");
	fake_link(pid, "fd/9", "anon_inode:kvm-vcpu:0");
	return pid;
}

static void forget_guest(pid_t pid)
{
	end_child(pid);
	CHECK_EQ(nftw(fake_path("%d", pid), fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void open_store(struct stage *s)
{
	CHECK_EQ(store_new(s->m.jobs, &s->config, &s->m.store, NULL), 0);
}

static void enter(struct stage *s)
{
	const struct arbiter_node node = { .max_requests = 10 };

	*s = (struct stage){};
	snprintf(s->store_path, sizeof(s->store_path), "%s", fake_path("store.db"));
	s->config = (struct config){ .other_guests = true, .always_on = true, .always_on_hz = 200, .store_path = s->store_path,
				     .store_max_bytes = 8 << 20, .store_max_age_s = 86400 };
	s->m.config = &s->config;
	CHECK_CMP(sd_event_new(&s->m.loop), >=, 0);
	CHECK_EQ(jobs_new(s->m.loop, 2, &s->m.jobs, NULL), 0);
	CHECK_EQ(domains_new(s->m.loop, &s->config, fake_dir(), &s->m.domains, NULL), 0);
	CHECK_EQ(arbiter_new(&node, NULL, NULL, &s->m.arbiter), 0);
	open_store(s);
}

static void begin(struct stage *s)
{
	CHECK_EQ(always_on_new(&s->m, MINUTE_MS, 0, &s->m.always_on, NULL), 0);
}

static void leave(struct stage *s)
{
	always_on_free(s->m.always_on);
	domains_free(s->m.domains);
	store_free(s->m.store);
	jobs_free(s->m.jobs);
	arbiter_free(s->m.arbiter);
	sd_event_unref(s->m.loop);
	vpmu_profile_free(s->profile);
}

static void on_answer(struct vpmu_profile *profile, const struct vpmu_error *error, void *data)
{
	struct stage *s = data;

	s->profile = vpmu_profile_free(s->profile);
	s->profile = profile;
	s->error = error ? error->code : 0;
	s->answered = true;
}

/* How many samples the store has of a guest; 0 if nothing. */
static uint64_t stored_of(struct stage *s, const char *guest, const char *uuid)
{
	struct store_guest one = { .name = guest, .uuid = uuid };
	struct store_query query = { .guests = &one, .n_guests = 1, .until_ms = INT64_MAX };
	struct vpmu_coverage coverage;

	s->answered = false;
	CHECK_EQ(store_get(s->m.store, &query, on_answer, s), 0);
	while (!s->answered)
		CHECK_CMP(sd_event_run(s->m.loop, UINT64_MAX), >=, 0);
	if (!s->profile)
		return 0;
	vpmu_profile_coverage(s->profile, &coverage);
	return coverage.samples;
}

static uint64_t stored(struct stage *s, const char *guest)
{
	return stored_of(s, guest, "");
}

static void run_for(struct stage *s, int ms)
{
	uint64_t end = 0, now = 0;

	CHECK_CMP(sd_event_now(s->m.loop, CLOCK_MONOTONIC, &now), >=, 0);
	end = now + (uint64_t)ms * 1000;
	while (now < end) {
		struct timespec t;

		CHECK_CMP(sd_event_run(s->m.loop, end - now), >=, 0);
		clock_gettime(CLOCK_MONOTONIC, &t);
		now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
	}
}

static void skip_without_perf_events(const struct stage *s)
{
	struct always_on_stats stats;

	always_on_stats(s->m.always_on, &stats);
	if (stats.why && strstr(stats.why, "perf_event"))
		skip("perf events are not available here (perf_event_paranoid, CAP_PERFMON)");
}

/* Until the store has more than @samples of @guest. */
static uint64_t wait_for_more(struct stage *s, const char *guest, uint64_t samples)
{
	uint64_t now;

	WAIT_UNTIL((now = stored(s, guest)) > samples, {
		run_for(s, 100);
		skip_without_perf_events(s);
	});
	return now;
}

TEST(each_minute_of_each_guest_is_kept)
{
	pid_t web1 = spinning_guest("web1"), web2;
	struct stage s;
	uint64_t first;

	enter(&s);
	begin(&s);
	first = wait_for_more(&s, "web1", 0);
	CHECK_EQ(stored(&s, "web2"), 0);
	web2 = spinning_guest("web2");
	domains_look(s.m.domains);
	wait_for_more(&s, "web2", 0);
	wait_for_more(&s, "web1", first);
	CHECK(always_on_samples(s.m.always_on, domains_get(s.m.domains, 0)));
	forget_guest(web2);
	domains_look(s.m.domains);
	wait_for_more(&s, "web1", stored(&s, "web1"));
	leave(&s);
	end_child(web1);
}

TEST(what_the_minute_had_so_far_is_kept_at_the_end)
{
	pid_t web1 = spinning_guest("web1");
	struct stage s;

	enter(&s);
	/* On a busy machine the guest may not have run yet when it ends. */
	for (int ms = 700; !stored(&s, "web1"); ms *= 2) {
		CHECK_CMP(ms, <, 15000);
		CHECK_EQ(always_on_new(&s.m, 3600000, 0, &s.m.always_on, NULL), 0);
		WAIT_UNTIL(always_on_samples(s.m.always_on, domains_get(s.m.domains, 0)), {
			run_for(&s, 20);
			skip_without_perf_events(&s);
		});
		run_for(&s, ms);
		CHECK_EQ(stored(&s, "web1"), 0);
		s.m.always_on = always_on_free(s.m.always_on);
		store_free(s.m.store);
		open_store(&s);
	}
	leave(&s);
	end_child(web1);
}

TEST(the_switch_ends_it_and_starts_it)
{
	pid_t web1 = spinning_guest("web1");
	struct always_on_stats stats;
	struct stage s;

	enter(&s);
	s.config.always_on = false;
	begin(&s);
	run_for(&s, 2 * MINUTE_MS);
	CHECK_EQ(stored(&s, "web1"), 0);
	always_on_stats(s.m.always_on, &stats);
	CHECK_CONTAINS(stats.why, "switched off");
	CHECK(!always_on_samples(s.m.always_on, domains_get(s.m.domains, 0)));
	s.config.always_on = true;
	always_on_reload(s.m.always_on);
	wait_for_more(&s, "web1", 0);
	s.config.always_on = false;
	always_on_reload(s.m.always_on);
	run_for(&s, 2 * MINUTE_MS);
	CHECK(!always_on_samples(s.m.always_on, domains_get(s.m.domains, 0)));
	leave(&s);
	end_child(web1);
}

TEST(another_rate_counts_from_a_reload_on)
{
	pid_t web1 = spinning_guest("web1");
	struct stage s;
	uint64_t before;

	enter(&s);
	begin(&s);
	before = wait_for_more(&s, "web1", 0);
	s.config.always_on_hz = 100;
	always_on_reload(s.m.always_on);
	wait_for_more(&s, "web1", before);
	run_for(&s, 3 * MINUTE_MS);
	CHECK_CMP(stored(&s, "web1"), >, before);
	leave(&s);
	end_child(web1);
}

TEST(a_guest_is_kept_under_the_name_that_it_has)
{
	static const char uuid[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	pid_t web1 = spinning_guest("web1");
	const struct libvirt_domain renamed = { "db", uuid, "running", web1 };
	struct stage s;

	enter(&s);
	begin(&s);
	wait_for_more(&s, "web1", 0);
	CHECK_EQ(domains_libvirt_has(s.m.domains, &renamed), 0);
	WAIT_UNTIL(stored_of(&s, "db", uuid), run_for(&s, 100));
	leave(&s);
	end_child(web1);
}

/* Of the runner's thread; 0 = there is none. */
static pid_t session_tid(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t tid = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(comm, sizeof(comm), file) && streq(comm, "session\n"))
			tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (file)
			fclose(file);
	}
	closedir(dir);
	return tid;
}

/* What is kept of guests that are gone would add up for as long as vpmud runs. */
TEST(guests_that_come_and_go_do_not_pile_up)
{
	pid_t web1 = spinning_guest("web1"), web2 = spinning_guest("web2"), before;
	struct stage s;

	enter(&s);
	CHECK_EQ(always_on_new(&s.m, MINUTE_MS, 1, &s.m.always_on, NULL), 0);
	before = session_tid();
	CHECK_CMP(before, >, 0);
	wait_for_more(&s, "web2", 0);
	CHECK_EQ(session_tid(), before);
	forget_guest(web2);
	domains_look(s.m.domains);
	WAIT_UNTIL(session_tid() != before, run_for(&s, 100));
	wait_for_more(&s, "web1", stored(&s, "web1"));
	leave(&s);
	end_child(web1);
}

TEST(without_a_store_it_goes_on)
{
	pid_t web1 = spinning_guest("web1");
	struct always_on_stats stats;
	struct stage s;

	enter(&s);
	s.m.store = store_free(s.m.store);
	begin(&s);
	WAIT_UNTIL((always_on_stats(s.m.always_on, &stats), stats.samples), {
		run_for(&s, 100);
		skip_without_perf_events(&s);
	});
	leave(&s);
	end_child(web1);
}

/* The stories share what they keep of this kernel's symbols: reading it takes seconds under valgrind. */
int main(void)
{
	char cache[] = "/tmp/vpmu-cache-XXXXXX";
	int result;

	CHECK(mkdtemp(cache));
	setenv("XDG_CACHE_HOME", cache, 1);
	result = test_main();
	nftw(cache, fake_remove, 8, FTW_DEPTH | FTW_PHYS);
	return result;
}
