/* SPDX-License-Identifier: MIT */
/*
 * fclose.c - the hook of fclose, which closes inside libc by no name of close's.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/closing.h"
#include "observe/event.h"

/* By libc's own word, since each libc lays a FILE out in its own way. */
static int descriptor_of(FILE *file)
{
	const int kept = errno;
	const int fd = libc_fileno ? libc_fileno(file) : -1;

	errno = kept; /* a stream without a descriptor is no error of the program's */
	return fd;
}

HOOK int fclose(FILE *file)
{
	struct closing closing;
	struct event ev;
	int rc, err;

	if (hook_idle(CALL_fclose) ||
	    observe_closing(&closing, CALL_fclose, sock_here(descriptor_of(file)), 0) !=
		    CLOSING_TCP)
		return libc.fclose(file);
	event_begin(&ev, CALL_fclose, closing.fd);

	rc = libc.fclose(file);
	err = hook_error(rc);

	event_end(&ev, rc, err);
	if (observe_closed(&closing, &ev))
		event_emit(&ev);

	return hook_result(rc, err);
}

HOOK_ALIAS(_IO_fclose, fclose);
