/* SPDX-License-Identifier: MIT */
/*
 * address.h - the addresses that a program hands to a call or lets it write. The
 * pointers may be anything, and no layer below the hooks gets them: what is read
 * through them travels on as a value.
 */
#ifndef HOOKS_ADDRESS_H
#define HOOKS_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "reuse/event.h"
#include "sys/sys.h"

/* Family 0 where it is no address of TCP's, or unreadable. */
struct endpoint address_read(const struct sockaddr *addr, socklen_t len);

/* The one that accept has written, where the program wanted it. */
struct endpoint address_written(const struct sockaddr *addr, const socklen_t *len);

/* What every bind is looked at for: at the same places in both families. */
struct address_head {
	uint16_t family, port; /* port: host byte order */
};

/* False where bind will refuse the length (other bounds are the kernel's own), or it is unreadable.
 */
static inline bool address_head(const struct sockaddr *addr, socklen_t len,
				struct address_head *ret)
{
	uint64_t word;

	if (len < sizeof(struct sockaddr_in) || len > sizeof(struct sockaddr_storage) ||
	    sys_peek_word(&word, addr) < 0)
		return false;
	memcpy(ret, &word, sizeof(*ret));
	ret->port = ntohs(ret->port);
	return true;
}

#endif
