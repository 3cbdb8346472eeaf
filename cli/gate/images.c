/* SPDX-License-Identifier: MIT */
/*
 * images.c - see images.h.
 */
#include "gate/images.h"

#include <stdlib.h>
#include <string.h>

static uint32_t *slot_of(const struct images *images, int32_t pid)
{
	uint32_t at = (uint32_t)pid * UINT32_C(2654435761);

	for (;; at++) {
		uint32_t *slot = &images->newest[at & (images->slots - 1)];

		if (!*slot || images->all[*slot - 1].pid == pid)
			return slot;
	}
}

/* There are never more pids than images: half of the slots stay empty. */
static bool grow(struct images *images)
{
	const size_t room = images->room ? 2 * images->room : 64;
	struct image *all = realloc(images->all, room * sizeof(*all));
	uint32_t *newest = all ? calloc(2 * room, sizeof(*newest)) : NULL;

	if (all)
		images->all = all;
	if (!newest)
		return false;
	free(images->newest);
	images->newest = newest;
	images->slots = 2 * room;
	images->room = room;
	/* The later one of a pid takes the slot. */
	for (size_t i = 0; i < images->count; i++)
		*slot_of(images, all[i].pid) = (uint32_t)i + 1;
	return true;
}

static struct image *add(struct images *images, const struct event *ev)
{
	struct image *image;
	uint32_t *slot;

	if (images->count == images->room && !grow(images)) {
		images->left_out++;
		return NULL;
	}
	slot = slot_of(images, ev->pid);
	image = &images->all[images->count];
	*image = (struct image){.pid = ev->pid, .before = *slot, .first_ns = ev->time_ns};
	memcpy(image->prog, ev->prog, sizeof(image->prog));
	*slot = (uint32_t)++images->count;
	return image;
}

/*
 * Whose event is it? The newest image's of its process; but one that came before that began is an
 * earlier one's, unless that has it already.
 */
static struct image *image_of(const struct images *images, const struct event *ev)
{
	const uint32_t newest = images->slots ? *slot_of(images, ev->pid) : 0;
	struct image *image = newest ? &images->all[newest - 1] : NULL;
	struct image *then = image;

	while (then && ev->time_ns < then->first_ns)
		then = then->before ? &images->all[then->before - 1] : NULL;
	if (then && then != image && !runs_have(&then->seen, ev->seq))
		return then;
	return image && !runs_have(&image->seen, ev->seq) ? image : NULL;
}

void images_event(struct images *images, const struct event *ev)
{
	struct image *image = ev->seq ? image_of(images, ev) : NULL;

	if (!image && ev->seq)
		image = add(images, ev);
	if (!image)
		return;
	if (!runs_add(&image->seen, ev->seq))
		images->left_out++;
	if (ev->time_ns < image->first_ns)
		image->first_ns = ev->time_ns;
	if (ev->began_ns > image->began_ns)
		image->began_ns = ev->began_ns;
	if (ev->notes & NOTE_BIT(NOTE_LOST_EVENTS))
		image->told += ev->figures.lost;
	image->ended |= ev->has_totals;
}

bool images_is_newest(const struct images *images, const struct image *image)
{
	return *slot_of(images, image->pid) == (uint32_t)(image - images->all) + 1;
}

void images_settle(struct images *images)
{
	for (size_t i = 0; i < images->count; i++)
		images->all[i].settled = runs_last(&images->all[i].seen);
}

uint64_t image_missing(const struct image *image)
{
	const uint64_t missing = runs_missing(&image->seen, image->settled);

	return missing > image->told ? missing : image->told;
}

void images_end(struct images *images)
{
	for (size_t i = 0; i < images->count; i++)
		runs_end(&images->all[i].seen);
	free(images->all);
	free(images->newest);
	*images = (struct images){0};
}
