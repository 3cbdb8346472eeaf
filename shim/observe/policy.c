/*
 * policy.c - see policy.h.
 */
#include "observe/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/fdtable.h"
#include "observe/tcp_state.h"
#include "sys/process.h"
#include "sys/sys.h"

/*
 * Is this an address of TCP's with a port that the settings cover? The kernel
 * refuses lengths outside these bounds itself, and takes AF_UNSPEC for AF_INET.
 */
static bool address_counts(const struct sockaddr *addr, uint32_t len)
{
	struct {
		uint16_t family;
		uint16_t port; /* at the same place in both families */
		uint32_t unused;
	} head;

	if (len < sizeof(struct sockaddr_in) || len > sizeof(struct sockaddr_storage) ||
	    sys_peek(&head, addr, sizeof(head)) < 0)
		return false;
	if (head.family != AF_INET && head.family != AF_INET6 && head.family != AF_UNSPEC)
		return false;
	return head.port != 0 && settings_port(&shim.set, ntohs(head.port));
}

/* The flags of the note on this very socket; 0 where the note is about another. */
static uint8_t noted_flags(int fd)
{
	const struct fd_note note = fdtable_get(fd);

	return note.flags && note.cookie == sock_cookie(fd) ? note.flags : 0;
}

static struct policy decide(int fd, uint8_t flags)
{
	struct policy policy = {0};
	const bool forced = shim.set.reuse == REUSE_FORCE;

	if (!forced && (flags & NOTED_REUSEADDR_OFF))
		policy.respected = true;
	else if (sock_option(fd, SOL_SOCKET, SO_REUSEADDR) == 0)
		policy.enable |= REUSED_ADDR;

	/* Without a log nobody is told whether it was on already. */
	if (shim.set.reuseport && (forced || !(flags & NOTED_REUSEPORT_OFF)) &&
	    (!shim.events || sock_option(fd, SOL_SOCKET, SO_REUSEPORT) == 0))
		policy.enable |= REUSED_PORT;
	return policy;
}

struct policy policy_bind(int fd, const struct sockaddr *addr, uint32_t len)
{
	const struct policy none = {0};

	if (shim.set.reuse == REUSE_OFF || !shim_acts() || !address_counts(addr, len) ||
	    tcp_state(fd) < 0)
		return none;
	return decide(fd, noted_flags(fd));
}

struct policy policy_listen(int fd)
{
	const struct policy none = {0};
	const uint8_t flags = noted_flags(fd);

	return flags & NOTED_BOUND ? decide(fd, flags) : none;
}

/* Change the flags of the note on a socket, making the note where there is none. */
static void note_flags(int fd, uint8_t set, uint8_t clear)
{
	const uint64_t cookie = shim_acts() && process_owner() ? sock_cookie(fd) : 0;
	struct fd_note note = fdtable_about(fd, cookie);

	if (!cookie)
		return;
	note.cookie = cookie;
	note.flags = (uint8_t)((note.flags & ~clear) | set);
	fdtable_set(fd, &note);
}

void policy_bound(int fd, const struct sockaddr *addr, uint32_t len)
{
	if (address_counts(addr, len) && tcp_state(fd) >= 0)
		note_flags(fd, NOTED_BOUND, 0);
}

void policy_option_set(int fd, int option, bool on)
{
	const uint8_t flag = option == SO_REUSEADDR ? NOTED_REUSEADDR_OFF : NOTED_REUSEPORT_OFF;

	if (!on)
		note_flags(fd, flag, 0);
	else if (fdtable_get(fd).flags & flag)
		note_flags(fd, 0, flag);
}

void policy_copied(int fd, int newfd)
{
	const struct fd_note note = fdtable_get(fd);

	if (note.flags && shim_acts() && process_owner())
		fdtable_set(newfd, &note);
}
