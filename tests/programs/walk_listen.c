/* SPDX-License-Identifier: MIT */
/* listen() and shutdown(): on every kind of descriptor, in every state. */
#include "walk.h"

static void wrong_descriptors(void)
{
	struct others o = others();

#define ONE(name, fd) TELL_AS("listen of " name, listen(fd, 5))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("shutdown of " name, shutdown(fd, SHUT_RDWR))
	WITH_OTHERS(o, ONE);
#undef ONE
#define ONE(name, fd) TELL_AS("wrong shutdown of " name, shutdown(fd, 77))
	WITH_OTHERS(o, ONE);
#undef ONE
}

static void backlogs(void)
{
	static const int backlogs[] = {0, 1, -1, INT32_MIN, INT32_MAX, 5};
	int fd = tcp();

	for (size_t i = 0; i < sizeof(backlogs) / sizeof(*backlogs); i++)
		TELL(listen(fd, backlogs[i]));
	TELL(shutdown(fd, SHUT_RDWR));
	TELL(listen(fd, 5));
	TELL(close(fd));
	TELL(listen(fd, 5));
}

static void shutdowns(void)
{
	static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR, 3, -1, INT32_MAX, INT32_MIN};
	char what[80];

	for (size_t i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
		int ends[2], fd = tcp(), l = listener();

		snprintf(what, sizeof(what), "shutdown(unconnected, %d)", hows[i]);
		TELL_AS(what, shutdown(fd, hows[i]));
		snprintf(what, sizeof(what), "shutdown(listener, %d)", hows[i]);
		TELL_AS(what, shutdown(l, hows[i]));
		connection(ends);
		snprintf(what, sizeof(what), "shutdown(connected, %d)", hows[i]);
		TELL_AS(what, shutdown(ends[0], hows[i]));
		TELL_AS("and once more", shutdown(ends[0], hows[i]));
		TELL_AS("and the peer", shutdown(ends[1], hows[i]));
		TELL_AS("listen on a connection", listen(ends[0], 5));
		close(ends[0]);
		close(ends[1]);
		close(fd);
		close(l);
	}
}

int main(void)
{
	wrong_descriptors();
	backlogs();
	shutdowns();
	return 0;
}
