/* SPDX-License-Identifier: MIT */
/*
 * test_destroy.c - cli/why/destroy: what may be ended, and that nothing else is met where the
 * addresses of a TIME_WAIT are another connection's by then. TCPSHIM_TRIES (300) says how often.
 */
#include "why/destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "observe/diag.h"
#include "observe/tcp_state.h"
#include "unit.h"

static void judged(void **state)
{
	static const struct {
		uint8_t state;
		uint32_t inode;
		bool unacked;
		enum fate fate;
	} rows[] = {
		{STATE_TIME_WAIT, 0, false, FATE_ENDED},  {STATE_FIN_WAIT_1, 0, false, FATE_ENDED},
		{STATE_FIN_WAIT_2, 0, false, FATE_ENDED}, {STATE_CLOSING, 0, false, FATE_ENDED},
		{STATE_LAST_ACK, 0, false, FATE_ENDED},	  {STATE_FIN_WAIT_1, 0, true, FATE_UNSENT},
		{STATE_LAST_ACK, 0, true, FATE_UNSENT},	  {STATE_CLOSING, 0, true, FATE_UNSENT},
		{STATE_FIN_WAIT_2, 7, false, FATE_OPEN},  {STATE_FIN_WAIT_1, 7, true, FATE_OPEN},
		{STATE_TIME_WAIT, 7, false, FATE_OPEN},	  {STATE_ESTABLISHED, 0, false, FATE_ALIVE},
		{STATE_CLOSE_WAIT, 0, false, FATE_ALIVE}, {STATE_LISTEN, 0, false, FATE_ALIVE},
		{STATE_SYN_RCVD, 0, false, FATE_ALIVE},	  {STATE_SYN_SENT, 0, false, FATE_ALIVE},
		{STATE_CLOSED, 0, false, FATE_ALIVE},	  {STATE_UNKNOWN, 0, false, FATE_ALIVE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct diag_sock sock = {
			.cookie = 1,
			.state = rows[i].state,
			.inode = rows[i].inode,
			.unacked = rows[i].unacked,
		};

		assert_int_equal(destroy_judge(&sock), rows[i].fate);
	}
}

/* What has no cookie could be any socket. */
static void without_a_cookie(void **state)
{
	struct diag_sock sock = {.state = STATE_TIME_WAIT, .local = {.family = AF_INET}};

	(void)state;
	assert_int_equal(destroy_one(-1, &sock), -EINVAL);
	sock.cookie = UINT64_MAX;
	assert_int_equal(destroy_one(-1, &sock), -EINVAL);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static uint16_t port_of(int fd)
{
	return sock_local(fd).port;
}

static void lo_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	close(fd);
}

struct pair {
	int listener, client, accepted;
	uint16_t from; /* the client's port, always the same */
};

/* A connection with the same addresses as the last one. */
static void make_connection(struct pair *pair)
{
	struct sockaddr_in from = loopback(pair->from), to = loopback(port_of(pair->listener));
	const int on = 1;

	pair->client = socket(AF_INET, SOCK_STREAM, 0);
	MUST(setsockopt(pair->client, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	MUST(bind(pair->client, (void *)&from, sizeof(from)) == 0);
	MUST(connect(pair->client, (void *)&to, sizeof(to)) == 0);
	pair->accepted = accept(pair->listener, NULL, NULL);
	MUST(pair->accepted >= 0);
}

static void must_live(const struct pair *pair)
{
	char byte = 'x';

	MUST(send(pair->client, &byte, 1, MSG_NOSIGNAL) == 1);
	MUST(recv(pair->accepted, &byte, 1, 0) == 1);
	MUST(send(pair->accepted, &byte, 1, MSG_NOSIGNAL) == 1);
	MUST(recv(pair->client, &byte, 1, 0) == 1);
}

/* End the connection, the accepted one first, which is then in TIME_WAIT: as sock_diag finds it. */
static struct diag_sock leave_time_wait(struct pair *pair)
{
	const struct diag_id id = {
		.cookie = sock_cookie(pair->accepted),
		.local = sock_local(pair->accepted),
		.peer = sock_peer(pair->accepted),
		.protocol = IPPROTO_TCP,
	};
	struct diag_sock found = {0};
	char byte;

	close(pair->accepted);
	MUST(recv(pair->client, &byte, 1, 0) == 0);
	close(pair->client);
	while (found.state != STATE_TIME_WAIT)
		MUST(diag_find_exact_afresh(&id, &found) == 1);
	MUST(destroy_judge(&found) == FATE_ENDED);
	return found;
}

struct attempt {
	int netlink;
	struct diag_sock sock;
	int rc;
};

static void *destroy_beside(void *arg)
{
	struct attempt *attempt = arg;

	attempt->rc = destroy_one(attempt->netlink, &attempt->sock);
	return NULL;
}

/* A SYN takes the addresses: before the kernel is asked to end what had them, or beside that. */
static void race(void *arg)
{
	const unsigned long tries = *(const unsigned long *)arg;
	struct sockaddr_in any = loopback(0);
	struct pair pair = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
	struct attempt attempt = {.netlink = destroy_open()};
	pthread_t thread;

	lo_up();
	MUST(attempt.netlink >= 0);
	MUST(bind(pair.listener, (void *)&any, sizeof(any)) == 0 && listen(pair.listener, 8) == 0);
	pair.from = (uint16_t)(port_of(pair.listener) > 40000 ? 20000 : 50000);
	make_connection(&pair);
	for (unsigned long i = 0; i < tries; i++) {
		attempt.sock = leave_time_wait(&pair);
		if (i % 2) {
			MUST(pthread_create(&thread, NULL, destroy_beside, &attempt) == 0);
			make_connection(&pair);
			pthread_join(thread, NULL);
			MUST(attempt.rc == 0 || attempt.rc == -ENOENT);
		} else {
			make_connection(&pair);
			MUST(destroy_one(attempt.netlink, &attempt.sock) == -ENOENT);
		}
		must_live(&pair);
	}
	/* And it does end what it is to end. */
	attempt.sock = leave_time_wait(&pair);
	MUST(destroy_one(attempt.netlink, &attempt.sock) == 0);
	MUST(destroy_one(attempt.netlink, &attempt.sock) == -ENOENT);
}

static void addresses_that_are_used_again(void **state)
{
	const char *text = getenv("TCPSHIM_TRIES");
	unsigned long tries = text ? strtoul(text, NULL, 10) : 300;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		skip(); /* only root may */
	in_child(race, &tries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(without_a_cookie),
		cmocka_unit_test(addresses_that_are_used_again),
	};

	return cmocka_run_group_tests_name("destroy", tests, NULL, NULL);
}
