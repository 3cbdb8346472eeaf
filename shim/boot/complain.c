/*
 * complain.c - a line on stderr about what is wrong at load.
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/out.h"
#include "sys/sys.h"

/* A control character in the user's text must not break the line. */
static void out_printable(struct out *out, const char *text)
{
	for (; *text; text++)
		out_char(out, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

void complain(const char *const *parts)
{
	char buf[512];
	struct out out = out_into(buf, sizeof(buf) - 1);

	out_str(&out, "libreuse: ");
	for (; *parts; parts++)
		out_printable(&out, *parts);
	*out.at++ = '\n'; /* its place was kept */
	sys_write(STDERR_FILENO, buf, out_len(&out));
}
