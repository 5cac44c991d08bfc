/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "util/error.h"
#include "util/macro.h"
#include "period.h"

#define MINUTE_MS (60 * INT64_C(1000))
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)
#define MAX_MS	  (INT64_C(253402300800) * 1000) /* the year 10000 */

int64_t period_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- pieces of text: each takes what it understands off the front of *s ---- */

/* So many digits, of a number in its bounds. */
static bool take_number(const char **s, int digits, int min, int max, int *ret)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (!isdigit((unsigned char)(*s)[i]))
			return false;
		value = value * 10 + ((*s)[i] - '0');
	}
	if (isdigit((unsigned char)(*s)[digits]) || value < min || value > max)
		return false;
	*s += digits;
	*ret = value;
	return true;
}

static bool take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool take_word(const char **s, const char *word)
{
	size_t n = strlen(word);

	if (!starts_with(*s, word) || isalnum((unsigned char)(*s)[n]))
		return false;
	*s += n;
	return true;
}

/* "10:30", "10:30:05" */
static bool take_clock(const char **s, struct tm *day)
{
	const char *p = *s;
	int hour, minute, second = 0;

	if (!take_number(&p, 2, 0, 23, &hour) && !take_number(&p, 1, 0, 9, &hour))
		return false;
	if (!take_char(&p, ':') || !take_number(&p, 2, 0, 59, &minute))
		return false;
	if (take_char(&p, ':') && !take_number(&p, 2, 0, 60, &second))
		return false;
	day->tm_hour = hour;
	day->tm_min = minute;
	day->tm_sec = second;
	*s = p;
	return true;
}

/* "2026-11-20" */
static bool take_date(const char **s, struct tm *day)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const char *p = *s;
	int year, month, date;

	if (!take_number(&p, 4, 1970, 9999, &year) || !take_char(&p, '-') || !take_number(&p, 2, 1, 12, &month) ||
	    !take_char(&p, '-') || !take_number(&p, 2, 1, days[month - 1], &date))
		return false;
	if (month == 2 && date == 29 && (year % 4 || (year % 100 == 0 && year % 400)))
		return false;
	*day = (struct tm){ .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = date };
	*s = p;
	return true;
}

/* "Z", "+01:00", "-0330" */
static bool take_zone(const char **s, int *ret_seconds)
{
	const char *p = *s;
	int sign, hours, minutes;

	*ret_seconds = 0;
	if (take_char(s, 'Z'))
		return true;
	sign = *p == '-' ? -1 : 1;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	if (isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) && isdigit((unsigned char)p[2])) {
		int both;

		if (!take_number(&p, 4, 0, 1459, &both))
			return false;
		hours = both / 100;
		minutes = both % 100;
	} else if (!take_number(&p, 2, 0, 14, &hours) || !take_char(&p, ':') || !take_number(&p, 2, 0, 59, &minutes)) {
		return false;
	}
	if (minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	*s = p;
	return true;
}

/* "1h", "1h30m": all of @s. */
static bool parse_duration(const char *s, int64_t *ret_ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', DAY_MS }, { 'w', 7 * DAY_MS } };
	int64_t sum = 0;

	do {
		char *end;
		int64_t n, ms = 0;

		if (!isdigit((unsigned char)*s))
			return false;
		n = strtoll(s, &end, 10);
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (*end == units[i].unit)
				ms = units[i].ms;
		if (!ms || n > MAX_MS / ms)
			return false;
		sum += n * ms;
		s = end + 1;
		if (sum > MAX_MS)
			return false;
	} while (*s);
	*ret_ms = sum;
	return true;
}

/* ---- local time ---- */

static struct tm local_day(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm day;

	localtime_r(&seconds, &day);
	return day;
}

/* A time that the clocks skip is what comes out of counting on, one that they show twice the one of the standard library. */
static int64_t local_ms(struct tm day)
{
	day.tm_isdst = -1;
	return (int64_t)mktime(&day) * 1000;
}

static int64_t days_before(int64_t ms, int n)
{
	struct tm day = local_day(ms);

	day.tm_mday -= n;
	return local_ms(day) + ms % 1000;
}

/* ---- points ---- */

/* "today", "yesterday 10:30" */
static bool parse_named_day(const char *s, int64_t now_ms, int64_t *ret_ms)
{
	struct tm day = local_day(now_ms);

	if (take_word(&s, "yesterday"))
		day.tm_mday--;
	else if (!take_word(&s, "today"))
		return false;
	day.tm_hour = day.tm_min = day.tm_sec = 0;
	if (take_char(&s, ' ') && !take_clock(&s, &day))
		return false;
	*ret_ms = local_ms(day);
	return !*s;
}

static bool parse_clock(const char *s, int64_t now_ms, int64_t *ret_ms)
{
	struct tm day = local_day(now_ms);

	if (!take_clock(&s, &day) || *s)
		return false;
	*ret_ms = local_ms(day);
	if (*ret_ms > now_ms) {
		day.tm_mday--;
		*ret_ms = local_ms(day);
	}
	return true;
}

static bool parse_date(const char *s, int64_t *ret_ms)
{
	struct tm day;
	int zone;

	if (!take_date(&s, &day))
		return false;
	if (*s && ((!take_char(&s, 'T') && !take_char(&s, ' ')) || !take_clock(&s, &day)))
		return false;
	if (!*s) {
		*ret_ms = local_ms(day);
		return true;
	}
	if (!take_zone(&s, &zone) || *s)
		return false;
	*ret_ms = ((int64_t)timegm(&day) - zone) * 1000;
	return true;
}

static bool parse_unix(const char *s, int64_t *ret_ms)
{
	char *end;
	int64_t seconds;

	if (!take_char(&s, '@') || !isdigit((unsigned char)*s))
		return false;
	errno = 0;
	seconds = strtoll(s, &end, 10);
	if (errno || *end || seconds > MAX_MS / 1000)
		return false;
	*ret_ms = seconds * 1000;
	return true;
}

int period_point(const char *text, int64_t now_ms, int64_t *ret_ms, struct vpmu_error *reterr)
{
	int64_t ms;

	if (streq(text, "now")) {
		*ret_ms = now_ms;
		return 0;
	}
	if (parse_duration(text, &ms)) {
		*ret_ms = MAX(now_ms - ms, 0);
		return 0;
	}
	if (parse_named_day(text, now_ms, &ms) || parse_clock(text, now_ms, &ms) || parse_date(text, &ms) ||
	    parse_unix(text, &ms)) {
		*ret_ms = ms;
		return 0;
	}
	return error_set(reterr, -EINVAL, "needs a time such as 1h (ago), 10:30, yesterday, '2026-11-20 10:30', not '%s'",
			 text);
}

/* ---- periods ---- */

/* How long a piece vpmud keeps @ms in; or will, before it answers. */
static int64_t piece_of(int64_t ms, int64_t now_ms)
{
	return ms - ms % HOUR_MS + HOUR_MS <= now_ms - DAY_MS + MINUTE_MS ? HOUR_MS : MINUTE_MS;
}

void period_whole(struct period *period, int64_t now_ms)
{
	int64_t last_ms = period->until_ms - 1, piece_ms = piece_of(last_ms, now_ms);

	period->since_ms -= period->since_ms % piece_of(period->since_ms, now_ms);
	period->until_ms = last_ms - last_ms % piece_ms + piece_ms;
}

/* The minute that it ends in is left out, unless there is no other. */
static void drop_seconds(struct period *period)
{
	period->since_ms -= period->since_ms % MINUTE_MS;
	period->until_ms -= period->until_ms % MINUTE_MS;
	if (period->until_ms <= period->since_ms)
		period->until_ms = period->since_ms + MINUTE_MS;
}

int period_base(const char *text, struct period *of, int64_t now_ms, struct period *ret_base, struct vpmu_error *reterr)
{
	struct period base;
	int64_t ms;
	int r;

	drop_seconds(of);
	if (streq(text, "yesterday")) {
		base = (struct period){ days_before(of->since_ms, 1), days_before(of->until_ms, 1) };
	} else if (parse_duration(text, &ms)) {
		base = (struct period){ of->since_ms - ms, of->until_ms - ms };
	} else {
		r = period_point(text, now_ms, &base.since_ms, reterr);
		if (r < 0)
			return r;
		base.until_ms = base.since_ms + (of->until_ms - of->since_ms);
	}
	drop_seconds(&base);
	period_whole(of, now_ms);
	period_whole(&base, now_ms);
	if (base.since_ms < of->until_ms && base.until_ms > of->since_ms) {
		_strbuf_ struct strbuf one = {}, two = {};

		period_text(&base, &one);
		period_text(of, &two);
		return error_set(reterr, -EINVAL, "'%s' is %s, which overlaps with %s", text, one.text ? one.text : "",
				 two.text ? two.text : "");
	}
	*ret_base = base;
	return 0;
}

void period_text(const struct period *period, struct strbuf *out)
{
	struct tm since = local_day(period->since_ms), until = local_day(period->until_ms);
	bool one_day = since.tm_year == until.tm_year && since.tm_yday == until.tm_yday;
	char from[32], to[32];

	strftime(from, sizeof(from), "%Y-%m-%d %H:%M", &since);
	strftime(to, sizeof(to), one_day ? "%H:%M" : "%Y-%m-%d %H:%M", &until);
	strbuf_addf(out, "%s to %s", from, to);
}
