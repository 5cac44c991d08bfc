/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls a method of vpmud and prints its answers, one JSON object a line: COUNT of them of a method that has many.
 * usage: client METHOD [PARAMETERS [COUNT]]
 *
 *	client ListGuests
 *	client Counters '{"guests": ["web1"], "interval_ms": 500}' 10
 *	client Export '{"source": {"guests": ["web1"]}, "format": "folded"}' 1
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vpmu/client.h>

/* A file that comes along is printed, too. */
static void print_file(int fd)
{
	char bytes[4096];
	size_t n;
	FILE *file = fdopen(fd, "r");

	if (!file) {
		close(fd);
		return;
	}
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		fwrite(bytes, 1, n, stdout);
	fclose(file);
}

static int print(const char *reply, int fd, void *data)
{
	long *left = data;

	printf("%s\n", reply);
	if (fd >= 0)
		print_file(fd);
	fflush(stdout);
	return --*left > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *parameters = argc > 2 ? argv[2] : NULL;
	long count = argc > 3 ? atol(argv[3]) : 0;
	struct vpmu_client *client = NULL;
	struct vpmu_error error = {};
	char *reply = NULL;
	int r;

	if (argc < 2) {
		fprintf(stderr, "usage: client METHOD [PARAMETERS [COUNT]]\n");
		return 2;
	}
	r = vpmu_client_new(NULL, &client, &error); /* VPMU_SOCKET may tell where */
	if (r >= 0 && count > 0)
		r = vpmu_client_more(client, argv[1], parameters, print, &count, &error);
	else if (r >= 0)
		r = vpmu_client_call(client, argv[1], parameters, &reply, &error);
	if (reply)
		printf("%s\n", reply);
	if (r < 0)
		fprintf(stderr, "client: %s%s%s\n", error.text, error.hint[0] ? "; " : "", error.hint);
	free(reply);
	vpmu_client_free(client);
	return r < 0 ? 1 : 0;
}
