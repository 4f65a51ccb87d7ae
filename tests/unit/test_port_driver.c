/* SPDX-License-Identifier: BSD-3-Clause */
/* What a port asks of its driver, and what it makes of the answers. Linked with --wrap. */
#include "drivers/eal.h"
#include "drivers/port.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>
#include <sched.h>
#include <string.h>

#define MEMORY_BYTES (UINT64_C(96) << 20)
#define POOL_FRAMES  1023U
#define ERROR_SIZE   256U

/* A driver of net_null's ports that has more to it. */
static struct {
	/* Flow control. */
	int get_result, set_result;
	bool stubborn; /* agrees and changes nothing */
	struct rte_eth_fc_conf flow, asked;
	uint32_t sets;
	/* Link interrupts. */
	bool has_interrupts, refuses_interrupts;
	uint32_t configured, configured_lsc;
	rte_eth_dev_cb_fn callback;
	void *argument;
	uint32_t busy; /* this often the callback can't be taken back yet */
	int link_result;
	bool link_up;
	/* Send queues. */
	const char *name; /* that the driver says it has; NULL: its own */
	uint16_t rs_thresh_asked, rs_thresh_granted;
	uint32_t set_up, links_down;
	int status; /* of any descriptor */
} driver;

int __wrap_rte_eth_dev_flow_ctrl_get(uint16_t port_id, struct rte_eth_fc_conf *conf);
int __wrap_rte_eth_dev_flow_ctrl_set(uint16_t port_id, struct rte_eth_fc_conf *conf);
int __real_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_configure(uint16_t port_id, uint16_t rx, uint16_t tx,
                                 const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t port_id, uint16_t rx, uint16_t tx,
                                 const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_callback_register(uint16_t port_id, enum rte_eth_event_type event,
                                         rte_eth_dev_cb_fn callback, void *argument);
int __wrap_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
                                           rte_eth_dev_cb_fn callback, void *argument);
int __wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link);

int __real_rte_eth_tx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t n_descriptors,
                                  unsigned int node, const struct rte_eth_txconf *conf);
int __wrap_rte_eth_tx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t n_descriptors,
                                  unsigned int node, const struct rte_eth_txconf *conf);
int __wrap_rte_eth_tx_queue_info_get(uint16_t port_id, uint16_t queue_id,
                                     struct rte_eth_txq_info *info);
int __wrap_rte_eth_dev_set_link_down(uint16_t port_id);

int
__wrap_rte_eth_tx_queue_setup(uint16_t port_id, uint16_t queue_id, uint16_t n_descriptors,
                              unsigned int node, const struct rte_eth_txconf *conf)
{
	driver.set_up++;
	driver.rs_thresh_asked = conf->tx_rs_thresh;
	return __real_rte_eth_tx_queue_setup(port_id, queue_id, n_descriptors, node, conf);
}

int
__wrap_rte_eth_tx_queue_info_get(uint16_t port_id, uint16_t queue_id, struct rte_eth_txq_info *info)
{
	(void)port_id;
	(void)queue_id;
	info->conf.tx_rs_thresh = driver.rs_thresh_granted;
	return 0;
}

int
__wrap_rte_eth_dev_set_link_down(uint16_t port_id)
{
	(void)port_id;
	driver.links_down++;
	return -ENOTSUP;
}

static int
tell_status(void *queue, uint16_t offset)
{
	(void)queue;
	(void)offset;
	return driver.status;
}

int
__wrap_rte_eth_dev_flow_ctrl_get(uint16_t port_id, struct rte_eth_fc_conf *conf)
{
	(void)port_id;
	*conf = driver.flow;
	return driver.get_result;
}

int
__wrap_rte_eth_dev_flow_ctrl_set(uint16_t port_id, struct rte_eth_fc_conf *conf)
{
	(void)port_id;
	driver.sets++;
	driver.asked = *conf;
	if (driver.set_result == 0 && !driver.stubborn)
		driver.flow = *conf;
	return driver.set_result;
}

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	static uint32_t flags;
	int result = __real_rte_eth_dev_info_get(port_id, info);

	flags = (result == 0 ? *info->dev_flags : 0) & ~(uint32_t)RTE_ETH_DEV_INTR_LSC;
	if (driver.has_interrupts)
		flags |= RTE_ETH_DEV_INTR_LSC;
	info->dev_flags = &flags;
	if (driver.name != NULL)
		info->driver_name = driver.name;
	return result;
}

int
__wrap_rte_eth_dev_configure(uint16_t port_id, uint16_t rx, uint16_t tx,
                             const struct rte_eth_conf *conf)
{
	struct rte_eth_conf real = *conf;

	driver.configured++;
	driver.configured_lsc += conf->intr_conf.lsc;
	if (conf->intr_conf.lsc && driver.refuses_interrupts)
		return -EINVAL;
	real.intr_conf.lsc = 0;
	return __real_rte_eth_dev_configure(port_id, rx, tx, &real);
}

int
__wrap_rte_eth_dev_callback_register(uint16_t port_id, enum rte_eth_event_type event,
                                     rte_eth_dev_cb_fn callback, void *argument)
{
	(void)port_id;
	CU_ASSERT_EQUAL(event, RTE_ETH_EVENT_INTR_LSC);
	CU_ASSERT(driver.callback == NULL);
	driver.callback = callback;
	driver.argument = argument;
	return 0;
}

int
__wrap_rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
                                       rte_eth_dev_cb_fn callback, void *argument)
{
	(void)port_id;
	CU_ASSERT_EQUAL(event, RTE_ETH_EVENT_INTR_LSC);
	CU_ASSERT(driver.callback == callback && driver.argument == argument);
	if (driver.busy > 0) {
		driver.busy--;
		return -EAGAIN;
	}
	driver.callback = NULL;
	return 0;
}

int
__wrap_rte_eth_link_get_nowait(uint16_t port_id, struct rte_eth_link *link)
{
	(void)port_id;
	memset(link, 0, sizeof(*link));
	link->link_status = driver.link_up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	return driver.link_result;
}

/* A driver that does as it is told. */
static void
reset_driver(void)
{
	memset(&driver, 0, sizeof(driver));
	driver.link_up = true;
	driver.flow.mode = RTE_ETH_FC_FULL;
	driver.flow.autoneg = 1;
	driver.flow.mac_ctrl_frame_fwd = 1;
}

static void
start_port(struct weir_port *port)
{
	struct weir_port_config config = {
	    .name = "port-under-test",
	    .device = "net_null0,no-rx=1",
	    .mtu_bytes = 1500,
	    .rx_queues = 1,
	    .tx_queues = 1,
	};
	char error[ERROR_SIZE] = "";

	CU_ASSERT_EQUAL_FATAL(weir_port_open(&config, POOL_FRAMES, port, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL_FATAL(weir_port_start(port, error, sizeof(error)), 0);
}

static void
end_port(struct weir_port *port)
{
	weir_port_stop(port);
	weir_port_close(port);
	CU_ASSERT(driver.callback == NULL);
}

/* Starts a port and says what it tells of flow control: granted or not, and not both. */
static bool
flow_control_is_off(void)
{
	struct weir_port port;
	char line[512];
	bool off, refused;

	start_port(&port);
	weir_port_describe(&port, line, sizeof(line));
	off = strstr(line, ", no flow control") != NULL;
	refused = strstr(line, "not granted: flow control off") != NULL;
	CU_ASSERT(off != refused);
	CU_ASSERT_EQUAL(off, port.flow_control_off);
	end_port(&port);
	return off;
}

static void
test_flow_control(void)
{
	reset_driver();
	CU_ASSERT(flow_control_is_off());
	CU_ASSERT_EQUAL(driver.sets, 1);
	CU_ASSERT_EQUAL(driver.asked.mode, RTE_ETH_FC_NONE);
	CU_ASSERT_EQUAL(driver.asked.autoneg, 0);
	CU_ASSERT_EQUAL(driver.asked.mac_ctrl_frame_fwd, 0);
	/* A port that has none has none to turn off. */
	reset_driver();
	driver.get_result = -ENOTSUP;
	CU_ASSERT(flow_control_is_off());
	CU_ASSERT_EQUAL(driver.sets, 0);
	/* Refused, in three ways. */
	reset_driver();
	driver.get_result = -EIO;
	CU_ASSERT(!flow_control_is_off());
	reset_driver();
	driver.set_result = -ENOTSUP;
	CU_ASSERT(!flow_control_is_off());
	CU_ASSERT_EQUAL(driver.asked.mode, RTE_ETH_FC_NONE);
	reset_driver();
	driver.stubborn = true;
	CU_ASSERT(!flow_control_is_off());
}

/* Starting wipes it, with many drivers: it is asked for again. */
static void
test_flow_control_after_restart(void)
{
	struct weir_port port;

	reset_driver();
	start_port(&port);
	driver.flow.mode = RTE_ETH_FC_FULL;
	CU_ASSERT_EQUAL(weir_port_restart(&port), 0);
	CU_ASSERT_EQUAL(driver.sets, 2);
	CU_ASSERT_EQUAL(driver.flow.mode, RTE_ETH_FC_NONE);
	CU_ASSERT(port.flow_control_off);
	end_port(&port);
}

static void
tell(const struct weir_port *port)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(driver.callback);
	(void)driver.callback(port->port_id, RTE_ETH_EVENT_INTR_LSC, driver.argument, NULL);
}

static struct {
	uint32_t calls, downs;
} told;

static void
on_change(void *arg, uint16_t port_id)
{
	const struct weir_port *port = arg;

	CU_ASSERT_EQUAL(port_id, port->port_id);
	told.calls++;
	told.downs = weir_port_downs(port);
}

/* Once all is told of a link that came up, any event is one that was down, whatever it is now. */
static void
test_blinks(void)
{
	struct weir_port port;

	reset_driver();
	driver.has_interrupts = true;
	start_port(&port);
	memset(&told, 0, sizeof(told));
	weir_port_on_change(&port, on_change, &port);
	tell(&port); /* late news of the start */
	CU_ASSERT_EQUAL(told.calls, 0);
	driver.link_up = false;
	tell(&port);
	driver.link_up = true;
	CU_ASSERT(told.calls == 1 && told.downs == 1); /* it is counted by then */
	weir_port_settle(&port, true);
	tell(&port);
	CU_ASSERT(told.calls == 2 && told.downs == 2);
	weir_port_settle(&port, false);
	tell(&port);
	CU_ASSERT_EQUAL(told.calls, 2);
	weir_port_settle(&port, true);
	weir_port_on_change(&port, NULL, NULL);
	tell(&port);
	CU_ASSERT_EQUAL(told.calls, 2);
	CU_ASSERT_EQUAL(weir_port_downs(&port), 3);
	end_port(&port);
}

/* A link that was down between two looks is known to have been. */
static void
test_link_interrupts(void)
{
	struct weir_port port;
	uint32_t speed;

	reset_driver();
	driver.has_interrupts = true;
	start_port(&port);
	CU_ASSERT_EQUAL(driver.configured, 1);
	CU_ASSERT_EQUAL(driver.configured_lsc, 1);
	tell(&port); /* up: no news */
	CU_ASSERT_EQUAL(weir_port_downs(&port), 0);
	driver.link_up = false;
	tell(&port);
	driver.link_up = true;
	tell(&port);
	CU_ASSERT(weir_port_link(&port, &speed));
	CU_ASSERT_EQUAL(weir_port_downs(&port), 1);
	/* A driver that can't say how the link is: it may be down. */
	driver.link_result = -EIO;
	tell(&port);
	CU_ASSERT_EQUAL(weir_port_downs(&port), 2);
	CU_ASSERT(!weir_port_link(&port, &speed));
	driver.link_result = 0;
	/* A restart changes nothing of that. */
	CU_ASSERT_EQUAL(weir_port_restart(&port), 0);
	CU_ASSERT_EQUAL(weir_port_downs(&port), 2);
	driver.link_up = false;
	tell(&port);
	CU_ASSERT_EQUAL(weir_port_downs(&port), 3);
	driver.busy = 2;
	end_port(&port);
	CU_ASSERT_EQUAL(driver.busy, 0);
}

static void
test_no_link_interrupts(void)
{
	struct weir_port port;

	reset_driver();
	start_port(&port);
	CU_ASSERT_EQUAL(driver.configured, 1);
	CU_ASSERT_EQUAL(driver.configured_lsc, 0);
	CU_ASSERT(driver.callback == NULL);
	end_port(&port);
	/* It says that it has them, and then it doesn't: the port goes on without. */
	reset_driver();
	driver.has_interrupts = true;
	driver.refuses_interrupts = true;
	start_port(&port);
	CU_ASSERT_EQUAL(driver.configured, 2);
	CU_ASSERT_EQUAL(driver.configured_lsc, 1);
	CU_ASSERT(driver.callback == NULL);
	CU_ASSERT(port.started);
	end_port(&port);
}

/* Starts a port with many queues of a driver; whether it tells what has left is asked again. */
static void
start_queues(struct weir_port *port, const char *name, uint16_t tx_each)
{
	struct weir_port_config config = {
	    .name = "port-under-test",
	    .device = "net_null0,no-rx=1",
	    .mtu_bytes = 1500,
	    .rx_queues = 1,
	    .tx_queues = 1,
	};
	char error[ERROR_SIZE] = "";

	reset_driver();
	driver.name = name;
	CU_ASSERT_EQUAL_FATAL(weir_port_open(&config, POOL_FRAMES, port, error, sizeof(error)), 0);
	port->tx_each = tx_each;
	port->config.tx_queues = tx_each;
	CU_ASSERT_EQUAL_FATAL(weir_port_start(port, error, sizeof(error)), 0);
	CU_ASSERT(!port->completions); /* net_null does not tell */
	CU_ASSERT_EQUAL(port->tx_queues, tx_each);
	CU_ASSERT_EQUAL(driver.set_up, tx_each);
	rte_eth_fp_ops[port->port_id].tx_descriptor_status = tell_status;
	driver.status = RTE_ETH_TX_DESC_FULL;
	driver.rs_thresh_granted = driver.rs_thresh_asked;
}

/* What has left is only asked of drivers that were read, set up as they need it. */
static void
test_completions(void)
{
	struct weir_port port;

	start_queues(&port, "net_ixgbe", 4);
	CU_ASSERT_EQUAL(driver.rs_thresh_asked, 1);
	CU_ASSERT(weir_port_completions(&port));
	driver.rs_thresh_granted = 32;
	CU_ASSERT(!weir_port_completions(&port));
	driver.rs_thresh_granted = 1;
	driver.status = -EINVAL;
	CU_ASSERT(!weir_port_completions(&port));
	end_port(&port);

	/* One queue: nobody asks, and nothing is slowed down for it. */
	start_queues(&port, "net_ixgbe", 1);
	CU_ASSERT_EQUAL(driver.rs_thresh_asked, 0);
	CU_ASSERT(!weir_port_completions(&port));
	end_port(&port);

	start_queues(&port, "net_txgbe", 4);
	CU_ASSERT(!weir_port_completions(&port));
	end_port(&port);
	start_queues(&port, NULL, 4);
	CU_ASSERT(!weir_port_completions(&port));
	end_port(&port);
}

static void
test_cut(void)
{
	struct weir_port port;

	reset_driver();
	start_port(&port);
	weir_port_cut(&port); /* a driver that can't is no reason to stop here */
	CU_ASSERT_EQUAL(driver.links_down, 1);
	CU_ASSERT(port.started);
	weir_port_stop(&port);
	weir_port_cut(&port);
	CU_ASSERT_EQUAL(driver.links_down, 1);
	end_port(&port);
}

static bool
start_eal(void)
{
	uint32_t lcores[2] = {0, 0}, found = 0;
	struct weir_eal_config config = {
	    .workers = &lcores[1],
	    .n_workers = 1,
	    .memory_bytes = MEMORY_BYTES,
	    .pages = WEIR_EAL_PAGES_NORMAL,
	};
	char error[ERROR_SIZE] = "";
	cpu_set_t cpus;
	bool huge;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return false;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			lcores[found++] = cpu;
	}
	config.control_lcore = lcores[0];
	if (weir_eal_start(&config, &huge, error, sizeof(error)) == 0)
		return true;
	fprintf(stderr, "DPDK: %s\n", error);
	return false;
}

static const struct weir_test tests[] = {
    {"flow control is turned off, or told not to be", test_flow_control},
    {"flow control is turned off after a restart", test_flow_control_after_restart},
    {"a link that was down for a moment is counted", test_link_interrupts},
    {"a link that was down and is up again by then", test_blinks},
    {"a driver without link interrupts", test_no_link_interrupts},
    {"which ports tell what has left", test_completions},
    {"a link is taken down at once", test_cut},
};

int
main(void)
{
	int status;

	if (!start_eal())
		return 1;
	status = weir_test_run("port_driver", tests, WEIR_TEST_COUNT(tests));
	weir_eal_finish();
	return status;
}
