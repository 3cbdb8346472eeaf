/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cgroup.c - any bytes as /proc/PID/cgroup: what is kept ends within its room, and came from
 * there.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "why/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* In a room of its own, so that one byte too far is seen. */
	char *text = malloc(size);
	struct cgroup got;

	HOLDS(text || !size);
	if (size)
		memcpy(text, data, size);
	HOLDS(cgroup_parse(text, size, &got) || (!*got.path && !*got.unit && !*got.container));
	HOLDS(memchr(got.path, '\0', sizeof(got.path)));
	HOLDS(memchr(got.unit, '\0', sizeof(got.unit)));
	HOLDS(memchr(got.container, '\0', sizeof(got.container)));
	HOLDS(memchr(got.runtime, '\0', sizeof(got.runtime)));
	HOLDS(!*got.unit || !*got.container);
	HOLDS(strstr(got.path, got.unit) && strstr(got.path, got.container));
	free(text);
	return 0;
}
