/* SPDX-License-Identifier: BSD-3-Clause */
/* From a device text to a model, to a port in the table, and back. */
#include "drivers/port_device.h"
#include "tests/nic/model_family.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_kvargs.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX           "model"
#define RING_PORT_PREFIX "net_ring_"
#define RX_RING_FRAMES   1024U
#define RING_ALIGN       64U
#define QUEUES_DEFAULT   16U
#define DESCRIPTORS      512U
#define DESCRIPTORS_MAX  4096U
#define SPEED_MBIT_S     10000U
#define MBIT_PER_GBIT    1000U
#define SPEED_MAX_MBIT_S 400000U
#define VALUE_SIZE       64U

/* The one thing here that is not a model's own. */
static struct weir_model *models[RTE_MAX_ETHPORTS];

struct weir_model *
weir_model_of(uint16_t port_id)
{
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (models[i] != NULL && models[i]->attached && models[i]->port_id == port_id)
			return models[i];
	}
	return NULL;
}

struct weir_model *
weir_model_find(const char *name)
{
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (models[i] != NULL && strcmp(models[i]->config.name, name) == 0)
			return models[i];
	}
	return NULL;
}

void
weir_model_advance_all(uint64_t now_ns)
{
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (models[i] != NULL)
			weir_model_advance(models[i], now_ns);
	}
}

bool
weir_model_is(const char *device)
{
	size_t prefix = strlen(PREFIX);

	return strncmp(device, PREFIX, prefix) == 0 && device[prefix] >= '0' &&
	       device[prefix] <= '9';
}

/* Text of a key, or "". */
static void
get_text(const struct rte_kvargs *arguments, const char *key, char value[VALUE_SIZE])
{
	const char *found = arguments != NULL ? rte_kvargs_get(arguments, key) : NULL;

	snprintf(value, VALUE_SIZE, "%s", found != NULL ? found : "");
}

static int
get_number(const struct rte_kvargs *arguments, const char *key, uint32_t least, uint32_t most,
           uint32_t *number)
{
	char value[VALUE_SIZE], *end;
	unsigned long read;

	get_text(arguments, key, value);
	if (value[0] == '\0')
		return 0;
	errno = 0;
	read = strtoul(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || read < least || read > most)
		return -EINVAL;
	*number = (uint32_t)read;
	return 0;
}

/* "10G", "2500M", "100M". */
static int
get_speed(const struct rte_kvargs *arguments, uint32_t *mbit_s)
{
	char value[VALUE_SIZE], *end;
	unsigned long number;

	get_text(arguments, "speed", value);
	if (value[0] == '\0')
		return 0;
	number = strtoul(value, &end, 10);
	if ((strcmp(end, "G") != 0 && strcmp(end, "M") != 0) || number == 0 ||
	    number > SPEED_MAX_MBIT_S)
		return -EINVAL;
	*mbit_s = (uint32_t)number * (*end == 'G' ? MBIT_PER_GBIT : 1);
	/* A byte takes a whole number of picoseconds. */
	return *mbit_s <= SPEED_MAX_MBIT_S && 8 * WEIR_MODEL_MBIT % *mbit_s == 0 ? 0 : -EINVAL;
}

/* Place of a value in a list of words that NULL ends. */
static int
get_word(const struct rte_kvargs *arguments, const char *key, const char *const *words,
         unsigned int *place)
{
	char value[VALUE_SIZE];

	get_text(arguments, key, value);
	if (value[0] == '\0')
		return 0;
	for (unsigned int i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], value) == 0) {
			*place = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
get_family(const struct rte_kvargs *arguments, struct weir_model_config *config)
{
	char value[VALUE_SIZE];

	get_text(arguments, "family", value);
	config->family = weir_model_family_find(value[0] != '\0' ? value : "plain");
	return config->family != NULL ? 0 : -EINVAL;
}

/* Which key is wrong, or NULL. */
static const char *
read_arguments(const struct rte_kvargs *arguments, struct weir_model_config *config)
{
	static const char *const completions[] = {"driver",  "none",     "exact", "bit",
	                                          "rounded", "absolute", NULL};
	static const char *const counts[] = {"wire", "fcs", "frame", NULL};
	static const char *const counters[] = {"frame", "fcs", NULL};
	static const char *const events[] = {"0", "1", NULL};
	static const uint32_t clocks_hz[] = {367647059, 416666667, 446428571, 390625000};
	uint32_t queues = QUEUES_DEFAULT, rx_queues, descriptors = DESCRIPTORS, clock = 2;
	unsigned int completion = 0, counted = 0, shown = 0, event = 1;

	config->window_bytes = UINT32_MAX;
	config->speed_mbit_s = SPEED_MBIT_S;
	if (get_family(arguments, config) != 0)
		return "family";
	if (get_number(arguments, "queues", 1, WEIR_MODEL_QUEUES_MAX, &queues) != 0)
		return "queues";
	rx_queues = queues < WEIR_MODEL_RX_QUEUES_MAX ? queues : WEIR_MODEL_RX_QUEUES_MAX;
	if (get_number(arguments, "rx_queues", 1, WEIR_MODEL_RX_QUEUES_MAX, &rx_queues) != 0)
		return "rx_queues";
	if (get_number(arguments, "descriptors", 64, DESCRIPTORS_MAX, &descriptors) != 0)
		return "descriptors";
	if (get_number(arguments, "window", 0, UINT32_MAX - 1, &config->window_bytes) != 0)
		return "window";
	if (get_number(arguments, "clock", 0, 3, &clock) != 0)
		return "clock";
	if (get_speed(arguments, &config->speed_mbit_s) != 0)
		return "speed";
	if (get_word(arguments, "completions", completions, &completion) != 0)
		return "completions";
	if (get_word(arguments, "counts", counts, &counted) != 0)
		return "counts";
	if (get_word(arguments, "counters", counters, &shown) != 0)
		return "counters";
	if (get_word(arguments, "events", events, &event) != 0)
		return "events";
	config->queues = (uint16_t)queues;
	config->rx_queues = (uint16_t)rx_queues;
	config->descriptors = (uint16_t)descriptors;
	config->clock_hz = clocks_hz[clock];
	config->completion = (enum weir_model_completion)completion;
	config->counts = (enum weir_model_bytes)counted;
	config->counters_fcs = shown == 1;
	config->link_events = event == 1;
	return NULL;
}

int
weir_model_parse(const char *device, struct weir_model_config *config, char *error,
                 size_t error_size)
{
	static const char *const keys[] = {
	    "family", "queues",      "rx_queues", "descriptors", "window",  "clock",  "speed",
	    "iface",  "completions", "counts",    "counters",    "control", "events", NULL};
	size_t length = strcspn(device, ",");
	struct rte_kvargs *arguments = NULL;
	const char *wrong = NULL;

	memset(config, 0, sizeof(*config));
	snprintf(config->name, sizeof(config->name), "%.*s", (int)length, device);
	if (device[length] == ',') {
		arguments = rte_kvargs_parse(device + length + 1, keys);
		wrong = arguments == NULL ? "a key" : NULL;
	}
	if (wrong == NULL)
		wrong = read_arguments(arguments, config);
	rte_kvargs_free(arguments);
	if (wrong == NULL)
		return 0;
	snprintf(error, error_size, "device %s: %s is not one of a model's", device, wrong);
	return -EINVAL;
}

static struct rte_ring *
make_rx_ring(void)
{
	ssize_t bytes = rte_ring_get_memsize(RX_RING_FRAMES);
	struct rte_ring *ring =
	    aligned_alloc(RING_ALIGN, RTE_ALIGN_CEIL((size_t)bytes, RING_ALIGN));

	if (ring != NULL &&
	    rte_ring_init(ring, "model_rx", RX_RING_FRAMES, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
		free(ring);
		return NULL;
	}
	return ring;
}

/* A ring port takes 16 send queues; the model's others are not known to it (wraps.c). */
static int
make_port(struct weir_model *nic)
{
	struct rte_ring *rings[RTE_PMD_RING_MAX_TX_RINGS] = {NULL};
	unsigned int n = RTE_MIN((unsigned int)nic->config.queues, (unsigned int)RTE_DIM(rings));
	int port;

	for (unsigned int q = 0; q < n; q++)
		rings[q] = nic->queues[q].ring;
	for (uint16_t q = 0; q < nic->config.rx_queues; q++) {
		nic->rx_rings[q] = make_rx_ring();
		if (nic->rx_rings[q] == NULL)
			return -ENOMEM;
	}
	port = rte_eth_from_rings(nic->config.name, nic->rx_rings, nic->config.rx_queues, rings, n,
	                          rte_socket_id());
	if (port < 0)
		return -ENODEV;
	nic->port_id = (uint16_t)port;
	nic->attached = true;
	return 0;
}

static int
enter(struct weir_model *nic)
{
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (models[i] == NULL) {
			models[i] = nic;
			return 0;
		}
	}
	return -ENOSPC;
}

int
weir_model_probe(const char *device, uint16_t *port_id, char *error, size_t error_size)
{
	struct weir_model_config config;
	struct weir_model *nic;
	int result = weir_model_parse(device, &config, error, error_size);

	if (result != 0)
		return result;
	if (weir_model_find(config.name) != NULL) {
		snprintf(error, error_size, "device %s: two ports of one name", config.name);
		return -EEXIST;
	}
	nic = weir_model_new(&config);
	result = nic == NULL ? -ENOMEM : make_port(nic);
	if (result == 0)
		result = enter(nic);
	if (result == 0) {
		*port_id = nic->port_id;
		return 0;
	}
	snprintf(error, error_size, "device %s: %s", device, strerror(-result));
	if (nic != NULL)
		weir_model_free(nic);
	return result;
}

void
weir_model_remove(const char *device)
{
	char name[WEIR_NAME_SIZE], port[sizeof(name) + sizeof(RING_PORT_PREFIX)];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	snprintf(port, sizeof(port), RING_PORT_PREFIX "%s", name);
	(void)rte_eal_hotplug_remove("vdev", port);
	for (unsigned int i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (models[i] == NULL || strcmp(models[i]->config.name, name) != 0)
			continue;
		weir_model_free(models[i]);
		models[i] = NULL;
	}
}
