/*
 * diag.c - see diag.h. Moves bytes; what they mean is diag_query's and diag_parse's.
 */
#include "observe/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/tcp_state.h"
#include "sys/own.h"
#include "sys/sys.h"

/* Zero in a forked child: its sockets are made before its first question. */
enum diag_slot_state { SLOT_UNMADE, SLOT_FREE, SLOT_BUSY };

/* The sockets' identities. In a forked child: still those of its parent's. */
static uint64_t slot_cookies[DIAG_SOCKETS];

/* A netlink socket for one question. */
struct channel {
	int fd;
	int slot; /* -1: a fresh one, closed afterwards */
};

static int open_netlink(void)
{
	return sys_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
}

/*
 * Is the number still our socket? The program may have closed it by a system call
 * of its own; then it is not ours to close or to use any more.
 */
static int checked_fd(unsigned int i)
{
	const int fd = own_fd(OWN_DIAG + i);

	if (fd >= 0 && sock_cookie(fd) == slot_cookies[i])
		return fd;
	if (fd >= 0)
		own_forget(OWN_DIAG + i);
	return -1;
}

/* Give the slot a socket of this process, on the number it had in the parent if any. */
static int make_slot(unsigned int i)
{
	const int old = checked_fd(i), fresh = open_netlink();
	int fd = fresh;

	if (fresh < 0)
		return fresh;
	if (old >= 0) {
		fd = sys_dup3(fresh, old, O_CLOEXEC);
		sys_close(fresh);
	} else {
		fd = own_adopt(OWN_DIAG + i, fresh);
	}
	if (fd >= 0)
		slot_cookies[i] = sock_cookie(fd);
	return fd;
}

void diag_open(void)
{
	for (unsigned int i = 0; i < DIAG_SOCKETS; i++)
		if (make_slot(i) >= 0)
			atomic_store(&this_process.diag[i], SLOT_FREE);
}

/* The socket of a slot that we hold; it is made where the process has none yet. */
static int slot_fd(unsigned int i, uint8_t state)
{
	const int fd = state == SLOT_FREE ? checked_fd(i) : -1;

	return fd >= 0 ? fd : make_slot(i);
}

static int take_channel(struct channel *ret)
{
	/* Without a log no descriptor of ours may stay. */
	for (unsigned int i = 0; i < DIAG_SOCKETS && shim.events; i++) {
		uint8_t state = atomic_load(&this_process.diag[i]);

		if (state == SLOT_BUSY ||
		    !atomic_compare_exchange_strong(&this_process.diag[i], &state, SLOT_BUSY))
			continue;
		*ret = (struct channel){
			.fd = slot_fd(i, state),
			.slot = (int)i,
		};
		if (ret->fd < 0)
			atomic_store(&this_process.diag[i], state);
		return ret->fd < 0 ? ret->fd : 0;
	}
	*ret = (struct channel){.fd = open_netlink(), .slot = -1};
	return ret->fd < 0 ? ret->fd : 0;
}

static void give_back(const struct channel *channel)
{
	if (channel->slot >= 0)
		atomic_store(&this_process.diag[channel->slot], SLOT_FREE);
	else
		sys_close(channel->fd);
}

static uint32_t next_seq(void)
{
	static _Atomic(uint32_t) seq;

	return atomic_fetch_add(&seq, 1) + 1;
}

/*
 * Send the question and walk over its answers, which the kernel has ready when
 * the send returns (each read of a dump makes the next): nothing is waited for.
 */
static int converse(int fd, const struct diag_query *query, void *buf, size_t size,
		    diag_visit *visit, void *arg)
{
	enum { MOST_DATAGRAMS = 100000 };
	static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const uint32_t seq = query->header.nlmsg_seq; /* buf may be where the query was */
	long got = sys_sendto(fd, query, query->header.nlmsg_len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      &kernel, sizeof(kernel));
	int rc = 0;

	for (int i = 0; i < MOST_DATAGRAMS && got >= 0 && rc == 0; i++) {
		got = sys_recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
		if (got > (long)size)
			return -EMSGSIZE;
		if (got >= 0)
			rc = diag_parse(buf, (size_t)got, seq, visit, arg);
	}
	return got < 0 ? (int)got : rc;
}

/*
 * "Not found" says something only where the socket would have been found: in the
 * namespace that this channel sees, or where the same question found it before.
 */
static bool not_found_counts(const struct channel *channel, const struct diag_id *id)
{
	return id->netns ? sock_netns(channel->fd) == id->netns : id->proven;
}

struct search {
	uint64_t cookie;
	struct diag_sock *ret;
	bool found;
};

static int visit_search(const struct diag_sock *sock, void *arg)
{
	struct search *search = arg;

	if (sock->cookie == search->cookie) {
		*search->ret = *sock;
		search->found = true;
	}
	return 0; /* a dump is read to its end, or the rest would meet the next question */
}

int diag_find_exact(const struct diag_id *id, struct diag_sock *ret)
{
	struct search search = {.cookie = id->cookie, .ret = ret};
	union {
		struct diag_query query;
		char answer[208]; /* with the attributes that come unasked, about 150 bytes */
	} buf;
	struct channel channel;
	int rc = take_channel(&channel);

	if (rc < 0)
		return rc;
	diag_query_exact(&buf.query, id, next_seq());
	rc = converse(channel.fd, &buf.query, &buf, sizeof(buf), visit_search, &search);
	if (search.found)
		rc = 1;
	else if (rc == -ENOENT)
		rc = not_found_counts(&channel, id) ? 0 : -EXDEV;
	else if (rc >= 0)
		rc = -EBADMSG; /* another socket than the one asked for */
	give_back(&channel);
	return rc;
}

/* One dump over a channel of the caller's. Return 1 complete, or -errno. */
static int dump_over(const struct channel *channel, uint16_t protocol, uint16_t family,
		     uint16_t port, uint32_t kernel_states, diag_visit *visit, void *arg)
{
	enum { DUMP_SIZE = 32768 }; /* under 4096 the kernel loses entries */
	struct diag_query query;
	void *buf = sys_mmap_pages(DUMP_SIZE);
	int rc;

	if (sys_failed(buf))
		return -ENOMEM;
	diag_query_dump(&query, protocol, family, port, kernel_states, next_seq());
	rc = converse(channel->fd, &query, buf, DUMP_SIZE, visit, arg);
	sys_munmap(buf, DUMP_SIZE);
	return rc == 0 ? -EAGAIN : rc;
}

int diag_dump(uint16_t protocol, uint16_t family, uint16_t port, uint32_t kernel_states,
	      diag_visit *visit, void *arg)
{
	struct channel channel;
	int rc = take_channel(&channel);

	if (rc < 0)
		return rc;
	rc = dump_over(&channel, protocol, family, port, kernel_states, visit, arg);
	give_back(&channel);
	return rc;
}

int diag_find_in_dump(const struct diag_id *id, uint32_t kernel_states, struct diag_sock *ret)
{
	struct search search = {.cookie = id->cookie, .ret = ret};
	struct channel channel;
	int rc = take_channel(&channel);

	if (rc < 0)
		return rc;
	rc = dump_over(&channel, id->protocol, id->local.family, id->local.port, kernel_states,
		       visit_search, &search);
	if (search.found)
		rc = 1;
	else if (rc == 1)
		rc = not_found_counts(&channel, id) ? 0 : -EXDEV;
	give_back(&channel);
	return rc;
}

bool diag_sees(uint64_t netns)
{
	struct channel channel;
	bool sees;

	if (take_channel(&channel) < 0)
		return false;
	sees = !netns || sock_netns(channel.fd) == netns;
	give_back(&channel);
	return sees;
}

static int visit_nothing(const struct diag_sock *sock, void *arg)
{
	(void)sock;
	(void)arg;
	return 0;
}

bool diag_answers(uint16_t protocol)
{
	enum { NOT_ASKED, YES, NO };
	static _Atomic(uint8_t) tcp_answers;

	if (protocol != IPPROTO_TCP)
		return false; /* not remembered: ask about the socket itself instead */
	if (atomic_load(&tcp_answers) == NOT_ASKED) {
		/* A dump of no state at all: empty where there is a handler, else ENOENT. */
		const int rc = diag_dump(protocol, AF_INET, 0, 0, visit_nothing, NULL);

		atomic_store(&tcp_answers, rc == 1 ? YES : NO);
	}
	return atomic_load(&tcp_answers) == YES;
}
