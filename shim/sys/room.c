/* SPDX-License-Identifier: MIT */
/*
 * room.c - see room.h.
 */
#include "sys/room.h"

#include <string.h>

#include "sys/sys.h"

bool room_grow(void *list, size_t *room, size_t item, size_t first)
{
	const size_t larger = *room ? 2 * *room : first;
	void *old, *new = sys_mmap_pages(larger * item);

	if (sys_failed(new))
		return false;
	memcpy(&old, list, sizeof(old));
	if (*room)
		memcpy(new, old, *room * item);
	room_done(old, *room, item);
	memcpy(list, &new, sizeof(new));
	*room = larger;
	return true;
}

void room_done(void *list, size_t room, size_t item)
{
	if (room)
		sys_munmap(list, room * item);
}
