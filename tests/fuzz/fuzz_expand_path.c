/* SPDX-License-Identifier: MIT */
/*
 * fuzz_expand_path.c - any path with its %p, %n and %%, into a room of any size. The first byte
 * is the size, the next 15 are the program's name.
 */
#include "boot/boot.h"
#include "fuzz.h"

enum { NAME = 15, LONGEST_PID = 10 };

/* The most that it can become. */
static size_t most(const char *path, const char *prog)
{
	const size_t longest = strlen(prog) > LONGEST_PID ? strlen(prog) : LONGEST_PID;
	size_t len = 0;

	for (; *path; path++)
		len += *path == '%' ? longest : 1;
	return len;
}

static void expand(const char *path, const char *prog, size_t size)
{
	const struct settings set = {.log_path = path, .log_path_len = strlen(path)};
	char *room = malloc(size);
	int len;

	HOLDS(room);
	len = expand_path(room, size, &set, prog, 1);
	HOLDS(len < (int)size);
	if (len >= 0)
		HOLDS(room[len] == '\0' && strlen(room) == (size_t)len);
	else
		HOLDS(size <= most(path, prog));
	if (len >= 0 && !strchr(path, '%'))
		HOLDS(strcmp(path, room) == 0);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *prog, *path;

	if (size < 1 + NAME || data[0] == 0)
		return 0;
	prog = fuzz_string(data + 1, NAME);
	path = fuzz_string(data + 1 + NAME, size - 1 - NAME);
	expand(path, prog, data[0]);
	expand(path, prog, 4096);
	free(prog);
	free(path);
	return 0;
}
