/* SPDX-License-Identifier: MIT */
/*
 * test_conflict.c - observe/conflict: who keeps whom from a port. What the rule says
 * of two sockets is held against the kernel of this machine, by really binding.
 */
#include "observe/conflict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "observe/tcp_state.h"
#include "unit.h"

/* Where a socket is bound to. v6only says nothing of IPv4. */
struct place {
	const char *address;
	bool v6only;
};

static const struct place places[] = {
	{"127.0.0.1", false}, {"127.0.0.2", false}, {"0.0.0.0", false}, {"::1", false},
	{"::", false},	      {"::", true},	    {"::1", true},	{"::ffff:127.0.0.1", false},
};

/* And with which options. */
struct options {
	bool reuseaddr, reuseport;
};

static const struct options options[] = {
	{false, false},
	{true, false},
	{false, true},
	{true, true},
};

/* What has become of the one that was there first. */
enum stage { BOUND, LISTENING, CONNECTED, WAITING, STAGES };

static const char *const stages[] = {"bound", "listening", "connected", "in TIME_WAIT"};

static bool is_ipv6(const struct place *place)
{
	return strchr(place->address, ':') != NULL;
}

static void set(int fd, int level, int option, int value)
{
	assert_return_code(setsockopt(fd, level, option, &value, sizeof(value)), errno);
}

static int made(const struct place *place, const struct options *with)
{
	const int fd = socket(is_ipv6(place) ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(fd, errno);
	set(fd, SOL_SOCKET, SO_REUSEADDR, with->reuseaddr);
	set(fd, SOL_SOCKET, SO_REUSEPORT, with->reuseport);
	if (is_ipv6(place))
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, place->v6only);
	return fd;
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	union sock_addr ours;
};

static socklen_t address_of(const struct place *place, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (is_ipv6(place)) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, place->address, &ret->in6.sin6_addr), 1);
		return sizeof(ret->in6);
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, place->address, &ret->in.sin_addr), 1);
	return sizeof(ret->in);
}

/* 0 or errno */
static int try_bind(int fd, const struct place *place, uint16_t port)
{
	union address address;
	const socklen_t len = address_of(place, port, &address);

	return bind(fd, &address.any, len) < 0 ? errno : 0;
}

static int try_listen(int fd)
{
	return listen(fd, 8) < 0 ? errno : 0;
}

/* The kernel's answer must be yes or no. */
static bool refused(int err)
{
	if (err != 0 && err != EADDRINUSE)
		fail_msg("neither bound nor in use: %s", strerror(err));
	return err != 0;
}

/* A port that nobody has on any address, bound to by the socket. */
static uint16_t take_port(int fd, const struct place *place)
{
	static const struct place all = {"::", false};
	static const struct options none = {false, false};

	for (int i = 0; i < 100; i++) {
		const int probe = made(&all, &none);

		assert_int_equal(try_bind(probe, &all, 0), 0);

		const uint16_t port = sock_local(probe).port;

		close(probe);
		if (try_bind(fd, place, port) == 0)
			return port;
	}
	fail_msg("no free port");
	return 0;
}

static void await_state(int fd, int state)
{
	for (int i = 0; i < 5000 && tcp_state(fd) != state; i++)
		usleep(200);
	assert_int_equal(tcp_state(fd), state);
}

/* The one that is there first. */
struct holder {
	int fd;	  /* that has the port; -1 in TIME_WAIT */
	int peer; /* of the connection, or -1 */
	uint16_t port;
	struct conflict_sock sock;
};

/* As the kernel has it: bound to one address of IPv6, a socket takes no IPv4. */
static struct conflict_sock as_sock(int fd, const struct options *with, uint8_t state)
{
	return (struct conflict_sock){
		.local = sock_local(fd),
		.uid = geteuid(),
		.state = state,
		.v6only = sock_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0,
		.reuseaddr = with->reuseaddr,
		.reuseport = with->reuseport,
	};
}

/* A client of the listener, which itself goes away. A listener on both takes IPv4 as well. */
static void connect_holder(struct holder *holder, bool by_ipv4)
{
	static const struct place ipv4 = {"127.0.0.1", false};
	union address address;
	socklen_t len = sizeof(address);
	int accepted;

	assert_return_code(getsockname(holder->fd, &address.any, &len), errno);
	if (by_ipv4)
		len = address_of(&ipv4, holder->port, &address);
	holder->peer = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(holder->peer, errno);
	assert_return_code(connect(holder->peer, &address.any, len), errno);
	accepted = accept(holder->fd, NULL, NULL);
	assert_return_code(accepted, errno);
	close(holder->fd);
	holder->fd = accepted;
}

static struct holder hold_by(const struct place *place, const struct options *with,
			     enum stage stage, bool by_ipv4)
{
	static const uint8_t states[] = {STATE_CLOSED, STATE_LISTEN, STATE_ESTABLISHED,
					 STATE_TIME_WAIT};
	struct holder holder = {.fd = made(place, with), .peer = -1};

	holder.port = take_port(holder.fd, place);
	if (stage >= LISTENING)
		assert_int_equal(try_listen(holder.fd), 0);
	if (stage >= CONNECTED)
		connect_holder(&holder, by_ipv4);
	holder.sock = as_sock(holder.fd, with, states[stage]);
	if (stage == WAITING) {
		/* Its FIN first, then the peer's: the peer's end tells when that is done. */
		close(holder.fd);
		holder.fd = -1;
		await_state(holder.peer, STATE_CLOSE_WAIT);
		shutdown(holder.peer, SHUT_WR);
		await_state(holder.peer, STATE_CLOSED);
	}
	return holder;
}

static struct holder hold(const struct place *place, const struct options *with, enum stage stage)
{
	return hold_by(place, with, stage, false);
}

static void let_go(struct holder *holder)
{
	if (holder->fd >= 0)
		close(holder->fd);
	if (holder->peer >= 0)
		close(holder->peer);
}

/* Rows in which rule and kernel disagree: all are shown, and the test fails at its end. */
static unsigned int disagreements;

static void disagree(const struct place *asks, const struct options *with,
		     const struct place *other, const struct options *others, const char *stage,
		     const char *call, bool kernel)
{
	disagreements++;
	print_error("%s of %s%s%s%s against %s%s%s%s %s: the kernel %s, the rule does not\n", call,
		    asks->address, asks->v6only ? " v6only" : "",
		    with->reuseaddr ? " reuseaddr" : "", with->reuseport ? " reuseport" : "",
		    other->address, other->v6only ? " v6only" : "",
		    others->reuseaddr ? " reuseaddr" : "", others->reuseport ? " reuseport" : "",
		    stage, kernel ? "refuses" : "allows");
}

static void assert_agreed(void)
{
	const unsigned int count = disagreements;

	disagreements = 0;
	assert_int_equal(count, 0);
}

/* One pair: bind, and where that works listen, each as the rule says. Return what bind says. */
static bool check_pair(const struct place *asks, const struct options *with,
		       const struct holder *holder, const struct place *other,
		       const struct options *others, enum stage stage)
{
	const int fd = made(asks, with);
	union address address;
	const socklen_t len = address_of(asks, holder->port, &address);
	struct conflict_sock sock = {
		.local = endpoint_from(&address.ours, len),
		.uid = geteuid(),
		.state = STATE_CLOSED,
		.v6only = asks->v6only,
		.reuseaddr = with->reuseaddr,
		.reuseport = with->reuseport,
	};
	const bool bind_refused = refused(try_bind(fd, asks, holder->port));

	if (conflict_between(&sock, &holder->sock) != bind_refused)
		disagree(asks, with, other, others, stages[stage], "bind", bind_refused);
	if (!bind_refused) {
		const bool listen_refused = refused(try_listen(fd));

		sock.state = STATE_LISTEN;
		if (conflict_between(&sock, &holder->sock) != listen_refused)
			disagree(asks, with, other, others, stages[stage], "listen",
				 listen_refused);
	}
	close(fd);
	return bind_refused;
}

/* The rows that people ask about, with the answer written down. */
static void well_known(void **state)
{
	static const struct {
		struct place asks;
		struct options with;
		struct place other;
		struct options others;
		enum stage stage;
		bool conflict;
	} rows[] = {
		/* A live listener is never hijacked … */
		{{"127.0.0.1", 0}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, LISTENING, true},
		{{"127.0.0.1", 0}, {1, 0}, {"127.0.0.1", 0}, {1, 0}, LISTENING, true},
		{{"0.0.0.0", 0}, {1, 0}, {"127.0.0.1", 0}, {1, 0}, LISTENING, true},
		{{"127.0.0.1", 0}, {1, 0}, {"0.0.0.0", 0}, {1, 0}, LISTENING, true},
		/* … unless both said so, … */
		{{"127.0.0.1", 0}, {0, 1}, {"127.0.0.1", 0}, {0, 1}, LISTENING, false},
		{{"127.0.0.1", 0}, {0, 1}, {"127.0.0.1", 0}, {1, 0}, LISTENING, true},
		/* … and of another address it is in nobody's way. */
		{{"127.0.0.2", 0}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, LISTENING, false},
		/* Bound and no more: both want the option. */
		{{"127.0.0.1", 0}, {1, 0}, {"127.0.0.1", 0}, {1, 0}, BOUND, false},
		{{"127.0.0.1", 0}, {1, 0}, {"127.0.0.1", 0}, {0, 0}, BOUND, true},
		{{"127.0.0.1", 0}, {0, 0}, {"127.0.0.1", 0}, {1, 0}, BOUND, true},
		/* The restart, and the poisoned first run. */
		{{"127.0.0.1", 0}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, WAITING, true},
		{{"127.0.0.1", 0}, {1, 0}, {"127.0.0.1", 0}, {0, 0}, WAITING, true},
		{{"127.0.0.1", 0}, {1, 0}, {"127.0.0.1", 0}, {1, 0}, WAITING, false},
		{{"0.0.0.0", 0}, {1, 0}, {"127.0.0.1", 0}, {1, 0}, CONNECTED, false},
		{{"0.0.0.0", 0}, {1, 0}, {"127.0.0.1", 0}, {0, 0}, CONNECTED, true},
		/* Dual stack: :: has IPv4 as well, unless it is for IPv6 alone. */
		{{"127.0.0.1", 0}, {0, 0}, {"::", false}, {0, 0}, LISTENING, true},
		{{"127.0.0.1", 0}, {0, 0}, {"::", true}, {0, 0}, LISTENING, false},
		{{"::", false}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, LISTENING, true},
		{{"::", true}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, LISTENING, false},
		{{"::1", false}, {0, 0}, {"0.0.0.0", 0}, {0, 0}, LISTENING, false},
		{{"::ffff:127.0.0.1", 0}, {0, 0}, {"127.0.0.1", 0}, {0, 0}, LISTENING, true},
		{{"::ffff:127.0.0.1", 0}, {0, 0}, {"127.0.0.2", 0}, {0, 0}, LISTENING, false},
		{{"::ffff:127.0.0.1", 0}, {0, 0}, {"::1", 0}, {0, 0}, LISTENING, false},
		{{"::ffff:127.0.0.1", 0}, {0, 0}, {"::", true}, {0, 0}, LISTENING, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct holder holder = hold(&rows[i].other, &rows[i].others, rows[i].stage);

		if (check_pair(&rows[i].asks, &rows[i].with, &holder, &rows[i].other,
			       &rows[i].others, rows[i].stage) != rows[i].conflict)
			fail_msg("row %zu is not so", i);
		let_go(&holder);
	}
	assert_agreed();
}

/*
 * Every place and option against every other. Where a SO_REUSEPORT socket was bound
 * beside the holder, the kernel lets in the next one that matches it without looking
 * at the holder (tb->fastreuseport): there each pair has a port of its own.
 */
static void each_pair(enum stage stage)
{
	for (size_t i = 0; i < COUNT_OF(places) * COUNT_OF(options); i++) {
		const struct place *other = &places[i / COUNT_OF(options)];
		const struct options *others = &options[i % COUNT_OF(options)];
		struct holder holder = hold(other, others, stage);

		for (size_t k = 0; k < COUNT_OF(places) * COUNT_OF(options); k++) {
			const struct options *with = &options[k % COUNT_OF(options)];

			check_pair(&places[k / COUNT_OF(options)], with, &holder, other, others,
				   stage);
			if (with->reuseport) {
				let_go(&holder);
				holder = hold(other, others, stage);
			}
		}
		let_go(&holder);
	}
	assert_agreed();
}

static void each_bound(void **state)
{
	(void)state;
	each_pair(BOUND);
}

static void each_listening(void **state)
{
	(void)state;
	each_pair(LISTENING);
}

static void each_connected(void **state)
{
	(void)state;
	each_pair(CONNECTED);
}

static void each_waiting(void **state)
{
	(void)state;
	each_pair(WAITING);
}

/* An IPv4 connection of a listener on both: its address is of IPv6, and means IPv4. */
static void each_mapped(void **state)
{
	static const struct place both = {"::", false};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		for (size_t k = 0; k < 2 * COUNT_OF(places) * COUNT_OF(options); k++) {
			const enum stage stage = k % 2 ? WAITING : CONNECTED;
			const struct options *with = &options[k / 2 % COUNT_OF(options)];
			struct holder holder = hold_by(&both, &options[i], stage, true);

			assert_int_equal(holder.sock.local.family, AF_INET6);
			check_pair(&places[k / 2 / COUNT_OF(options)], with, &holder, &both,
				   &options[i], stage);
			let_go(&holder);
		}
	assert_agreed();
}

/* Both are bound already; then the one listens, and the other wants to. */
static void listen_second(const struct place *place, const struct options *with,
			  const struct place *other, const struct options *others)
{
	struct holder holder = hold(other, others, BOUND);
	const int fd = made(place, with);

	if (!refused(try_bind(fd, place, holder.port))) {
		struct conflict_sock sock = as_sock(fd, with, STATE_CLOSED);
		bool kernel;

		holder.sock.state = STATE_LISTEN;
		kernel = refused(try_listen(holder.fd));
		if (conflict_between(&holder.sock, &sock) != kernel)
			disagree(other, others, place, with, "bound", "listen", kernel);
		if (!kernel) {
			sock.state = STATE_LISTEN;
			kernel = refused(try_listen(fd));
			if (conflict_between(&sock, &holder.sock) != kernel)
				disagree(place, with, other, others, "listening", "listen", kernel);
		}
	}
	close(fd);
	let_go(&holder);
}

static void each_that_listens_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(places) * COUNT_OF(options); i++)
		for (size_t k = 0; k < COUNT_OF(places) * COUNT_OF(options); k++)
			listen_second(
				&places[k / COUNT_OF(options)], &options[k % COUNT_OF(options)],
				&places[i / COUNT_OF(options)], &options[i % COUNT_OF(options)]);
	assert_agreed();
}

/* SO_REUSEPORT is shared by one user alone; the dead of TIME_WAIT have none. */
static void users(void **state)
{
	struct conflict_sock asks = {.local = {.family = AF_INET, .port = 9}, .reuseport = true};
	struct conflict_sock other = asks;

	(void)state;
	other.state = STATE_LISTEN;
	assert_false(conflict_between(&asks, &other));
	other.uid = 1;
	assert_true(conflict_between(&asks, &other));
	other.state = STATE_CLOSED;
	assert_true(conflict_between(&asks, &other));
	other.state = STATE_TIME_WAIT;
	assert_false(conflict_between(&asks, &other));
}

struct as_user {
	const struct holder *holder;
	uid_t uid;
	bool conflict;
};

/* As the kernel judges it. */
static void bind_as_user(void *arg)
{
	static const struct place here = {"127.0.0.1", false};
	const struct as_user *as = arg;
	int fd;

	MUST(setuid(as->uid) == 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) == 0);
	MUST((try_bind(fd, &here, as->holder->port) == EADDRINUSE) == as->conflict);
}

static void users_live(void **state)
{
	static const struct place here = {"127.0.0.1", false};
	static const struct options share = {false, true};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (enum stage stage = BOUND; stage < STAGES; stage++) {
		struct holder holder = hold(&here, &share, stage);
		struct conflict_sock asks = holder.sock;
		struct as_user as = {.holder = &holder, .uid = 65534};

		asks.uid = as.uid;
		asks.state = STATE_CLOSED;
		as.conflict = conflict_between(&asks, &holder.sock);
		in_child(bind_as_user, &as);
		let_go(&holder);
	}
}

/* Bound to devices: only the same one, or none, is in the way. */
static void devices(void **state)
{
	struct conflict_sock asks = {.local = {.family = AF_INET, .port = 9}};
	struct conflict_sock other = asks;

	(void)state;
	assert_true(conflict_between(&asks, &other));
	other.ifindex = 1;
	assert_true(conflict_between(&asks, &other));
	asks.ifindex = 1;
	assert_true(conflict_between(&asks, &other));
	asks.ifindex = 2;
	assert_false(conflict_between(&asks, &other));
	other.ifindex = 0;
	assert_true(conflict_between(&asks, &other));
}

/* What sock_diag may find on 127.0.0.1:9; each with a number of its own. */
static struct diag_sock found(uint8_t state, uint32_t inode, uint32_t timer_ms)
{
	return (struct diag_sock){
		.cookie = inode + 1000,
		.local = {.family = AF_INET, .port = 9, .addr = {127, 0, 0, 1}},
		.peer = {.family = AF_INET, .port = (uint16_t)(inode + timer_ms), .addr = {9}},
		.inode = inode,
		.uid = inode + 1,
		.timer_ms = timer_ms,
		.has_timer = timer_ms > 0,
		.state = state,
	};
}

static const struct conflict_sock asking = {
	.local = {.family = AF_INET, .port = 9},
	.reuseaddr = true,
};

/* Who is named of those that were found in that order, and what is noted. */
struct finds {
	struct diag_sock socks[5];
	enum note_id note;
	uint32_t listeners, bound, live, dying, without_end, longest_ms;
	uint32_t inode;	    /* of the one to name; 0: one of the dying, … */
	uint16_t peer_port; /* … which has this */
};

static void check_finds(const struct finds *finds, const char *order, size_t row)
{
	const size_t n = COUNT_OF(finds->socks);
	struct holders holders = {0};

	for (size_t i = 0; i < n; i++) {
		const struct diag_sock *sock = &finds->socks[*order == 'f' ? i : n - 1 - i];

		if (sock->cookie)
			conflict_count(&holders, &asking, sock);
	}
	if (conflict_note(&holders) != finds->note)
		fail_msg("row %zu: note %d", row, (int)conflict_note(&holders));
	if (holders.listeners != finds->listeners || holders.bound != finds->bound ||
	    holders.live != finds->live || holders.dying != finds->dying ||
	    holders.without_end != finds->without_end || holders.longest_ms != finds->longest_ms)
		fail_msg("row %zu: a count is wrong", row);
	if ((holders.dying > 0) != (holders.dying_in != 0) ||
	    (holders.dying == 1 && holders.dying_in != STATE_BIT(holders.state) &&
	     holders.dying + holders.listeners + holders.bound + holders.live == 1))
		fail_msg("row %zu: the dying are in states %x", row, holders.dying_in);
	if (holders.inode != finds->inode)
		fail_msg("row %zu: named is %u", row, holders.inode);
	if (finds->peer_port && holders.peer.port != finds->peer_port)
		fail_msg("row %zu: named is the one with peer port %u", row, holders.peer.port);
	if (finds->inode && holders.uid != finds->inode + 1)
		fail_msg("row %zu: uid %u", row, holders.uid);
}

/* A listener before a bound socket before a live connection before the last to go. */
static void priorities(void **state)
{
	const struct diag_sock listener = found(STATE_LISTEN, 1, 0),
			       bound = found(STATE_CLOSED, 2, 0),
			       live = found(STATE_ESTABLISHED, 3, 0),
			       held = found(STATE_FIN_WAIT_2, 4, 0),
			       waits = found(STATE_TIME_WAIT, 0, 500),
			       longer = found(STATE_TIME_WAIT, 0, 900),
			       dies = found(STATE_FIN_WAIT_2, 0, 700),
			       last_ack = found(STATE_LAST_ACK, 0, 0),
			       closing = found(STATE_CLOSING, 0, 0),
			       fin = found(STATE_FIN_WAIT_1, 0, 0),
			       comes = found(STATE_SYN_RCVD, 0, 0),
			       what = found(STATE_UNKNOWN, 5, 0),
			       deaf = found(STATE_CLOSE_WAIT, 6, 0);
	const struct finds rows[] = {
		{{{0}}, NOTE_COUNT, 0, 0, 0, 0, 0, 0, 0, 0},
		{{listener}, NOTE_IN_USE_LISTENER, 1, 0, 0, 0, 0, 0, 1, 0},
		{{bound}, NOTE_IN_USE_BOUND, 0, 1, 0, 0, 0, 0, 2, 0},
		{{live}, NOTE_IN_USE_BOUND, 0, 0, 1, 0, 0, 0, 3, 0},
		{{held}, NOTE_IN_USE_BOUND, 0, 0, 1, 0, 0, 0, 4, 0},
		{{deaf}, NOTE_IN_USE_BOUND, 0, 0, 1, 0, 0, 0, 6, 0},
		{{waits}, NOTE_IN_USE_DYING, 0, 0, 0, 1, 0, 500, 0, 500},
		{{fin}, NOTE_IN_USE_DYING, 0, 0, 0, 1, 1, 0, 0, 0},
		{{waits, longer, dies}, NOTE_IN_USE_DYING, 0, 0, 0, 3, 0, 900, 0, 900},
		{{last_ack, closing, fin, dies}, NOTE_IN_USE_DYING, 0, 0, 0, 4, 3, 700, 0, 700},
		{{live, bound, listener, waits}, NOTE_IN_USE_LISTENER, 1, 1, 1, 1, 0, 500, 1, 0},
		{{waits, live, bound}, NOTE_IN_USE_BOUND, 0, 1, 1, 1, 0, 500, 2, 0},
		{{waits, held, longer}, NOTE_IN_USE_BOUND, 0, 0, 1, 2, 0, 900, 4, 0},
		{{listener, comes, what}, NOTE_IN_USE_LISTENER, 1, 0, 0, 0, 0, 0, 1, 0},
		{{comes, what}, NOTE_COUNT, 0, 0, 0, 0, 0, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		check_finds(&rows[i], "forwards", i);
		check_finds(&rows[i], "backwards", i);
	}
}

/* Ports of 7 to 20 are the kernel's choice; those that ask are on port 9, or on 5. */
static void causes(void **state)
{
	static const struct {
		uint16_t port, peers[3];
		uint8_t sock_state;
		bool had_option, range;
		enum dying_cause cause;
	} rows[] = {
		{9, {443, 6, 21}, STATE_TIME_WAIT, true, true, CAUSE_OUTGOING},
		{9, {443, 6, 21}, STATE_TIME_WAIT, false, true, CAUSE_OUTGOING},
		{9, {443, 7, 21}, STATE_TIME_WAIT, true, true, CAUSE_EITHER},
		{9, {7, 20, 13}, STATE_TIME_WAIT, true, true, CAUSE_EITHER},
		{9, {443, 20}, STATE_FIN_WAIT_2, false, true, CAUSE_EITHER},
		{5, {9, 443}, STATE_TIME_WAIT, true, true, CAUSE_NO_SHIM},
		{5, {9, 443}, STATE_TIME_WAIT, false, true, CAUSE_UNKNOWN},
		{9, {443}, STATE_TIME_WAIT, true, false, CAUSE_UNKNOWN},
		{9, {443}, STATE_ESTABLISHED, true, true, CAUSE_OUTGOING},
		{9, {20}, STATE_ESTABLISHED, true, true, CAUSE_UNKNOWN},
		{9, {9}, STATE_ESTABLISHED, true, true, CAUSE_OUTGOING}, /* to itself */
		{9, {9}, STATE_TIME_WAIT, true, true, CAUSE_OUTGOING},
		{5, {5}, STATE_ESTABLISHED, true, true, CAUSE_UNKNOWN}, /* the program chose it */
		{5, {20}, STATE_ESTABLISHED, true, true, CAUSE_UNKNOWN},
		{9, {0}, STATE_CLOSED, true, true, CAUSE_UNKNOWN},
		{9, {0}, STATE_LISTEN, true, true, CAUSE_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct holders holders = {.had_option = rows[i].had_option};
		const uint16_t told =
			rows[i].cause == CAUSE_OUTGOING || rows[i].cause == CAUSE_EITHER;
		struct conflict_sock asks = asking;

		asks.local.port = rows[i].port;
		holders.first_port = rows[i].range ? 7 : 0;
		holders.last_port = rows[i].range ? 20 : 0;
		for (size_t j = 0; j == 0 || (j < 3 && rows[i].peers[j]); j++) {
			struct diag_sock sock = found(rows[i].sock_state, 0, 0);

			sock.inode = !conflict_is_dying(&sock);
			sock.local.port = rows[i].port;
			sock.peer = sock.local;
			sock.peer.port = rows[i].peers[j];
			conflict_count(&holders, &asks, &sock);
		}
		conflict_cause(&holders);
		if (holders.cause != rows[i].cause || holders.first_port != told * 7 ||
		    holders.last_port != told * 20)
			fail_msg("row %zu: cause %u", i, holders.cause);
	}
}

/* The kernel does not tell whether another has the options: it may be in the way. */
static void options_of_others(void **state)
{
	struct conflict_sock asks = asking;
	const struct diag_sock waits = found(STATE_TIME_WAIT, 0, 500);
	struct holders holders = {0};

	(void)state;
	asks.reuseport = true;
	conflict_count(&holders, &asks, &waits);
	assert_int_equal(conflict_note(&holders), NOTE_IN_USE_DYING);
}

/* Who is elsewhere, or of IPv6 alone, is not counted. */
static void elsewhere(void **state)
{
	struct conflict_sock asks = asking;
	struct diag_sock other = found(STATE_LISTEN, 1, 0);
	struct holders holders = {0};

	(void)state;
	asks.local.addr[0] = 127;
	asks.local.addr[3] = 2;
	conflict_count(&holders, &asks, &other);
	other.local = (struct endpoint){.family = AF_INET6, .port = 9};
	other.v6only = true;
	conflict_count(&holders, &asks, &other);
	assert_int_equal(conflict_note(&holders), NOTE_COUNT);
	other.v6only = false;
	conflict_count(&holders, &asks, &other);
	assert_int_equal(conflict_note(&holders), NOTE_IN_USE_LISTENER);
}

/* A listener that may be of our own group: alone it is the reason, beside others it may not be. */
static void groups(void **state)
{
	static const struct {
		uint32_t uid; /* of the one that asks; the listener's is 2 */
		bool reuseport;
		uint8_t other; /* the state of one beside it */
		enum note_id note;
	} rows[] = {
		{2, true, STATE_UNKNOWN, NOTE_IN_USE_LISTENER},
		{2, true, STATE_CLOSED, NOTE_COUNT},
		{2, true, STATE_ESTABLISHED, NOTE_COUNT},
		{2, true, STATE_TIME_WAIT, NOTE_COUNT},
		{3, true, STATE_CLOSED, NOTE_IN_USE_LISTENER},
		{2, false, STATE_CLOSED, NOTE_IN_USE_LISTENER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct diag_sock listener = found(STATE_LISTEN, 1, 0);
		const struct diag_sock other = found(rows[i].other, 2, 0);
		struct conflict_sock asks = asking;
		struct holders holders = {0};

		asks.uid = rows[i].uid;
		asks.reuseport = rows[i].reuseport;
		conflict_count(&holders, &asks, &listener);
		conflict_count(&holders, &asks, &other);
		assert_int_equal(conflict_note(&holders), rows[i].note);
	}
}

/* Dying is what has no process, in the states that end by themselves. */
static void dying(void **state)
{
	(void)state;
	for (uint8_t at = STATE_UNKNOWN; at < STATE_COUNT; at++) {
		const struct diag_sock orphan = found(at, 0, 0), held = found(at, 1, 0);
		const bool ends = at == STATE_FIN_WAIT_1 || at == STATE_FIN_WAIT_2 ||
				  at == STATE_CLOSING || at == STATE_LAST_ACK ||
				  at == STATE_TIME_WAIT;

		assert_int_equal(conflict_is_dying(&orphan), ends);
		assert_false(conflict_is_dying(&held));
	}
}

static struct endpoint end_of(const char *address)
{
	const bool ipv6 = strchr(address, ':');
	struct endpoint end = {.family = ipv6 ? AF_INET6 : AF_INET, .port = 9};

	assert_int_equal(inet_pton(end.family, address, end.addr), 1);
	return end;
}

/* Do they meet for the sake of IPv4 on an IPv6 wildcard? Of two that overlap. */
static void dual_stack(void **state)
{
	static const struct {
		const char *asks, *other;
		bool dual;
	} rows[] = {
		{"0.0.0.0", "::", true},
		{"127.0.0.1", "::", true},
		{"::", "127.0.0.1", true},
		{"::ffff:127.0.0.1", "::", true},
		{"::", "::ffff:127.0.0.1", true},
		{"::", "::", false},
		{"::", "::1", false},
		{"::1", "::", false},
		{"127.0.0.1", "::ffff:127.0.0.1", false},
		{"127.0.0.1", "0.0.0.0", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct conflict_sock asks = {.local = end_of(rows[i].asks)};
		const struct conflict_sock other = {.local = end_of(rows[i].other)};
		const struct diag_sock listener = {.local = other.local, .state = STATE_LISTEN};
		struct holders holders = {0};

		assert_true(conflict_between(&asks, &other));
		assert_int_equal(conflict_is_dual_stack(&asks, &other), rows[i].dual);
		conflict_count(&holders, &asks, &listener);
		assert_int_equal(holders.dual_stack, rows[i].dual);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_known),
		cmocka_unit_test(each_bound),
		cmocka_unit_test(each_listening),
		cmocka_unit_test(each_connected),
		cmocka_unit_test(each_waiting),
		cmocka_unit_test(each_mapped),
		cmocka_unit_test(each_that_listens_second),
		cmocka_unit_test(users),
		cmocka_unit_test(users_live),
		cmocka_unit_test(devices),
		cmocka_unit_test(priorities),
		cmocka_unit_test(causes),
		cmocka_unit_test(options_of_others),
		cmocka_unit_test(dual_stack),
		cmocka_unit_test(elsewhere),
		cmocka_unit_test(groups),
		cmocka_unit_test(dying),
	};

	return cmocka_run_group_tests_name("conflict", tests, NULL, NULL);
}
