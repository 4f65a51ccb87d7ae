/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control thread does about a port's link. Linked with --wrap: ports and workers are ours.
 */
#include "control/hardware.h"
#include "control/watch.h"
#include "tests/unit/harness.h"

#include <string.h>

#define PORT_ID    3U
#define CLASSES    (WEIR_WATCH_STARVED_MAX + 4U)
#define FIRST_SLOT 7U

static struct {
	bool up;
	uint32_t downs;
	bool quiescent;
	int restart_result;
	uint32_t restarts;
	bool used; /* by workers, as they were last told */
	uint64_t fences;
	uint32_t speed_mbit_s;
	int program_result;
	bool programmed; /* since it was last forgotten */
	bool blinks;     /* while it is programmed */
	uint32_t programs, cuts, stops, emptied;
	struct weir_class_totals totals; /* of each class */
} world;

bool __wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s);
uint32_t __wrap_weir_port_downs(const struct weir_port *port);
int __wrap_weir_port_restart(struct weir_port *port);
void __wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up);
void __wrap_weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id);
uint64_t __wrap_weir_dataplane_fence(struct weir_dataplane *dataplane);
bool __wrap_weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id,
                                uint64_t token);
bool __wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait);

void __wrap_weir_dataplane_class_totals(const struct weir_dataplane *dataplane, uint32_t slot,
                                        struct weir_class_totals *totals);
void __wrap_weir_port_stop(struct weir_port *port);
void __wrap_weir_port_cut(const struct weir_port *port);
int __wrap_weir_hardware_program(struct weir_appliance *appliance, uint32_t port, char *error);
void __wrap_weir_hardware_forget(struct weir_appliance *appliance, uint32_t port);

bool
__wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s)
{
	(void)port;
	*speed_mbit_s = world.speed_mbit_s;
	return world.up;
}

uint32_t
__wrap_weir_port_downs(const struct weir_port *port)
{
	(void)port;
	return world.downs;
}

int
__wrap_weir_port_restart(struct weir_port *port)
{
	(void)port;
	/* Never while a worker may be at it. */
	CU_ASSERT(!world.used && world.quiescent);
	CU_ASSERT(!world.programmed);
	world.restarts++;
	return world.restart_result;
}

void
__wrap_weir_port_stop(struct weir_port *port)
{
	CU_ASSERT(!world.used && world.quiescent);
	port->started = false;
	world.stops++;
}

void
__wrap_weir_port_cut(const struct weir_port *port)
{
	CU_ASSERT_EQUAL(port->port_id, PORT_ID);
	world.cuts++;
}

int
__wrap_weir_hardware_program(struct weir_appliance *appliance, uint32_t port, char *error)
{
	/* Its link is up, its speed is known, and nobody uses it yet. */
	CU_ASSERT(world.up && !world.used && port == 0);
	CU_ASSERT_EQUAL(appliance->port_speed_mbit_s[0], world.speed_mbit_s);
	world.programs++;
	world.downs += world.blinks ? 1 : 0;
	world.programmed = world.program_result == 0;
	if (world.program_result < 0)
		snprintf(error, WEIR_ERROR_SIZE, "port out0: no limits");
	return world.program_result;
}

void
__wrap_weir_hardware_forget(struct weir_appliance *appliance, uint32_t port)
{
	(void)appliance;
	(void)port;
	world.programmed = false;
}

void
__wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(port_id, PORT_ID);
	CU_ASSERT(!up || world.programmed);
	world.used = up;
}

void
__wrap_weir_dataplane_rings_emptied(struct weir_dataplane *dataplane, uint16_t port_id)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(port_id, PORT_ID);
	/* Once for each start or stop that has emptied them. */
	CU_ASSERT(!world.used && world.quiescent);
	world.emptied++;
}

uint64_t
__wrap_weir_dataplane_fence(struct weir_dataplane *dataplane)
{
	(void)dataplane;
	/* A token counts for what was stored before it. */
	CU_ASSERT(!world.used);
	return ++world.fences;
}

bool
__wrap_weir_dataplane_left(const struct weir_dataplane *dataplane, uint16_t port_id, uint64_t token)
{
	(void)port_id;
	return __wrap_weir_dataplane_quiescent((struct weir_dataplane *)(uintptr_t)dataplane, token,
	                                       false);
}

bool
__wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(token, world.fences);
	CU_ASSERT(!wait);
	return world.quiescent;
}

void
__wrap_weir_dataplane_class_totals(const struct weir_dataplane *dataplane, uint32_t slot,
                                   struct weir_class_totals *totals)
{
	(void)dataplane;
	CU_ASSERT(slot >= FIRST_SLOT);
	*totals = world.totals;
}

static struct weir_appliance *
make_appliance(void)
{
	char error[WEIR_ERROR_SIZE];
	struct weir_appliance *appliance = calloc(1, sizeof(*appliance));

	CU_ASSERT_PTR_NOT_NULL_FATAL(appliance);
	appliance->events = weir_events_new(16);
	CU_ASSERT_PTR_NOT_NULL_FATAL(appliance->events);
	appliance->n_ports = 1;
	appliance->ports[0].port_id = PORT_ID;
	appliance->ports[0].started = true;
	snprintf(appliance->ports[0].config.name, WEIR_NAME_SIZE, "out0");
	memset(&world, 0, sizeof(world));
	world.up = true;
	world.quiescent = true;
	world.speed_mbit_s = 1000;
	CU_ASSERT_EQUAL_FATAL(weir_watch_first_links(appliance, error), 0);
	CU_ASSERT_EQUAL(appliance->port_watch[0].state, WEIR_PORT_UP);
	CU_ASSERT(world.used);
	return appliance;
}

static void
free_appliance(struct weir_appliance *appliance)
{
	weir_events_free(appliance->events);
	free(appliance);
}

/* One look. Returns the state after it. */
static enum weir_port_state
look(struct weir_appliance *appliance)
{
	weir_watch_links(appliance);
	return appliance->port_watch[0].state;
}

/* Whether event number n is of that kind; NULL: there is none. */
static bool
event_is(struct weir_appliance *appliance, uint64_t number, const char *kind)
{
	struct weir_event event;

	if (!weir_events_get(appliance->events, number, &event))
		return kind == NULL;
	return kind != NULL && strcmp(event.kind, kind) == 0;
}

static void
test_down_and_up(void)
{
	struct weir_appliance *appliance = make_appliance();

	world.up = false;
	world.downs++; /* the driver tells it, too */
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT(!world.used);
	/* Workers take their time; a link that returns meanwhile changes nothing. */
	world.quiescent = false;
	world.up = true;
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(world.restarts, 0);
	CU_ASSERT_EQUAL(world.emptied, 0);
	world.quiescent = true;
	world.up = false;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	/* Workers hear of it although the link stays down. */
	CU_ASSERT_EQUAL(world.emptied, 1);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT(!world.used);
	world.downs++; /* of the restart itself, or of a flap: the rings are empty */
	world.up = true;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT(world.used);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(world.restarts, 1);
	CU_ASSERT(event_is(appliance, 1, "link_down"));
	CU_ASSERT(event_is(appliance, 2, "link_up"));
	CU_ASSERT(event_is(appliance, 3, NULL));
	free_appliance(appliance);
}

/* Down and up again between two looks: its rings are emptied all the same. */
static void
test_short_flap(void)
{
	struct weir_appliance *appliance = make_appliance();
	struct weir_event event;

	world.downs++;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT(!world.used);
	CU_ASSERT(weir_events_get(appliance->events, 1, &event));
	CU_ASSERT_STRING_EQUAL(event.kind, "link_down");
	CU_ASSERT_STRING_EQUAL(event.message, "port out0: link was down for a moment");
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(world.restarts, 1);
	CU_ASSERT(!world.used);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(world.restarts, 1);
	/* The next one is another. */
	world.downs++;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	free_appliance(appliance);
}

/* As the driver's interrupt does. */
static void
tell(struct weir_appliance *appliance)
{
	struct weir_port *port = &appliance->ports[0];

	world.downs++;
	CU_ASSERT_PTR_NOT_NULL_FATAL(port->changed);
	port->changed(port->changed_arg, PORT_ID);
}

/* Workers are off a port with the event, not with the look; also where both meet. */
static void
test_told(void)
{
	struct weir_appliance *appliance = make_appliance();

	tell(appliance);
	CU_ASSERT(!world.used);
	CU_ASSERT_EQUAL(world.programs, 1);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT(!world.used);
	/* One that comes before there is anything to clear. */
	world.blinks = true;
	(void)look(appliance);
	CU_ASSERT(!world.used);
	CU_ASSERT_EQUAL(world.programs, 2);
	world.blinks = false;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT(world.used);
	CU_ASSERT_EQUAL(world.restarts, 2);
	CU_ASSERT_EQUAL(world.programs, 3);
	weir_watch_end(appliance);
	CU_ASSERT_PTR_NULL(appliance->ports[0].changed);
	free_appliance(appliance);
}

/* All that is told counts once ten seconds have passed; and again after each time out of use. */
static void
test_settled(void)
{
	struct weir_appliance *appliance = make_appliance();

	for (int n = 0; n < 2; n++) {
		for (int i = 0; i < 199; i++)
			(void)look(appliance);
		CU_ASSERT(!appliance->ports[0].settled);
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
		CU_ASSERT(appliance->ports[0].settled);
		tell(appliance);
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
		CU_ASSERT(!appliance->ports[0].settled);
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	}
	free_appliance(appliance);
}

static void
test_restart_fails(void)
{
	struct weir_appliance *appliance = make_appliance();

	world.up = false;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT(event_is(appliance, 1, "link_down"));
	/* Not yet: no reason for an alarm. */
	world.restart_result = -EAGAIN;
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT(event_is(appliance, 2, NULL));
	/* A failure is told once, however often it is tried, and nothing is sent meanwhile. */
	world.restart_result = -EIO;
	world.up = true;
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(world.restarts, 6);
	CU_ASSERT_EQUAL(world.emptied, 0); /* for all that is known they are full */
	CU_ASSERT(!world.used);
	CU_ASSERT(event_is(appliance, 2, "port_failed"));
	CU_ASSERT(event_is(appliance, 3, NULL));
	world.restart_result = 0;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	free_appliance(appliance);
}

/* Another speed than before: there was no link in between, whoever noticed it. */
static void
test_speed(void)
{
	struct weir_appliance *appliance = make_appliance();
	struct weir_event event;

	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	world.speed_mbit_s = 10000;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT(!world.used);
	CU_ASSERT(weir_events_get(appliance->events, 1, &event));
	CU_ASSERT_STRING_EQUAL(event.kind, "link_down");
	CU_ASSERT_STRING_EQUAL(event.message,
	                       "port out0: link was down for a moment: its speed has "
	                       "changed from 1000 to 10000 Mbit/s");
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(world.restarts, 1);
	CU_ASSERT_EQUAL(world.programs, 2);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	free_appliance(appliance);
}

/* A port is not used before its limits are set. */
static void
test_limits(void)
{
	struct weir_appliance *appliance = make_appliance();
	char error[WEIR_ERROR_SIZE];

	world.up = false;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(world.programs, 1);
	world.up = true;
	world.program_result = -ENOTSUP;
	for (int i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(world.programs, 1 + 4); /* once a second */
	CU_ASSERT_EQUAL(world.restarts, 1);
	CU_ASSERT(event_is(appliance, 2, "limits_failed"));
	CU_ASSERT(event_is(appliance, 3, NULL));
	/* What is in force is not known: off and on first. */
	world.program_result = -EAGAIN;
	for (int i = 0; i < 21 && look(appliance) == WEIR_PORT_CLEAN; i++)
		;
	CU_ASSERT_EQUAL(appliance->port_watch[0].state, WEIR_PORT_DOWN);
	world.program_result = 0;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(world.restarts, 2);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);

	/* The first look: refused, or off and on first, or waiting for a link. */
	world.program_result = -ENOTSUP;
	world.used = false;
	CU_ASSERT_EQUAL(weir_watch_first_links(appliance, error), -ENOTSUP);
	CU_ASSERT_STRING_EQUAL(error, "port out0: no limits");
	CU_ASSERT(!world.used);
	world.program_result = -EAGAIN;
	CU_ASSERT_EQUAL(weir_watch_first_links(appliance, error), 0);
	CU_ASSERT_EQUAL(appliance->port_watch[0].state, WEIR_PORT_DOWN);
	world.up = false;
	CU_ASSERT_EQUAL(weir_watch_first_links(appliance, error), 0);
	CU_ASSERT_EQUAL(appliance->port_watch[0].state, WEIR_PORT_CLEAN);
	CU_ASSERT(!world.used);
	free_appliance(appliance);
}

static void
test_restart_asked(void)
{
	struct weir_appliance *appliance = make_appliance();

	world.quiescent = false;
	weir_watch_restart(appliance, 0, "stands still");
	CU_ASSERT(!world.used);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_DOWN);
	world.quiescent = true;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	CU_ASSERT_EQUAL(world.restarts, 1);
	CU_ASSERT(event_is(appliance, 1, "port_restart"));
	free_appliance(appliance);
}

/* Off at once, stopped when no worker is at it, and never used again. */
static void
test_breach(void)
{
	struct weir_appliance *appliance = make_appliance();

	world.quiescent = false;
	weir_watch_breach(appliance, 0);
	CU_ASSERT(!world.used);
	CU_ASSERT_EQUAL(world.cuts, 1);
	for (int i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_BREACHED);
	CU_ASSERT_EQUAL(world.stops, 0);
	CU_ASSERT(event_is(appliance, 1, "port_breach")); /* it can't be: told once */
	CU_ASSERT(!event_is(appliance, 2, "port_breach"));
	world.quiescent = true;
	for (int i = 0; i < 50; i++) {
		world.up = i % 2 == 0;
		world.downs++;
		CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_BREACHED);
	}
	CU_ASSERT_EQUAL(world.stops, 1);
	CU_ASSERT_EQUAL(world.emptied, 1);
	CU_ASSERT_EQUAL(world.restarts, 0);
	CU_ASSERT_EQUAL(world.programs, 1);
	CU_ASSERT(!world.used);
	free_appliance(appliance);
}

/* A second, in twenty looks. */
static void
pass_second(struct weir_appliance *appliance, uint64_t *now_ns, uint64_t dropped)
{
	world.totals.tx_wire_bytes += 1000;
	world.totals.dropped_wire_bytes += dropped;
	for (int i = 0; i < 20; i++) {
		*now_ns += 50 * WEIR_NS_PER_MS;
		weir_watch_classes(appliance, *now_ns);
	}
}

static void
test_starved_classes(void)
{
	struct weir_appliance *appliance = make_appliance();
	struct weir_config config = {.n_classes = CLASSES};
	uint64_t now_ns = 5 * WEIR_NS_PER_S;
	uint32_t slots[CLASSES];
	uint64_t n = 1;

	weir_events_free(appliance->events);
	appliance->events = weir_events_new(256);
	config.classes = calloc(CLASSES, sizeof(*config.classes));
	appliance->starvation = calloc(WEIR_CLASSES_MAX, sizeof(*appliance->starvation));
	CU_ASSERT_FATAL(config.classes != NULL && appliance->starvation != NULL &&
	                appliance->events != NULL);
	for (uint32_t i = 0; i < CLASSES; i++) {
		slots[i] = FIRST_SLOT + i;
		snprintf(config.classes[i].name, WEIR_NAME_SIZE, "class%u", i);
		config.classes[i].rate_bit_s = 8000000;
	}
	appliance->config = &config;
	appliance->class_slots = slots;
	for (uint32_t i = 0; i <= WEIR_STARVATION_BAD; i++) {
		CU_ASSERT_FALSE(event_is(appliance, n, "class_starved"));
		pass_second(appliance, &now_ns, 9000);
	}
	/* The first ones by name, the others as a number; and no more of it. */
	pass_second(appliance, &now_ns, 9000);
	for (; n <= WEIR_WATCH_STARVED_MAX + 1; n++)
		CU_ASSERT_TRUE(event_is(appliance, n, "class_starved"));
	CU_ASSERT_TRUE(appliance->starvation[slots[CLASSES - 1]].starved);
	CU_ASSERT_FALSE(event_is(appliance, n, "class_starved"));
	/* The first of them are bad by what was dropped lately. */
	for (uint32_t i = 0; i < 2 * WEIR_STARVATION_GOOD; i++)
		pass_second(appliance, &now_ns, 0);
	for (uint64_t last = n + WEIR_WATCH_STARVED_MAX; n <= last; n++)
		CU_ASSERT_TRUE(event_is(appliance, n, "class_recovered"));
	CU_ASSERT_FALSE(event_is(appliance, n, "class_recovered"));
	CU_ASSERT_FALSE(appliance->starvation[slots[CLASSES - 1]].starved);
	free(appliance->starvation);
	free(config.classes);
	free_appliance(appliance);
}

static const struct weir_test tests[] = {
    {"a link goes down and up", test_down_and_up},
    {"a link that was down between two looks", test_short_flap},
    {"workers are off with the event", test_told},
    {"all events count in the end", test_settled},
    {"a port that does not start again", test_restart_fails},
    {"a link that changes its speed", test_speed},
    {"limits come before the first frame", test_limits},
    {"a port that is to be started anew", test_restart_asked},
    {"a port that sent too much", test_breach},
    {"classes that starve", test_starved_classes},
};

int
main(void)
{
	return weir_test_run("watch", tests, WEIR_TEST_COUNT(tests));
}
