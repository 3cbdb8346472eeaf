/*
 * complain.c - a line on stderr about what is wrong at load.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/out.h"
#include "log/sink.h"

void complain(const char *const *parts)
{
	char buf[512];
	struct out out = out_into(buf, sizeof(buf) - 1);

	out_str(&out, "libreuse: ");
	for (; *parts; parts++)
		out_plain(&out, *parts, strlen(*parts));
	*out.at++ = '\n'; /* its place was kept */
	sink_write_once(STDERR_FILENO, buf, out_len(&out));
}
