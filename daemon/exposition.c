/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "exposition.h"
#include "util/utf8.h"

/* What HELP and label values share: backslash and newline; values also escape the quote that ends them. */
static void add_escaped(struct strbuf *out, const char *text, size_t n, bool quoted)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			strbuf_adds(out, "\\n");
		else if (text[i] == '\\' || (quoted && text[i] == '"'))
			strbuf_addf(out, "\\%c", text[i]);
		else
			strbuf_addc(out, text[i]);
	}
}

/* How much of @text fits, in whole characters. */
static size_t fitting(const struct strbuf *text)
{
	size_t n = 0, step;

	while (n < text->n && (step = utf8_character(text->text + n, text->n - n)) &&
	       n + step <= EXPOSITION_LABEL_MAX)
		n += step;
	return n;
}

void exposition_label(struct strbuf *labels, const char *name, const char *value)
{
	_strbuf_ struct strbuf text = {};

	utf8_add(&text, value);
	strbuf_addf(labels, "%s%s=\"", labels->n ? "," : "", name);
	if (text.text)
		add_escaped(labels, text.text, fitting(&text), true);
	strbuf_addc(labels, '"');
	labels->failed |= text.failed;
}

static const char *type_name(const struct exposition *x, enum exposition_type type)
{
	if (type == EXPOSITION_COUNTER)
		return "counter";
	/* The older format knows no infos; a gauge of 1 is what they are made of. */
	return type == EXPOSITION_INFO && x->dialect == EXPOSITION_OPENMETRICS ? "info" : "gauge";
}

static const char *suffix(enum exposition_type type)
{
	return type == EXPOSITION_COUNTER ? "_total" : type == EXPOSITION_INFO ? "_info" : "";
}

void exposition_family(struct exposition *x, const char *name, enum exposition_type type, const char *unit,
		       const char *help)
{
	const char *family;

	snprintf(x->name, sizeof(x->name), "%s%s", name, suffix(type));
	family = x->dialect == EXPOSITION_OPENMETRICS ? name : x->name;
	strbuf_addf(x->out, "# HELP %s ", family);
	add_escaped(x->out, help, strlen(help), x->dialect == EXPOSITION_OPENMETRICS);
	strbuf_addf(x->out, "\n# TYPE %s %s\n", family, type_name(x, type));
	if (unit && x->dialect == EXPOSITION_OPENMETRICS)
		strbuf_addf(x->out, "# UNIT %s %s\n", family, unit);
}

/* False: there are too many already. */
static bool begin(struct exposition *x, const struct strbuf *labels)
{
	if (x->max_samples && x->n_samples >= x->max_samples) {
		x->n_left_out++;
		return false;
	}
	x->n_samples++;
	strbuf_adds(x->out, x->name);
	if (labels && labels->n) {
		strbuf_addc(x->out, '{');
		strbuf_add(x->out, labels->text, labels->n);
		strbuf_addc(x->out, '}');
		x->out->failed |= labels->failed;
	}
	strbuf_addc(x->out, ' ');
	return true;
}

void exposition_u64(struct exposition *x, const struct strbuf *labels, uint64_t value)
{
	if (begin(x, labels))
		strbuf_addf(x->out, "%" PRIu64 "\n", value);
}

void exposition_ns(struct exposition *x, const struct strbuf *labels, uint64_t value_ns)
{
	if (begin(x, labels))
		strbuf_addf(x->out, "%" PRIu64 ".%09" PRIu64 "\n", value_ns / 1000000000, value_ns % 1000000000);
}

void exposition_ms(struct exposition *x, const struct strbuf *labels, uint64_t value_ms)
{
	if (begin(x, labels))
		strbuf_addf(x->out, "%" PRIu64 ".%03" PRIu64 "\n", value_ms / 1000, value_ms % 1000);
}

void exposition_end(struct exposition *x)
{
	if (x->dialect == EXPOSITION_OPENMETRICS)
		strbuf_adds(x->out, "# EOF\n");
}
