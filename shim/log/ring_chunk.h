/* SPDX-License-Identifier: MIT */
/*
 * ring_chunk.h - a chunk of the flight recorder's file is won by a process, and left.
 */
#ifndef LOG_RING_CHUNK_H
#define LOG_RING_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A chunk with room for size bytes, behind *ret_used of it: for a process that begins
 * one that another has begun, else the oldest. Its index, or -errno: -ESTALE where the ring is not
 * whole, and must be mended first. Stamped with *time, which is made later than that of any other.
 */
int ring_chunk_take(int fd, bool begins, uint16_t size, uint64_t *time, uint32_t *ret_used);

void ring_chunk_let_go(int fd, uint32_t chunk);

/* Its locks are gone already (man 2 fcntl): with a close, of any descriptor of the file. */
void ring_chunk_forget_all(void);

/* When the chunk was last written to. */
bool ring_chunk_stamp(int fd, uint32_t chunk, uint64_t time);

#endif
