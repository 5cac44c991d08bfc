/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "guest/code_areas.h"
#include "guest/current.h"
#include "guest/kernel_facts.h"
#include "guest/kernel_orc.h"
#include "guest/kernel_places.h"
#include "sym/guest_tables.h"
#include "sym/parser_serve.h"
#include "util/cleanup.h"
#include "util/cursor.h"
#include "util/error.h"
#include "util/macro.h"
#include "util/strbuf.h"

/* Places with all their segments: less than a megabyte. */
#define QUESTION_BYTES_MAX (1u << 20)

/* One place's memory, as the other side reads it for us. */
struct remote {
	struct memory_remote remote;
	struct parser *parser;
	uint32_t place;
};

struct parser {
	const struct parser_link *link;
	struct remote remotes[MEMORY_LAYOUTS_MAX];
	struct vpmu_kernel kernel;
	uint32_t place;
	bool told_types; /* the facts that the other side has are complete */
	void *question;
	size_t question_bytes;
};

/* ---- memory ---- */

/* The answer to a read: its result, and *ret_n bytes behind it, at most @room. */
static int take_bytes(const struct parser *p, void *bytes, size_t room, size_t *ret_n)
{
	struct parser_head head;
	int32_t result;
	int r = p->link->receive(p->link->data, &head, sizeof(head));

	if (r == 0 && (head.kind != PARSER_BYTES || head.n_bytes < sizeof(result) || head.n_bytes - sizeof(result) > room))
		r = -EPROTO;
	if (r == 0)
		r = p->link->receive(p->link->data, &result, sizeof(result));
	if (r == 0)
		r = p->link->receive(p->link->data, bytes, head.n_bytes - sizeof(result));
	if (r < 0)
		return r;
	*ret_n = head.n_bytes - sizeof(result);
	return result;
}

static int ask(const struct remote *from, uint32_t kind, const struct parser_read *read, void *bytes, size_t room,
	       size_t *ret_n)
{
	int r = parser_send(from->parser->link, kind, read, sizeof(*read));

	return r < 0 ? r : take_bytes(from->parser, bytes, room, ret_n);
}

static int read_bytes(void *data, uint64_t gpa, void *opaque, size_t n)
{
	const struct remote *from = data;
	uint8_t *bytes = opaque;

	while (n) {
		size_t piece = MIN(n, (size_t)PARSER_READ_MAX), got;
		const struct parser_read read = {.gpa = gpa, .place = from->place, .n_bytes = (uint32_t)piece};
		int r = ask(from, PARSER_READ, &read, bytes, piece, &got);

		if (r < 0 || got != piece)
			return r < 0 ? r : -EPROTO;
		bytes += piece;
		gpa += piece;
		n -= piece;
	}
	return 0;
}

static int read_words(void *data, uint64_t gpa, size_t n_pages, unsigned int offset, struct memory_words *words)
{
	const struct remote *from = data;
	const struct parser_read read = {
		.gpa = gpa, .place = from->place, .n_bytes = (uint32_t)n_pages, .offset = offset};
	size_t got;
	int r = ask(from, PARSER_WORDS, &read, words->items, sizeof(words->items), &got);

	if (r == 0)
		words->n = got / sizeof(words->items[0]);
	return r;
}

/* ---- questions ---- */

static int take_places(struct parser *p, struct cursor *c, const struct parser_start *start, struct kernel_places *places)
{
	places->n_roots = MIN(start->n_roots, (uint32_t)VM_ROOTS_MAX);
	places->told = start->told;
	memcpy(places->cr3, start->cr3, sizeof(places->cr3));
	for (; places->n < start->n_places && places->n < MEMORY_LAYOUTS_MAX; places->n++) {
		struct remote *from = &p->remotes[places->n];
		uint64_t n = cursor_u64(c);
		const void *bytes = n <= VM_SLOTS_MAX ? cursor_bytes(c, n * sizeof(struct memory_segment)) : NULL;
		_free_ struct memory_segment *segments = calloc(n + 1, sizeof(*segments));
		int r = bytes ? 0 : -EPROTO;

		if (!segments)
			return -ENOMEM;
		if (r == 0) {
			memcpy(segments, bytes, n * sizeof(*segments));
			*from = (struct remote){{read_bytes, read_words, from}, p, places->n};
			r = memory_of_remote(&from->remote, segments, n, &places->memories[places->n]);
		}
		if (r < 0)
			return r;
	}
	return c->failed ? -EPROTO : 0;
}

static int tell_facts(struct parser *p)
{
	struct kernel_facts facts;

	kernel_facts_take(&p->kernel, p->place, &facts);
	p->told_types = p->kernel.types != NULL;
	return parser_send(p->link, PARSER_FACTS, &facts, sizeof(facts));
}

/* The kernel as another parser has found it. */
static int resume(struct parser *p, struct cursor *c, struct kernel_places *places)
{
	struct kernel_facts facts;
	const void *bytes = cursor_bytes(c, sizeof(facts));

	if (!bytes)
		return -EPROTO;
	memcpy(&facts, bytes, sizeof(facts));
	if (facts.place >= places->n)
		return -EPROTO;
	p->place = facts.place;
	p->told_types = facts.has_types;
	p->kernel.memory = take_ptr(places->memories[facts.place]);
	return kernel_facts_give(&facts, &p->kernel);
}

static int answer_start(struct parser *p, bool go_on)
{
	struct cursor c = cursor_of(p->question, p->question_bytes);
	const void *bytes = cursor_bytes(&c, sizeof(struct parser_start));
	struct kernel_places places = {};
	struct parser_start start;
	int r;

	if (!bytes || p->kernel.memory)
		return -EPROTO;
	memcpy(&start, bytes, sizeof(start));
	r = take_places(p, &c, &start, &places);
	if (r == 0)
		r = go_on ? resume(p, &c, &places) : kernel_places_find(&places, &p->kernel, &p->place);
	kernel_places_deinit(&places);
	return r == 0 && !go_on ? tell_facts(p) : r;
}

/* Our own symbols take a few megabytes, and are asked for once. */
static void forget_symbols(struct vpmu_kernel *k)
{
	free(take_ptr(k->symbol_bytes));
	k->symbols = (struct kallsyms_tables){};
}

static int answer_table(struct parser *p, bool modules, struct vpmu_error *reterr)
{
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	const void *image;
	size_t n;
	int r;

	if (!modules && !p->kernel.symbol_bytes)
		return error_set(reterr, -ESTALE, "the guest's kernel is to be found anew");
	r = modules ? guest_tables_modules(&p->kernel, &table, reterr) : guest_tables_kernel(&p->kernel, &table, reterr);
	if (r < 0)
		return r;
	if (!modules)
		forget_symbols(&p->kernel);
	image = symtab_image(table, &n);
	return parser_send_parts(p->link, image, n);
}

static int answer_current(struct parser *p, struct vpmu_error *reterr)
{
	struct vpmu_bpf_guest current;
	int r = current_describe(&p->kernel, &current, reterr);

	return r < 0 ? r : parser_send_parts(p->link, &current, sizeof(current));
}

static int answer_unwind(struct parser *p, bool modules, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf out = {};
	int r = kernel_orc_encode(&p->kernel, modules, &out, reterr);

	return r < 0 ? r : parser_send_parts(p->link, out.text, out.n);
}

static int add_area(const struct code_area *area, void *data)
{
	struct strbuf *out = data;

	code_areas_encode(area, out);
	return out->failed ? -ENOMEM : 0;
}

static int answer_areas(struct parser *p, struct vpmu_error *reterr)
{
	_strbuf_ struct strbuf out = {};
	struct parser_process process;
	int r;

	if (p->question_bytes != sizeof(process))
		return -EPROTO;
	memcpy(&process, p->question, sizeof(process));
	r = kernel_types_load(&p->kernel, reterr);
	if (r == 0)
		r = code_areas_each(&p->kernel, process.task_gva, (int32_t)process.tgid, process.mm_gva, add_area, &out);
	return r < 0 ? r : parser_send_parts(p->link, out.text, out.n);
}

struct exported {
	struct parser *parser;
	struct parser_area area;
	int result;
};

static int tell_exported(const struct code_area *area, void *data)
{
	_cleanup_(symtab_freep) struct symtab *table = NULL;
	struct exported *exported = data;
	struct parser *p = exported->parser;
	size_t n;

	if (area->start_gva != exported->area.start_gva)
		return 0;
	exported->result = guest_tables_exported(&p->kernel, &exported->area.process, area, &table, &n);
	if (exported->result == 0) {
		const void *image = symtab_image(table, &n);

		exported->result = parser_send_parts(p->link, image, n);
	}
	return 1;
}

static int answer_exported(struct parser *p, struct vpmu_error *reterr)
{
	struct exported exported = {.parser = p, .result = -ENODATA};
	const struct parser_process *process = &exported.area.process;
	int r;

	if (p->question_bytes != sizeof(exported.area))
		return -EPROTO;
	memcpy(&exported.area, p->question, sizeof(exported.area));
	r = kernel_types_load(&p->kernel, reterr);
	if (r == 0)
		r = code_areas_each(&p->kernel, process->task_gva, (int32_t)process->tgid, process->mm_gva, tell_exported,
				    &exported);
	return r < 0 ? r : exported.result;
}

static int answer(struct parser *p, uint32_t kind, struct vpmu_error *reterr)
{
	if (kind != PARSER_FIND && kind != PARSER_RESUME && !p->kernel.memory)
		return -EPROTO;
	switch (kind) {
	case PARSER_FIND:
	case PARSER_RESUME:
		return answer_start(p, kind == PARSER_RESUME);
	case PARSER_KERNEL_TABLE:
	case PARSER_MODULES_TABLE:
		return answer_table(p, kind == PARSER_MODULES_TABLE, reterr);
	case PARSER_CURRENT:
		return answer_current(p, reterr);
	case PARSER_CODE_AREAS:
		return answer_areas(p, reterr);
	case PARSER_EXPORTED_TABLE:
		return answer_exported(p, reterr);
	case PARSER_KERNEL_UNWIND:
	case PARSER_MODULES_UNWIND:
		return answer_unwind(p, kind == PARSER_MODULES_UNWIND, reterr);
	default:
		return -EPROTO;
	}
}

static int take_question(struct parser *p, uint32_t *ret_kind)
{
	struct parser_head head;
	void *bytes;
	int r = p->link->receive(p->link->data, &head, sizeof(head));

	if (r < 0 || head.n_bytes > QUESTION_BYTES_MAX)
		return r < 0 ? r : -EPROTO;
	bytes = realloc(p->question, head.n_bytes + 1);
	if (!bytes)
		return -ENOMEM;
	p->question = bytes;
	p->question_bytes = head.n_bytes;
	*ret_kind = head.kind;
	return p->link->receive(p->link->data, bytes, head.n_bytes);
}

static int serve_one(struct parser *p)
{
	struct parser_done done = {};
	struct vpmu_error error = {};
	uint32_t kind;
	int r = take_question(p, &kind);

	if (r < 0)
		return r;
	done.result = answer(p, kind, &error);
	if (done.result == -EPIPE || done.result == -EPROTO)
		return done.result;
	if (p->kernel.types && !p->told_types) {
		r = tell_facts(p);
		if (r < 0)
			return r;
	}
	if (done.result < 0)
		snprintf(done.text, sizeof(done.text), "%.*s", (int)sizeof(done.text) - 1,
			 error.text[0] ? error.text : strerror(-done.result));
	return parser_send(p->link, PARSER_DONE, &done, sizeof(done));
}

int parser_serve(const struct parser_link *link)
{
	struct parser parser = {.link = link};
	int r;

	do
		r = serve_one(&parser);
	while (r == 0);
	kernel_types_free(parser.kernel.types);
	forget_symbols(&parser.kernel);
	memory_free(parser.kernel.memory);
	free(parser.question);
	return r == -EPIPE ? 0 : r;
}
