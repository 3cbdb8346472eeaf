/* SPDX-License-Identifier: MIT */
/*
 * test_transitions.c - observe/transitions: what must lie between two states.
 */
#include "observe/transitions.h"

#include "facts/names.h"
#include "unit.h"

/*
 * RFC 9293, section 3.3.2, figure 5, arrow by arrow, with the event that it bears there; whether
 * one and the same socket goes it; and whether one that is connected to itself does.
 */
static const struct {
	enum tcp_state_id from, to;
	const char *event;
	bool by_one_socket, to_itself;
} edges[] = {
	{STATE_CLOSED, STATE_LISTEN, "passive OPEN", true, true},
	{STATE_CLOSED, STATE_SYN_SENT, "active OPEN", true, true},
	{STATE_LISTEN, STATE_SYN_RCVD, "rcv SYN", false, false},
	{STATE_LISTEN, STATE_SYN_SENT, "SEND", false, false},
	{STATE_LISTEN, STATE_CLOSED, "CLOSE", true, true},
	{STATE_SYN_SENT, STATE_SYN_RCVD, "rcv SYN", true, true},
	{STATE_SYN_SENT, STATE_ESTABLISHED, "rcv SYN,ACK", true, false},
	{STATE_SYN_SENT, STATE_CLOSED, "CLOSE", true, true},
	{STATE_SYN_RCVD, STATE_ESTABLISHED, "rcv ACK of SYN", true, true},
	{STATE_SYN_RCVD, STATE_FIN_WAIT_1, "CLOSE", true, true},
	{STATE_SYN_RCVD, STATE_LISTEN, "rcv RST (note 1)", false, false},
	{STATE_ESTABLISHED, STATE_FIN_WAIT_1, "CLOSE", true, true},
	{STATE_ESTABLISHED, STATE_CLOSE_WAIT, "rcv FIN", true, false},
	{STATE_FIN_WAIT_1, STATE_FIN_WAIT_2, "rcv ACK of FIN", true, false},
	{STATE_FIN_WAIT_1, STATE_CLOSING, "rcv FIN", true, true},
	{STATE_FIN_WAIT_1, STATE_TIME_WAIT, "note 2", true, false},
	{STATE_FIN_WAIT_2, STATE_TIME_WAIT, "rcv FIN", true, false},
	{STATE_CLOSE_WAIT, STATE_LAST_ACK, "CLOSE", true, false},
	{STATE_CLOSING, STATE_TIME_WAIT, "rcv ACK of FIN", true, true},
	{STATE_LAST_ACK, STATE_CLOSED, "rcv ACK of FIN", true, false},
	{STATE_TIME_WAIT, STATE_CLOSED, "Timeout=2MSL", true, true},
};

static bool is_gone(enum figure figure, size_t edge)
{
	return figure == FIGURE_TO_ITSELF ? edges[edge].to_itself : edges[edge].by_one_socket;
}

static bool is_edge(enum figure figure, unsigned int from, unsigned int to)
{
	for (size_t i = 0; i < COUNT_OF(edges); i++)
		if (edges[i].from == from && edges[i].to == to)
			return is_gone(figure, i);
	return false;
}

/* "A -> B": by name, for messages. */
static const char *way(unsigned int from, unsigned int to)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s -> %s", state_name((enum tcp_state_id)from),
		 state_name((enum tcp_state_id)to));
	return text;
}

/* All ways that pass through no state twice, and what they have in common. */
struct ways {
	enum figure figure;
	unsigned int path[STATE_COUNT]; /* the way that is being gone */
	size_t len;
	unsigned int to;
	unsigned int count;
	unsigned int common; /* the states between the ends that all ways pass through */
	unsigned int first[STATE_COUNT];
	size_t first_len;
};

static void walk(struct ways *ways)
{
	const unsigned int at = ways->path[ways->len - 1];

	if (at == ways->to && ways->len > 1) {
		unsigned int passed = 0;

		for (size_t i = 1; i + 1 < ways->len; i++)
			passed |= STATE_BIT(ways->path[i]);
		if (!ways->count++) {
			memcpy(ways->first, ways->path, sizeof(ways->first));
			ways->first_len = ways->len;
			ways->common = passed;
		}
		ways->common &= passed;
		return;
	}
	if (at == STATE_CLOSED && ways->len > 1)
		return; /* there a connection ends */
	for (unsigned int next = STATE_CLOSED; next < STATE_COUNT; next++) {
		bool been = false;

		for (size_t i = 0; i < ways->len; i++)
			been |= ways->path[i] == next && !(i == 0 && next == ways->to);
		if (been || !is_edge(ways->figure, at, next))
			continue;
		ways->path[ways->len++] = next;
		walk(ways);
		ways->len--;
	}
}

static struct ways all_ways(enum figure figure, unsigned int from, unsigned int to)
{
	struct ways ways = {.figure = figure, .path = {from}, .len = 1, .to = to};

	walk(&ways);
	return ways;
}

/* Each arrow of the figure is possible, and nothing lies on it; unless no socket goes it. */
static void each_edge(void **state)
{
	uint8_t between[STATE_COUNT];

	(void)state;
	for (enum figure figure = FIGURE_USUAL; figure <= FIGURE_TO_ITSELF; figure++)
		for (size_t i = 0; i < COUNT_OF(edges); i++) {
			const enum tcp_state_id from = edges[i].from, to = edges[i].to;
			const bool possible = is_gone(figure, i) || to == STATE_CLOSED ||
					      all_ways(figure, from, to).count > 0;

			if (!!states_possible(figure, from, to) != possible)
				fail_msg("%s (%s)", way(from, to), edges[i].event);
			if (is_gone(figure, i) && states_between(figure, from, to, between) != 0)
				fail_msg("%s (%s): nothing lies there", way(from, to),
					 edges[i].event);
		}
}

/* For a pair of states: just what is common to all ways, in the order of the ways. */
static void one_pair(enum figure figure, enum tcp_state_id from, enum tcp_state_id to)
{
	const struct ways ways = all_ways(figure, from, to);
	uint8_t between[STATE_COUNT];
	const size_t n = states_between(figure, from, to, between);
	size_t expected = 0;

	/* A reset leads to CLOSED at once; and who stays has gone nowhere. */
	if (ways.count && to != STATE_CLOSED && from != to)
		for (size_t i = 1; i + 1 < ways.first_len; i++) {
			if (!(ways.common & STATE_BIT(ways.first[i])))
				continue;
			if (expected >= n || between[expected] != ways.first[i])
				fail_msg("%s: %s is missing", way(from, to),
					 state_name((enum tcp_state_id)ways.first[i]));
			expected++;
		}
	if (n != expected)
		fail_msg("%s: %zu states too many", way(from, to), n - expected);
}

static void each_pair(void **state)
{
	(void)state;
	for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
		for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
			one_pair(FIGURE_USUAL, from, to);
			one_pair(FIGURE_TO_ITSELF, from, to);
		}
}

/* A pair is possible where there is a way, where nothing happened, or to CLOSED (a reset). */
static void each_pair_possible(void **state)
{
	(void)state;
	for (enum figure figure = FIGURE_USUAL; figure <= FIGURE_TO_ITSELF; figure++)
		for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
			for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
				const bool expected = from == to || to == STATE_CLOSED ||
						      all_ways(figure, from, to).count > 0;

				if (!!states_possible(figure, from, to) != expected)
					fail_msg("%s is %spossible", way(from, to),
						 expected ? "" : "im");
			}
}

/* These states and no others, ended by 0. */
static void lies_between(enum figure figure, enum tcp_state_id from, enum tcp_state_id to,
			 const enum tcp_state_id *expected)
{
	uint8_t between[STATE_COUNT];
	const size_t n = states_between(figure, from, to, between);
	size_t i = 0;

	for (; expected[i]; i++)
		if (i >= n || between[i] != expected[i])
			fail_msg("%s: %s is missing", way(from, to), state_name(expected[i]));
	assert_int_equal(n, i);
}

/* The ways that programs see most, by name. */
static void well_known(void **state)
{
	static const struct {
		enum tcp_state_id from, to;
		enum tcp_state_id between[4];
	} cases[] = {
		{STATE_CLOSED,
		 STATE_ESTABLISHED,
		 {STATE_SYN_SENT}},			  /* accept is another socket's */
		{STATE_SYN_SENT, STATE_ESTABLISHED, {0}}, /* simultaneous open is another way */
		{STATE_ESTABLISHED, STATE_FIN_WAIT_2, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_TIME_WAIT, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_CLOSING, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_LAST_ACK, {STATE_CLOSE_WAIT}},
		{STATE_SYN_SENT, STATE_LAST_ACK, {STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_SYN_RCVD, STATE_LAST_ACK, {STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_SYN_SENT, STATE_CLOSE_WAIT, {STATE_ESTABLISHED}},
		{STATE_SYN_RCVD, STATE_FIN_WAIT_2, {STATE_FIN_WAIT_1}},
		{STATE_CLOSED,
		 STATE_LAST_ACK,
		 {STATE_SYN_SENT, STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_CLOSED, STATE_TIME_WAIT, {STATE_SYN_SENT, STATE_FIN_WAIT_1}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		lies_between(FIGURE_USUAL, cases[i].from, cases[i].to, cases[i].between);
}

/* A socket that is connected to itself has one way only: both ends do the same at once. */
static void to_itself(void **state)
{
	static const enum tcp_state_id opens[] = {STATE_SYN_SENT, STATE_SYN_RCVD, 0};
	static const enum tcp_state_id closes[] = {STATE_FIN_WAIT_1, STATE_CLOSING, 0};

	(void)state;
	lies_between(FIGURE_TO_ITSELF, STATE_CLOSED, STATE_ESTABLISHED, opens);
	lies_between(FIGURE_TO_ITSELF, STATE_ESTABLISHED, STATE_TIME_WAIT, closes);
	assert_false(states_possible(FIGURE_TO_ITSELF, STATE_ESTABLISHED, STATE_CLOSE_WAIT));
	assert_false(states_possible(FIGURE_TO_ITSELF, STATE_FIN_WAIT_1, STATE_FIN_WAIT_2));
}

/* Where the figure knows no way, it is said to be impossible, and nothing is invented. */
static void impossible(void **state)
{
	static const struct {
		enum tcp_state_id from, to;
	} cases[] = {
		{STATE_TIME_WAIT, STATE_ESTABLISHED},  {STATE_LAST_ACK, STATE_TIME_WAIT},
		{STATE_CLOSE_WAIT, STATE_FIN_WAIT_1},  {STATE_CLOSE_WAIT, STATE_TIME_WAIT},
		{STATE_FIN_WAIT_1, STATE_ESTABLISHED}, {STATE_FIN_WAIT_2, STATE_CLOSING},
		{STATE_ESTABLISHED, STATE_LISTEN},     {STATE_ESTABLISHED, STATE_SYN_SENT},
		{STATE_ESTABLISHED, STATE_SYN_RCVD},   {STATE_CLOSING, STATE_FIN_WAIT_2},
		{STATE_LAST_ACK, STATE_LISTEN},	       {STATE_TIME_WAIT, STATE_LISTEN},
		{STATE_LISTEN, STATE_ESTABLISHED},     {STATE_LISTEN, STATE_SYN_SENT},
	};
	uint8_t between[STATE_COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_false(states_possible(FIGURE_USUAL, cases[i].from, cases[i].to));
		assert_int_equal(states_between(FIGURE_USUAL, cases[i].from, cases[i].to, between),
				 0);
	}
}

/* Between what is not known nothing is known. */
static void unknown(void **state)
{
	uint8_t between[STATE_COUNT];

	(void)state;
	for (unsigned int other = STATE_UNKNOWN; other < STATE_COUNT; other++) {
		const enum tcp_state_id known = (enum tcp_state_id)other;

		assert_int_equal(states_between(FIGURE_USUAL, STATE_UNKNOWN, known, between), 0);
		assert_int_equal(states_between(FIGURE_USUAL, known, STATE_UNKNOWN, between), 0);
	}
}

/* Never more than an event has room for, with one or two measured states beside them. */
static void fits_an_event(void **state)
{
	(void)state;
	for (enum figure figure = FIGURE_USUAL; figure <= FIGURE_TO_ITSELF; figure++)
		for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
			for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
				uint8_t between[STATE_COUNT];

				assert_in_range(states_between(figure, (enum tcp_state_id)from,
							       (enum tcp_state_id)to, between),
						0, VIA_MAX - 2);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_edge),
		cmocka_unit_test(each_pair),
		cmocka_unit_test(each_pair_possible),
		cmocka_unit_test(well_known),
		cmocka_unit_test(to_itself),
		cmocka_unit_test(impossible),
		cmocka_unit_test(unknown),
		cmocka_unit_test(fits_an_event),
	};

	return cmocka_run_group_tests_name("transitions", tests, NULL, NULL);
}
