/* SPDX-License-Identifier: MIT */
/*
 * report_names.c - what the findings of tcpshim report are called.
 */
#include "report/report.h"

static const struct {
	const char *key, *name;
} kinds[FOUND_COUNT] = {
	[FOUND_BIND] = {"failed_binds", "failed binds"},
	[FOUND_LEFT] = {"left_open", "sockets left open at a process's end"},
	[FOUND_CLOSE_WAIT] = {"close_wait", "connections not closed after the peer's close"},
	[FOUND_DOUBLE_CLOSE] = {"double_close", "descriptors closed twice"},
	[FOUND_RESET] = {"reset", "resets sent by a close"},
	[FOUND_QUEUE_RESET] = {"queue_reset", "connections dropped with a listener, at most"},
	[FOUND_PEER_RESET] = {"peer_reset", "resets by the peer"},
	[FOUND_REFUSED] = {"refused", "connects refused"},
	[FOUND_TIMED_OUT] = {"timed_out", "connects timed out"},
	[FOUND_UNREACHABLE] = {"unreachable", "connects that found no way"},
	[FOUND_DESCRIPTORS] = {"no_descriptors", "calls without a descriptor left"},
	[FOUND_BACKLOG] = {"backlog_full", "full queues of listeners"},
	[FOUND_STORM] = {"storms", "failures repeated within a second"},
	[FOUND_LOST] = {"lost_events", "events lost: what is told here is not all"},
};

const char *report_found_key(enum found found)
{
	return kinds[found].key;
}

const char *report_found_name(enum found found)
{
	return kinds[found].name;
}

const char *report_reset_cause(uint8_t cause)
{
	static const char *const causes[] = {
		[RESET_UNREAD] = "unread",
		[RESET_LINGER] = "linger",
		[RESET_LINGER2] = "linger2",
	};

	return cause < sizeof(causes) / sizeof(causes[0]) ? causes[cause] : "unknown";
}
