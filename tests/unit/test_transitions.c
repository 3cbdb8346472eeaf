/*
 * test_transitions.c - observe/transitions: what must lie between two states.
 */
#include "observe/transitions.h"

#include "facts/names.h"
#include "unit.h"

/* RFC 9293, section 3.3.2, figure 5, arrow by arrow, with the event that it bears there. */
static const struct {
	enum tcp_state_id from, to;
	const char *event;
} edges[] = {
	{STATE_CLOSED, STATE_LISTEN, "passive OPEN"},
	{STATE_CLOSED, STATE_SYN_SENT, "active OPEN"},
	{STATE_LISTEN, STATE_SYN_RCVD, "rcv SYN"},
	{STATE_LISTEN, STATE_SYN_SENT, "SEND"},
	{STATE_LISTEN, STATE_CLOSED, "CLOSE"},
	{STATE_SYN_SENT, STATE_SYN_RCVD, "rcv SYN"},
	{STATE_SYN_SENT, STATE_ESTABLISHED, "rcv SYN,ACK"},
	{STATE_SYN_SENT, STATE_CLOSED, "CLOSE"},
	{STATE_SYN_RCVD, STATE_ESTABLISHED, "rcv ACK of SYN"},
	{STATE_SYN_RCVD, STATE_FIN_WAIT_1, "CLOSE"},
	{STATE_SYN_RCVD, STATE_LISTEN, "rcv RST (note 1)"},
	{STATE_ESTABLISHED, STATE_FIN_WAIT_1, "CLOSE"},
	{STATE_ESTABLISHED, STATE_CLOSE_WAIT, "rcv FIN"},
	{STATE_FIN_WAIT_1, STATE_FIN_WAIT_2, "rcv ACK of FIN"},
	{STATE_FIN_WAIT_1, STATE_CLOSING, "rcv FIN"},
	{STATE_FIN_WAIT_1, STATE_TIME_WAIT, "note 2"},
	{STATE_FIN_WAIT_2, STATE_TIME_WAIT, "rcv FIN"},
	{STATE_CLOSE_WAIT, STATE_LAST_ACK, "CLOSE"},
	{STATE_CLOSING, STATE_TIME_WAIT, "rcv ACK of FIN"},
	{STATE_LAST_ACK, STATE_CLOSED, "rcv ACK of FIN"},
	{STATE_TIME_WAIT, STATE_CLOSED, "Timeout=2MSL"},
};

static bool is_edge(unsigned int from, unsigned int to)
{
	for (size_t i = 0; i < COUNT_OF(edges); i++)
		if (edges[i].from == from && edges[i].to == to)
			return true;
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
		if (been || !is_edge(at, next))
			continue;
		ways->path[ways->len++] = next;
		walk(ways);
		ways->len--;
	}
}

static struct ways all_ways(unsigned int from, unsigned int to)
{
	struct ways ways = {.path = {from}, .len = 1, .to = to};

	walk(&ways);
	return ways;
}

/* Each arrow of the figure is possible, and nothing lies on it. */
static void each_edge(void **state)
{
	uint8_t between[STATE_COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(edges); i++) {
		if (!states_possible(edges[i].from, edges[i].to) ||
		    states_between(edges[i].from, edges[i].to, between) != 0)
			fail_msg("%s (%s)", way(edges[i].from, edges[i].to), edges[i].event);
	}
}

/* For each pair of states: just what is common to all ways, in the order of the ways. */
static void each_pair(void **state)
{
	(void)state;
	for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
		for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
			const struct ways ways = all_ways(from, to);
			uint8_t between[STATE_COUNT];
			const size_t n = states_between((enum tcp_state_id)from,
							(enum tcp_state_id)to, between);
			size_t expected = 0;

			/* A reset leads to CLOSED at once; and who stays has gone nowhere. */
			if (ways.count && to != STATE_CLOSED && from != to)
				for (size_t i = 1; i + 1 < ways.first_len; i++) {
					if (!(ways.common & STATE_BIT(ways.first[i])))
						continue;
					if (expected >= n || between[expected] != ways.first[i])
						fail_msg("%s: %s is missing", way(from, to),
							 state_name(
								 (enum tcp_state_id)ways.first[i]));
					expected++;
				}
			if (n != expected)
				fail_msg("%s: %zu states too many", way(from, to), n - expected);
		}
}

/* A pair is possible where there is a way, where nothing happened, or to CLOSED (a reset). */
static void each_pair_possible(void **state)
{
	(void)state;
	for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
		for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
			const bool expected =
				from == to || to == STATE_CLOSED || all_ways(from, to).count > 0;

			if (!!states_possible((enum tcp_state_id)from, (enum tcp_state_id)to) !=
			    expected)
				fail_msg("%s is %spossible", way(from, to), expected ? "" : "im");
		}
}

/* The ways that programs see most, by name. */
static void well_known(void **state)
{
	static const struct {
		enum tcp_state_id from, to;
		enum tcp_state_id between[4];
	} cases[] = {
		{STATE_CLOSED, STATE_ESTABLISHED, {0}}, /* by SYN_SENT, or by LISTEN and SYN_RCVD */
		{STATE_SYN_SENT, STATE_ESTABLISHED, {0}}, /* simultaneous open is another way */
		{STATE_LISTEN, STATE_ESTABLISHED, {0}},
		{STATE_ESTABLISHED, STATE_FIN_WAIT_2, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_TIME_WAIT, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_CLOSING, {STATE_FIN_WAIT_1}},
		{STATE_ESTABLISHED, STATE_LAST_ACK, {STATE_CLOSE_WAIT}},
		{STATE_SYN_SENT, STATE_LAST_ACK, {STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_SYN_RCVD, STATE_LAST_ACK, {STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_SYN_SENT, STATE_CLOSE_WAIT, {STATE_ESTABLISHED}},
		{STATE_SYN_RCVD, STATE_FIN_WAIT_2, {STATE_FIN_WAIT_1}},
		{STATE_CLOSED, STATE_LAST_ACK, {STATE_ESTABLISHED, STATE_CLOSE_WAIT}},
		{STATE_CLOSED, STATE_TIME_WAIT, {STATE_FIN_WAIT_1}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t between[STATE_COUNT];
		const size_t n = states_between(cases[i].from, cases[i].to, between);
		size_t expected = 0;

		while (cases[i].between[expected]) {
			assert_in_range(expected, 0, n - 1);
			assert_int_equal(between[expected], cases[i].between[expected]);
			expected++;
		}
		assert_int_equal(n, expected);
	}
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
	};
	uint8_t between[STATE_COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_false(states_possible(cases[i].from, cases[i].to));
		assert_int_equal(states_between(cases[i].from, cases[i].to, between), 0);
	}
}

/* Between what is not known nothing is known. */
static void unknown(void **state)
{
	uint8_t between[STATE_COUNT];

	(void)state;
	for (unsigned int other = STATE_UNKNOWN; other < STATE_COUNT; other++) {
		assert_int_equal(states_between(STATE_UNKNOWN, (enum tcp_state_id)other, between),
				 0);
		assert_int_equal(states_between((enum tcp_state_id)other, STATE_UNKNOWN, between),
				 0);
	}
}

/* Never more than an event has room for, with one or two measured states beside them. */
static void fits_an_event(void **state)
{
	(void)state;
	for (unsigned int from = STATE_CLOSED; from < STATE_COUNT; from++)
		for (unsigned int to = STATE_CLOSED; to < STATE_COUNT; to++) {
			uint8_t between[STATE_COUNT];

			assert_in_range(states_between((enum tcp_state_id)from,
						       (enum tcp_state_id)to, between),
					0, VIA_MAX / 2 - 1);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_edge),	      cmocka_unit_test(each_pair),
		cmocka_unit_test(each_pair_possible), cmocka_unit_test(well_known),
		cmocka_unit_test(impossible),	      cmocka_unit_test(unknown),
		cmocka_unit_test(fits_an_event),
	};

	return cmocka_run_group_tests_name("transitions", tests, NULL, NULL);
}
