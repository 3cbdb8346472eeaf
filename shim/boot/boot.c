/* SPDX-License-Identifier: MIT */
/*
 * boot.c - the constructor: look up libc's functions, read the settings, open the
 * log, and only then let the hooks act.
 */
#include "boot/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "boot/log_path.h"
#include "facts/reader.h"
#include "facts/shim.h"
#include "hooks/libc.h"
#include "log/log.h"
#include "log/sink.h"
#include "observe/diag.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"
#include "sys/thread_end.h"

/* What our own questions are answered by must not be another library's idea of it. */
static void find_what_nobody_intercepts(void)
{
	arch_init();
	clock_use(vdso_function(ARCH_VDSO_CLOCK_GETTIME));
	process_use(libc_function("pthread_self"), libc_function("pthread_getcpuclockid"));
	libc_fileno = libc_function("fileno");
}

static void thread_ends(void *key)
{
	(void)key;
	log_thread_ends();
}

/* With a log: which of libc's functions are known to be these. */
static void know_libc(void)
{
	thread_end_use(libc_function("pthread_key_create"), libc_function("pthread_key_delete"),
		       libc_function("pthread_setspecific"), thread_ends);
	libc_own.socket = libc_function_surely("socket");
	libc_own.accept = libc_function_surely("accept");
	libc_own.accept4 = libc_function_surely("accept4");
}

/* The hooks that act although their calls are not logged. */
static uint32_t hooks_for_reuse(const struct settings *set)
{
	const uint32_t remembering = CALL_BIT(CALL_setsockopt);

	switch (set->reuse) {
	case REUSE_OFF:
		return set->wait_seconds ? CALL_BIT(CALL_bind) | CALL_BIT(CALL_prctl) : 0;
	case REUSE_FORCE:
		return CALL_BIT(CALL_bind) | CALL_BIT(CALL_prctl);
	case REUSE_AUTO:
		return CALL_BIT(CALL_bind) | CALL_BIT(CALL_prctl) | remembering;
	case REUSE_GENTLE:
		return CALL_BIT(CALL_bind) | CALL_BIT(CALL_listen) | CALL_BIT(CALL_connect) |
		       CALL_BIT(CALL_prctl) | remembering;
	}
	return 0;
}

/* With a log there are descriptors of ours, which these calls must not touch. */
static uint32_t hooks_for_log(const struct settings *set)
{
	return set->calls | CALL_BIT(CALL_close) | CALL_BIT(CALL_dup) | CALL_BIT(CALL_dup2) |
	       CALL_BIT(CALL_dup3) | CALL_BIT(CALL_fcntl) | CALL_BIT(CALL_close_range) |
	       CALL_BIT(CALL_closefrom) | CALL_BIT(CALL_fstat) | CALL_BIT(CALL_prctl);
}

/*
 * Open the log. A report at exit without a log goes to what is stderr now, and
 * what it tells is observed until then all the same.
 */
static bool open_for_events(void)
{
	if (shim.set.log == LOG_OFF && shim.set.report) {
		shim.silent = true;
		shim.set.log = LOG_STDERR;
		shim.set.format = FORMAT_TEXT;
	}
	return shim.set.log != LOG_OFF && log_open(&shim.set, shim.prog, process_owner());
}

/* The reader's terminal and locale; the program may set another locale for itself. */
static void know_reader(void)
{
	shim.colored = reader_wants_color(shim.set.color, sink_is_terminal(),
					  secure_getenv("NO_COLOR"), secure_getenv("TERM"));
	shim.utf8 = reader_knows_utf8(secure_getenv("LC_ALL"), secure_getenv("LC_CTYPE"),
				      secure_getenv("LANG"));
}

/* Without events it is hardly ever asked whose the memory is. */
static bool can_tell_processes_apart(const struct settings *set)
{
	const bool later = set->log == LOG_OFF && !set->report;
	const int rc = later ? process_init_later() : process_init();

	if (rc == -EINVAL)
		COMPLAIN(NULL, set,
			 "this kernel can't tell a forked process apart (MADV_WIPEONFORK); "
			 "nothing is done");
	else if (rc < 0)
		COMPLAIN(NULL, set, "a forked process can't be told apart (", error_words(rc),
			 "); nothing is done");
	return rc == 0;
}

__attribute__((constructor)) static void boot(void)
{
	libc_resolve();
	find_what_nobody_intercepts();
	sys_prctl(PR_GET_NAME, (unsigned long)shim.prog);
	environment_read(&shim.set);
	environment_make_absolute(&shim.set);
	if (!settings_act_in(&shim.set, shim.prog))
		return;
	if (!can_tell_processes_apart(&shim.set))
		return;

	uint32_t hooks = hooks_for_reuse(&shim.set);

	own_load_begin();
	const bool logs = open_for_events();

	if (logs)
		diag_open();
	own_load_end();
	if (logs) {
		know_libc();
		shim.listen_fds = environment_listen_fds();
		if (shim.set.stack)
			stacks_open();
		know_reader();
		shim.events = shim.set.calls;
		hooks |= hooks_for_log(&shim.set);
	}
	if (hooks)
		hooks |= CALL_BIT(CALL_dlopen); /* modules that would go past the others */
	shim.hooks_at_load = hooks;
	atomic_store(&shim.hooks, hooks);
}
