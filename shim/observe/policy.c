/*
 * policy.c - see policy.h.
 */
#include "observe/policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "facts/shim.h"
#include "observe/choices.h"
#include "observe/tcp_state.h"
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
	uint64_t word;

	if (len < sizeof(struct sockaddr_in) || len > sizeof(struct sockaddr_storage) ||
	    sys_peek_word(&word, addr) < 0)
		return false;
	memcpy(&head, &word, sizeof(head));
	if (head.family != AF_INET && head.family != AF_INET6 && head.family != AF_UNSPEC)
		return false;
	return head.port != 0 && settings_port(&shim.set, ntohs(head.port));
}

/*
 * Is the option on already? Without a log nobody is told, and setting it again
 * changes nothing: then it is asked for only within the two questions that a bind
 * may cost, TCP_INFO being the first.
 */
static bool is_on(int fd, int option, bool worth_asking)
{
	return (shim.events || worth_asking) && sock_option(fd, SOL_SOCKET, option) > 0;
}

static inline struct policy decide(int fd, int state, uint8_t flags)
{
	struct policy policy = {.state = (uint8_t)state};
	const bool forced = shim.set.reuse == REUSE_FORCE;

	if (!forced && (flags & CHOSE_REUSEADDR_OFF))
		policy.respected = true;
	else if (!is_on(fd, SO_REUSEADDR, !choices_exist()))
		policy.enable |= REUSED_ADDR;

	if (shim.set.reuseport && (forced || !(flags & CHOSE_REUSEPORT_OFF)) &&
	    !is_on(fd, SO_REUSEPORT, false))
		policy.enable |= REUSED_PORT;
	return policy;
}

struct policy policy_bind(int fd, const struct sockaddr *addr, uint32_t len)
{
	const struct policy none = {0};
	int state;

	if (shim.set.reuse == REUSE_OFF || !shim_acts() || !address_counts(addr, len))
		return none;
	state = tcp_state(fd);
	return state < 0 ? none : decide(fd, state, choices_of(fd));
}

struct policy policy_late(int fd)
{
	const struct policy none = {0};
	const uint8_t flags = choices_of(fd);
	const int state = flags & CHOSE_BOUND ? tcp_state(fd) : -1;

	return state == STATE_CLOSED ? decide(fd, state, flags) : none;
}

void policy_bound(int fd, const struct sockaddr *addr, uint32_t len)
{
	if (address_counts(addr, len) && tcp_state(fd) >= 0)
		choices_change(fd, CHOSE_BOUND, 0);
}

void policy_option_set(int fd, int option, bool on)
{
	const uint8_t off = option == SO_REUSEADDR ? CHOSE_REUSEADDR_OFF : CHOSE_REUSEPORT_OFF;

	choices_change(fd, on ? 0 : off, on ? off : 0);
}
