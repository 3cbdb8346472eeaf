/* SPDX-License-Identifier: MIT */
/*
 * await.c - see await.h.
 */
#include "why/await.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "facts/endpoint.h"

/* Where the kernel tells of each TCP socket that ends; -1: it does not (before 4.4, or no right).
 */
static int listen_for_ends(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) |
			     1u << (SKNLGRP_INET6_TCP_DESTROY - 1),
	};
	const int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	if (fd >= 0 && bind(fd, (const void *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int visit_end(const struct diag_sock *sock, void *arg)
{
	const uint16_t *port = arg;

	return sock->local.port == *port ? EEXIST : 0;
}

/* Read all that was told. Did one of that port end, or was there more than could be kept? */
static bool has_ended(int fd, uint16_t port)
{
	char buf[8192];
	ssize_t len;
	bool ended = false;

	while ((len = recv(fd, buf, sizeof(buf), 0)) > 0 || (len < 0 && errno == ENOBUFS))
		ended |= len < 0 || diag_parse(buf, (size_t)len, 0, visit_end, &port) == EEXIST;
	return ended;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until one of that port has ended, or so long. */
static void wait_for_end(int fd, uint16_t port, uint64_t ms)
{
	const uint64_t end = now_ms() + ms;
	struct pollfd ends = {.fd = fd, .events = POLLIN};

	for (uint64_t now = now_ms(); now < end; now = now_ms())
		if (poll(&ends, 1, (int)(end - now)) > 0 && has_ended(fd, port))
			return;
}

/* Where much ends on a machine, or on the port, asking is not all that it does. */
static void rest(uint64_t asked_ms, uint64_t took_ms)
{
	enum { LEAST = 50, TIMES = 4 };
	const uint64_t until = asked_ms + (TIMES * took_ms > LEAST ? TIMES * took_ms : LEAST);
	uint64_t now;

	while ((now = now_ms()) < until)
		poll(NULL, 0, (int)(until - now));
}

/* The one of the answers that keeps us, if there is one. */
static const struct answer *held(const struct why *why)
{
	for (unsigned int i = 0; i < why->answer_count; i++)
		if (why->answers[i].verdict.with)
			return &why->answers[i];
	return NULL;
}

/* How long until asking again makes sense where nothing is told. */
static uint64_t nap_ms(const struct why *why, bool told)
{
	enum { LONGEST = 1000, UNTOLD = 100, AFTER = 5 };
	const struct holders *holders = &held(why)->verdict.why.more.holders;
	const bool timed = holders->dying && holders->longest_ms && !holders->listeners &&
			   !holders->bound && !holders->live && !holders->without_end;

	if (timed && holders->longest_ms + AFTER < LONGEST)
		return holders->longest_ms + AFTER;
	return told || timed ? LONGEST : UNTOLD;
}

static void out_held(struct out *out, const struct holders *holders)
{
	if (holders->listeners) {
		out_str(out, "somebody listens there");
	} else if (holders->bound || holders->live) {
		out_str(out, "somebody has the port");
	} else if (holders->dying) {
		out_u64(out, holders->dying);
		out_str(out, holders->dying == 1 ? " connection" : " connections");
		if (holders->longest_ms) {
			out_str(out, ", at most ");
			out_u64(out, (holders->longest_ms + 999) / 1000);
			out_str(out, " s more");
		}
	}
}

/* One line, written over the one before. */
static void show_progress(const struct why *why, uint64_t waited_ms, uint32_t seconds)
{
	const struct answer *answer = held(why);
	struct winsize size = {0};
	char text[256];
	struct out out;

	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	if (!size.ws_col || size.ws_col > sizeof(text) - 2)
		size.ws_col = 80;
	out = out_into(text, (size_t)size.ws_col - 1);
	out_str(&out, "waiting ");
	out_u64(&out, waited_ms / 1000);
	out_str(&out, " of ");
	out_u64(&out, seconds);
	out_str(&out, " s for ");
	out_endpoint(&out, &answer->at);
	out_str(&out, ": ");
	out_held(&out, &answer->verdict.why.more.holders);
	while (out.at < out.end)
		out_char(&out, ' ');
	*out.at = '\0';
	fprintf(stderr, "\r%s", text);
}

static void clear_progress(void)
{
	struct winsize size = {0};

	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	fprintf(stderr, "\r%*s\r", size.ws_col ? size.ws_col - 1 : 79, "");
}

/* Would waiting for a socket's end help? Not for want of an address, or of a right. */
static bool may_change(const struct why *why)
{
	return held(why) && held(why)->verdict.with == EADDRINUSE;
}

int why_await(struct why *why, const struct where *where, uint32_t seconds)
{
	const bool shows = isatty(STDERR_FILENO);
	const int ends = listen_for_ends();
	const uint64_t start = now_ms(), limit = (uint64_t)seconds * 1000;
	uint64_t asked = start;
	bool shown = false;
	int rc;

	while ((rc = why_ask(why, where)) == 0 && may_change(why)) {
		const uint64_t now = now_ms(), took = now - asked, waited = now - start;
		const uint64_t nap = nap_ms(why, ends >= 0);

		if (waited >= limit)
			break;
		if (shows)
			show_progress(why, waited, seconds);
		shown |= shows;
		wait_for_end(ends, why->port.number, nap < limit - waited ? nap : limit - waited);
		rest(now, took);
		asked = now_ms();
	}
	if (shown)
		clear_progress();
	if (ends >= 0)
		close(ends);
	return rc;
}
