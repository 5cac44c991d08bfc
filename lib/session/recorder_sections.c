/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "format/perf_data.h"
#include "format/vpmu_section.h"
#include "host/tracing_data.h"
#include "session/guest_tasks.h"
#include "session/recorder_sections.h"
#include "sym/kernel_cache.h"
#include "util/cleanup.h"
#include "util/log.h"

void recorder_sections_deinit(struct recorder_sections *sections)
{
	for (size_t i = 0; i < sections->n; i++)
		strbuf_deinit(&sections->bodies[i]);
	sections->n = 0;
}

static struct strbuf *begin(struct recorder_sections *sections, unsigned int feature)
{
	sections->items[sections->n].feature = feature;
	return &sections->bodies[sections->n++];
}

static void add_string(struct recorder_sections *sections, unsigned int feature, const char *string)
{
	if (string && *string)
		perf_feature_string(string, begin(sections, feature));
}

/* ---- the machine ---- */

static void add_cpu_name(struct recorder_sections *sections)
{
	_close_ int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	/* The first CPU will do: the whole file takes the kernel long on a large machine. */
	char text[2048], *name, *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return;
	text[n] = '\0';
	name = strstr(text, "model name");
	name = name ? strchr(name, ':') : NULL;
	end = name ? strchr(name, '\n') : NULL;
	if (!end)
		return;
	*end = '\0';
	add_string(sections, PERF_FEATURE_CPUDESC, name + 1 + strspn(name + 1, " "));
}

static void add_machine(struct recorder_sections *sections)
{
	long available = sysconf(_SC_NPROCESSORS_CONF), online = sysconf(_SC_NPROCESSORS_ONLN);
	struct utsname names;

	if (uname(&names) < 0)
		return;
	add_string(sections, PERF_FEATURE_HOSTNAME, names.nodename);
	add_string(sections, PERF_FEATURE_OSRELEASE, names.release);
	add_string(sections, PERF_FEATURE_VERSION, "vpmu " VPMU_VERSION_STRING);
	add_string(sections, PERF_FEATURE_ARCH, names.machine);
	if (available > 0 && online > 0)
		perf_feature_nrcpus((uint32_t)online, (uint32_t)available,
				    begin(sections, PERF_FEATURE_NRCPUS));
	add_cpu_name(sections);
}

/* ---- build-ids ---- */

/* perf calls the running kernel's file [kernel.kallsyms]. */
static void add_kernel_build_id(struct strbuf *out)
{
	struct build_id id;

	kernel_cache_running(&id);
	if (id.n)
		perf_feature_build_id("[kernel.kallsyms]", PERF_RECORD_MISC_KERNEL, -1, id.bytes,
				      id.n, out);
}

static void add_file_build_id(const char *path, const uint8_t *build_id, size_t n, void *data)
{
	if (n)
		perf_feature_build_id(path, PERF_RECORD_MISC_USER, -1, build_id, n, data);
}

/* ---- tracepoints ---- */

static void add_tracing_data(struct recorder_sections *sections, const struct plan *plan)
{
	_free_ const char **names = calloc(plan->n_events, sizeof(*names));
	struct strbuf *out;
	size_t n = 0;

	for (size_t i = 0; names && i < plan->n_events; i++)
		if (plan->events[i].spec.is_tracepoint)
			names[n++] = plan->events[i].spec.name;
	if (n == 0)
		return;
	out = begin(sections, PERF_FEATURE_TRACING_DATA);
	if (tracing_data_make(plan->tracefs, names, n, out) == 0)
		return;
	log_warn(
		"ignoring that tracepoints have no formats here: stock perf will not open this");
	strbuf_deinit(out);
	sections->n--;
}

/* ---- ours ---- */

static int encode_guests(const struct recorder_facts *facts, struct strbuf *out)
{
	const struct roster *roster = facts->roster;
	_free_ struct vpmu_guest_info *guests = calloc(roster->guests.n + 1, sizeof(*guests));
	_free_ struct vpmu_section_life *lives = calloc(roster->guests.n + 1, sizeof(*lives));
	char boot[KERNEL_BOOT_ID_ROOM];
	struct vpmu_section_guests section = {
		.source = (char *)facts->plan->source_line,
		.n_guests = roster->guests.n,
		.guests = guests,
		.lives = lives,
		.boot_id = boot,
	};

	if (!guests || !lives)
		return -ENOMEM;
	kernel_cache_boot(boot);
	for (size_t i = 0; i < roster->guests.n; i++) {
		const struct roster_guest *guest = roster->guests.items[i];

		guests[i] = guest->info;
		lives[i] = (struct vpmu_section_life){ guest->from_ns, guest->until_ns, guest->not_linux };
	}
	return vpmu_section_guests_encode(&section, out);
}

static void add_times(struct recorder_sections *sections, const struct recorder_facts *facts)
{
	uint64_t range[2] = {facts->first_time_ns, facts->last_time_ns}, resolution_ns;
	struct timespec t;

	if (range[1])
		perf_feature_u64s(range, 2, begin(sections, PERF_FEATURE_SAMPLE_TIME));
	if (clock_getres(CLOCK_MONOTONIC, &t) < 0)
		return;
	resolution_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	perf_feature_u64s(&resolution_ns, 1, begin(sections, PERF_FEATURE_CLOCKID));
}

int recorder_sections_make(struct recorder_sections *sections, const struct recorder_facts *facts,
			   const struct perf_data_write_event *events, const char *cmdline,
			   bool symbols)
{
	struct strbuf *build_ids;
	int r;

	add_tracing_data(sections, facts->plan);
	build_ids = begin(sections, PERF_FEATURE_BUILD_ID);
	if (symbols) {
		add_kernel_build_id(build_ids);
		symbolizer_each_file(facts->symbolizer, add_file_build_id, build_ids);
	}
	add_machine(sections);
	if (cmdline)
		perf_feature_cmdline(&cmdline, 1, begin(sections, PERF_FEATURE_CMDLINE));
	perf_feature_event_desc(events, facts->plan->n_events,
				begin(sections, PERF_FEATURE_EVENT_DESC));
	add_times(sections, facts);
	r = guest_tasks_save(facts->tasks, begin(sections, PERF_FEATURE_VPMU_TASKS));
	if (r == 0)
		r = encode_guests(facts, begin(sections, PERF_FEATURE_VPMU_GUESTS));
	if (r == 0 && symbols)
		r = symbolizer_save_tables(facts->symbolizer, facts->kernel_pages, facts->n_kernel_pages,
					   begin(sections, PERF_FEATURE_VPMU_SYMBOLS));
	for (size_t i = 0; i < sections->n; i++) {
		sections->items[i].bytes = sections->bodies[i].text;
		sections->items[i].n = sections->bodies[i].n;
		if (sections->bodies[i].failed)
			r = -ENOMEM;
	}
	return r;
}
