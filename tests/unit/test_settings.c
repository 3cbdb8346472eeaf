/* SPDX-License-Identifier: MIT */
/*
 * test_settings.c - facts/settings: what the user set, as values.
 */
#include "facts/settings.h"

#include <stdlib.h>

#include "facts/names.h"
#include "unit.h"

enum {
	N_SETTINGS = 0
#define SETTING(variable, name, accepted, otherwise) +1
#include "reuse/settings.def"
};

static const struct setting *setting_named(const char *variable)
{
	for (size_t i = 0; i < N_SETTINGS; i++)
		if (strcmp(settings_table[i].variable, variable) == 0)
			return &settings_table[i];
	fail_msg("no setting %s", variable);
	return NULL;
}

static struct settings parsed(const char *variable, const char *text)
{
	struct settings set;

	settings_init(&set);
	if (!setting_named(variable)->parse(&set, text))
		fail_msg("%s=%s was refused", variable, text);
	return set;
}

/* Refused, and not a byte of the settings changed, whatever they were before. */
static void assert_refused(const char *variable, const char *text)
{
	static const int fillings[] = {0x00, 0xa5, 0xff};
	struct settings before, after;

	for (size_t i = 0; i < COUNT_OF(fillings); i++) {
		memset(&before, fillings[i], sizeof(before));
		memset(&after, fillings[i], sizeof(after));
		if (setting_named(variable)->parse(&after, text))
			fail_msg("%s=%s was taken", variable, text);
		if (memcmp(&before, &after, sizeof(before)) != 0)
			fail_msg("%s=%s was refused but changed something", variable, text);
	}
}

/* Only that one variable's values change: the rest is at its defaults. */
static void assert_nothing_else(struct settings set, size_t offset, size_t size)
{
	struct settings fresh;

	settings_init(&fresh);
	memset((char *)&fresh + offset, 0, size);
	memset((char *)&set + offset, 0, size);
	assert_memory_equal(&set, &fresh, sizeof(set));
}

#define FIELD(name) offsetof(struct settings, name), sizeof(((struct settings *)0)->name)

/* The defaults are the contract's. */
static void defaults(void **state)
{
	struct settings set;

	(void)state;
	memset(&set, 0xa5, sizeof(set));
	settings_init(&set);
	assert_int_equal(set.log, LOG_OFF);
	assert_int_equal(set.format, FORMAT_TEXT);
	assert_int_equal(set.reuse, REUSE_AUTO);
	assert_int_equal(set.color, COLOR_AUTO);
	assert_false(set.reuseport);
	assert_null(set.only);
	assert_null(set.skip);
	for (unsigned int port = 0; port <= 65535; port++)
		assert_true(settings_port(&set, (uint16_t)port));
#define CALL(name, args, more) assert_true(set.calls &CALL_BIT(CALL_##name));
#define CARRIER(name) assert_false(set.calls &CALL_BIT(CALL_##name));
#include "reuse/calls.def"
}

/* Each row tells its variable, what is accepted and the default, and refuses the empty text. */
static void every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SETTINGS; i++) {
		assert_non_null(settings_table[i].variable);
		assert_int_equal(strncmp(settings_table[i].variable, "TCPSHIM_", 8), 0);
		assert_true(strlen(settings_table[i].accepted) > 0);
		assert_true(strlen(settings_table[i].otherwise) > 0);
		assert_refused(settings_table[i].variable, "");
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(settings_table[i].variable,
						settings_table[other].variable);
	}
}

static void assert_words(const char *variable, const char *const *words, size_t n_words,
			 size_t offset, size_t size)
{
	for (size_t i = 0; i < n_words; i++) {
		struct settings set = parsed(variable, words[i]);
		char longer[32], upper[32];
		uint32_t value = 0;

		memcpy(&value, (char *)&set + offset, size);
		assert_int_equal(value, i);
		assert_nothing_else(set, offset, size);

		/* Neither more, nor less, nor spaces, nor capitals. */
		snprintf(longer, sizeof(longer), "%s ", words[i]);
		assert_refused(variable, longer);
		snprintf(longer, sizeof(longer), " %s", words[i]);
		assert_refused(variable, longer);
		snprintf(longer, sizeof(longer), "%s,%s", words[i], words[i]);
		assert_refused(variable, longer);
		snprintf(longer, sizeof(longer), "%.*s", (int)strlen(words[i]) - 1, words[i]);
		assert_refused(variable, longer);
		snprintf(upper, sizeof(upper), "%s", words[i]);
		upper[0] = (char)(upper[0] ^ 0x20);
		assert_refused(variable, upper);
	}
	assert_refused(variable, "yes");
	assert_refused(variable, "2");
	assert_refused(variable, "-1");
	assert_refused(variable, "00");
}

/* The variables that take one of several words. */
static void words(void **state)
{
	static const char *const formats[] = {"text", "json"};
	static const char *const reuses[] = {"auto", "force", "gentle", "off"};
	static const char *const colors[] = {"auto", "always", "never"};
	static const char *const switches[] = {"0", "1"};

	(void)state;
	assert_words("TCPSHIM_FORMAT", formats, COUNT_OF(formats), FIELD(format));
	assert_words("TCPSHIM_REUSE", reuses, COUNT_OF(reuses), FIELD(reuse));
	assert_words("TCPSHIM_COLOR", colors, COUNT_OF(colors), FIELD(color));
	assert_words("TCPSHIM_REUSEPORT", switches, COUNT_OF(switches), FIELD(reuseport));
	assert_words("TCPSHIM_REPORT", switches, COUNT_OF(switches), FIELD(report));
	assert_int_equal(parsed("TCPSHIM_REUSE", "gentle").reuse, REUSE_GENTLE);
	assert_int_equal(parsed("TCPSHIM_FORMAT", "json").format, FORMAT_JSON);
	assert_int_equal(parsed("TCPSHIM_COLOR", "never").color, COLOR_NEVER);
}

/* Seconds to wait: a whole number from 0 to 120, and nothing else. */
static void seconds(void **state)
{
	static const char *const wrong[] = {"121",
					    "999",
					    "-1",
					    "+1",
					    " 1",
					    "1 ",
					    "1.5",
					    "1s",
					    "0x1",
					    "4294967296",
					    "18446744073709551617",
					    "a",
					    ","};

	(void)state;
	for (unsigned int n = 0; n <= 120; n++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", n);
		assert_int_equal(parsed("TCPSHIM_WAIT", text).wait_seconds, n);
		assert_nothing_else(parsed("TCPSHIM_WAIT", text), FIELD(wait_seconds));
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_refused("TCPSHIM_WAIT", wrong[i]);
}

/* The log: a word, unix: with a path, or else a path; it points into the text itself. */
static void log_place(void **state)
{
	static const char *const paths[] = {
		"/var/log/%n.%p.json", "./off", ".x", "stderr.log", "UNIX:./x", "log%p", "/"};
	static const char *const words[] = {"1",   "on",     "true",  "yes",  "STDERR", "err",
					    "2",   "-",	     "unix",  "ring", "off ",	"UNIX:x",
					    "a,b", "events", "unix:", "ring:"};
	static const char unix_path[] = "unix:/run/collector", abstract[] = "unix:@name";
	(void)state;
	assert_int_equal(parsed("TCPSHIM_LOG", "off").log, LOG_OFF);
	assert_int_equal(parsed("TCPSHIM_LOG", "stderr").log, LOG_STDERR);
	assert_int_equal(parsed("TCPSHIM_LOG", "stdout").log, LOG_STDOUT);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		const struct settings set = parsed("TCPSHIM_LOG", paths[i]);

		assert_int_equal(set.log, LOG_FILE);
		assert_ptr_equal(set.log_path, paths[i]);
		assert_int_equal(set.log_path_len, strlen(paths[i]));
	}
	assert_int_equal(parsed("TCPSHIM_LOG", unix_path).log, LOG_UNIX);
	assert_ptr_equal(parsed("TCPSHIM_LOG", unix_path).log_path, unix_path + 5);
	assert_ptr_equal(parsed("TCPSHIM_LOG", abstract).log_path, abstract + 5);
	for (size_t i = 0; i < COUNT_OF(words); i++)
		assert_refused("TCPSHIM_LOG", words[i]);
}

/* Each row of sinks.def is understood as what it is, and told where a value was not. */
static void every_sink(void **state)
{
	const char *accepted = setting_named("TCPSHIM_LOG")->accepted;

	(void)state;
#define SINK(kind, word)                                                                           \
	assert_int_equal(parsed("TCPSHIM_LOG", word).log, LOG_##kind);                             \
	assert_non_null(strstr(accepted, word));
#define SINK_AT(kind, prefix)                                                                      \
	assert_int_equal(parsed("TCPSHIM_LOG", prefix "./x").log, LOG_##kind);                     \
	assert_refused("TCPSHIM_LOG", prefix);                                                     \
	assert_non_null(strstr(accepted, prefix));
#include "reuse/sinks.def"
}

/* What a value that is not understood probably meant is said between its name and the rest. */
static void what_was_meant(void **state)
{
	static const struct {
		const char *variable, *value, *said;
	} rows[] = {
		{"TCPSHIM_LOG", "1", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "on", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "true", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "yes", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "STDERR", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "err", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "2", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "-", ": stderr was probably meant"},
		{"TCPSHIM_LOG", "StdOut", ": stdout was probably meant"},
		{"TCPSHIM_LOG", "0", ": off was probably meant"},
		{"TCPSHIM_LOG", "events", ": if a file is meant, write ./events"},
		{"TCPSHIM_LOG", "errx", ": if a file is meant, write ./errx"},
		{"TCPSHIM_LOG", "unix:", ": a path is missing"},
		{"TCPSHIM_LOG", "ring:", ": a path is missing"},
		{"TCPSHIM_LOG", "ring::1M", ": a path is missing"},
		{"TCPSHIM_LOG", "ring:/x:xyz",
		 ": a size from 64K to 1024G was probably meant behind the last colon"},
		{"TCPSHIM_FORMAT", "JSON", ": json was probably meant"},
		{"TCPSHIM_REUSE", "1", ": auto was probably meant"},
		{"TCPSHIM_REUSEPORT", "yes", ": 1 was probably meant"},
		{"TCPSHIM_REPORT", "off", ": 0 was probably meant"},
		{"TCPSHIM_WAIT", "no", ": 0 was probably meant"},
		{"TCPSHIM_STACK", "False", ": 0 was probably meant"},
		{"TCPSHIM_COLOR", "1", ": always was probably meant"},
		{"TCPSHIM_COLOR", "pink", ""},
		{"TCPSHIM_WAIT", "121", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct setting *setting = setting_named(rows[i].variable);
		char got[1024], wanted[1024];
		struct out out = out_into(got, sizeof(got) - 1);

		settings_refuse(&out, "NAME", setting, rows[i].value);
		*out.at = '\0';
		snprintf(wanted, sizeof(wanted), "NAME=%s is not understood%s (accepted: %s)",
			 rows[i].value, rows[i].said, setting->accepted);
		assert_string_equal(got, wanted);
	}
}

/* The recorder: a path, and how large the file is to be. */
static void ring_place(void **state)
{
	static const struct {
		const char *text, *path;
		uint64_t size;
	} good[] = {
		{"ring:/run/x.ring", "/run/x.ring", 16 << 20},
		{"ring:r", "r", 16 << 20},
		{"ring:r:64K", "r", 65536},
		{"ring:r:65536", "r", 65536},
		{"ring:%n:1m", "%n", 1 << 20},
		{"ring:a:b:2G", "a:b", UINT64_C(2) << 30},
		{"ring:a:b.c", "a:b.c", 16 << 20},
		{"ring:a:%p", "a:%p", 16 << 20},
		{"ring:r:1.5M", "r:1.5M", 16 << 20},
		{"ring:r:1024G", "r", UINT64_C(1) << 40},
		{"ring:/a:1M/b", "/a:1M/b", 16 << 20},
	};
	static const char *const bad[] = {
		"ring:",
		"ring::1M",
		"ring:r:1",
		"ring:r:63K",
		"ring:r:65535",
		"ring:r:0",
		"ring:r:1Q",
		"ring:r:1025G",
		"ring:r:16MB",
		"ring:r:16 M",
		"ring:a:b",
		"ring:/x/y:xyz",
		"ring:r:",
		"ring:r:99999999999999",
		"ring:r:9999999999999G",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		const struct settings set = parsed("TCPSHIM_LOG", good[i].text);

		assert_int_equal(set.log, LOG_RING);
		assert_int_equal(set.ring_size, good[i].size);
		assert_int_equal(set.log_path_len, strlen(good[i].path));
		assert_memory_equal(set.log_path, good[i].path, set.log_path_len);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_refused("TCPSHIM_LOG", bad[i]);
}

struct range {
	unsigned int first, last;
};

/* A list of ports covers those that it names, and no others. */
static void ports(void **state)
{
	static const struct {
		const char *text;
		struct range ranges[4];
	} cases[] = {
		{"1", {{1, 1}}},
		{"65535", {{65535, 65535}}},
		{"9999,8000-8100", {{9999, 9999}, {8000, 8100}}},
		{"1-65535", {{1, 65535}}},
		{"63-64", {{63, 64}}},
		{"64-64", {{64, 64}}},
		{"65534-65535,1-2", {{65534, 65535}, {1, 2}}},
		{"80,80,80-80", {{80, 80}}},
		{"10-20,15-30,5-12,1", {{10, 20}, {15, 30}, {5, 12}, {1, 1}}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct settings set = parsed("TCPSHIM_PORTS", cases[i].text);

		for (unsigned int port = 0; port <= 65535; port++) {
			bool covered = false;

			for (size_t j = 0; j < COUNT_OF(cases[i].ranges); j++)
				covered |= cases[i].ranges[j].first &&
					   port >= cases[i].ranges[j].first &&
					   port <= cases[i].ranges[j].last;
			assert_int_equal(settings_port(&set, (uint16_t)port), covered);
		}
	}
}

/* A later list replaces an earlier one. */
static void ports_anew(void **state)
{
	struct settings set = parsed("TCPSHIM_PORTS", "80,443");

	(void)state;
	assert_true(setting_named("TCPSHIM_PORTS")->parse(&set, "22"));
	assert_true(settings_port(&set, 22));
	assert_false(settings_port(&set, 80));
	assert_false(settings_port(&set, 443));
}

/* What is no list of ports is refused, also where only its last part is none. */
static void no_ports(void **state)
{
	static const char *const texts[] = {
		",",	       "80,",	    ",80",
		"80,,81",      "0",	    "0-80",
		"65536",       "99999",	    "100000",
		"4294967376",  "-1",	    "-80",
		"80-",	       "-",	    "80-79",
		"80-0",	       "80-65536",  "1-2-3",
		"80--81",      " 80",	    "80 ",
		"80, 81",      "+80",	    "0x50",
		"80.0",	       "http",	    "8o",
		"80;81",       "80-81,x",   "80,0",
		"80\n",	       "1-65535,0", "80:81",
		"*",	       "all",	    "80 -81",
		"80\t",	       "\xc2\xb2",  "18446744073709551696",
		"65535-65536", "80/81",	    "8:",
		"8/",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_refused("TCPSHIM_PORTS", texts[i]);
}

/* A list of calls is the set of those that it names. */
static void calls(void **state)
{
	static const char variable[] = "TCPSHIM_CALLS";
	char all[512] = "";
	uint32_t every = 0;

	(void)state;
#define CALL(name, args, more)                                                                     \
	assert_int_equal(parsed(variable, #name).calls, CALL_BIT(CALL_##name));                    \
	every |= CALL_BIT(CALL_##name);                                                            \
	strcat(strcat(all, *all ? "," : ""), #name);
#define CARRIER(name) assert_refused(variable, #name);
#define ALIAS(name, call) assert_refused(variable, #name);
#define TWIN(name, call) ALIAS(name, call)
#include "reuse/calls.def"
	assert_int_equal(parsed(variable, all).calls, every);
	assert_int_equal(parsed(variable, "bind,listen,close").calls,
			 CALL_BIT(CALL_bind) | CALL_BIT(CALL_listen) | CALL_BIT(CALL_close));
	assert_int_equal(parsed(variable, "close,close").calls, CALL_BIT(CALL_close));
	assert_int_equal(parsed(variable, "accept4").calls, CALL_BIT(CALL_accept4));
	assert_nothing_else(parsed(variable, "bind"), FIELD(calls));

	static const char *const texts[] = {",",     "bind,",	    ",bind", "bind,,close", "Bind",
					    "bind ", "bind, close", "bin",   "bindx",	    "read",
					    "all",   "bind;close",  "bind,x"};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_refused(variable, texts[i]);
}

/* Lists of programs are kept as they are, where every part names something. */
static void lists(void **state)
{
	static const char *const texts[] = {"nginx", "nginx,redis-server", "a b", " ", "a,a"};
	static const char *const wrong[] = {",", "a,", ",a", "a,,b", ",,"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_ptr_equal(parsed("TCPSHIM_ONLY", texts[i]).only, texts[i]);
		assert_nothing_else(parsed("TCPSHIM_ONLY", texts[i]), FIELD(only));
		assert_ptr_equal(parsed("TCPSHIM_SKIP", texts[i]).skip, texts[i]);
		assert_nothing_else(parsed("TCPSHIM_SKIP", texts[i]), FIELD(skip));
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_refused("TCPSHIM_ONLY", wrong[i]);
		assert_refused("TCPSHIM_SKIP", wrong[i]);
	}
}

/* A program is in a list by its whole name, of which 15 bytes count on both sides. */
static void programs(void **state)
{
	static const struct {
		const char *list, *name;
		bool is_in;
	} cases[] = {
		{"nginx", "nginx", true},
		{"nginx", "nginy", false},
		{"nginx", "nginx2", false},
		{"nginx", "ngin", false},
		{"nginx", "Nginx", false},
		{"nginx", "", false},
		{"nginx,redis-server", "redis-server", true},
		{"nginx,redis-server", "nginx", true},
		{"nginx,redis-server", "nginx,redis-ser", false},
		{"a,b,c", "b", true},
		{"a,b,c", "c", true},
		{"a,b,c", "d", false},
		{"12345678901234", "12345678901234", true},
		{"12345678901234", "123456789012345", false},
		{"123456789012345", "123456789012345", true},
		{"1234567890123456", "123456789012345", true},
		{"123456789012345-and-more", "123456789012345", true},
		{"123456789012345", "123456789012345-and-more", true},
		{"123456789012345-this", "123456789012345-that", true},
		{"12345678901234x", "123456789012345", false},
		{"123456789012345", "12345678901234", false},
		{"x,123456789012345-and-more,y", "123456789012345", true},
		{"x,123456789012345-and-more,y", "y", true},
		{NULL, "nginx", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (settings_list_has(cases[i].list, cases[i].name) != cases[i].is_in)
			fail_msg("is %s in %s?", cases[i].name, cases[i].list);
}

/* The name needs no zero byte: /proc/PID/comm may fill its 15 bytes, or the event's 16. */
static void program_without_end(void **state)
{
	char *const name = memory_end(15) - 15;

	(void)state;
	memcpy(name, "123456789012345", 15);
	assert_true(settings_list_has("123456789012345", name));
	assert_true(settings_list_has("123456789012345678", name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_row),
		cmocka_unit_test(words),
		cmocka_unit_test(seconds),
		cmocka_unit_test(log_place),
		cmocka_unit_test(every_sink),
		cmocka_unit_test(what_was_meant),
		cmocka_unit_test(ring_place),
		cmocka_unit_test(ports),
		cmocka_unit_test(ports_anew),
		cmocka_unit_test(no_ports),
		cmocka_unit_test(calls),
		cmocka_unit_test(lists),
		cmocka_unit_test(programs),
		cmocka_unit_test(program_without_end),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
