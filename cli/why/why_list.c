/* SPDX-License-Identifier: MIT */
/*
 * why_list.c - tcpshim why without a port: who listens on this machine, and which ports are held
 * by connections that nobody has any more.
 */
#include <string.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "why/page.h"
#include "why/why.h"

enum { LOCAL = 23, OWNER = 46 };

static const struct process *process_of(const struct why *why, uint32_t owner)
{
	for (unsigned int i = 0; i < why->process_count; i++)
		if (why->owner_of[i] == owner)
			return &why->processes[i];
	return NULL;
}

/* Where it comes from tells more than whose it is; of docker-proxy, for whom. */
static void out_origin(struct out *out, const struct process *process)
{
	if (*process->container_ip) {
		out_str(out, "for ");
		out_plain(out, process->container_ip, strlen(process->container_ip));
		out_char(out, ':');
		out_plain(out, process->container_port, strlen(process->container_port));
	} else {
		why_out_place(out, &process->cgroup);
	}
	if (*process->user) {
		out_str(out, " user ");
		out_plain(out, process->user, strlen(process->user));
	}
}

static void print_listener(struct page *page, const struct why *why, const struct group *group)
{
	struct out *out = &page->line;
	const struct process *process = process_of(why, group->alike.owner);

	out_endpoint(out, &group->one.local);
	out_column(out, LOCAL);
	why_out_owners(out, &why->port, group);
	if (group->count > 1) {
		out_str(out, " with ");
		out_u64(out, group->count);
		out_str(out, " listeners");
	}
	if (process) {
		out_column(out, OWNER);
		out_origin(out, process);
	}
	page_line(page, 4);
}

static void print_dying(struct page *page, const struct group *group)
{
	struct out *out = &page->line;

	out_endpoint(out, &group->one.local);
	out_column(out, LOCAL);
	out_str(out, "nobody: ");
	out_u64(out, group->count);
	out_char(out, ' ');
	out_str(out, state_name((enum tcp_state_id)group->alike.state));
	why_out_time_left(out, group);
	page_line(page, 4);
}

/* Most of those are ends of clients, and each has its own: a line each would hide the others. */
static bool is_chosen(const struct why *why, uint32_t port)
{
	return why->first_port && port >= why->first_port && port <= why->last_port;
}

static void print_chosen(struct page *page, const struct why *why, uint64_t ports)
{
	struct out *out = &page->line;

	out_str(out, ports == 1 ? "and a port" : "and ");
	if (ports != 1) {
		out_u64(out, ports);
		out_str(out, " ports");
	}
	out_str(out, " of those that the kernel chooses from, ");
	out_u64(out, why->first_port);
	out_char(out, '-');
	out_u64(out, why->last_port);
	out_str(out, ", by connections that nobody has any more");
	page_line(page, 4);
}

void why_print_list(const struct why *why)
{
	struct page page;
	uint64_t chosen = 0;
	uint32_t last = 0;

	page_begin(&page, 0);
	for (size_t i = 0; i < why->crowd.count; i++) {
		const struct group *group = why->crowd.shown[i];
		const struct alike *alike = &group->alike;

		if (alike->state == STATE_LISTEN) {
			print_listener(&page, why, group);
		} else if (!alike->accepted && is_chosen(why, alike->port)) {
			chosen += alike->port != last;
			last = alike->port;
		} else if (!alike->accepted) {
			print_dying(&page, group);
		}
	}
	if (chosen)
		print_chosen(&page, why, chosen);
}
