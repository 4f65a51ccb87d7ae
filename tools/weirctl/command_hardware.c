/* SPDX-License-Identifier: BSD-3-Clause */
/* weirctl hardware: what the NICs' own limits are, and whether they hold. */
#include "tools/weirctl/client.h"
#include "tools/weirctl/command.h"
#include "tools/weirctl/format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATH         "/v1/hardware"

/* Of a shared queue's classes, so many are named. --json names all. */
#define NAMES_SHOWN 3U

/* What every port and every queue of an answer must have. */
static const struct member {
	const char *key;
	char type; /* s: string, S: or null; n: whole number, at least 0, N: or null; b: true, false
	            */
} port_members[] =
    {
        {"name", 's'},
        {"driver", 's'},
        {"limiter", 's'},
        {"reason", 'S'},
        {"interface", 'S'},
        {"required", 'b'},
        {"state", 's'},
        {"changing", 'b'},
        {"link_bit_s", 'N'},
        {"counters_help", 'S'},
        {"sent_frames", 'N'},
        {"sent_wire_bytes", 'N'},
        {"charged_frames", 'n'},
        {"charged_wire_bytes", 'n'},
        {"port_programmed_bit_s", 'N'},
        {"test", 'S'},
        {"verdict", 's'},
        {"alarm", 'b'},
},
  queue_members[] =
      {
          {"queue", 'n'},          {"asked_bit_s", 'N'},    {"programmed_bit_s", 'N'},
          {"measured_bit_s", 'N'}, {"waiting_frames", 'n'}, {"tested", 'S'},
          {"verdict", 's'},        {"alarm", 'b'},
},
  meter_members[] = {
      {"rate_bit_s", 'n'},
      {"passed_frames", 'N'},
      {"dropped_frames", 'N'},
};

static bool
is_of_type(const json_t *value, char type)
{
	switch (type) {
	case 'S':
		return json_is_null(value) || json_is_string(value);
	case 's':
		return json_is_string(value);
	case 'N':
		if (json_is_null(value))
			return true;
		__attribute__((fallthrough));
	case 'n':
		return json_is_integer(value) && json_integer_value(value) >= 0;
	default:
		return json_is_boolean(value);
	}
}

static int
check_members(const json_t *object, const char *list, const struct member *members,
              size_t n_members, struct weir_error *error)
{
	for (size_t i = 0; i < n_members; i++)
		if (!is_of_type(json_object_get(object, members[i].key), members[i].type))
			return weir_error_set(error, -EPROTO, PATH ": %s: %s: missing or wrong",
			                      list, members[i].key);
	return 0;
}

static int
check_strings(const json_t *list, const char *key, struct weir_error *error)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list))
		return weir_error_set(error, -EPROTO, PATH ": %s: expected a list", key);
	json_array_foreach (list, i, item)
		if (!json_is_string(item))
			return weir_error_set(error, -EPROTO, PATH ": %s: expected strings", key);
	return 0;
}

static int
check_port(const json_t *port, struct weir_error *error)
{
	const json_t *queues = json_object_get(port, "queues"), *item;
	const json_t *quirks = json_object_get(port, "quirks");
	const json_t *meter = json_object_get(port, "meter");
	size_t i;

	if (check_members(port, "ports", port_members, COUNT(port_members), error) < 0)
		return -EPROTO;
	if (!json_is_null(meter) &&
	    check_members(meter, "meter", meter_members, COUNT(meter_members), error) < 0)
		return -EPROTO;
	if (!json_is_array(queues) || !json_is_array(quirks))
		return weir_error_set(error, -EPROTO,
		                      PATH ": ports: queues, quirks: expected lists");
	json_array_foreach (quirks, i, item)
		if (!json_is_string(json_object_get(item, "help")) ||
		    !json_is_string(json_object_get(item, "name")))
			return weir_error_set(error, -EPROTO,
			                      PATH ": quirks: expected names and help");
	json_array_foreach (queues, i, item) {
		if (check_members(item, "queues", queue_members, COUNT(queue_members), error) < 0 ||
		    check_strings(json_object_get(item, "classes"), "classes", error) < 0)
			return -EPROTO;
	}
	return 0;
}

/* Asks, and checks the answer. NULL with a line in error. */
static json_t *
get_hardware(const char *socket, struct weir_error *error)
{
	struct weir_answer answer = {0};
	json_t *json = NULL;
	const json_t *port;
	bool bad = false;
	size_t i;

	if (weir_client_get(socket, PATH, &answer, error) != 0)
		return NULL;
	if (answer.code != 200)
		(void)weir_answer_refused(&answer, PATH, error);
	else
		json = weir_answer_json(&answer, PATH, error);
	weir_answer_free(&answer);
	if (json == NULL)
		return NULL;
	if (!json_is_array(json_object_get(json, "ports")))
		bad = weir_error_set(error, -EPROTO, PATH ": ports: expected a list") < 0;
	json_array_foreach (json_object_get(json, "ports"), i, port)
		bad = bad || check_port(port, error) < 0;
	if (!bad)
		return json;
	json_decref(json);
	return NULL;
}

static const char *
text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static uint64_t
number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static struct weir_format
rate(const json_t *object, const char *key)
{
	struct weir_format none = {"-"};

	return json_is_null(json_object_get(object, key)) ? none
	                                                  : weir_format_rate(number(object, key));
}

static void
put(const char *string)
{
	weir_text_put(stdout, string, strlen(string), false);
}

static void
print_ports(const json_t *ports)
{
	static const struct weir_column columns[] = {
	    {"PORT", false},    {"STATE", false}, {"LINK", true},    {"DRIVER", false},
	    {"LIMITER", false}, {"LIMIT", true},  {"SENT", true},    {"FRAMES", true},
	    {"CHARGED", true},  {"FRAMES", true}, {"VERDICT", false}};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));
	const json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		bool counted = json_is_integer(json_object_get(port, "sent_frames"));

		weir_table_cell(table, "%s", text(port, "name"));
		weir_table_cell(table, "%s", text(port, "state"));
		weir_table_cell(table, "%s", rate(port, "link_bit_s").text);
		weir_table_cell(table, "%s", text(port, "driver"));
		weir_table_cell(table, "%s%s", text(port, "limiter"),
		                json_is_true(json_object_get(port, "required")) ? ", required"
		                                                                : "");
		weir_table_cell(table, "%s", rate(port, "port_programmed_bit_s").text);
		if (counted) {
			weir_table_cell(table, "%s",
			                weir_format_bytes(number(port, "sent_wire_bytes")).text);
			weir_table_cell(table, "%" PRIu64, number(port, "sent_frames"));
		} else {
			weir_table_cell(table, "-");
			weir_table_cell(table, "-");
		}
		weir_table_cell(table, "%s",
		                weir_format_bytes(number(port, "charged_wire_bytes")).text);
		weir_table_cell(table, "%" PRIu64, number(port, "charged_frames"));
		weir_table_cell(table, "%s", text(port, "verdict"));
	}
	weir_table_print(table, stdout);
}

static void
print_note(const json_t *port, const char *about, const char *what, bool *first)
{
	if (what == NULL)
		return;
	printf("%s", *first ? "\n" : "");
	put(text(port, "name"));
	printf(": %s: ", about);
	put(what);
	putchar('\n');
	*first = false;
}

/* The policer behind all queues, which should never have to drop. */
static void
print_meter(const json_t *port, bool *first)
{
	const json_t *meter = json_object_get(port, "meter");
	char line[128];

	if (json_is_null(meter))
		return;
	if (json_is_null(json_object_get(meter, "dropped_frames")))
		snprintf(line, sizeof(line), "%s for the port; it can't be read",
		         rate(meter, "rate_bit_s").text);
	else
		snprintf(line, sizeof(line),
		         "%s for the port; frames let through: %" PRIu64 ", dropped: %" PRIu64,
		         rate(meter, "rate_bit_s").text, number(meter, "passed_frames"),
		         number(meter, "dropped_frames"));
	print_note(port, "its meter", line, first);
}

/* What a test of the port's limits said, and of how many it says nothing by now. */
static void
print_test(const json_t *port, bool *first)
{
	const char *test = text(port, "test");
	const json_t *queue;
	char line[128];
	size_t i, n = 0;

	json_array_foreach (json_object_get(port, "queues"), i, queue)
		n += text(queue, "tested") != NULL && strcmp(text(queue, "tested"), "no") == 0;
	if (test == NULL || strcmp(test, "running") == 0 || n == 0) {
		print_note(port, "test of its limits", test, first);
		return;
	}
	snprintf(line, sizeof(line),
	         "%.16s; limits in force that were not tested (TESTED: no): %zu", test, n);
	print_note(port, "test of its limits", line, first);
}

/* Why a port is soft, or what limits it, and what its driver is known to do. */
static void
print_notes(const json_t *ports)
{
	const json_t *port, *quirk;
	bool first = true;
	size_t i, k;

	json_array_foreach (ports, i, port) {
		print_note(port, "not in hardware", text(port, "reason"), &first);
		print_note(port, "in hardware", text(port, "interface"), &first);
		if (json_is_true(json_object_get(port, "changing")))
			print_note(port, "in hardware",
			           "a new policy's limits wait until its queues are empty; below "
			           "are those of before",
			           &first);
		print_meter(port, &first);
		print_test(port, &first);
		print_note(port, "sent", text(port, "counters_help"), &first);
		if (strcmp(text(port, "limiter"), "soft") == 0)
			continue;
		json_array_foreach (json_object_get(port, "quirks"), k, quirk)
			print_note(port, "known of its driver", text(quirk, "help"), &first);
	}
}

/* "api, logs, ssh and 12 more" */
static void
name_classes(struct weir_table *table, const json_t *classes)
{
	size_t n = json_array_size(classes), used = 0;
	char line[1024] = "";

	for (size_t i = 0; i < n && i < NAMES_SHOWN && used < sizeof(line); i++)
		used +=
		    (size_t)snprintf(line + used, sizeof(line) - used, "%s%s", i == 0 ? "" : ", ",
		                     json_string_value(json_array_get(classes, i)));
	if (n > NAMES_SHOWN)
		weir_table_cell(table, "%s and %zu more", line, n - NAMES_SHOWN);
	else
		weir_table_cell(table, "%s", n == 0 ? "-" : line);
}

static void
print_queues(const json_t *ports)
{
	static const struct weir_column columns[] = {
	    {"PORT", false},   {"QUEUE", true},      {"CLASSES", false},
	    {"ASKED", true},   {"PROGRAMMED", true}, {"MEASURED", true},
	    {"WAITING", true}, {"TESTED", false},    {"VERDICT", false},
	};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));
	const json_t *port, *queue;
	size_t i, k;

	json_array_foreach (ports, i, port) {
		json_array_foreach (json_object_get(port, "queues"), k, queue) {
			weir_table_cell(table, "%s", text(port, "name"));
			weir_table_cell(table, "%" PRIu64, number(queue, "queue"));
			name_classes(table, json_object_get(queue, "classes"));
			weir_table_cell(table, "%s", rate(queue, "asked_bit_s").text);
			weir_table_cell(table, "%s", rate(queue, "programmed_bit_s").text);
			weir_table_cell(table, "%s", rate(queue, "measured_bit_s").text);
			weir_table_cell(table, "%" PRIu64, number(queue, "waiting_frames"));
			weir_table_cell(table, "%s",
			                text(queue, "tested") == NULL ? "-"
			                                              : text(queue, "tested"));
			weir_table_cell(table, "%s", text(queue, "verdict"));
		}
	}
	weir_table_print(table, stdout);
}

static bool
has_alarm(const json_t *ports)
{
	const json_t *port, *queue;
	bool alarm = false;
	size_t i, k;

	json_array_foreach (ports, i, port) {
		alarm = alarm || json_is_true(json_object_get(port, "alarm"));
		json_array_foreach (json_object_get(port, "queues"), k, queue)
			alarm = alarm || json_is_true(json_object_get(queue, "alarm"));
	}
	return alarm;
}

enum weir_exit
weir_command_hardware(const struct weir_options *options)
{
	struct weir_error error;
	json_t *json = get_hardware(options->socket, &error), *ports;
	bool alarm;

	if (json == NULL)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	ports = json_object_get(json, "ports");
	alarm = has_alarm(ports);
	if (options->json) {
		weir_command_print_json(json, false);
		return alarm ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
	}
	print_ports(ports);
	print_notes(ports);
	putchar('\n');
	print_queues(ports);
	json_decref(json);
	return alarm ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}
