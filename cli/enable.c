/* SPDX-License-Identifier: MIT */
/*
 * enable.c - tcpshim enable: a drop-in of systemd's that puts a service under libreuse.so.
 *
 * What shields the service stays as it is; only the log's own folder is opened to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "facts/settings.h"
#include "program/preload.h"
#include "program/reach.h"
#include "program/unit.h"
#include "run_options.h"

static const char me[] = "enable";

/* What a drop-in may hold. */
enum { MOST = 1 << 16 };

static int help(void)
{
	puts("Usage: tcpshim enable [OPTION...] UNIT\n"
	     "Make a drop-in that puts a service of systemd under libreuse.so. It counts from\n"
	     "the service's next start on; tcpshim disable UNIT takes it away.\n"
	     "\n"
	     "  --root=DIR            in the system in that folder\n"
	     "\n"
	     "Each of the others sets an environment variable of the service's:");
	run_options_list(RUN_UNIT);
	puts("\n"
	     "The exit status is 0, or 1 where the drop-in can't be made; 2 after wrong usage.");
	return STATUS_FINE;
}

/* The library's path as the service will see it. */
static bool find_library(const struct unit *unit, char library[PATH_MAX])
{
	char why[4 * PATH_MAX], real[PATH_MAX], there[2 * PATH_MAX];

	if (!preload_find(library, why)) {
		cli_say(me, "%s", why);
		return false;
	}
	if (*unit->root) {
		const size_t len = realpath(unit->root, real) ? strlen(real) : 0;

		if (len && strncmp(library, real, len) == 0 && library[len] == '/')
			memmove(library, library + len, strlen(library + len) + 1);
		snprintf(there, sizeof(there), "%s%s", unit->root, library);
		if (access(there, R_OK) < 0) {
			cli_say(me, "%s: %s; the library is to be installed there, too", there,
				strerror(errno));
			return false;
		}
	}
	return true;
}

/*
 * Of a setting's words the last that is that one, or begins with it where that ends with =: what is
 * behind. An empty value forgets those before.
 */
static bool last_word(const struct unit *unit, const char *setting, const char *begins,
		      struct out *ret)
{
	static char buffer[MOST];
	const char *at = unit->text, *value;
	const size_t begins_len = strlen(begins);
	size_t len;
	bool found = false;

	while ((value = unit_next(&at, setting, &len))) {
		const char *word_at = value;
		struct out word = out_into(buffer, sizeof(buffer));

		found = found && len;
		for (; unit_word(&word_at, value + len, &word); word.at = word.start) {
			if (out_len(&word) < begins_len ||
			    memcmp(word.start, begins, begins_len) != 0 ||
			    (begins[begins_len - 1] != '=' && out_len(&word) != begins_len))
				continue;
			found = true;
			ret->at = ret->start;
			out_mem(ret, word.start + begins_len, out_len(&word) - begins_len);
		}
	}
	return found;
}

/* As systemd reads it between double quotes. */
static void out_quoted(struct out *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\"\\", *text))
			out_char(out, '\\');
		if (*text == '%')
			out_char(out, '%');
		out_char(out, *text);
	}
}

static void out_environment(struct out *out, const struct unit *unit, const char *library,
			    const struct run_options *options)
{
	static char buffer[MOST];
	struct out before = out_into(buffer, sizeof(buffer));

	out_str(out, "Environment=\"LD_PRELOAD=");
	out_quoted(out, library);
	if (last_word(unit, "Environment", "LD_PRELOAD=", &before) && out_len(&before)) {
		out_char(out, ':');
		out_mem(out, before.start, out_len(&before));
	}
	out_str(out, "\"\n");
	for (unsigned int i = 0; i < settings_count; i++) {
		if (!options->values[i])
			continue;
		out_str(out, "Environment=\"");
		out_str(out, settings_table[i].variable);
		out_char(out, '=');
		out_quoted(out, options->values[i]);
		out_str(out, "\"\n");
	}
}

/* Has our own drop-in, made before, that line? */
static bool had(const struct unit *unit, const char *line)
{
	return unit->ours && strstr(unit->ours, line);
}

/*
 * The folder of the log: systemd makes one below /var/log that is not there yet, and gives it to
 * the unit's user. One that is there keeps its owner; it is opened to a unit that is shut off.
 */
static void out_folder(struct out *out, const struct unit *unit, const char *folder)
{
	static const char logs[] = "/var/log/";
	char line[PATH_MAX + 32], there[2 * PATH_MAX];
	const char *const shut[] = {"ProtectSystem", "DynamicUser", "ProtectHome", "ReadOnlyPaths"};

	snprintf(there, sizeof(there), "%s%s", unit->root, folder);
	if (strncmp(folder, logs, sizeof(logs) - 1) == 0 && !strpbrk(folder, ":\"'\\")) {
		snprintf(line, sizeof(line), "LogsDirectory=%s\n", folder + sizeof(logs) - 1);
		if (access(there, F_OK) < 0 || had(unit, line)) {
			out_str(out, line);
			return;
		}
	}
	for (size_t i = 0; i < sizeof(shut) / sizeof(shut[0]); i++) {
		if (!unit_has(unit, shut[i]))
			continue;
		out_str(out, "ReadWritePaths=\"-");
		out_quoted(out, folder);
		out_str(out, "\"\n");
		return;
	}
}

static bool is_below(const char *path, const char *folder)
{
	const size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && strchr("/", path[len]);
}

/* Without // and /./, as systemd wants it. False where it goes back by a .. or is / alone. */
static bool tidy(char *path)
{
	const char *at = path;
	char *to = path;

	while (*at) {
		const char *word = at + strspn(at, "/");
		const size_t len = strcspn(word, "/");

		at = word + len;
		if (len == 2 && memcmp(word, "..", 2) == 0)
			return false;
		if (!len || (len == 1 && *word == '.'))
			continue;
		*to++ = '/';
		memmove(to, word, len);
		to += len;
	}
	*to = '\0';
	return to > path;
}

/* False where the log can't be one of a unit's, which has been told. */
static bool out_log(struct out *out, const struct unit *unit, const struct settings *set)
{
	char folder[PATH_MAX];

	if (set->log != LOG_FILE && set->log != LOG_RING)
		return true;
	if (!set->log_path_len || set->log_path_len >= sizeof(folder) || *set->log_path != '/') {
		cli_usage(me, "--log: a service begins in no folder of yours; a path from / on is "
			      "to be given");
		return false;
	}
	memcpy(folder, set->log_path, set->log_path_len);
	folder[set->log_path_len] = '\0';
	if (!tidy(folder)) {
		cli_usage(me, "--log: the path of a file is to be given, and with no .. in it");
		return false;
	}
	*strrchr(folder, '/') = '\0';
	if (strpbrk(folder, "% \t") || is_below(folder, "/dev"))
		return true;
	if (*folder && strcmp(folder, "/var/log") != 0)
		out_folder(out, unit, folder);
	else
		cli_say(me, "only root makes files in %s/; /var/log/NAME/FILE is made for the unit",
			folder);
	return true;
}

static void warn_of_place(const char *library)
{
	static const char *const hidden[] = {"/home", "/root", "/tmp"};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (is_below(library, hidden[i]))
			cli_say(me, "%s: many services see no %s; make install puts it elsewhere",
				library, hidden[i]);
}

/* What the unit forbids that an event wants to know. */
static void warn_of_families(const struct unit *unit, const struct settings *set)
{
	const char *at = unit->text, *value;
	size_t len;
	bool allows = true;

	while ((value = unit_next(&at, "RestrictAddressFamilies", &len)))
		allows = !len || *value == '~' || memmem(value, len, "AF_NETLINK", 10);
	if (set->log != LOG_OFF && !allows)
		cli_say(me,
			"%s: RestrictAddressFamilies= without AF_NETLINK: what becomes of a "
			"connection after its close is not known",
			unit->name);
}

static void warn_of_mask(const struct unit *unit)
{
	if (unit->masked)
		cli_say(me, "%s is masked: it does not start until systemctl unmask %s", unit->name,
			unit->name);
}

static void warn_of_unset(const struct unit *unit)
{
	char behind[1];
	struct out none = out_into(behind, sizeof(behind));

	if (last_word(unit, "UnsetEnvironment", "LD_PRELOAD", &none))
		cli_say(me,
			"%s: UnsetEnvironment= takes LD_PRELOAD away: the library is not loaded",
			unit->name);
}

static void warn_of_program(const struct unit *unit, const char *library)
{
	const char *at = unit->text, *value;
	char path[PATH_MAX];
	size_t len;
	enum reach reach;

	while (!*unit->root && (value = unit_next(&at, "ExecStart", &len))) {
		value += strspn(value, "@-:+!");
		len = strcspn(value, " \t\n");
		if (*value != '/' || len >= sizeof(path))
			continue;
		memcpy(path, value, len);
		path[len] = '\0';
		reach = reach_of(path, library);
		if (reach != REACH_YES)
			cli_say(me, "%s %s: %s", path, reach_words(reach), reach_effect(reach));
	}
}

/* Nobody sees a half of it. */
static bool write_drop_in(const struct unit *unit, const struct out *text)
{
	char folder[2 * PATH_MAX], fresh[2 * PATH_MAX + 16];
	FILE *file;
	bool good;

	snprintf(folder, sizeof(folder), "%s", unit->drop_in);
	*strrchr(folder, '/') = '\0';
	snprintf(fresh, sizeof(fresh), "%s/.tcpshim", folder);
	unlink(fresh);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
		cli_say(me, "%s: %s", folder, strerror(errno));
		return false;
	}
	file = fopen(fresh, "wxe");
	good = file && fwrite(text->start, 1, out_len(text), file) == out_len(text);
	good = (!file || fclose(file) == 0) && good && chmod(fresh, 0644) == 0 &&
	       rename(fresh, unit->drop_in) == 0;
	if (!good) {
		cli_say(me, "%s: %s", unit->drop_in, strerror(errno));
		unlink(fresh);
	}
	return good;
}

static int enable(const struct unit *unit, const struct run_options *options)
{
	static struct settings set;
	static char buffer[MOST];
	struct out text = out_into(buffer, sizeof(buffer));
	char library[PATH_MAX];

	settings_init(&set);
	for (unsigned int i = 0; i < settings_count; i++) {
		const char *value = options->values[i];

		for (const char *at = value; at && *at; at++)
			if (*at > 0 && *at < ' ')
				return cli_usage(me, "a unit's file holds no control characters");
		if (value)
			settings_table[i].parse(&set, value);
	}
	if (unit->taken) {
		cli_say(me, "%s is none of tcpshim's: it is not replaced", unit->drop_in);
		return STATUS_NO;
	}
	if (!find_library(unit, library))
		return STATUS_NO;
	out_str(&text, UNIT_MARK "; tcpshim disable takes it away.\n[Service]\n");
	out_environment(&text, unit, library, options);
	if (!out_log(&text, unit, &set))
		return STATUS_USAGE;
	if (text.truncated) {
		cli_say(me, "that is more than a drop-in should hold");
		return STATUS_NO;
	}
	if (!write_drop_in(unit, &text))
		return STATUS_NO;
	warn_of_place(library);
	warn_of_families(unit, &set);
	warn_of_mask(unit);
	warn_of_unset(unit);
	warn_of_program(unit, library);
	printf("made %s\n", unit->drop_in);
	unit_reload(unit);
	if (!*unit->root)
		printf("systemctl restart %s: from then on\n", unit->name);
	return STATUS_FINE;
}

static int enable_named(const struct run_options *options)
{
	struct unit unit;
	char why[PATH_MAX];
	int status = STATUS_NO;

	if (unit_find(&unit, options->command[0], options->root ? options->root : "", why))
		status = enable(&unit, options);
	else
		cli_say(me, "%s", why);
	unit_forget(&unit);
	return status;
}

static int enable_one(const struct run_options *options)
{
	if (options->command[1])
		return cli_usage(me, "one UNIT is to be given");
	return enable_named(options);
}

int enable_main(int argc, char **argv)
{
	return run_options_main(&(struct run_subcommand){RUN_UNIT, me, help, enable_one}, argc,
				argv);
}
