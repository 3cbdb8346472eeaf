/* SPDX-License-Identifier: MIT */
/*
 * test_diag_parse.c - observe/diag_parse: answers of sock_diag, as bytes. Those in
 * tests/data were recorded from a kernel 6.18 by record_diag.c.
 */
#include "observe/diag_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "facts/endpoint.h"
#include "unit.h"

enum { SEQ = 1, OTHER_SEQ = 2, MOST_BYTES = 4096, MOST_SOCKS = 64 };

/* The bytes of a datagram, and after them unmapped memory. */
struct datagram {
	char *bytes;
	size_t len;
};

static char *end_of_room;

static int make_room(void **state)
{
	(void)state;
	end_of_room = memory_end(MOST_BYTES);
	return 0;
}

static struct datagram against_the_end(const void *bytes, size_t len)
{
	struct datagram datagram = {.bytes = end_of_room - len, .len = len};

	assert_in_range(len, 0, MOST_BYTES);
	memcpy(datagram.bytes, bytes, len);
	return datagram;
}

static const char *const recorded[] = {
	"established.1", "established6.1", "time_wait.1", "not_found.1",
	"listeners.1",	 "listeners.2",	   "refused.1",
};

static size_t read_recorded(const char *name, char *ret)
{
	char path[128];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "tests/data/%s.diag", name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s can't be opened: run this in the top-level folder", path);
	len = fread(ret, 1, MOST_BYTES, file);
	fclose(file);
	assert_in_range(len, 1, MOST_BYTES - 1);
	return len;
}

static struct datagram load(const char *name)
{
	char bytes[MOST_BYTES];

	return against_the_end(bytes, read_recorded(name, bytes));
}

/* What a walk has seen. */
struct seen {
	struct diag_sock socks[MOST_SOCKS];
	size_t count;
	size_t stop_at; /* the visitor says 7 when it has seen so many */
};

static int visit(const struct diag_sock *sock, void *arg)
{
	struct seen *seen = arg;

	if (seen->count < MOST_SOCKS)
		seen->socks[seen->count] = *sock;
	seen->count++;
	return seen->count == seen->stop_at ? 7 : 0;
}

static int parse(struct datagram datagram, struct seen *ret)
{
	*ret = (struct seen){0};
	return diag_parse(datagram.bytes, datagram.len, SEQ, visit, ret);
}

static void assert_endpoint(const struct endpoint *end, const char *expected)
{
	char text[128];
	struct out out = out_into(text, sizeof(text) - 1);

	out_endpoint(&out, end);
	*out.at = 0;
	assert_string_equal(text, expected);
}

/* A connection: both its ends, its identity, no time left to tell. */
static void established(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(parse(load("established.1"), &seen), 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.socks[0].cookie, 0x38de);
	assert_endpoint(&seen.socks[0].local, "127.0.0.1:42000");
	assert_endpoint(&seen.socks[0].peer, "127.0.0.1:59115");
	assert_int_equal(seen.socks[0].inode, 0x413a6);
	assert_int_equal(seen.socks[0].uid, 0);
	assert_int_equal(seen.socks[0].state, STATE_ESTABLISHED);
	assert_false(seen.socks[0].has_timer);
}

/* The same of IPv6. */
static void established6(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(parse(load("established6.1"), &seen), 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.socks[0].cookie, 0x38df);
	assert_endpoint(&seen.socks[0].local, "[::1]:50703");
	assert_endpoint(&seen.socks[0].peer, "[::1]:47330");
	assert_int_equal(seen.socks[0].state, STATE_ESTABLISHED);
}

/* TIME_WAIT: with the time left, and no file any more. */
static void time_wait(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(parse(load("time_wait.1"), &seen), 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.socks[0].cookie, 0x38de);
	assert_int_equal(seen.socks[0].state, STATE_TIME_WAIT);
	assert_true(seen.socks[0].has_timer);
	assert_int_equal(seen.socks[0].timer_ms, 60000);
	assert_int_equal(seen.socks[0].inode, 0);
}

/* A dump of several: more follows, until the datagram that ends it. */
static void listeners(void **state)
{
	static const uint16_t ports[] = {41513, 59115, 40399};
	struct seen seen;

	(void)state;
	assert_int_equal(parse(load("listeners.1"), &seen), 0);
	assert_int_equal(seen.count, COUNT_OF(ports));
	for (size_t i = 0; i < COUNT_OF(ports); i++) {
		assert_int_equal(seen.socks[i].local.port, ports[i]);
		assert_int_equal(seen.socks[i].state, STATE_LISTEN);
		assert_int_equal(seen.socks[i].local.family, AF_INET);
		assert_int_equal(seen.socks[i].peer.port, 0);
		assert_int_equal(seen.socks[i].cookie, 0x38e0 + i);
		assert_false(seen.socks[i].has_timer);
	}
	assert_int_equal(parse(load("listeners.2"), &seen), 1);
	assert_int_equal(seen.count, 0);
}

/* The kernel knows no such socket; or a dump for a protocol that nobody answers for. */
static void no_such(void **state)
{
	struct seen seen;

	(void)state;
	assert_int_equal(parse(load("not_found.1"), &seen), -ENOENT);
	assert_int_equal(seen.count, 0);
	assert_int_equal(parse(load("refused.1"), &seen), -ENOENT);
	assert_int_equal(seen.count, 0);
}

/* Answers to another question are passed over, errors and ends too. */
static void other_questions(void **state)
{
	struct seen seen = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(recorded); i++) {
		const struct datagram datagram = load(recorded[i]);

		assert_int_equal(diag_parse(datagram.bytes, datagram.len, OTHER_SEQ, visit, &seen),
				 0);
		assert_int_equal(diag_parse(datagram.bytes, datagram.len, 0, visit, &seen), 0);
		assert_int_equal(seen.count, 0);
	}
}

/* A late answer in front of ours does not hide it. */
static void late_answer_first(void **state)
{
	char bytes[MOST_BYTES];
	struct nlmsghdr head;
	struct seen seen;
	size_t len = read_recorded("not_found.1", bytes);

	(void)state;
	memcpy(&head, bytes, sizeof(head));
	head.nlmsg_seq = OTHER_SEQ;
	memcpy(bytes, &head, sizeof(head));
	len += read_recorded("established.1", bytes + len);
	assert_int_equal(parse(against_the_end(bytes, len), &seen), 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.socks[0].cookie, 0x38de);
}

/* What the visitor says ends the walk, and is what the walk returns. */
static void visitor_stops(void **state)
{
	const struct datagram datagram = load("listeners.1");

	(void)state;
	for (size_t stop_at = 1; stop_at <= 3; stop_at++) {
		struct seen seen = {.stop_at = stop_at};

		assert_int_equal(diag_parse(datagram.bytes, datagram.len, SEQ, visit, &seen), 7);
		assert_int_equal(seen.count, stop_at);
	}
}

/* Everything that was seen is something that an event can hold. */
static void assert_sane(const struct seen *seen)
{
	for (size_t i = 0; i < seen->count && i < MOST_SOCKS; i++) {
		assert_in_range(seen->socks[i].state, STATE_UNKNOWN, STATE_COUNT - 1);
		assert_true(seen->socks[i].has_timer || seen->socks[i].timer_ms == 0);
	}
}

/*
 * Cut at each place: nothing beyond the cut is read (it is not mapped), and no
 * socket is told that was not there whole.
 */
static void truncations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(recorded); i++) {
		char bytes[MOST_BYTES];
		const size_t len = read_recorded(recorded[i], bytes);
		struct seen whole, cut;

		parse(load(recorded[i]), &whole);
		for (size_t n = 0; n < len; n++) {
			const int rc = parse(against_the_end(bytes, n), &cut);

			assert_in_range(cut.count, 0, whole.count);
			assert_int_not_equal(rc, 1);
			assert_true(rc == 0 || rc == -EBADMSG);
			for (size_t j = 0; j < cut.count; j++)
				assert_int_equal(cut.socks[j].cookie, whole.socks[j].cookie);
		}
	}
}

/* Each byte with each other value: no crash, nothing read beyond, nothing senseless told. */
static void mutations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(recorded); i++) {
		const struct datagram datagram = load(recorded[i]);

		for (size_t at = 0; at < datagram.len; at++) {
			const char was = datagram.bytes[at];

			for (int value = 0; value < 256; value++) {
				struct seen seen;
				int rc;

				datagram.bytes[at] = (char)value;
				rc = parse(datagram, &seen);
				assert_in_range(rc + 4096, 0, 4096 + 1);
				assert_in_range(seen.count, 0, MOST_SOCKS);
				assert_sane(&seen);
			}
			datagram.bytes[at] = was;
		}
	}
}

/* Several bytes at once. */
static void noise(void **state)
{
	uint64_t seed = 99;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(recorded); i++) {
		char bytes[MOST_BYTES], changed[MOST_BYTES];
		const size_t len = read_recorded(recorded[i], bytes);

		for (int round = 0; round < 20000; round++) {
			struct seen seen;

			if (round % 8 == 0)
				memcpy(changed, bytes, len);
			changed[next_random(&seed) % len] = (char)next_random(&seed);
			parse(against_the_end(changed, len), &seen);
			assert_sane(&seen);
		}
	}
}

/* One message made by hand. */
struct message {
	struct nlmsghdr head;
	char body[256];
};

static struct message message_of(uint16_t type, uint16_t flags, const void *body, size_t len)
{
	struct message message = {
		.head = {.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len),
			 .nlmsg_type = type,
			 .nlmsg_flags = flags,
			 .nlmsg_seq = SEQ},
	};

	if (len)
		memcpy(message.body, body, len);
	return message;
}

static int parse_message(const struct message *message, size_t len, struct seen *ret)
{
	return parse(against_the_end(message, len), ret);
}

/* Lengths that can't be: less than the header, more than there is. */
static void bad_lengths(void **state)
{
	const int32_t zero = 0;
	struct message message = message_of(NLMSG_DONE, 0, &zero, sizeof(zero));
	struct seen seen;

	(void)state;
	assert_int_equal(parse_message(&message, 20, &seen), 1);
	for (uint32_t len = 0; len < 64; len++) {
		message.head.nlmsg_len = len;
		assert_int_equal(parse_message(&message, 20, &seen), len == 20 ? 1 : -EBADMSG);
	}
	message.head.nlmsg_len = UINT32_MAX;
	assert_int_equal(parse_message(&message, 20, &seen), -EBADMSG);
	message.head.nlmsg_len = 0x80000000;
	assert_int_equal(parse_message(&message, 20, &seen), -EBADMSG);
}

/* Fewer bytes than a header are no message; none at all neither. */
static void short_datagrams(void **state)
{
	static const char zeros[16];
	struct seen seen;

	(void)state;
	for (size_t len = 0; len < sizeof(struct nlmsghdr); len++)
		assert_int_equal(parse(against_the_end(zeros, len), &seen), 0);
	assert_int_equal(parse(against_the_end(zeros, 16), &seen), -EBADMSG);
}

/* An errno is a small negative number; anything else is no answer. */
static void verdicts(void **state)
{
	static const struct {
		int32_t error;
		int expected;
	} cases[] = {
		{0, 1},
		{-ENOENT, -ENOENT},
		{-EPERM, -EPERM},
		{-4095, -4095},
		{-4096, -EBADMSG},
		{1, -EBADMSG},
		{INT32_MIN, -EBADMSG},
		{INT32_MAX, -EBADMSG},
	};
	static const uint16_t types[] = {NLMSG_DONE, NLMSG_ERROR};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(types); i++) {
		const int32_t error = cases[i / 2].error;
		const struct message message =
			message_of(types[i % 2], NLM_F_MULTI, &error, sizeof(error));
		struct seen seen;

		assert_int_equal(parse_message(&message, 20, &seen), cases[i / 2].expected);
		/* Without room for its errno it is malformed. */
		for (uint32_t len = 16; len < 20; len++) {
			struct message cut = message;

			cut.head.nlmsg_len = len;
			assert_int_equal(parse_message(&cut, len, &seen), -EBADMSG);
		}
	}
}

/* A socket's message must hold a whole inet_diag_msg; what follows it may be anything. */
static void body_lengths(void **state)
{
	const struct inet_diag_msg msg = {
		.idiag_family = AF_INET, .idiag_state = 1, .id.idiag_sport = htons(1)};
	char body[sizeof(msg) + 40] = {0};

	(void)state;
	memcpy(body, &msg, sizeof(msg));
	memset(body + sizeof(msg), 0xff, 40);
	for (size_t len = 0; len <= sizeof(body); len++) {
		const struct message message =
			message_of(SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, body, len);
		struct seen seen;
		const int rc = parse_message(&message, NLMSG_HDRLEN + len, &seen);

		assert_int_equal(rc, len < sizeof(msg) ? -EBADMSG : 0);
		assert_int_equal(seen.count, len >= sizeof(msg));
	}
}

/* Messages of other types (NOOP, other families' answers) are passed over. */
static void other_types(void **state)
{
	(void)state;
	for (unsigned int type = 0; type <= 0xffff; type++) {
		const int32_t zero = 0;
		const struct message message = message_of((uint16_t)type, 0, &zero, sizeof(zero));
		struct seen seen;
		const int rc = parse_message(&message, 20, &seen);

		if (type == NLMSG_DONE || type == NLMSG_ERROR)
			assert_int_equal(rc, 1);
		else if (type == SOCK_DIAG_BY_FAMILY || type == TCPDIAG_GETSOCK)
			assert_int_equal(rc, -EBADMSG);
		else
			assert_int_equal(rc, 0);
	}
}

/* Every state of the kernel's, and numbers that are none; only TIME_WAIT's timer counts. */
static void states_and_timers(void **state)
{
	(void)state;
	for (unsigned int number = 0; number < 256; number++) {
		struct inet_diag_msg msg = {
			.idiag_family = AF_INET6,
			.idiag_state = (uint8_t)number,
			.idiag_timer = (uint8_t)number,
			.idiag_expires = 1234,
		};
		struct message message;
		struct seen seen;

		msg.id.idiag_cookie[0] = 0xffffffff;
		msg.id.idiag_cookie[1] = 0x80000000;
		message = message_of(SOCK_DIAG_BY_FAMILY, 0, &msg, sizeof(msg));
		assert_int_equal(parse_message(&message, NLMSG_HDRLEN + sizeof(msg), &seen), 1);
		assert_int_equal(seen.count, 1);
		assert_sane(&seen);
		assert_true(seen.socks[0].cookie == UINT64_C(0x80000000ffffffff));
		assert_int_equal(seen.socks[0].has_timer, number == 3);
		assert_int_equal(seen.socks[0].timer_ms, number == 3 ? 1234 : 0);
	}
}

/* The last message of a datagram may lack the bytes that would align it. */
static void unaligned_end(void **state)
{
	const struct inet_diag_msg msg = {
		.idiag_family = AF_INET, .idiag_state = 1, .id.idiag_sport = htons(1)};
	char body[sizeof(msg) + 1] = {0};
	struct message message;
	struct seen seen;

	(void)state;
	memcpy(body, &msg, sizeof(msg));
	message = message_of(SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, body, sizeof(body));
	assert_int_equal(parse_message(&message, NLMSG_HDRLEN + sizeof(body), &seen), 0);
	assert_int_equal(seen.count, 1);
}

/* A dump may tell of a socket that has ended since it was met; an exact answer is of now. */
static void without_a_port(void **state)
{
	(void)state;
	for (unsigned int port = 0; port < 2; port++)
		for (unsigned int flags = 0; flags <= NLM_F_MULTI; flags += NLM_F_MULTI) {
			const struct inet_diag_msg msg = {.idiag_family = AF_INET,
							  .idiag_state = 7,
							  .id.idiag_sport = htons((uint16_t)port)};
			const struct message message =
				message_of(SOCK_DIAG_BY_FAMILY, (uint16_t)flags, &msg, sizeof(msg));
			struct seen seen;

			assert_int_equal(parse_message(&message, NLMSG_HDRLEN + sizeof(msg), &seen),
					 flags ? 0 : 1);
			assert_int_equal(seen.count, port || !flags);
		}
}

/* The time since the last segment, in an attribute that may be longer or shorter than we know it.
 */
static void silence(void **state)
{
	enum { AT = offsetof(struct tcp_info, tcpi_last_ack_recv), MOST = 150, MS = 0x01020304 };
	const struct inet_diag_msg msg = {
		.idiag_family = AF_INET, .idiag_state = 8, .id.idiag_sport = htons(1)};
	const uint32_t ms = MS;

	(void)state;
	for (size_t len = 0; len <= MOST; len++) {
		const struct nlattr attr = {(uint16_t)(sizeof(attr) + len), INET_DIAG_INFO};
		char body[sizeof(msg) + sizeof(attr) + MOST];
		struct message message;
		struct seen seen;

		memset(body, 0xff, sizeof(body));
		memcpy(body, &msg, sizeof(msg));
		memcpy(body + sizeof(msg), &attr, sizeof(attr));
		memcpy(body + sizeof(msg) + sizeof(attr) + AT, &ms, sizeof(ms));
		message = message_of(SOCK_DIAG_BY_FAMILY, 0, body, sizeof(msg) + attr.nla_len);
		assert_int_equal(
			parse_message(&message, NLMSG_HDRLEN + sizeof(msg) + attr.nla_len, &seen),
			1);
		assert_int_equal(seen.count, 1);
		assert_int_equal(seen.socks[0].silent_ms, len >= AT + sizeof(ms) ? MS : 0);
		assert_false(seen.socks[0].v6only);
	}
}

/* A FIN is one of the bytes that the peer has not acknowledged. */
static void unacked(void **state)
{
	static const uint32_t queued[] = {0, 1, 2, 3700001, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(queued); i++) {
		const struct inet_diag_msg msg = {
			.idiag_family = AF_INET, .idiag_state = 4, .idiag_wqueue = queued[i]};
		struct message message = message_of(SOCK_DIAG_BY_FAMILY, 0, &msg, sizeof(msg));
		struct seen seen;

		assert_int_equal(parse_message(&message, NLMSG_HDRLEN + sizeof(msg), &seen), 1);
		assert_int_equal(seen.socks[0].unacked, queued[i] > 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(established),
		cmocka_unit_test(established6),
		cmocka_unit_test(time_wait),
		cmocka_unit_test(listeners),
		cmocka_unit_test(no_such),
		cmocka_unit_test(other_questions),
		cmocka_unit_test(late_answer_first),
		cmocka_unit_test(visitor_stops),
		cmocka_unit_test(truncations),
		cmocka_unit_test(mutations),
		cmocka_unit_test(noise),
		cmocka_unit_test(bad_lengths),
		cmocka_unit_test(short_datagrams),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(body_lengths),
		cmocka_unit_test(other_types),
		cmocka_unit_test(states_and_timers),
		cmocka_unit_test(unaligned_end),
		cmocka_unit_test(without_a_port),
		cmocka_unit_test(silence),
		cmocka_unit_test(unacked),
	};

	return cmocka_run_group_tests_name("diag_parse", tests, make_room, NULL);
}
