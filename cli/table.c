/* SPDX-License-Identifier: MIT */
/*
 * table.c - see table.h. The index is probed from where the key's sum says, and never more than
 * half full.
 */
#include "table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "facts/sum.h"

/* Where its number is, or is to be. */
static uint32_t *slot_of(const struct table *table, const void *key)
{
	const uint64_t sum = sum_words(SUM_BEGIN, key, table->key_size / sizeof(uint64_t));

	for (size_t at = (size_t)sum;; at++) {
		uint32_t *slot = &table->index[at & (table->slots - 1)];

		if (!*slot || memcmp(table_at(table, *slot - 1), key, table->key_size) == 0)
			return slot;
	}
}

static bool grow(struct table *table)
{
	enum { FIRST = 64 };
	const size_t room = table->room ? 2 * table->room : FIRST;
	char *rows = realloc(table->rows, room * table->row_size);
	uint32_t *index = rows ? calloc(2 * room, sizeof(*index)) : NULL;

	if (rows)
		table->rows = rows;
	if (!index)
		return false;
	free(table->index);
	table->index = index;
	table->slots = 2 * room;
	table->room = room;
	for (size_t i = 0; i < table->count; i++)
		*slot_of(table, table_at(table, i)) = (uint32_t)i + 1;
	return true;
}

void *table_row(struct table *table, const void *key)
{
	uint32_t *slot = table->slots ? slot_of(table, key) : NULL;
	char *row;

	if (slot && *slot)
		return table_at(table, *slot - 1);
	if (table->count == table->most || (table->count == table->room && !grow(table))) {
		table->left_out++;
		return NULL;
	}
	row = memset(table_at(table, table->count), 0, table->row_size);
	memcpy(row, key, table->key_size);
	*slot_of(table, key) = (uint32_t)++table->count;
	return row;
}

void table_end(struct table *table)
{
	free(table->rows);
	free(table->index);
	table->rows = NULL;
	table->index = NULL;
	table->count = table->room = table->slots = 0;
}
