/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the file of the flight recorder (TCPSHIM_LOG=ring:PATH): what is where.
 *
 *	0		struct ring_head: what the file is
 *	56		the description: how the build that made the file lays out an event
 *	4096		for each chunk when it was last written to, to a tenth of a second:
 *			nanoseconds since 1970, and more than any before where a clock is set back;
 *			the last bit: its process has left it, and may be writing its last records
 *	12288		the chunks, all of one size
 *
 * A process takes a chunk for itself, by a lock of the kernel's on its bytes (man 2
 * fcntl) that ends with the process: when it begins, one in which a process that has
 * ended left room, else, and later, the one that was written to longest ago. It
 * writes its records there one behind the other, each with one pwrite, and takes
 * another chunk when this one is full. So nobody waits for anybody, and what a
 * process had written stays until its chunk's turn comes.
 *
 * The description is for readers of other builds. It tells where each member of struct
 * event is, by its path (members.def), and what the numbers of calls, notes and states
 * stand for: four lists, each ended by an entry without a name, one behind the other:
 *
 *	members		where in the event (2 bytes), how large (1 byte), the path, 0
 *	calls, notes	the name, 0; the first is number 0
 *	states		likewise; the first is number 1
 *
 * Up to 4096 there are zeros. Numbers are in the byte order of the machine.
 *
 * A record begins at a multiple of RECORD_ALIGN and lies in one chunk. A reader
 * looks for records at each such place and believes one whose sum is right. What
 * was being written when a process was killed is none, and neither is what a newer
 * record has overwritten in part.
 */
#ifndef REUSE_RING_H
#define REUSE_RING_H

#include <stdint.h>

enum {
	RING_VERSION = 2, /* 1 had no description */
	RING_TIMES_AT = 4096,
	RING_DATA_AT = 12288,
	RING_CHUNKS_MOST = (RING_DATA_AT - RING_TIMES_AT) / 8,
};

/* Of the whole file, in bytes. */
#define RING_SIZE_LEAST (UINT64_C(64) << 10)
#define RING_SIZE_MOST (UINT64_C(1) << 40)
#define RING_SIZE_USUAL (UINT64_C(16) << 20)

#define RING_NAME "libreuse ring\n"

struct ring_head {
	char name[16];	  /* RING_NAME */
	uint32_t version; /* RING_VERSION */
	uint32_t chunks;  /* how many */
	uint64_t layout;  /* the sum of the description */
	uint64_t size;	  /* of the file */
	uint64_t chunk_size;
	uint64_t sum; /* of the words before */
};

_Static_assert(sizeof(struct ring_head) == 56, "the description begins there");

enum { RING_DESCRIPTION_AT = 56, RING_DESCRIPTION = RING_TIMES_AT - RING_DESCRIPTION_AT };

enum { RING_LEFT = 1 }; /* the last bit of a chunk's time */

enum { RECORD_ALIGN = 16, RECORD_MOST = 4096, RECORD_MAGIC = 0x72636e65 };

/* Then event_size bytes of a struct event, its beginning; then places in the code. */
struct ring_record {
	uint32_t magic;	     /* RECORD_MAGIC */
	uint16_t size;	     /* of the whole record, a multiple of RECORD_ALIGN */
	uint16_t event_size; /* a multiple of 8 */
	uint64_t sum;	     /* of the first word and of all that follows this one */
};

/*
 * One of the callers of the event (PLACE_STACK, nearest first), or where the number
 * was closed before (PLACE_CLOSED). The two names follow, not ended. PLACE_NONE:
 * there are no more.
 */
enum place_kind { PLACE_NONE, PLACE_STACK, PLACE_CLOSED };

struct ring_place {
	uint8_t kind, module_len, symbol_len;
	uint8_t offset[8], symbol_offset[8]; /* numbers, wherever they come to lie */
};

#endif
