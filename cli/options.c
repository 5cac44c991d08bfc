/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/vec.h"
#include "util/macro.h"
#include "command.h"
#include "nearest.h"

#define LONG_ONLY 256 /* getopt's values of options without a letter start here */

struct option_place {
	const struct option_spec *spec;
	size_t base;
};

typedef VEC(struct option_place) option_places;

static bool places_fill(option_places *places, const struct command *command)
{
	for (const struct option_group *group = command->groups; group->specs; group++)
		for (const struct option_spec *spec = group->specs; spec->name; spec++)
			if (!vec_push(places, (struct option_place){ spec, group->base }))
				return false;
	return true;
}

static int refuse_unknown(option_places *places, const char *word, int letter,
			  struct vpmu_error *reterr)
{
	VEC(const char *) names = {};
	const char *near;

	if (letter >= LONG_ONLY)
		return error_set(reterr, -EINVAL, "option '%s' takes no value", word);
	if (letter)
		return error_set(reterr, -EINVAL, "unknown option '-%c'", letter);
	vec_for_each(place, places)
		if (!vec_push(&names, place->spec->name))
			break;
	near = word[0] == '-' && word[1] == '-' ? nearest(word + 2, names.items, names.n) : NULL;
	vec_free(&names);
	if (near)
		return error_set(reterr, -EINVAL, "unknown option '%s', did you mean '--%s'?", word, near);
	return error_set(reterr, -EINVAL, "unknown option '%s'", word);
}

static int set_option(const struct option_place *place, const char *value, void *args,
		      struct vpmu_error *reterr)
{
	const struct option_spec *spec = place->spec;
	struct vpmu_error why = {};
	int r;

	r = spec->set(spec, value, (char *)args + place->base + spec->offset, &why);
	if (r < 0 && spec->letter)
		error_set(reterr, r, "-%c %s", spec->letter, why.text);
	else if (r < 0)
		error_set(reterr, r, "--%s %s", spec->name, why.text);
	return r;
}

int options_parse(const struct command *command, int argc, char **argv, void *args,
		  struct name_list *ret_operands, struct vpmu_error *reterr)
{
	/* '-': operands come as option 1, where they stand; ':': we word the errors. */
	_strbuf_ struct strbuf letters = {};
	VEC(struct option) names = {};
	option_places places = {};
	int r = 0, got;

	strbuf_adds(&letters, "-:");
	if (!places_fill(&places, command) || !vec_reserve(&names, places.n + 1)) {
		r = error_oom(reterr);
		goto out;
	}
	vec_for_each(place, &places) {
		const struct option_spec *spec = place->spec;

		names.items[names.n++] = (struct option){
			.name = spec->name,
			.has_arg = spec->arg ? required_argument : no_argument,
			.val = LONG_ONLY + (int)(place - places.items),
		};
		if (spec->letter)
			strbuf_addf(&letters, spec->arg ? "%c:" : "%c", spec->letter);
	}
	names.items[names.n] = (struct option){};
	if (letters.failed) {
		r = error_oom(reterr);
		goto out;
	}

	opterr = 0;
	optind = 1;
	while (r == 0 && (got = getopt_long(argc, argv, letters.text, names.items, NULL)) != -1) {
		if (got == 1) {
			r = option_name_list(NULL, optarg, ret_operands, reterr);
		} else if (got == '?') {
			r = refuse_unknown(&places, argv[optind - 1], optopt, reterr);
		} else if (got == ':') {
			r = error_set(reterr, -EINVAL, "option '%s' needs a value", argv[optind - 1]);
		} else if (got >= LONG_ONLY) {
			r = set_option(&places.items[got - LONG_ONLY], optarg, args, reterr);
		} else {
			vec_for_each(place, &places)
				if (place->spec->letter == got)
					r = set_option(place, optarg, args, reterr);
		}
	}
	for (; r == 0 && optind < argc; optind++)
		r = option_name_list(NULL, argv[optind], ret_operands, reterr);
	if (r == 0 && ret_operands->n && !command->operands)
		r = error_set(reterr, -EINVAL, "does not take '%s'", ret_operands->items[0]);
out:
	vec_free(&places);
	vec_free(&names);
	return r;
}

/* ---- values ---- */

int option_flag(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr)
{
	(void)value;
	(void)reterr;
	*(bool *)field = spec->max;
	return 0;
}

int option_string(const struct option_spec *spec, const char *value, void *field,
		  struct vpmu_error *reterr)
{
	(void)spec;
	if (!*value)
		return error_set(reterr, -EINVAL, "needs a value that is not empty");
	*(const char **)field = value;
	return 0;
}

int option_name_list(const struct option_spec *spec, const char *value, void *field,
		     struct vpmu_error *reterr)
{
	struct name_list *list = field;

	(void)spec;
	if (list->n == NAME_LIST_MAX)
		return error_set(reterr, -E2BIG, "takes %d at most", NAME_LIST_MAX);
	if (!*value)
		return error_set(reterr, -EINVAL, "needs a name that is not empty");
	list->items[list->n++] = value;
	return 0;
}

/*
 * Digits only: strtoull() would take signs and spaces. Returns what follows them, NULL if there
 * are none or too many.
 */
static const char *parse_u64(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return NULL;
	*ret = value;
	return text;
}

int option_u64(const struct option_spec *spec, const char *value, void *field, struct vpmu_error *reterr)
{
	uint64_t number;
	const char *end = parse_u64(value, &number);

	if (!end || *end || number < spec->min || number > spec->max)
		return error_set(reterr, -EINVAL, "needs a number from %llu to %llu, not '%s'",
				 (unsigned long long)spec->min, (unsigned long long)spec->max, value);
	*(uint64_t *)field = number;
	return 0;
}

int option_duration_ns(const struct option_spec *spec, const char *value, void *field,
		       struct vpmu_error *reterr)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {
		{ "ms", 1000000 },	    { "s", 1000000000 }, { "m", 60 * 1000000000ull },
		{ "h", 3600 * 1000000000ull },
	};
	uint64_t number;
	const char *end = parse_u64(value, &number);

	(void)spec;
	for (size_t i = 0; end && i < ARRAY_SIZE(units); i++)
		if (streq(end, units[i].unit) && number > 0 &&
		    !__builtin_mul_overflow(number, units[i].ns, &number) && number <= INT64_MAX) {
			*(uint64_t *)field = number;
			return 0;
		}
	return error_set(reterr, -EINVAL, "needs a time such as 10s, 2m, 500ms or 1h, not '%s'", value);
}

int option_percent(const struct option_spec *spec, const char *value, void *field,
		   struct vpmu_error *reterr)
{
	double number = 0, scale = 1;
	const char *p = value;
	bool digits = false, point = false;

	(void)spec;
	for (; isdigit((unsigned char)*p) || (*p == '.' && !point); p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		digits = true;
		number = number * 10 + (*p - '0');
		if (point)
			scale *= 10;
	}
	if (!digits || *p || number / scale > 100)
		return error_set(reterr, -EINVAL, "needs a percentage from 0 to 100, not '%s'", value);
	*(double *)field = number / scale;
	return 0;
}
