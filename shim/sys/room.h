/* SPDX-License-Identifier: MIT */
/*
 * room.h - a list that grows, in pages of its own: a caller's stack may be short, and nothing is
 * allocated.
 */
#ifndef SYS_ROOM_H
#define SYS_ROOM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Room for twice as many items of that size, or for the first ones; list and room are where the
 * caller keeps them. False where there is none: then nothing has changed.
 */
bool room_grow(void *list, size_t *room, size_t item, size_t first);
void room_done(void *list, size_t room, size_t item);

#endif
