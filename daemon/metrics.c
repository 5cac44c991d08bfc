/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "access.h"
#include "accounts.h"
#include "metrics.h"
#include "metrics_text.h"
#include "say.h"
#include "util/error.h"
#include "util/io.h"
#include "util/macro.h"

/* node_exporter may be another user's. */
#define FILE_MODE 0644

/* Belongs to the job while one is under way, and to nobody else once metrics are freed. */
struct writing {
	struct metrics *metrics; /* NULL = freed */
	char *path;
	struct strbuf text;
	int result;
};

struct metrics {
	struct manager *manager;
	char *path; /* NULL = no textfile */
	struct writing *writing;
	uint64_t n_errors;
	int said; /* the failure that was told of, and is not over */
};

/* ---- the text ---- */

int metrics_make(struct metrics *metrics, const struct peer *peer, enum exposition_dialect dialect, struct strbuf *out)
{
	struct manager *manager = metrics->manager;
	size_t n = domains_count(manager->domains);
	_free_ struct metrics_guest *guests = calloc(n + 1, sizeof(*guests));
	bool sees_all = !peer || access_sees_all(manager->access, peer);
	struct usage usage;
	size_t n_seen = 0;

	if (!guests)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct domain *domain = domains_get(manager->domains, i);

		if (!sees_all && !access_may_see(manager->access, peer, domain->name, domain->uuid))
			continue;
		guests[n_seen++] =
			(struct metrics_guest){ domain, counting_guest(manager->counting, domain->id),
						accounts_guest(manager->accounts, domain->id) };
	}
	if (sees_all)
		usage_collect(manager, &usage);
	return metrics_text(guests, n_seen, sees_all ? &usage : NULL, dialect, out);
}

/* ---- the file ---- */

static void write_file(void *data)
{
	struct writing *writing = data;

	writing->result =
		io_write_file_atomic(writing->path, writing->text.text, writing->text.n, FILE_MODE);
}

static void note_result(struct metrics *metrics, int r)
{
	if (r < 0) {
		metrics->n_errors++;
		if (metrics->said != r)
			say_warning("cannot write '%s': %s; going on without", metrics->path, strerror(-r));
	} else if (metrics->said) {
		say_info("'%s' is written again", metrics->path);
	}
	metrics->said = r;
}

static void written(void *data, bool cancelled)
{
	struct writing *writing = data;
	struct metrics *metrics = writing->metrics;

	if (metrics) {
		metrics->writing = NULL;
		/* Not that of an old configuration. */
		if (!cancelled && metrics->path && streq(metrics->path, writing->path))
			note_result(metrics, writing->result);
	}
	if (!metrics || !metrics->path || !streq(metrics->path, writing->path))
		(void)unlink(writing->path);
	strbuf_deinit(&writing->text);
	free(writing->path);
	free(writing);
}

void metrics_update(struct metrics *metrics)
{
	struct writing *writing;
	int r = -ENOMEM;

	/* One at a time: a disk that hangs does not fill the pool. */
	if (!metrics->path || metrics->writing)
		return;
	writing = calloc(1, sizeof(*writing));
	if (writing) {
		writing->metrics = metrics;
		writing->path = strdup(metrics->path);
		r = metrics_make(metrics, NULL, EXPOSITION_PROMETHEUS, &writing->text);
		if (!writing->path)
			r = -ENOMEM;
		if (r == 0)
			r = jobs_run(metrics->manager->jobs, write_file, written, writing);
	}
	if (r == 0) {
		metrics->writing = writing;
		return;
	}
	note_result(metrics, r);
	if (writing) {
		strbuf_deinit(&writing->text);
		free(writing->path);
		free(writing);
	}
}

uint64_t metrics_errors(const struct metrics *metrics)
{
	return metrics->n_errors;
}

/* ---- life ---- */

static void forget_file(struct metrics *metrics)
{
	/* If it is being written now the job's end removes it. */
	if (metrics->path && !metrics->writing)
		(void)unlink(metrics->path);
	free(metrics->path);
	metrics->path = NULL;
}

void metrics_reload(struct metrics *metrics)
{
	const char *path = metrics->manager->config->metrics_path;

	if (streq(path, "none"))
		path = NULL;
	if (path && metrics->path && streq(path, metrics->path))
		return;
	forget_file(metrics);
	metrics->said = 0;
	/* Without memory there is no textfile until the next reload. */
	metrics->path = path ? strdup(path) : NULL;
}

int metrics_new(struct manager *manager, struct metrics **ret_metrics, struct vpmu_error *reterr)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return error_oom(reterr);
	metrics->manager = manager;
	metrics_reload(metrics);
	*ret_metrics = metrics;
	return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return NULL;
	if (metrics->writing)
		metrics->writing->metrics = NULL;
	forget_file(metrics);
	free(metrics);
	return NULL;
}
