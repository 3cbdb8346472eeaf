/* SPDX-License-Identifier: MIT */
/*
 * fuzz_diag_parse.c - answers of sock_diag, as any bytes: no byte outside is read, what is seen
 * has a state, and a walk ends.
 */
#include "fuzz.h"
#include "observe/diag_parse.h"

enum { SEQ = 1, ENOUGH = 7 };

struct seen {
	unsigned int count, most;
};

static int visit(const struct diag_sock *sock, void *arg)
{
	struct seen *seen = arg;

	HOLDS(sock->state < STATE_COUNT);
	HOLDS(sock->peer.family == sock->local.family);
	HOLDS(sock->has_timer || sock->timer_ms == 0);
	return ++seen->count == seen->most ? ENOUGH : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen all = {0}, some = {.most = 1};
	char *copy = malloc(size ? size : 1);
	int rc;

	HOLDS(copy);
	if (size)
		memcpy(copy, data, size);
	rc = diag_parse(copy, size, SEQ, visit, &all);
	HOLDS(rc == 0 || rc == 1 || (rc < 0 && rc >= -4095));
	rc = diag_parse(copy, size, SEQ, visit, &some);
	HOLDS((rc == ENOUGH) == (all.count > 0));
	free(copy);
	return 0;
}
