/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control thread does about a port's link. Linked with --wrap: ports and workers are ours.
 */
#include "control/watch.h"
#include "tests/unit/harness.h"

#include <string.h>

#define PORT_ID 3U

static struct {
	bool up;
	uint32_t downs;
	bool quiescent;
	int restart_result;
	uint32_t restarts;
	bool used; /* by workers, as they were last told */
	uint64_t fences;
} world;

bool __wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s);
uint32_t __wrap_weir_port_downs(const struct weir_port *port);
int __wrap_weir_port_restart(struct weir_port *port);
void __wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up);
uint64_t __wrap_weir_dataplane_fence(struct weir_dataplane *dataplane);
bool __wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait);

bool
__wrap_weir_port_link(const struct weir_port *port, uint32_t *speed_mbit_s)
{
	(void)port;
	*speed_mbit_s = 0;
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
	world.restarts++;
	return world.restart_result;
}

void
__wrap_weir_dataplane_set_link_up(struct weir_dataplane *dataplane, uint16_t port_id, bool up)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(port_id, PORT_ID);
	world.used = up;
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
__wrap_weir_dataplane_quiescent(struct weir_dataplane *dataplane, uint64_t token, bool wait)
{
	(void)dataplane;
	CU_ASSERT_EQUAL(token, world.fences);
	CU_ASSERT(!wait);
	return world.quiescent;
}

static struct weir_appliance *
make_appliance(void)
{
	struct weir_appliance *appliance = calloc(1, sizeof(*appliance));

	CU_ASSERT_PTR_NOT_NULL_FATAL(appliance);
	appliance->events = weir_events_new(16);
	CU_ASSERT_PTR_NOT_NULL_FATAL(appliance->events);
	appliance->n_ports = 1;
	appliance->ports[0].port_id = PORT_ID;
	snprintf(appliance->ports[0].config.name, WEIR_NAME_SIZE, "out0");
	memset(&world, 0, sizeof(world));
	world.up = true;
	world.quiescent = true;
	weir_watch_links(appliance, true);
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
	weir_watch_links(appliance, false);
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
	world.quiescent = true;
	world.up = false;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
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
	CU_ASSERT(!world.used);
	CU_ASSERT(event_is(appliance, 2, "port_failed"));
	CU_ASSERT(event_is(appliance, 3, NULL));
	world.restart_result = 0;
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_CLEAN);
	CU_ASSERT_EQUAL(look(appliance), WEIR_PORT_UP);
	free_appliance(appliance);
}

static const struct weir_test tests[] = {
    {"a link goes down and up", test_down_and_up},
    {"a link that was down between two looks", test_short_flap},
    {"a port that does not start again", test_restart_fails},
};

int
main(void)
{
	return weir_test_run("watch", tests, WEIR_TEST_COUNT(tests));
}
