/* SPDX-License-Identifier: MIT */
/*
 * fuzz_wrapper.c - any words as the command line of a program that starts another one: the
 * command is found among them, or none is. A line break ends a word; the first word is the
 * wrapper's name.
 */
#include "check/wrapper.h"

#include "fuzz.h"

enum { WORDS = 64 };

/* The words, each in a room of its own. Returns how many; the list ends with NULL. */
static int split(char *words[WORDS + 1], const uint8_t *data, size_t size)
{
	int count = 0;

	do {
		const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
		const size_t len = end ? (size_t)(end - data) : size;

		words[count++] = fuzz_string(data, len);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	} while (size && count < WORDS);
	words[count] = NULL;
	return count;
}

static void read_word(enum env_act act, const char *word, void *arg)
{
	size_t *total = arg;

	HOLDS(word);
	HOLDS(act != ENV_SET || strchr(word, '='));
	*total += strlen(word);
}

static void check_env(char **words)
{
	size_t total = 0;

	words = wrapper_env(words, read_word, &total);
	HOLDS(!words || *words);
	for (; words && *words; words++)
		total += strlen(*words);
	wrapper_free();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS + 1], **command;
	const struct wrapper *wrapper;
	enum shell_reads reads;
	int count = split(words, data, size);
	bool clears;

	wrapper = wrapper_find(words[0]);
	command = wrapper ? wrapper_command(wrapper, words, &clears) : NULL;
	HOLDS(!command || (command > words && command < words + count));
	check_env(words);
	command = wrapper_shell(words, &reads);
	HOLDS(!command || (command > words && command < words + count));
	while (count)
		free(words[--count]);
	return 0;
}
