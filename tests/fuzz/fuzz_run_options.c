/* SPDX-License-Identifier: MIT */
/*
 * fuzz_run_options.c - any words as the command line of tcpshim run: the options are understood
 * and lead to a command, or there is a line about what is wrong. A line break ends a word.
 */
#include "run_options.h"

#include "facts/settings.h"
#include "fuzz.h"

enum { WORDS = 64 };

/* The words, each in a room of its own. Returns how many; the list ends with NULL. */
static int split(char *words[WORDS + 1], const uint8_t *data, size_t size)
{
	int count = 0;

	words[count++] = fuzz_string((const uint8_t *)"run", 3);
	while (size && count < WORDS) {
		const uint8_t *end = memchr(data, '\n', size);
		const size_t len = end ? (size_t)(end - data) : size;

		words[count++] = fuzz_string(data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	words[count] = NULL;
	return count;
}

static bool is_one_of(char *const *words, int count, const char *text, const char **ret_end)
{
	for (int i = 0; i < count; i++) {
		*ret_end = words[i] + strlen(words[i]);
		if (text >= words[i] && text <= *ret_end)
			return true;
	}
	return false;
}

/* What was taken is what the library will understand, and lies in a word or is made by a switch. */
static void check_values(const struct run_options *options, char *const *words, int count)
{
	static struct settings set;
	const char *end;

	settings_init(&set);
	for (unsigned int i = 0; i < settings_count; i++) {
		const char *value = options->values[i];

		if (!value)
			continue;
		HOLDS(settings_table[i].parse(&set, value));
		HOLDS(is_one_of(words, count, value, &end) || strcmp(value, "1") == 0 ||
		      strcmp(value, "json") == 0);
	}
}

/* The command is the rest of the words. */
static void check_command(const struct run_options *options, char **words, int count)
{
	HOLDS(options->command > words && options->command < words + count);
	HOLDS(**options->command);
	for (char **word = words + 1; word < options->command; word++)
		HOLDS(strcmp(*word, "--help") != 0 || word[-1][0] == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS + 1], *before[WORDS + 1];
	struct run_options options;
	int count;

	HOLDS(settings_count == SETTINGS);
	count = split(words, data, size);
	memcpy(before, words, sizeof(before));
	switch (run_options_parse(&options, size % 2 ? RUN_RUN : RUN_CHECK, count, words)) {
	case RUN_COMMAND:
		check_command(&options, words, count);
		check_values(&options, words, count);
		HOLDS(!*options.wrong);
		break;
	case RUN_WRONG:
		HOLDS(*options.wrong && memchr(options.wrong, '\0', sizeof(options.wrong)));
		break;
	case RUN_HELP:
	case RUN_VERSION:
		HOLDS(!*options.wrong);
		break;
	}
	/* The words are where they were: nothing is put in another order. */
	HOLDS(memcmp(before, words, sizeof(before)) == 0);
	while (count)
		free(words[--count]);
	return 0;
}
