/* SPDX-License-Identifier: MIT */
/*
 * place.c - see place.h.
 */
#include "supervise/place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "boot/boot.h"
#include "facts/reader.h"
#include "facts/shim.h"
#include "log/sink.h"
#include "observe/diag.h"
#include "supervise/fetch.h"
#include "sys/clock.h"
#include "sys/own.h"
#include "sys/process.h"
#include "sys/sys.h"

/* Whose log is open, where each has one of its own. */
static struct {
	pid_t executed;
	char prog[sizeof(shim.prog)];
} open_for;

static bool each_has_its_own(void)
{
	return shim.set.log >= LOG_FILE && memchr(shim.set.log_path, '%', shim.set.log_path_len);
}

static bool open_log(pid_t executed, const char *prog)
{
	open_for.executed = executed;
	memcpy(open_for.prog, prog, sizeof(open_for.prog));
	return log_open(&shim.set, prog, executed);
}

/* The lowest number of ours from there on; INT_MAX: none. */
static int next_own(int from)
{
	int least = INT_MAX;

	for (unsigned int slot = 0; slot < OWN_COUNT; slot++)
		if (own_number(slot) >= from && own_number(slot) < least)
			least = own_number(slot);
	return least;
}

/* The program's pipes end when it has closed them, and its disks can be taken away. */
static void close_what_was_inherited(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int from = STDERR_FILENO + 1;

	for (int fd = 0; fd < from; fd++)
		if (nothing >= 0)
			dup2(nothing, fd);
	while (from < INT_MAX) {
		const int own = next_own(from);

		if (own > from)
			syscall(SYS_close_range, from, own - 1, 0);
		from = own < INT_MAX ? own + 1 : INT_MAX;
	}
	if (chdir("/") < 0)
		return; /* where it is, it keeps a disk in use */
}

void place_begin(pid_t executed, const char *prog)
{
	bool logs;

	clock_use(vdso_function(ARCH_VDSO_CLOCK_GETTIME));
	process_init();
	own_load_begin();
	logs = shim.set.log != LOG_OFF && open_log(executed, prog);
	if (logs)
		diag_open();
	own_load_end();
	if (logs) {
		shim.events = shim.set.calls;
		shim.colored = reader_wants_color(shim.set.color, sink_is_terminal(),
						  getenv("NO_COLOR"), getenv("TERM"));
		shim.utf8 = reader_knows_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"));
	}
	atomic_store(&shim.hooks, ~0u);
	close_what_was_inherited();
}

void place_borrow_stderr(void)
{
	const int its = fetch_made(STDERR_FILENO);

	if (its >= 0)
		dup2(its, STDERR_FILENO);
}

/* As it was left by close_what_was_inherited. */
void place_give_stderr_back(void)
{
	dup2(STDIN_FILENO, STDERR_FILENO);
}

void place_use(pid_t executed, const char *prog)
{
	if (!shim.events || !each_has_its_own() ||
	    (executed == open_for.executed &&
	     memcmp(prog, open_for.prog, sizeof(open_for.prog)) == 0))
		return;
	own_close(OWN_LOG);
	atomic_store(&our_process.ring_fd, -1); /* its number may be the next one's */
	open_log(executed, prog);
}
