/* SPDX-License-Identifier: MIT */
/*
 * fuzz_settings.c - any text as the value of any setting: it is understood, or it changes
 * nothing. The first byte says which setting.
 */
#include "facts/settings.h"
#include "fuzz.h"

static void ask(const struct settings *set)
{
	for (unsigned int port = 0; port < 65536; port += 251)
		HOLDS(settings_port(set, (uint16_t)port) || set->some_ports);
	HOLDS(set->wait_seconds <= 120);
	if (set->only)
		settings_list_has(set->only, "nginx");
	if (set->skip)
		settings_list_has(set->skip, "a name of 15 bytes and more");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings set, before;
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_string(data + 1, size - 1);
	settings_init(&set);
	before = set;
	if (!settings_table[data[0] % settings_count].parse(&set, text))
		HOLDS(memcmp(&set, &before, sizeof(set)) == 0);
	ask(&set);
	free(text);
	return 0;
}
