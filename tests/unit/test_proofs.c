/* SPDX-License-Identifier: MIT */
/*
 * test_proofs.c - observe/proofs: which sockets are alike. Each test in a child, as a process
 * keeps its proofs.
 */
#include "observe/proofs.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "sys/process.h"
#include "unit.h"

static bool have(struct diag_id id, uint8_t opened)
{
	id.opened = opened;
	return proofs_have(&id);
}

static void add(struct diag_id id, uint8_t opened)
{
	id.opened = opened;
	proofs_add(&id);
}

static struct diag_id sample(void)
{
	return (struct diag_id){
		.cookie = 1,
		.netns = 2,
		.local = {.family = AF_INET, .port = 80, .addr = {127, 0, 0, 1}},
		.peer = {.family = AF_INET, .port = 5000, .addr = {127, 0, 0, 2}},
		.protocol = IPPROTO_TCP,
	};
}

static void start(void)
{
	MUST(process_init() == 0);
}

static void accepted_body(void *arg)
{
	struct diag_id id = sample();

	(void)arg;
	start();
	MUST(!have(id, OPENED_BY_PEER));
	add(id, OPENED_BY_PEER);
	MUST(have(id, OPENED_BY_PEER));
	id.cookie = 9;
	id.peer = (struct endpoint){.family = AF_INET, .port = 6000, .addr = {10, 0, 0, 1}};
	MUST(have(id, OPENED_BY_PEER));
	MUST(!have(id, OPENED_BY_US));
	MUST(!have(id, OPENED_UNKNOWN));
	id.ifindex = 3;
	MUST(!have(id, OPENED_BY_PEER));
	id.ifindex = 0;
	id.local.port++;
	MUST(!have(id, OPENED_BY_PEER));
	id.local.port--;
	id.local.addr[3]++;
	MUST(!have(id, OPENED_BY_PEER));
}

/* Accepted at the same local address, whoever the peer is. */
static void accepted(void **state)
{
	(void)state;
	in_child(accepted_body, NULL);
}

static void connected_body(void *arg)
{
	struct diag_id id = sample();

	(void)arg;
	start();
	add(id, OPENED_BY_US);
	id.local.port = 4000;
	MUST(have(id, OPENED_BY_US));
	MUST(!have(id, OPENED_BY_PEER));
	id.peer.port++;
	MUST(!have(id, OPENED_BY_US));
	id.peer.port--;
	id.peer.scope = 2;
	MUST(!have(id, OPENED_BY_US));
	id.peer.scope = 0;
	id.local.family = AF_INET6;
	MUST(!have(id, OPENED_BY_US));
}

/* Connected to the same peer, from wherever. */
static void connected(void **state)
{
	(void)state;
	in_child(connected_body, NULL);
}

static void nothing_body(void *arg)
{
	struct diag_id id = sample();

	(void)arg;
	start();
	add(id, OPENED_UNKNOWN);
	id.peer.family = 0;
	add(id, OPENED_BY_PEER);
	MUST(!have(id, OPENED_BY_PEER));
	id = sample();
	MUST(!have(id, OPENED_UNKNOWN));
	MUST(!have(id, OPENED_BY_PEER));
}

/* What lacks an address or whose way is unknown proves nothing. */
static void nothing(void **state)
{
	(void)state;
	in_child(nothing_body, NULL);
}

static void fork_body(void *arg)
{
	const struct diag_id id = sample();
	int status = -1;
	pid_t child;

	(void)arg;
	start();
	add(id, OPENED_BY_US);
	child = fork_for_a_while();
	if (child == 0) {
		MUST(process_owner() == getpid());
		MUST(!have(id, OPENED_BY_US));
		_exit(0);
	}
	MUST(waitpid(child, &status, 0) == child && status == 0);
	MUST(have(id, OPENED_BY_US));
}

/* A forked child begins without. */
static void forked(void **state)
{
	(void)state;
	in_child(fork_body, NULL);
}

static void many_body(void *arg)
{
	struct diag_id id = sample();
	int kept = 0;

	(void)arg;
	start();
	for (uint16_t port = 1; port <= 10 * PROOFS; port++) {
		id.peer.port = port;
		add(id, OPENED_BY_US);
		MUST(have(id, OPENED_BY_US));
	}
	for (uint16_t port = 1; port <= 10 * PROOFS; port++) {
		id.peer.port = port;
		kept += have(id, OPENED_BY_US);
	}
	MUST(kept > PROOFS / 2 && kept <= PROOFS);
}

static void both_ends_body(void *arg)
{
	int both = 0;

	(void)arg;
	start();
	for (uint16_t port = 1; port <= 100; port++) {
		struct diag_id id = sample();

		id.local.port = port;
		id.peer = id.local;
		add(id, OPENED_BY_PEER);
		add(id, OPENED_BY_US);
		both += have(id, OPENED_BY_PEER) && have(id, OPENED_BY_US);
	}
	MUST(both > 90);
}

/* A program that holds both ends of its connections: the two have places of their own. */
static void both_ends(void **state)
{
	(void)state;
	in_child(both_ends_body, NULL);
}

/* The newest is known, and many of those before: not all have one place. */
static void many(void **state)
{
	(void)state;
	in_child(many_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted), cmocka_unit_test(connected),
		cmocka_unit_test(nothing),  cmocka_unit_test(forked),
		cmocka_unit_test(many),	    cmocka_unit_test(both_ends),
	};

	process_use(pthread_self, pthread_getcpuclockid);
	return cmocka_run_group_tests_name("proofs", tests, NULL, NULL);
}
