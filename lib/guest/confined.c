/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "guest/conduct.h"
#include "guest/confined.h"
#include "guest/parser_process.h"
#include "util/error.h"
#include "util/macro.h"

/*
 * All of these take milliseconds, a first look a tenth of a second; on machines that are busy with other things more. A cold look
 * into a guest whose page tables nobody knows goes through all of its memory. What a session asks for it waits for, with rings to empty.
 */
#define FIND_NS		 20000000000ull
#define FIND_EACH_GIB_NS 250000000ull
#define FIND_MAX_NS	 120000000000ull
#define QUESTION_NS	 5000000000ull
#define SESSION_NS	 1000000000ull
#define IDLE_NS	     3000000000ull
/* One that was at work for so long makes room for a new one, before its CPU time (CONFINE_CPU_S) is used up. */
#define WORK_MAX_NS 20000000000ull
#define POLL_MS	    100

struct confined {
	struct kernel_places places; /* only memories[facts.place] once the kernel is found */
	struct kernel_facts facts;
	bool has_facts;
	pid_t guest;
	int fd; /* -1: no parser */
	pid_t parser;
	uint64_t used_ns, worked_ns;
	uint64_t until_ns; /* of the question */
	bool late, hung_up;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the stream ---- */

static int wait_for(struct confined *c, short events)
{
	uint64_t now = now_ns();
	struct pollfd wait = {c->fd, events, 0};
	int n;

	c->late = now >= c->until_ns;
	if (c->late)
		return -ETIMEDOUT;
	if (parser_processes_stopped() || !parser_processes_awaited())
		return -ESHUTDOWN;
	n = poll(&wait, 1, (int)MIN((c->until_ns - now) / 1000000 + 1, (uint64_t)POLL_MS));
	return n < 0 && errno != EINTR ? -errno : 0;
}

static int receive(void *data, void *opaque, size_t n)
{
	struct confined *c = data;
	uint8_t *bytes = opaque;

	while (n) {
		ssize_t got = recv(c->fd, bytes, n, 0);

		c->hung_up = got == 0 || (got < 0 && errno == ECONNRESET);
		if (c->hung_up)
			return -EPIPE;
		if (got < 0) {
			int r = errno == EAGAIN || errno == EINTR ? wait_for(c, POLLIN) : -errno;

			if (r < 0)
				return r;
			continue;
		}
		bytes += got;
		n -= (size_t)got;
	}
	/* One that never stops talking is late, too. */
	c->late = now_ns() >= c->until_ns;
	return c->late ? -ETIMEDOUT : 0;
}

static int send_all(void *data, const void *opaque, size_t n)
{
	struct confined *c = data;
	const uint8_t *bytes = opaque;

	while (n) {
		ssize_t got = send(c->fd, bytes, n, MSG_NOSIGNAL);

		if (got < 0) {
			int r = errno == EAGAIN || errno == EINTR ? wait_for(c, POLLOUT) : -errno;

			c->hung_up = r == -EPIPE;
			if (r < 0)
				return r;
			continue;
		}
		bytes += got;
		n -= (size_t)got;
	}
	return 0;
}

/* ---- the parser ---- */

static void end(struct confined *c, char how[PARSER_HOW_BYTES])
{
	how[0] = '\0';
	if (c->fd >= 0)
		parser_process_end(take_fd(&c->fd), c->parser, c->hung_up, how);
}

static int failed(struct confined *c, int code, struct vpmu_error *reterr)
{
	char how[PARSER_HOW_BYTES], text[160];
	bool late = c->late;

	end(c, how);
	if (code == -ENOMEM)
		return error_oom(reterr);
	if (code == -ESHUTDOWN)
		return error_set(reterr, code, "guests' memory is not parsed any more");
	if (late)
		snprintf(how, sizeof(how), "took too long");
	else if (code == -EBADMSG || code == -E2BIG || !how[0])
		snprintf(how, sizeof(how), "gave an answer that cannot be right");
	snprintf(text, sizeof(text), "the process that parses the memory of guest process %d %s", c->guest, how);
	(void)conduct_failed(c->guest, text);
	return error_set(reterr, -EIO, "%s", text);
}

static int put_start(const struct confined *c, struct strbuf *out)
{
	struct parser_start start = {
		.n_places = c->places.n,
		.n_roots = c->places.n_roots,
		.told = c->places.told,
		.has_facts = c->has_facts,
	};

	memcpy(start.cr3, c->places.cr3, sizeof(start.cr3));
	strbuf_add(out, (const char *)&start, sizeof(start));
	for (uint32_t i = 0; i < c->places.n; i++) {
		const struct memory_segment *segments = NULL;
		size_t n = 0;
		uint64_t count;

		if (c->places.memories[i])
			segments = memory_segments(c->places.memories[i], &n);
		count = n;
		strbuf_add(out, (const char *)&count, sizeof(count));
		for (size_t s = 0; s < n; s++) {
			const struct memory_segment told = {segments[s].gpa, segments[s].n_bytes, 0};

			strbuf_add(out, (const char *)&told, sizeof(told));
		}
	}
	if (c->has_facts)
		strbuf_add(out, (const char *)&c->facts, sizeof(c->facts));
	return out->failed ? -ENOMEM : 0;
}

static int ask(struct confined *c, uint32_t kind, const void *bytes, size_t n, uint64_t budget_ns,
	       struct parser_answer *answer)
{
	const struct parser_link link = {receive, send_all, c};
	uint64_t begun_ns = now_ns();
	int r;

	c->until_ns = begun_ns + budget_ns;
	c->late = false;
	r = parser_ask(&link, &c->places, kind, bytes, n, answer);
	c->used_ns = now_ns();
	c->worked_ns += c->used_ns - begun_ns;
	return r;
}

static uint64_t find_budget_ns(const struct confined *c)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < c->places.n; i++)
		bytes += memory_bytes(c->places.memories[i]);
	return MIN(FIND_NS + (bytes >> 30) * FIND_EACH_GIB_NS, FIND_MAX_NS);
}

/* Whoever found the kernel says where. It is there as long as it is the same one: only that place's memory is kept. */
static bool facts_fit(const struct confined *c, const struct parser_answer *answer)
{
	if (!c->has_facts)
		return answer->has_facts;
	return !answer->has_facts || answer->facts.place == c->facts.place;
}

/* A new parser, told what there is: it looks for the kernel, or takes what is known. */
static int begin(struct confined *c, struct vpmu_error *reterr)
{
	struct parser_answer answer = {};
	_strbuf_ struct strbuf start = {};
	char how[PARSER_HOW_BYTES];
	int r;

	if (conduct_is_paused(c->guest))
		return error_set(reterr, -EAGAIN, "parsing the memory of guest process %d failed a moment ago", c->guest);
	r = put_start(c, &start);
	if (r < 0)
		return error_oom(reterr);
	r = parser_process_start(&c->fd, &c->parser, reterr);
	if (r < 0)
		return r;
	c->worked_ns = 0;
	c->hung_up = false;
	r = c->has_facts ? ask(c, PARSER_RESUME, start.text, start.n, QUESTION_NS, &answer)
			 : ask(c, PARSER_FIND, start.text, start.n, find_budget_ns(c), &answer);
	strbuf_deinit(&answer.bytes);
	if (r == 0 && answer.result == 0 && !facts_fit(c, &answer))
		r = -EBADMSG;
	if (r < 0)
		return failed(c, r, reterr);
	if (answer.result < 0) {
		end(c, how); /* it knows of no kernel */
		return error_set(reterr, answer.result, "%s", answer.text);
	}
	if (answer.has_facts)
		c->facts = answer.facts;
	c->has_facts = true;
	return 0;
}

/* What a session's thread asks while it has rings to empty. */
static bool is_of_session(uint32_t kind)
{
	return kind == PARSER_CODE_AREAS || kind == PARSER_EXPORTED_TABLE || kind == PARSER_CURRENT ||
	       kind == PARSER_KERNEL_UNWIND || kind == PARSER_MODULES_UNWIND;
}

int confined_ask(struct confined *c, uint32_t kind, const void *bytes, size_t n, struct parser_answer *answer,
		 struct vpmu_error *reterr)
{
	bool of_session = is_of_session(kind);
	char how[PARSER_HOW_BYTES];
	uint64_t begun_ns = now_ns();
	int r = 0;

	if (of_session && !conduct_may_ask(c->guest))
		return error_set(reterr, -EAGAIN, "looking into guest process %d takes too much of the session's time", c->guest);
	if (c->worked_ns > WORK_MAX_NS)
		end(c, how);
	if (c->fd < 0)
		r = begin(c, reterr);
	if (r < 0)
		return r;
	r = ask(c, kind, bytes, n, of_session ? SESSION_NS : QUESTION_NS, answer);
	if (of_session)
		conduct_took(c->guest, now_ns() - begun_ns);
	if (r == 0 && !facts_fit(c, answer))
		r = -EBADMSG;
	if (r < 0)
		return failed(c, r, reterr);
	if (answer->has_facts)
		c->facts = answer->facts;
	return answer->result < 0 ? error_set(reterr, answer->result, "%s", answer->text) : 0;
}

int confined_check(struct confined *c)
{
	struct memory *memory = c->places.memories[c->facts.place];
	char how[PARSER_HOW_BYTES];

	if (c->fd >= 0 && now_ns() - c->used_ns > IDLE_NS)
		end(c, how);
	memory_forget(memory);
	return kernel_watch_check(&c->facts.watch, memory);
}

/* ---- life ---- */

int confined_open(struct kernel_places *places, pid_t guest, struct confined **ret_confined, struct vpmu_error *reterr)
{
	_cleanup_(confined_freep) struct confined *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		kernel_places_deinit(places);
		return error_oom(reterr);
	}
	c->fd = -1;
	c->guest = guest;
	c->places = *places;
	places->n = 0;
	r = begin(c, reterr);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < c->places.n; i++)
		if (i != c->facts.place)
			c->places.memories[i] = memory_free(c->places.memories[i]);
	*ret_confined = take_ptr(c);
	return 0;
}

struct confined *confined_free(struct confined *c)
{
	char how[PARSER_HOW_BYTES];

	if (!c)
		return NULL;
	end(c, how);
	kernel_places_deinit(&c->places);
	free(c);
	return NULL;
}

const struct kernel_facts *confined_facts(const struct confined *c)
{
	return &c->facts;
}

uint64_t confined_memory_bytes(const struct confined *c)
{
	return memory_bytes(c->places.memories[c->facts.place]);
}

pid_t confined_parser(const struct confined *c)
{
	return c->fd >= 0 ? c->parser : 0;
}
