/* SPDX-License-Identifier: BSD-3-Clause */
/* Real ports on DPDK's null, ring and pcap drivers, without huge pages. */
#include "drivers/port.h"

#include "drivers/eal.h"
#include "tests/unit/harness.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES    (UINT64_C(160) << 20)
#define POOL_FRAMES     1023U
#define CAPTURE_FRAMES  100U
#define ERROR_SIZE      256U
#define PCAP_FILE_BYTES 24U
#define PCAP_HEAD_BYTES 16U
#define POLLS_MAX       10000U

static char folder[] = "/tmp/weir-test-port-XXXXXX";

struct frame {
	uint32_t bytes;
	uint8_t data[WEIR_MTU_MAX + 64];
};

static struct weir_port_config
config_of(const char *device, uint32_t mtu_bytes)
{
	struct weir_port_config config = {
	    .mtu_bytes = mtu_bytes,
	    .rx_queues = 1,
	    .tx_queues = 1,
	};

	snprintf(config.name, sizeof(config.name), "port-under-test");
	snprintf(config.device, sizeof(config.device), "%s", device);
	return config;
}

static struct weir_port
open_port(const struct weir_port_config *config)
{
	struct weir_port port;
	char error[ERROR_SIZE] = "";
	int result = weir_port_open(config, POOL_FRAMES, &port, error, sizeof(error));

	if (result != 0)
		printf("    %s\n", error);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	return port;
}

static struct weir_port
start_port(const char *device, uint32_t mtu_bytes)
{
	struct weir_port_config config = config_of(device, mtu_bytes);
	struct weir_port port = open_port(&config);
	char error[ERROR_SIZE] = "";
	int result = weir_port_start(&port, error, sizeof(error));

	if (result != 0)
		printf("    %s\n", error);
	CU_ASSERT_EQUAL_FATAL(result, 0);
	return port;
}

/* Ends a port and checks that nothing of it is left. */
static void
end_port(struct weir_port *port)
{
	char pool_name[RTE_MEMPOOL_NAMESIZE];

	CU_ASSERT_EQUAL(rte_mempool_avail_count(port->pool), port->pool->size);
	snprintf(pool_name, sizeof(pool_name), "%s", port->pool->name);
	weir_port_stop(port);
	weir_port_close(port);
	CU_ASSERT_EQUAL(rte_eth_dev_is_valid_port(port->port_id), 0);
	CU_ASSERT_PTR_NULL(rte_mempool_lookup(pool_name));
	CU_ASSERT_PTR_NULL(port->pool);
}

static void
random_frame(struct weir_random *random, uint32_t bytes_max, struct frame *frame)
{
	frame->bytes = (uint32_t)weir_random_between(random, WEIR_FRAME_HEADER_BYTES, bytes_max);
	weir_random_fill(random, frame->data, frame->bytes);
}

static struct rte_mbuf *
mbuf_of(struct weir_port *port, const struct frame *frame)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port->pool);
	char *data;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mbuf);
	data = rte_pktmbuf_append(mbuf, (uint16_t)frame->bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	memcpy(data, frame->data, frame->bytes);
	return mbuf;
}

/* Receives one frame, checks it against the one expected, and frees it. */
static void
expect_frame(struct weir_port *port, const struct frame *frame)
{
	struct rte_mbuf *mbuf = NULL;

	for (uint32_t i = 0; i < POLLS_MAX; i++) {
		if (rte_eth_rx_burst(port->port_id, 0, &mbuf, 1) == 1)
			break;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(mbuf);
	CU_ASSERT_EQUAL(mbuf->nb_segs, 1);
	CU_ASSERT_EQUAL_FATAL(mbuf->pkt_len, frame->bytes);
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(mbuf, void *), frame->data, frame->bytes), 0);
	rte_pktmbuf_free(mbuf);
}

static void
test_null(void)
{
	struct weir_port port = start_port("net_null0,size=128", 1500);
	struct rte_mbuf *burst[32];
	uint16_t received;

	CU_ASSERT(port.started && port.hotplugged && port.flow_control_off);
	CU_ASSERT_EQUAL(port.rx_queues, 1);
	CU_ASSERT_EQUAL(port.tx_queues, 1);
	CU_ASSERT_EQUAL(port.mtu_granted_bytes, 1500);
	CU_ASSERT(!port.rss_symmetric);
	CU_ASSERT_STRING_EQUAL(port.driver, "net_null");
	received = rte_eth_rx_burst(port.port_id, 0, burst, 32);
	CU_ASSERT_EQUAL(received, 32);
	CU_ASSERT_EQUAL(burst[0]->pkt_len, 128);
	CU_ASSERT_EQUAL(burst[0]->pool, port.pool);
	CU_ASSERT_EQUAL(rte_eth_tx_burst(port.port_id, 0, burst, received), received);
	end_port(&port);
}

/* The longest frame of any MTU fits into one buffer and comes through whole. */
static void
test_every_mtu_fits(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	uint32_t mtus[] = {WEIR_MTU_MIN, 1500, 9000, WEIR_MTU_MAX, 0, 0, 0, 0};
	static struct frame frame;

	for (size_t i = 0; i < WEIR_TEST_COUNT(mtus); i++) {
		struct weir_port port;
		struct rte_mbuf *mbuf;
		uint32_t longest;

		if (mtus[i] == 0)
			mtus[i] =
			    (uint32_t)weir_random_between(&random, WEIR_MTU_MIN, WEIR_MTU_MAX);
		longest = weir_frame_max_bytes(mtus[i]);
		port = start_port("net_ring0", mtus[i]);
		CU_ASSERT_EQUAL(port.mtu_granted_bytes, mtus[i]);
		CU_ASSERT(rte_pktmbuf_data_room_size(port.pool) >= RTE_PKTMBUF_HEADROOM + longest);
		frame.bytes = longest;
		weir_random_fill(&random, frame.data, longest);
		mbuf = mbuf_of(&port, &frame);
		CU_ASSERT_EQUAL_FATAL(rte_eth_tx_burst(port.port_id, 0, &mbuf, 1), 1);
		expect_frame(&port, &frame);
		end_port(&port);
	}
}

static void
put_u32(uint8_t *data, uint32_t value)
{
	memcpy(data, &value, sizeof(value));
}

/* A capture in the classic format, in this machine's byte order, as libpcap reads it. */
static void
write_capture(const char *path, const struct frame *frames, uint32_t n_frames)
{
	uint8_t head[PCAP_FILE_BYTES] = {0};
	FILE *file = fopen(path, "wbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	put_u32(head, 0xa1b2c3d4);
	put_u32(head + 4, 0x00040002);
	put_u32(head + 16, 65535);
	put_u32(head + 20, 1);
	CU_ASSERT_EQUAL(fwrite(head, sizeof(head), 1, file), 1);
	for (uint32_t i = 0; i < n_frames; i++) {
		uint8_t record[PCAP_HEAD_BYTES] = {0};

		put_u32(record + 8, frames[i].bytes);
		put_u32(record + 12, frames[i].bytes);
		CU_ASSERT_EQUAL(fwrite(record, sizeof(record), 1, file), 1);
		CU_ASSERT_EQUAL(fwrite(frames[i].data, frames[i].bytes, 1, file), 1);
	}
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void
expect_capture(const char *path, const struct frame *frames, uint32_t n_frames)
{
	static uint8_t data[sizeof(frames->data)];
	FILE *file = fopen(path, "rbe");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fseek(file, PCAP_FILE_BYTES, SEEK_SET), 0);
	for (uint32_t i = 0; i < n_frames; i++) {
		uint32_t record[PCAP_HEAD_BYTES / 4];

		CU_ASSERT_EQUAL_FATAL(fread(record, sizeof(record), 1, file), 1);
		CU_ASSERT_EQUAL_FATAL(record[2], frames[i].bytes);
		CU_ASSERT_EQUAL(record[3], frames[i].bytes);
		CU_ASSERT_EQUAL_FATAL(fread(data, frames[i].bytes, 1, file), 1);
		CU_ASSERT_EQUAL(memcmp(data, frames[i].data, frames[i].bytes), 0);
	}
	CU_ASSERT_EQUAL(fgetc(file), EOF);
	fclose(file);
}

/* What a capture holds comes in by a pcap port, and what a pcap port sends is a capture of it. */
static void
test_pcap(void)
{
	struct weir_random random = weir_random_make(weir_test_seed());
	struct frame *frames = calloc(CAPTURE_FRAMES, sizeof(*frames));
	char in[64], out[64], device[WEIR_DEVICE_SIZE];
	struct weir_port port;

	CU_ASSERT_PTR_NOT_NULL_FATAL(frames);
	snprintf(in, sizeof(in), "%s/in.pcap", folder);
	snprintf(out, sizeof(out), "%s/out.pcap", folder);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,tx_pcap=%s", in, out);
	for (uint32_t i = 0; i < CAPTURE_FRAMES; i++)
		random_frame(&random, weir_frame_max_bytes(9000), &frames[i]);
	write_capture(in, frames, CAPTURE_FRAMES);

	port = start_port(device, 9000);
	for (uint32_t i = 0; i < CAPTURE_FRAMES; i++) {
		struct rte_mbuf *mbuf = mbuf_of(&port, &frames[i]);

		expect_frame(&port, &frames[i]);
		CU_ASSERT_EQUAL_FATAL(rte_eth_tx_burst(port.port_id, 0, &mbuf, 1), 1);
	}
	end_port(&port);
	expect_capture(out, frames, CAPTURE_FRAMES);
	unlink(in);
	unlink(out);
	free(frames);
}

static void
expect_open_error(const char *device, int expected)
{
	struct weir_port_config config = config_of(device, 1500);
	uint16_t before = rte_eth_dev_count_avail();
	char error[ERROR_SIZE] = "";
	struct weir_port port;

	CU_ASSERT_EQUAL(weir_port_open(&config, POOL_FRAMES, &port, error, sizeof(error)),
	                expected);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "port port-under-test: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, device));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	CU_ASSERT_EQUAL(rte_eth_dev_count_avail(), before);
}

static void
test_no_such_device(void)
{
	expect_open_error("0000:ff:1f.7", -ENODEV);
	expect_open_error("ff:1f.7", -ENODEV);
	expect_open_error("nonsense", -ENODEV);
	expect_open_error("net_nosuchdriver0", -ENODEV);
	expect_open_error("net_af_packet0,iface=weir-no-such", -ENODEV);
	expect_open_error("net_pcap0,rx_pcap=/weir/no/such/file", -ENODEV);
}

static void
test_device_used_twice(void)
{
	struct weir_port port = start_port("net_ring0", 1500);
	struct frame frame = {.bytes = 60};
	struct rte_mbuf *mbuf;

	expect_open_error("net_ring0", -EEXIST);
	/* The first one is unharmed. */
	mbuf = mbuf_of(&port, &frame);
	CU_ASSERT_EQUAL_FATAL(rte_eth_tx_burst(port.port_id, 0, &mbuf, 1), 1);
	expect_frame(&port, &frame);
	end_port(&port);
}

static void
expect_start_error(const struct weir_port_config *config, uint32_t pool_frames, int expected,
                   const char *hint)
{
	char error[ERROR_SIZE] = "";
	struct weir_port port;

	CU_ASSERT_EQUAL_FATAL(weir_port_open(config, pool_frames, &port, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(weir_port_start(&port, error, sizeof(error)), expected);
	CU_ASSERT(!port.started);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, hint));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "port port-under-test: "));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	weir_port_stop(&port);
	weir_port_close(&port);
}

static void
test_too_few_queues(void)
{
	struct weir_port_config config = config_of("net_pcap0,rx_iface=lo", 1500);
	char path[64], line[512], error[ERROR_SIZE];
	struct weir_port port;

	snprintf(path, sizeof(path), "%s/empty.pcap", folder);
	write_capture(path, NULL, 0);
	snprintf(config.device, sizeof(config.device), "net_pcap0,rx_pcap=%s", path);

	/* A worker without a send queue of its own is an error. */
	config.tx_queues = 2;
	expect_start_error(&config, POOL_FRAMES, -ENOTSUP, "2 workers");

	/* Fewer receive queues are not, and are told. */
	config.tx_queues = 1;
	config.rx_queues = 4;
	port = open_port(&config);
	CU_ASSERT_EQUAL_FATAL(weir_port_start(&port, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(port.rx_queues, 1);
	weir_port_describe(&port, line, sizeof(line));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "not granted: 4 rx queues"));
	end_port(&port);
	unlink(path);
}

static void
test_too_few_buffers(void)
{
	struct weir_port_config config = config_of("net_null0", 1500);

	config.rx_descriptors = 512;
	expect_start_error(&config, 512, -ENOMEM, "512 receive buffers");
	config.rx_queues = 2;
	expect_start_error(&config, POOL_FRAMES, -ENOMEM, "too few");
}

static void
test_mtu_too_large(void)
{
	struct weir_port_config config = config_of("net_memif0,role=client", 9000);

	/* A server would leave DPDK's interrupt thread a listener in memory that its end unmaps. */
	snprintf(config.device, sizeof(config.device),
	         "net_memif0,role=client,socket=%s/memif.sock,socket-abstract=no", folder);
	expect_start_error(&config, POOL_FRAMES, -EINVAL, "takes at most 1500");
}

static void
test_describe(void)
{
	struct weir_port port = start_port("net_null0", 1500);
	char line[1024], whole[1024];

	weir_port_describe(&port, whole, sizeof(whole));
	CU_ASSERT_PTR_NOT_NULL(strstr(whole, "port port-under-test: net_null0, driver net_null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(whole, "link up"));
	CU_ASSERT_PTR_NOT_NULL(strstr(whole, "rx 1 x 512, tx 1 x 512, MTU 1500"));
	CU_ASSERT_PTR_NOT_NULL(strstr(whole, "no flow control"));
	CU_ASSERT_PTR_NULL(strstr(whole, "not granted"));
	CU_ASSERT_PTR_NULL(strchr(whole, '\n'));
	for (size_t size = 1; size <= strlen(whole) + 1; size++) {
		memset(line, 0x7f, sizeof(line));
		weir_port_describe(&port, line, size);
		CU_ASSERT_EQUAL(strlen(line), size - 1);
		CU_ASSERT_EQUAL(strncmp(line, whole, size - 1), 0);
		CU_ASSERT_EQUAL(line[size], 0x7f);
	}
	end_port(&port);
	weir_port_describe(&port, line, sizeof(line));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "stopped"));
}

static void
test_small_error_buffer(void)
{
	struct weir_port_config config = config_of("nonsense", 1500);
	struct weir_port port;

	for (size_t size = 1; size < 40; size++) {
		char error[64];

		memset(error, 0x7f, sizeof(error));
		CU_ASSERT_EQUAL(weir_port_open(&config, POOL_FRAMES, &port, error, size), -ENODEV);
		CU_ASSERT(strnlen(error, size) < size);
		CU_ASSERT_EQUAL(error[size], 0x7f);
	}
}

static void
test_eal_refusals(void)
{
	uint32_t worker = 0;
	struct weir_eal_config config = {.workers = &worker, .n_workers = 1};
	char error[ERROR_SIZE] = "";
	bool huge;

	config.memory_bytes = MEMORY_BYTES;
	config.control_lcore = 0;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "lcore 0 is given two tasks"));
	config.control_lcore = UINT32_MAX;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "lcore 4294967295: this machine has 0 to "));
	config.control_lcore = 1;
	config.memory_bytes = 0;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -EINVAL);
	config.memory_bytes = UINT64_MAX;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -EINVAL);
	/* More than any machine has: told before DPDK, which could not be asked twice. */
	config.memory_bytes = UINT64_C(1) << 50;
	config.pages = WEIR_EAL_PAGES_HUGE;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "huge pages are required"));
	config.memory_bytes = MEMORY_BYTES;
	config.pages = WEIR_EAL_PAGES_NORMAL;
	CU_ASSERT_EQUAL(weir_eal_start(&config, &huge, error, sizeof(error)), -EALREADY);
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
}

/* Two CPUs that this process may use: DPDK wants one for the worker too. */
static bool
start_eal(void)
{
	uint32_t lcores[2] = {0, 0}, found = 0;
	struct weir_eal_config config = {.workers = &lcores[1], .n_workers = 1};
	char error[ERROR_SIZE] = "";
	cpu_set_t cpus;
	bool huge = true;
	int result;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return false;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
		if (CPU_ISSET(cpu, &cpus))
			lcores[found++] = cpu;
	}
	config.control_lcore = lcores[0];
	config.memory_bytes = MEMORY_BYTES;
	config.pages = WEIR_EAL_PAGES_NORMAL;
	result = weir_eal_start(&config, &huge, error, sizeof(error));
	if (result != 0 || huge) {
		fprintf(stderr, "DPDK: %s\n", error);
		return false;
	}
	return true;
}

static const struct weir_test tests[] = {
    {"null port: started, granted, closed", test_null},
    {"the longest frame of every MTU passes in one piece", test_every_mtu_fits},
    {"pcap port reads and writes what a capture holds", test_pcap},
    {"no such device", test_no_such_device},
    {"a device used twice", test_device_used_twice},
    {"fewer queues than asked", test_too_few_queues},
    {"fewer buffers than descriptors", test_too_few_buffers},
    {"an MTU that the driver lacks", test_mtu_too_large},
    {"the start-up line, at every length of buffer", test_describe},
    {"errors fit any buffer", test_small_error_buffer},
    {"a start of DPDK that is refused", test_eal_refusals},
};

int
main(void)
{
	int status;

	if (mkdtemp(folder) == NULL || !start_eal())
		return 1;
	status = weir_test_run("port", tests, WEIR_TEST_COUNT(tests));
	if (rte_eth_dev_count_avail() != 0) {
		fprintf(stderr, "a port was left open\n");
		status = 1;
	}
	weir_eal_finish();
	rmdir(folder);
	return status;
}
