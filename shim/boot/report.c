/* SPDX-License-Identifier: MIT */
/*
 * report.c - when the process exits, what was counted and not yet told; for TCPSHIM_REPORT,
 * what it leaves open; and how many events were lost, where none follows that tells of it.
 * Runs as the library's destructor, so at exit() and at the return from main.
 */
#include "boot/left_open.h"
#include "facts/shim.h"
#include "log/log.h"
#include "sys/process.h"

__attribute__((destructor)) static void report_at_exit(void)
{
	if (!shim.events || !shim_acts() || !process_owner())
		return;
	log_end();
	if (shim.set.report)
		left_open_tell();
	left_open_tell_losses();
}
