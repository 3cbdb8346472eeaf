/* SPDX-License-Identifier: MIT */
/*
 * test_diag.c - observe/diag: the live kernel asked about sockets on the loopback.
 * Each test in a child of its own, as the module keeps sockets.
 */
#include "observe/diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "facts/shim.h"
#include "made.h"
#include "observe/tcp_state.h"
#include "sys/own.h"
#include "unit.h"

enum { BACKLOG = 16, ALL_STATES = ~0 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(int family, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->any.sa_family = (sa_family_t)family;
	ret->in.sin_port = htons(port); /* at the same place in both */
	if (family == AF_INET)
		ret->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		ret->in6.sin6_addr = in6addr_loopback;
	return family == AF_INET ? sizeof(ret->in) : sizeof(ret->in6);
}

/* A listener on a port that the kernel picks, or on one that others share. */
static int new_listener(int family, uint16_t port, bool shared)
{
	const int fd = socket(family, SOCK_STREAM, 0), on = shared;
	union address addr;
	const socklen_t len = loopback(family, port, &addr);

	MUST(fd >= 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
	MUST(bind(fd, &addr.any, len) == 0);
	MUST(listen(fd, BACKLOG) == 0);
	return fd;
}

struct connection {
	int listener, client, server;
};

static struct connection new_connection(int family)
{
	struct connection pair = {.listener = new_listener(family, 0, false)};
	union address addr;
	const socklen_t len = loopback(family, sock_local(pair.listener).port, &addr);

	pair.client = socket(family, SOCK_STREAM, 0);
	MUST(pair.client >= 0);
	MUST(connect(pair.client, &addr.any, len) == 0);
	pair.server = accept(pair.listener, NULL, NULL);
	MUST(pair.server >= 0);
	return pair;
}

static struct diag_id id_of(int fd)
{
	const struct diag_id id = diag_id_of(fd);

	MUST(id.cookie != 0);
	return id;
}

static bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

/*
 * Ask until the socket is in that state: the other end's segments may be on their
 * way. The child's alarm ends a wait for nothing.
 */
static struct diag_sock find_in_state(const struct diag_id *id, enum tcp_state_id state)
{
	struct diag_sock sock;

	for (;;) {
		const int rc = diag_find_exact(id, &sock);

		MUST(rc == 1 || rc == 0);
		if (rc == 1 && sock.state == state)
			return sock;
		sched_yield();
	}
}

/* Every test with sockets kept (a log is on), and with a fresh one a question. */
static void in_children(void (*body)(void *arg))
{
	for (uint32_t events = 0; events < 2; events++) {
		shim.events = events * (CALL_BIT(CALL_LOGGED) - 1);
		in_child(body, NULL);
	}
	shim.events = 0;
}

static void start(void)
{
	MUST(process_init() == 0);
	if (shim.events)
		diag_open();
}

static void listener_body(void *arg)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)arg;
	start();
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const int fd = new_listener(families[i], 0, false);
		const struct diag_id id = id_of(fd);
		struct diag_sock sock;

		MUST(diag_find_exact(&id, &sock) == 1);
		MUST(sock.cookie == id.cookie);
		MUST(sock.state == STATE_LISTEN);
		MUST(same_end(&sock.local, &id.local));
		MUST(sock.peer.port == 0);
		MUST(sock.inode != 0);
		MUST(sock.uid == getuid());
		MUST(!sock.has_timer);

		close(fd);
		MUST(diag_find_exact(&id, &sock) == 0);
	}
}

/* A listener is found while it lives, and not any more after. */
static void listener(void **state)
{
	(void)state;
	in_children(listener_body);
}

static void connection_body(void *arg)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)arg;
	start();
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const struct connection pair = new_connection(families[i]);
		const struct diag_id client = id_of(pair.client), server = id_of(pair.server);
		struct diag_sock sock;

		MUST(diag_find_exact(&client, &sock) == 1);
		MUST(sock.cookie == client.cookie);
		MUST(sock.state == STATE_ESTABLISHED);
		MUST(same_end(&sock.local, &client.local));
		MUST(same_end(&sock.peer, &client.peer));

		MUST(diag_find_exact(&server, &sock) == 1);
		MUST(sock.cookie == server.cookie);
		MUST(same_end(&sock.local, &client.peer));
		MUST(same_end(&sock.peer, &client.local));
	}
}

/* Each end of a connection is found by itself. */
static void connection(void **state)
{
	(void)state;
	in_children(connection_body);
}

static void closes_body(void *arg)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)arg;
	start();
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const struct connection pair = new_connection(families[i]);
		const struct diag_id client = id_of(pair.client), server = id_of(pair.server);
		struct diag_sock sock;

		close(pair.client);
		sock = find_in_state(&client, STATE_FIN_WAIT_2);
		MUST(sock.inode == 0);
		find_in_state(&server, STATE_CLOSE_WAIT);

		close(pair.server);
		sock = find_in_state(&client, STATE_TIME_WAIT);
		MUST(sock.cookie == client.cookie);
		MUST(sock.has_timer);
		MUST(sock.timer_ms > 0 && sock.timer_ms <= 60000);
		MUST(same_end(&sock.local, &client.local));
		MUST(same_end(&sock.peer, &client.peer));
		while (diag_find_exact(&server, &sock) == 1)
			sched_yield(); /* LAST_ACK, for a moment */
		MUST(diag_find_exact(&server, &sock) == 0);
	}
}

/* Who closes first goes through FIN_WAIT_2 to TIME_WAIT, and is told with its time left. */
static void after_close(void **state)
{
	(void)state;
	in_children(closes_body);
}

static void reset_body(void *arg)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct connection pair;
	struct diag_id client, server;
	struct diag_sock sock;

	(void)arg;
	start();
	pair = new_connection(AF_INET);
	client = id_of(pair.client);
	server = id_of(pair.server);
	MUST(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	close(pair.client);
	MUST(diag_find_exact(&client, &sock) == 0);
	while (diag_find_exact(&server, &sock) == 1)
		sched_yield(); /* until the RST has come */
	MUST(diag_find_exact(&server, &sock) == 0);
}

/* After a reset neither end is known any more. */
static void after_reset(void **state)
{
	(void)state;
	in_children(reset_body);
}

static void wrong_body(void *arg)
{
	struct connection pair;
	struct diag_id id, wrong;
	struct diag_sock sock = {.cookie = 42};

	(void)arg;
	start();
	pair = new_connection(AF_INET);
	id = id_of(pair.client);

	wrong = id;
	wrong.cookie++;
	MUST(diag_find_exact(&wrong, &sock) == 0);
	wrong.cookie = id.cookie | UINT64_C(1) << 63;
	MUST(diag_find_exact(&wrong, &sock) == 0);
	MUST(diag_find_in_dump(&wrong, (uint32_t)ALL_STATES, &sock) == 0);

	wrong = id_of(pair.listener);
	wrong.cookie = id.cookie;
	MUST(diag_find_exact(&wrong, &sock) == 0);
	MUST(sock.cookie == 42); /* what was not found is not told */
}

/* Another socket at the same addresses is not the one: its cookie tells. */
static void wrong_cookie(void **state)
{
	(void)state;
	in_children(wrong_body);
}

static void namespace_body(void *arg)
{
	struct connection pair;
	struct diag_id id;
	struct diag_sock sock;

	(void)arg;
	start();
	pair = new_connection(AF_INET);
	id = id_of(pair.client);
	id.cookie++;

	id.netns = 0;
	id.proven = true;
	MUST(diag_find_exact(&id, &sock) == 0);
	MUST(diag_find_in_dump(&id, (uint32_t)ALL_STATES, &sock) == 0);
	id.proven = false;
	MUST(diag_find_exact(&id, &sock) == -EXDEV);
	MUST(diag_find_in_dump(&id, (uint32_t)ALL_STATES, &sock) == -EXDEV);
	id.netns = sock_netns(pair.client) + 1;
	MUST(diag_find_exact(&id, &sock) == -EXDEV);
	id.proven = true;
	MUST(diag_find_exact(&id, &sock) == -EXDEV);
	MUST(diag_find_in_dump(&id, (uint32_t)ALL_STATES, &sock) == -EXDEV);
}

/* "Not found" counts only where it would have been found: in this network namespace. */
static void other_namespaces(void **state)
{
	(void)state;
	in_children(namespace_body);
}

enum { GROUP = 7 };

static void group_body(void *arg)
{
	struct diag_id ids[GROUP];
	int fds[GROUP];
	uint16_t port = 0;

	(void)arg;
	start();
	for (int i = 0; i < GROUP; i++) {
		fds[i] = new_listener(AF_INET, port, true);
		ids[i] = id_of(fds[i]);
		port = ids[i].local.port;
	}
	for (int i = 0; i < GROUP; i++) {
		struct diag_sock sock;

		MUST(diag_find_in_dump(&ids[i], 1u << TCP_LISTEN, &sock) == 1);
		MUST(sock.cookie == ids[i].cookie);
		MUST(sock.state == STATE_LISTEN);
		MUST(sock.local.port == port);
		/* Not among those in other states. */
		MUST(diag_find_in_dump(&ids[i], 1u << TCP_ESTABLISHED, &sock) == 0);
	}
	for (int i = 0; i < GROUP; i++) {
		struct diag_sock sock;

		close(fds[i]);
		for (int j = 0; j < GROUP; j++)
			MUST(diag_find_in_dump(&ids[j], 1u << TCP_LISTEN, &sock) == (j > i));
	}
}

/* Each listener of a SO_REUSEPORT group is found by walking over all of the port. */
static void reuseport_group(void **state)
{
	(void)state;
	in_children(group_body);
}

struct tally {
	uint16_t port;
	unsigned int listeners, connections, others;
};

static int count(const struct diag_sock *sock, void *arg)
{
	struct tally *tally = arg;

	if (sock->local.port != tally->port)
		tally->others++;
	else if (sock->state == STATE_LISTEN)
		tally->listeners++;
	else
		tally->connections++;
	return 0;
}

/*
 * A long dump goes on where it stood by counting; sockets of others that come and
 * go in between make it count wrong. So away from them, where that is allowed.
 */
static void leave_the_others(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (unshare(CLONE_NEWNET) < 0)
		return;

	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	MUST(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	close(fd);
}

enum { MANY = 300 };

static void dump_body(void *arg)
{
	struct diag_scope scope = {
		.protocol = IPPROTO_TCP, .family = AF_INET, .kernel_states = (uint32_t)ALL_STATES};
	struct tally tally = {0};
	union address addr;
	socklen_t len;
	int fd;

	(void)arg;
	leave_the_others();
	start();
	fd = new_listener(AF_INET, 0, false);
	tally.port = sock_local(fd).port;
	len = loopback(AF_INET, tally.port, &addr);
	for (int i = 0; i < MANY; i++) {
		const int client = socket(AF_INET, SOCK_STREAM, 0);

		MUST(connect(client, &addr.any, len) == 0);
		MUST(accept(fd, NULL, NULL) >= 0);
	}
	scope.port = tally.port;
	MUST(diag_dump(&scope, count, &tally) == 1);
	MUST(tally.listeners == 1);
	MUST(tally.connections == MANY);
	MUST(tally.others == 0);

	/* Over a socket that is kept it is the same. */
	tally = (struct tally){.port = tally.port};
	MUST(diag_dump_kept(&scope, count, &tally) == (shim.events ? 1 : -EAGAIN));
	MUST(tally.connections == (shim.events ? MANY : 0));

	/* Those of a namespace that is not this one are not to be seen. */
	scope.netns = sock_netns(fd) + 1;
	MUST(diag_dump(&scope, count, &tally) == -EXDEV);

	/* A question after a long answer gets its own. */
	const struct diag_id id = id_of(fd);
	struct diag_sock sock;

	MUST(diag_find_exact(&id, &sock) == 1);
}

/* A dump of more sockets than fit into a datagram tells each once, and only that port's. */
static void long_dump(void **state)
{
	(void)state;
	in_children(dump_body);
}

static int stop_at_once(const struct diag_sock *sock, void *arg)
{
	(void)sock;
	(void)arg;
	return -ECANCELED;
}

static void stopped_body(void *arg)
{
	const struct diag_scope all = {
		.protocol = IPPROTO_TCP, .family = AF_INET, .kernel_states = (uint32_t)ALL_STATES};

	(void)arg;
	start();

	const struct connection pair = new_connection(AF_INET);
	const struct diag_id id = id_of(pair.client);

	/* More often than sockets are kept: none of them may be spoilt by it. */
	for (int i = 0; i < 3 * DIAG_SOCKETS; i++) {
		struct diag_sock sock;

		MUST(diag_dump(&all, stop_at_once, NULL) == -ECANCELED);
		MUST(diag_dump_kept(&all, stop_at_once, NULL) ==
		     (shim.events ? -ECANCELED : -EAGAIN));
		MUST(diag_find_exact(&id, &sock) == 1);
		MUST(sock.cookie == id.cookie);
		MUST(diag_find_in_dump(&id, (uint32_t)ALL_STATES, &sock) == 1);
	}
}

/* A dump that its visitor ends early leaves nothing that the next question would meet. */
static void dump_stopped(void **state)
{
	(void)state;
	in_children(stopped_body);
}

static void answers_body(void *arg)
{
	(void)arg;
	start();
	for (int i = 0; i < 3; i++) {
		MUST(diag_answers(IPPROTO_TCP));
		MUST(!diag_answers(IPPROTO_UDP));
		MUST(!diag_answers(262)); /* MPTCP */
	}
}

/* The kernel answers for TCP; of other protocols it is not remembered. */
static void answers(void **state)
{
	(void)state;
	in_children(answers_body);
}

static void fork_body(void *arg)
{
	struct diag_id id;
	struct diag_sock sock;
	int status = -1;
	pid_t child;

	(void)arg;
	start();
	id = id_of(new_listener(AF_INET, 0, false));
	MUST(diag_find_exact(&id, &sock) == 1);

	/* Parent and child ask at the same time, each over sockets of its own. */
	child = fork_for_a_while();
	for (int i = 0; i < 2000; i++) {
		MUST(diag_find_exact(&id, &sock) == 1);
		MUST(sock.cookie == id.cookie);
	}
	if (child == 0)
		_exit(0);
	MUST(waitpid(child, &status, 0) == child);
	MUST(status == 0);
	MUST(diag_find_exact(&id, &sock) == 1);
}

/* A forked child asks as well, and neither gets the other's answers. */
static void after_fork(void **state)
{
	(void)state;
	in_children(fork_body);
}

enum { THREADS = 8 };

static void *ask_on(void *arg)
{
	const struct diag_id *id = arg;

	for (int i = 0; i < 1000; i++) {
		struct diag_sock sock;

		MUST(diag_find_exact(id, &sock) == 1);
		MUST(sock.cookie == id->cookie);
		MUST(same_end(&sock.local, &id->local));
	}
	return NULL;
}

static void threads_body(void *arg)
{
	pthread_t threads[THREADS];
	struct diag_id ids[THREADS];

	(void)arg;
	start();
	for (int i = 0; i < THREADS; i++) {
		ids[i] = id_of(new_listener(AF_INET, 0, false));
		MUST(pthread_create(&threads[i], NULL, ask_on, &ids[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
}

/* More threads ask at once than sockets are kept, and each gets the answer to its question. */
static void many_threads(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer knows no end of the helper that asks for some of them\n");
	skip();
#endif
	in_children(threads_body);
}

static void stolen_body(void *arg)
{
	struct diag_id id;
	struct diag_sock sock;
	int theirs[OWN_COUNT];

	(void)arg;
	start();
	id = id_of(new_listener(AF_INET, 0, false));
	for (unsigned int slot = OWN_DIAG; slot < OWN_COUNT; slot++) {
		const int fd = own_number(slot);

		theirs[slot] = fd;
		if (fd >= 0)
			MUST(dup2(STDERR_FILENO, fd) == fd);
	}
	for (int i = 0; i < 2 * DIAG_SOCKETS; i++) {
		MUST(diag_find_exact(&id, &sock) == 1);
		MUST(sock.cookie == id.cookie);
	}
	/* What the program put there is its own, and still open. */
	for (unsigned int slot = OWN_DIAG; slot < OWN_COUNT; slot++)
		if (theirs[slot] >= 0)
			MUST(fcntl(theirs[slot], F_GETFD) >= 0 && sock_cookie(theirs[slot]) == 0);
}

/* A number of ours that the program has taken behind our back is neither used nor closed. */
static void stolen_numbers(void **state)
{
	(void)state;
	in_children(stolen_body);
}

static void invisible_body(void *arg)
{
	struct diag_id id;
	struct diag_sock sock;
	int before, after;

	(void)arg;
	start();
	id = id_of(new_listener(AF_INET, 0, false));
	before = dup(STDERR_FILENO);
	errno = 1234;
	for (int i = 0; i < 20; i++) {
		MUST(diag_find_exact(&id, &sock) == 1);
		id.cookie++;
		MUST(diag_find_exact(&id, &sock) == 0);
		id.cookie--;
	}
	MUST(errno == 1234);
	after = dup(STDERR_FILENO);
	MUST(after == before + 1);
	for (unsigned int slot = OWN_DIAG; slot < OWN_COUNT; slot++)
		if (own_number(slot) >= 0)
			MUST(own_number(slot) > 100 && own_is(own_number(slot)));
}

/* Questions leave no low number taken, and errno as it was. */
static void invisible(void **state)
{
	(void)state;
	in_children(invisible_body);
}

/* Skipped whole where the kernel has no tcp_diag, or lets no netlink socket be made. */
static int needs_diag(void **state)
{
	int status = -1;
	const pid_t child =
		fork_for_a_while(); /* nothing is kept here for the tests' children to inherit */

	(void)state;
	if (child == 0)
		_exit(!diag_answers(IPPROTO_TCP));
	waitpid(child, &status, 0);
	if (status == 0)
		return 0;
	print_message("this kernel does not answer about TCP sockets\n");
	exit(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listener),	   cmocka_unit_test(connection),
		cmocka_unit_test(after_close),	   cmocka_unit_test(after_reset),
		cmocka_unit_test(wrong_cookie),	   cmocka_unit_test(other_namespaces),
		cmocka_unit_test(reuseport_group), cmocka_unit_test(long_dump),
		cmocka_unit_test(dump_stopped),	   cmocka_unit_test(answers),
		cmocka_unit_test(after_fork),	   cmocka_unit_test(many_threads),
		cmocka_unit_test(stolen_numbers),  cmocka_unit_test(invisible),
	};

	return cmocka_run_group_tests_name("diag", tests, needs_diag, NULL);
}
