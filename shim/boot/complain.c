/* SPDX-License-Identifier: MIT */
/*
 * complain.c - a line on stderr about what is wrong at load.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/out.h"
#include "log/sink.h"

void complain(const char *variable, const struct settings *acting, const char *const *parts)
{
	enum { LONGEST_PART = 800 }; /* of a long path the beginning is enough: more follows */
	char buf[1024];
	struct out out = out_into(buf, sizeof(buf) - 1);

	if (told_by_parent(variable, acting))
		return;
	out_str(&out, "libreuse: ");
	for (; *parts; parts++)
		out_plain(&out, *parts, strnlen(*parts, LONGEST_PART));
	*out.at++ = '\n'; /* its place was kept */
	sink_write_once(STDERR_FILENO, buf, out_len(&out));
}
