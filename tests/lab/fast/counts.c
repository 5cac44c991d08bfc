/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest, sampled by two sessions at once: one that has each sample delivered, and one that has them counted in the
 * kernel. Both must see the same: as many samples, of the same functions by the same callers, but for what chance allows.
 * usage: counts GUEST GUEST-ELF|linux SECONDS no-chains|chains
 *
 * "linux": the guest runs Linux, whose tasks are known after a while; only then is compared, its processes as well. Samples of its kernel with
 * chains are never counted in the kernel, as they come with a stack.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vpmu/vpmu.h>

#define MAX_PLACES 16384
#define MAX_FRAMES 40
#define SIGMAS	   5.0

/* Not the same: what is always a little behind the other would see what the other one's interrupt leads to. */
static const uint32_t rates_hz[2] = {1000, 997};

struct place {
	char name[512]; /* vCPU, side, the guest's process, and functions, innermost first */
	uint64_t samples[2];
};

static struct place places[MAX_PLACES];
static size_t n_places;

struct listener {
	int which;
	struct vpmu_session *session;
	uint64_t calls, samples, weight;
	struct vpmu_coverage before, coverage;
};

static void die(const char *what, const struct vpmu_error *error)
{
	printf("%s: %s\n", what, error ? error->text : "");
	exit(error && (error->code == -EPERM || error->code == -EACCES) ? 77 : 1);
}

static void name_of(struct vpmu_symbolizer *symbolizer, const struct vpmu_sample *sample, char *name, size_t room)
{
	struct vpmu_frame frames[MAX_FRAMES];
	size_t n = vpmu_symbolize(symbolizer, sample, false, frames, MAX_FRAMES), at;

	at = (size_t)snprintf(name, room, "%d %s %s", (int)sample->vcpu, vpmu_side_name(sample->side),
			      sample->guest_pid >= 0 ? sample->comm : "");
	/* Where in the host it was is nothing that two clocks agree on. */
	for (size_t i = 0; i < n && at < room && (VPMU_SIDES_GUEST & 1u << sample->side); i++)
		at += (size_t)snprintf(name + at, room - at, ";%s", frames[i].symbol ? frames[i].symbol : "?");
}

static void listen_to(const struct vpmu_sample *sample, void *data)
{
	struct listener *listener = data;
	char name[sizeof(places[0].name)];
	size_t i = 0;

	name_of(vpmu_session_symbolizer(listener->session), sample, name, sizeof(name));
	while (i < n_places && strcmp(places[i].name, name) != 0)
		i++;
	if (i == MAX_PLACES)
		die("too many places", NULL);
	if (i == n_places)
		memcpy(places[n_places++].name, name, sizeof(name));
	places[i].samples[listener->which] += 1 + sample->n_more;
	listener->calls++;
	listener->samples += 1 + sample->n_more;
	listener->weight += sample->weight;
}

static void begin(struct listener *listener, const struct vpmu_guest_info *guest, const char *image, bool chains)
{
	VPMU_OPTS(vpmu_session_opts, opts, .events = "cpu-clock", .frequency_hz = rates_hz[listener->which], .host_chains = chains, .guest_chains = chains,
		  .aggregate = listener->which == 1, .pace_ms = listener->which ? 1000 : 100);
	struct vpmu_error error = {};

	if (vpmu_session_new(&opts, &listener->session, &error) < 0 ||
	    vpmu_session_add_guest(listener->session, guest, false, &error) < 0)
		die("session", &error);
	if (strcmp(image, "linux") != 0 &&
	    vpmu_symbolizer_guest_file(vpmu_session_symbolizer(listener->session), 0, VPMU_GUEST_IMAGE, image, 0, &error) < 0)
		die("image", &error);
}

/* Everything up to now is taken in. */
static void look(struct listener *listener, struct vpmu_coverage *ret)
{
	struct vpmu_error error = {};

	vpmu_session_wake(listener->session);
	if (vpmu_session_poll(listener->session, 0, &error) < 0)
		die("poll", &error);
	vpmu_session_coverage(listener->session, ret);
}

/* Until its tasks are known, if it is to have some. */
static void wait_for_tasks(struct listener *listener, bool tasks)
{
	look(listener, &listener->before);
	for (int i = 0; i < 300 && tasks && !listener->before.guest_processes; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		look(listener, &listener->before);
	}
	if (tasks && !listener->before.guest_processes)
		die("no task of the guest is known", NULL);
}

static void begin_to_count(struct listener *listener)
{
	look(listener, &listener->before);
	vpmu_session_on_sample(listener->session, listen_to, listener);
}

static void subtract(struct vpmu_coverage *c, const struct vpmu_coverage *before)
{
	c->samples -= before->samples;
	for (int i = 0; i < VPMU_SIDE_COUNT; i++)
		c->sides[i] -= before->sides[i];
	c->guest_chains -= before->guest_chains;
	c->truncated_chains -= before->truncated_chains;
	c->guest_processes -= before->guest_processes;
}

static void end(struct listener *listener)
{
	vpmu_session_coverage(listener->session, &listener->coverage);
	subtract(&listener->coverage, &listener->before);
	vpmu_session_free(listener->session);
	printf("%-12s %" PRIu64 " samples in %" PRIu64 " calls, guest %" PRIu64 ", of known processes %" PRIu64 ", with chains %" PRIu64 " (cut %" PRIu64
	       "), lost %" PRIu64 "\n",
	       listener->which ? "counted" : "one by one", listener->coverage.samples, listener->calls,
	       vpmu_coverage_guest(&listener->coverage), listener->coverage.guest_processes, listener->coverage.guest_chains, listener->coverage.truncated_chains,
	       listener->coverage.lost);
}

static int complain(const char *what)
{
	printf("FAILED: %s\n", what);
	return 1;
}

static bool differ(uint64_t a, uint64_t b)
{
	return fabs((double)a - (double)b) > SIGMAS * sqrt((double)(a + b)) + 1;
}

static int compare(const struct listener *each, const struct listener *counted, bool some_only)
{
	const struct vpmu_coverage *a = &each->coverage, *b = &counted->coverage;
	int r = 0;

	if (a->lost || b->lost || a->damaged_records || b->damaged_records)
		r |= complain("samples were lost");
	if (each->calls != a->samples || counted->samples != b->samples || counted->weight != b->samples * (1000000000 / rates_hz[1]))
		r |= complain("what is delivered is not what was seen");
	if (counted->calls > b->samples * (some_only ? 9 : 5) / 10)
		r |= complain("samples were not counted in the kernel");
	if (differ(a->samples, b->samples) || differ(vpmu_coverage_guest(a), vpmu_coverage_guest(b)) ||
	    differ(a->guest_processes, b->guest_processes) || differ(a->guest_chains, b->guest_chains) || differ(a->truncated_chains, b->truncated_chains))
		r |= complain("the sessions differ");
	for (size_t i = 0; i < n_places; i++) {
		const struct place *place = &places[i];

		if (place->samples[0] + place->samples[1] < 100)
			continue;
		printf("%8" PRIu64 " %8" PRIu64 "  %s\n", place->samples[0], place->samples[1], place->name);
		if (differ(place->samples[0], place->samples[1]))
			r |= complain(place->name);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct listener each = {.which = 0}, counted = {.which = 1};
	const struct vpmu_guest_info *guest;
	struct vpmu_guests *guests = NULL;
	struct vpmu_error error = {};
	bool chains, is_linux;

	if (argc != 5)
		return 2;
	chains = strcmp(argv[4], "chains") == 0;
	is_linux = strcmp(argv[2], "linux") == 0;
	if (vpmu_guests_new(NULL, &guests, &error) < 0 || vpmu_guests_find(guests, argv[1], &guest, &error) < 0)
		die("guest", &error);
	begin(&each, guest, argv[2], chains);
	begin(&counted, guest, argv[2], chains);
	if (vpmu_session_start(each.session, &error) < 0 || vpmu_session_start(counted.session, &error) < 0)
		die("start", &error);
	wait_for_tasks(&each, is_linux);
	wait_for_tasks(&counted, is_linux);
	begin_to_count(&each);
	begin_to_count(&counted);
	for (time_t until = time(NULL) + atol(argv[3]); time(NULL) < until;)
		if (vpmu_session_poll(each.session, 100, &error) < 0 || vpmu_session_poll(counted.session, 0, &error) < 0)
			die("poll", &error);
	if (vpmu_session_stop(each.session, &error) < 0 || vpmu_session_stop(counted.session, &error) < 0)
		die("stop", &error);
	end(&each);
	end(&counted);
	vpmu_guests_free(guests);
	return compare(&each, &counted, is_linux && chains);
}
