/*
 * fclose.c - the hook of fclose, which closes inside libc by no name of close's.
 */
#include "hooks/hook.h"
#include "log/log.h"
#include "observe/observe.h"

HOOK int fclose(FILE *file)
{
	struct closing closing;
	struct event ev;
	int rc, err;

	/* fileno() would set errno for a stream without a descriptor; the field does not. */
	if (hook_idle(CALL_fclose) ||
	    observe_closing(&closing, CALL_fclose, file->_fileno) != CLOSING_TCP)
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
