/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading: a tokenizer and one function for each rule of the grammar, top-down. Named types are looked up once all are
 * known. Checking is in interface_check.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interface_private.h"
#include "util/error.h"
#include "util/macro.h"

#define MAX_DEPTH 32

struct parser {
	const char *at, *end;
	const char *token; /* the one under consideration */
	size_t n;	   /* of its bytes; 0 at the end */
	unsigned int line;
	struct vpmu_error *reterr;
};

/* ---- tokens: words (with dots, dashes and underscores), "->", and single characters ---- */

static bool of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void step(struct parser *p)
{
	bool comment = false;

	for (; p->at < p->end && (comment || strchr(" \t\r\n#", *p->at)) && *p->at; p->at++) {
		comment = *p->at == '#' || (comment && *p->at != '\n');
		p->line += *p->at == '\n';
	}
	p->token = p->at;
	while (p->at < p->end && (of_word(*p->at) || (*p->at == '-' && p->at + 1 < p->end && of_word(p->at[1]))))
		p->at++;
	if (p->at == p->token && p->at < p->end)
		p->at += 1 + (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] == '>');
	p->n = (size_t)(p->at - p->token);
}

static bool is(const struct parser *p, const char *text)
{
	return p->n == strlen(text) && memcmp(p->token, text, p->n) == 0;
}

static bool take(struct parser *p, const char *text)
{
	if (!is(p, text))
		return false;
	step(p);
	return true;
}

static int wrong(const struct parser *p, const char *expected)
{
	if (p->n == 0)
		return error_set(p->reterr, -EINVAL, "line %u: %s expected, not the end", p->line, expected);
	return error_set(p->reterr, -EINVAL, "line %u: %s expected, not '%.*s'", p->line, expected, (int)MIN(p->n, 40), p->token);
}

static int expect(struct parser *p, const char *text)
{
	char quoted[16];

	if (take(p, text))
		return 0;
	snprintf(quoted, sizeof(quoted), "'%s'", text);
	return wrong(p, quoted);
}

/* A word that begins with a letter, an upper-case one for types, methods and errors, and has no dots or dashes. */
static int take_name(struct parser *p, bool upper, char **ret_name)
{
	char *name;

	if (p->n == 0 || !isalpha((unsigned char)*p->token) || (upper && !isupper((unsigned char)*p->token)) ||
	    memchr(p->token, '.', p->n) || memchr(p->token, '-', p->n))
		return wrong(p, upper ? "a name with a capital letter" : "a name");
	name = strndup(p->token, p->n);
	if (!name)
		return error_oom(p->reterr);
	step(p);
	*ret_name = name;
	return 0;
}

/* ---- types ---- */

struct type *type_free(struct type *type)
{
	if (!type)
		return NULL;
	type_free(type->element);
	vec_for_each(field, &type->fields) {
		free(field->name);
		type_free(field->type);
	}
	vec_free(&type->fields);
	free(type->name);
	free(type);
	return NULL;
}

static int parse_type(struct parser *p, unsigned int depth, struct type **ret_type);

static int add_field(struct parser *p, struct type *type, struct field *field)
{
	vec_for_each(other, &type->fields)
		if (streq(other->name, field->name))
			return error_set(p->reterr, -EINVAL, "line %u: '%s' twice", p->line, field->name);
	if (!vec_push(&type->fields, *field))
		return error_oom(p->reterr);
	*field = (struct field){};
	return 0;
}

static void deinit_field(struct field *field)
{
	free(field->name);
	type_free(field->type);
}

/* name: type, or the name alone: then it is an enum. */
static int parse_field(struct parser *p, unsigned int depth, struct type *type)
{
	_cleanup_(deinit_field) struct field field = {};
	int r = take_name(p, false, &field.name);

	if (r < 0)
		return r;
	if (type->fields.n == 0)
		type->kind = is(p, ":") ? TYPE_STRUCT : TYPE_ENUM;
	if (type->kind == TYPE_STRUCT) {
		r = expect(p, ":");
		if (r == 0)
			r = parse_type(p, depth + 1, &field.type);
		if (r < 0)
			return r;
	}
	return add_field(p, type, &field);
}

/* ( … ) */
static int parse_fields(struct parser *p, unsigned int depth, struct type **ret_type)
{
	_cleanup_(type_freep) struct type *type = calloc(1, sizeof(*type));
	int r = type ? expect(p, "(") : error_oom(p->reterr);

	if (r < 0)
		return r;
	type->kind = TYPE_STRUCT;
	while (r == 0 && !is(p, ")")) {
		r = parse_field(p, depth, type);
		if (r == 0 && !is(p, ")"))
			r = expect(p, ",");
	}
	if (r < 0)
		return r;
	step(p);
	*ret_type = take_ptr(type);
	return 0;
}

static int parse_word_type(struct parser *p, struct type *type)
{
	static const struct {
		const char *name;
		enum type_kind kind;
	} words[] = { { "bool", TYPE_BOOL },	 { "int", TYPE_INT },	    { "float", TYPE_FLOAT },
		      { "string", TYPE_STRING }, { "object", TYPE_OBJECT } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (take(p, words[i].name)) {
			type->kind = words[i].kind;
			return 0;
		}
	if (p->n == 0 || !isupper((unsigned char)*p->token))
		return wrong(p, "a type");
	type->kind = TYPE_NAMED;
	type->line = p->line;
	return take_name(p, true, &type->name);
}

static int parse_container(struct parser *p, unsigned int depth, struct type *type)
{
	int r;

	step(p);
	type->kind = take(p, "string") ? TYPE_MAP : TYPE_LIST;
	r = expect(p, "]");
	return r < 0 ? r : parse_type(p, depth + 1, &type->element);
}

static int parse_type(struct parser *p, unsigned int depth, struct type **ret_type)
{
	_cleanup_(type_freep) struct type *type = NULL;
	bool nullable;
	int r;

	if (depth > MAX_DEPTH)
		return error_set(p->reterr, -EINVAL, "line %u: types within types within types", p->line);
	nullable = take(p, "?");
	if (is(p, "(")) {
		r = parse_fields(p, depth, &type);
	} else {
		type = calloc(1, sizeof(*type));
		if (!type)
			return error_oom(p->reterr);
		r = is(p, "[") ? parse_container(p, depth, type) : parse_word_type(p, type);
	}
	if (r < 0)
		return r;
	type->nullable = nullable;
	*ret_type = take_ptr(type);
	return 0;
}

/* ---- members ---- */

struct member *interface_find(const struct interface *interface, enum member_kind kind, const char *name)
{
	vec_for_each(member, &interface->members)
		if (member->kind == kind && streq(member->name, name))
			return member;
	return NULL;
}

static void deinit_member(struct member *member)
{
	free(member->name);
	type_free(member->in);
	type_free(member->out);
}

/* Types may be enums; parameters have types. */
static int parse_parameters(struct parser *p, struct member *member)
{
	int r;

	/* An error without parameters may leave the brackets out. */
	if (member->kind == MEMBER_ERROR && !is(p, "(")) {
		member->in = calloc(1, sizeof(*member->in));
		if (!member->in)
			return error_oom(p->reterr);
		member->in->kind = TYPE_STRUCT;
		return 0;
	}
	r = parse_fields(p, 0, &member->in);
	if (r == 0 && member->kind == MEMBER_METHOD) {
		r = expect(p, "->");
		if (r == 0)
			r = parse_fields(p, 0, &member->out);
	}
	if (r < 0 || member->kind == MEMBER_TYPE)
		return r;
	if (member->in->kind == TYPE_ENUM || (member->out && member->out->kind == TYPE_ENUM))
		return error_set(p->reterr, -EINVAL, "line %u: the parameters of '%s' have no types", p->line, member->name);
	return 0;
}

static int parse_member(struct parser *p, struct interface *interface)
{
	_cleanup_(deinit_member) struct member member = {};
	int r;

	if (take(p, "type"))
		member.kind = MEMBER_TYPE;
	else if (take(p, "method"))
		member.kind = MEMBER_METHOD;
	else if (take(p, "error"))
		member.kind = MEMBER_ERROR;
	else
		return wrong(p, "'type', 'method' or 'error'");
	r = take_name(p, true, &member.name);
	if (r < 0)
		return r;
	for (int kind = 0; kind < MEMBER_KINDS; kind++)
		if (interface_find(interface, kind, member.name))
			return error_set(p->reterr, -EINVAL, "line %u: '%s' twice", p->line, member.name);
	r = parse_parameters(p, &member);
	if (r < 0)
		return r;
	if (!vec_push(&interface->members, member))
		return error_oom(p->reterr);
	member = (struct member){};
	return 0;
}

/* Every named type gets what it stands for. */
static int resolve(const struct interface *interface, struct type *type, struct vpmu_error *reterr)
{
	const struct member *member;
	int r = 0;

	if (!type)
		return 0;
	if (type->kind == TYPE_NAMED) {
		member = interface_find(interface, MEMBER_TYPE, type->name);
		if (!member)
			return error_set(reterr, -EINVAL, "line %u: there is no type '%s'", type->line, type->name);
		type->named = member->in;
	}
	vec_for_each(field, &type->fields)
		r = r < 0 ? r : resolve(interface, field->type, reterr);
	return r < 0 ? r : resolve(interface, type->element, reterr);
}

int interface_parse(const char *text, size_t n, struct interface **ret_interface, struct vpmu_error *reterr)
{
	_cleanup_(interface_freep) struct interface *interface = calloc(1, sizeof(*interface));
	struct parser p = { .at = text, .end = text + n, .line = 1, .reterr = reterr };
	int r;

	if (!interface)
		return error_oom(reterr);
	interface->text = strndup(text, n);
	step(&p);
	r = expect(&p, "interface");
	if (r < 0)
		return r;
	if (p.n == 0 || !isalpha((unsigned char)*p.token) || !memchr(p.token, '.', p.n))
		return wrong(&p, "the interface's name");
	interface->name = strndup(p.token, p.n);
	if (!interface->name || !interface->text)
		return error_oom(reterr);
	for (step(&p); r == 0 && p.n > 0;)
		r = parse_member(&p, interface);
	vec_for_each(member, &interface->members) {
		r = r < 0 ? r : resolve(interface, member->in, reterr);
		r = r < 0 ? r : resolve(interface, member->out, reterr);
	}
	if (r < 0)
		return r;
	*ret_interface = take_ptr(interface);
	return 0;
}

struct interface *interface_free(struct interface *interface)
{
	if (!interface)
		return NULL;
	vec_for_each(member, &interface->members)
		deinit_member(member);
	vec_free(&interface->members);
	free(interface->name);
	free(interface->text);
	free(interface);
	return NULL;
}

const char *interface_name(const struct interface *interface)
{
	return interface->name;
}

const char *interface_text(const struct interface *interface)
{
	return interface->text;
}

const char *interface_member(const struct interface *interface, enum interface_part part, size_t i)
{
	enum member_kind kind = part == INTERFACE_ERROR ? MEMBER_ERROR : MEMBER_METHOD;

	vec_for_each(member, &interface->members)
		if (member->kind == kind && i-- == 0)
			return member->name;
	return NULL;
}

bool interface_has(const struct interface *interface, enum interface_part part, const char *name)
{
	return interface_find(interface, part == INTERFACE_ERROR ? MEMBER_ERROR : MEMBER_METHOD, name);
}
