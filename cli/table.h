/* SPDX-License-Identifier: MIT */
/*
 * table.h - rows by their keys, as many as there is leave for: what comes beyond them is counted.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* All else is zero before the first row. */
struct table {
	size_t row_size;   /* a multiple of 8 */
	size_t key_size;   /* of a row's beginning, likewise; each byte of it counts */
	size_t most;	   /* rows */
	size_t count;	   /* of them there are so many */
	uint64_t left_out; /* asked for in vain: there was no room */
	char *rows;
	size_t room;	 /* rows, in memory */
	uint32_t *index; /* where each key's row is, plus 1; 0: nowhere */
	size_t slots;	 /* a power of two */
};

/*
 * The row of that key, made where there is none: zero but for the key. NULL where there is no room,
 * which is counted. It stays where it is until the next row is asked for.
 */
void *table_row(struct table *table, const void *key);

static inline void *table_at(const struct table *table, size_t i)
{
	return table->rows + i * table->row_size;
}

void table_end(struct table *table);

#endif
