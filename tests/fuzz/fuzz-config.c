/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vpmud.conf. */
#include <errno.h>

#include "daemon/config.h"
#include "fuzz.h"

static void check_names(const config_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		HOLDS(names->items[i][0]);
}

static void check(const struct config *config)
{
	HOLDS(config->socket[0] == '/' && config->libvirt[0] && config->store_path[0] && config->metrics_path[0]);
	HOLDS(config->workers >= 1 && config->workers <= 16);
	HOLDS(config->always_on_hz >= 1 && config->always_on_hz <= 999);
	HOLDS(config->store_max_bytes >= 1 << 20 && config->store_max_age_s >= 3600);
	HOLDS(config->metrics_interval_s >= 1 && config->max_connections >= 1);
	HOLDS(config->max_request_bytes >= 4096 && config->max_request_bytes <= 16 << 20);
	HOLDS(config->send_timeout_s >= 1 && config->send_timeout_s <= 3600);
	check_names(&config->readers);
	check_names(&config->operators);
	for (size_t i = 0; i < config->ties.n; i++) {
		HOLDS(config->ties.items[i].uid != 0);
		check_names(&config->ties.items[i].guests);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = exact_copy(bytes, size);
	struct config *config = NULL;
	struct vpmu_error error = {};
	int r = config_parse("x", text, size, &config, &error);

	HOLDS(r == 0 || (r == -EINVAL && strncmp(error.text, "x:", 2) == 0));
	HOLDS((r == 0) == (config != NULL));
	if (config)
		check(config);
	config_free(config);
	free(text);
	return 0;
}
