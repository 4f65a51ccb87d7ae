/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TPM for tests: swtpm as a child in a folder of its own, and before it a bus that the test can
 * listen on and tamper with.
 *
 *	witness ── swtpm:path=FOLDER/bus ──► bus (a thread) ──► FOLDER/tpm ──► swtpm
 *
 * TPM2_Startup is done by swtpm itself. The child dies with the test.
 */
#ifndef WEIR_TESTS_UNIT_TPM_BOX_H
#define WEIR_TESTS_UNIT_TPM_BOX_H

#include "tests/unit/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TPM_START_MS    30000
#define TPM_MESSAGE_MAX 4096U
#define TPM_HEADER      10U

enum tpm_fault {
	TPM_FAULT_NONE,
	TPM_FAULT_LOST,      /* the command does not arrive, the connection ends */
	TPM_FAULT_NO_ANSWER, /* it is done, the answer does not arrive */
	TPM_FAULT_FLIP,      /* one bit of the answer is another */
	TPM_FAULT_CODE,      /* it is not done, and answered with a response code */
	TPM_FAULT_REPLACE,   /* it is done, and answered with another answer */
};

struct tpm_message {
	uint8_t bytes[TPM_MESSAGE_MAX];
	size_t size;
};

struct tpm_bus {
	pthread_t thread;
	int doors[2]; /* commands, control channel */
	int stop[2];  /* a pipe */
	/* The test's, between calls of the witness only. */
	uint32_t fault_at; /* number of the command, from 0 */
	uint32_t fault_count;
	enum tpm_fault fault;
	uint32_t flip_bit; /* modulo the answer's length */
	uint32_t code;
	struct tpm_message replacement;
	/* The bus's, for the test between calls. */
	_Atomic uint32_t commands;
	uint32_t codes[64];           /* of the first commands */
	struct tpm_message last_read; /* the last answer to TPM2_NV_Read that came from the TPM */
	const uint8_t *needle;        /* looked for in all commands */
	size_t needle_bytes;
	bool needle_found;
};

struct tpm_box {
	char folder[32];
	char log[64];
	pid_t pid; /* 0: it does not run */
	struct tpm_bus bus;
};

static inline const char *
tpm_path(const struct tpm_box *box, const char *name)
{
	static _Thread_local char path[64];

	snprintf(path, sizeof(path), "%s/%s", box->folder, name);
	return path;
}

/* For a witness: by the bus, or straight to the TPM. */
static inline const char *
tpm_tcti(const struct tpm_box *box, bool by_bus)
{
	static _Thread_local char tcti[96];

	snprintf(tcti, sizeof(tcti), "swtpm:path=%s/%s", box->folder, by_bus ? "bus" : "tpm");
	return tcti;
}

static inline struct sockaddr_un
tpm_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* Returns a connection or -1. */
static inline int
tpm_connect(const char *path)
{
	struct sockaddr_un address = tpm_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static inline bool
tpm_receive(int fd, uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t got = recv(fd, bytes, size, 0);

		if (got <= 0)
			return false;
		bytes += got;
		size -= (size_t)got;
	}
	return true;
}

static inline bool
tpm_send(int fd, const struct tpm_message *message)
{
	return send(fd, message->bytes, message->size, MSG_NOSIGNAL) == (ssize_t)message->size;
}

static inline uint32_t
tpm_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* A whole command or answer: tag, size, code, the rest. */
static inline bool
tpm_receive_message(int fd, struct tpm_message *message)
{
	if (!tpm_receive(fd, message->bytes, TPM_HEADER))
		return false;
	message->size = tpm_u32(message->bytes + 2);
	if (message->size < TPM_HEADER || message->size > TPM_MESSAGE_MAX)
		return false;
	return tpm_receive(fd, message->bytes + TPM_HEADER, message->size - TPM_HEADER);
}

static inline bool
tpm_exchange(const struct tpm_box *box, const struct tpm_message *command,
             struct tpm_message *answer)
{
	int fd = tpm_connect(tpm_path(box, "tpm"));
	bool done = fd >= 0 && tpm_send(fd, command) && tpm_receive_message(fd, answer);

	if (fd >= 0)
		close(fd);
	return done;
}

static inline bool
tpm_answers(const struct tpm_box *box)
{
	/* TPM2_GetRandom of 8 bytes. */
	const struct tpm_message command = {
	    .bytes = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 8}, .size = 12};
	struct tpm_message answer;

	return tpm_exchange(box, &command, &answer) && tpm_u32(answer.bytes + 6) == 0;
}

static inline void
tpm_print_log(const struct tpm_box *box)
{
	char text[2000];
	int fd = open(box->log, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	printf("    swtpm said: %.*s\n", got > 0 ? (int)got : 0, text);
	if (fd >= 0)
		close(fd);
}

static inline _Noreturn void
tpm_exec(const struct tpm_box *box, pid_t parent)
{
	char state[96], server[96], control[96];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open(box->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	snprintf(state, sizeof(state), "dir=%s/state", box->folder);
	snprintf(server, sizeof(server), "type=unixio,path=%s/tpm", box->folder);
	snprintf(control, sizeof(control), "type=unixio,path=%s/tpm.ctrl", box->folder);
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(126);
	execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
	       "--ctrl", control, "--flags", "not-need-init,startup-clear", (char *)NULL);
	perror("swtpm: expected Debian's package of that name");
	_exit(127);
}

/* Power: it is on when this returns true. Says why where it does not. */
static inline bool
tpm_start(struct tpm_box *box)
{
	pid_t parent = getpid();
	int status;

	unlink(tpm_path(box, "tpm"));
	unlink(tpm_path(box, "tpm.ctrl"));
	box->pid = fork();
	if (box->pid == 0)
		tpm_exec(box, parent);
	for (int ms = 0; box->pid > 0 && ms < TPM_START_MS; ms += 10) {
		if (tpm_answers(box))
			return true;
		if (waitpid(box->pid, &status, WNOHANG) == box->pid) {
			printf("    swtpm ended with status 0x%x\n", (unsigned int)status);
			box->pid = 0;
			break;
		}
		poll(NULL, 0, 10);
	}
	tpm_print_log(box);
	return false;
}

/* Power off, without a word of warning. */
static inline void
tpm_kill(struct tpm_box *box)
{
	if (box->pid > 0) {
		kill(box->pid, SIGKILL);
		waitpid(box->pid, NULL, 0);
	}
	box->pid = 0;
}

static inline void
tpm_cut_power(struct tpm_box *box)
{
	tpm_kill(box);
	CU_ASSERT_FATAL(tpm_start(box));
}

/* What the bus makes of a command that is not to be left alone. False: the connection ends. */
static inline bool
bus_tamper(struct tpm_bus *bus, struct tpm_message *answer)
{
	uint32_t bit;

	switch (bus->fault) {
	case TPM_FAULT_FLIP:
		bit = bus->flip_bit % (uint32_t)(answer->size * 8);
		answer->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		return true;
	case TPM_FAULT_REPLACE:
		*answer = bus->replacement;
		return true;
	case TPM_FAULT_NONE:
		return true;
	case TPM_FAULT_LOST:
	case TPM_FAULT_NO_ANSWER:
	case TPM_FAULT_CODE:
		break;
	}
	return false;
}

/* One command from fd to the TPM and its answer back. False: the connection ends. */
static inline bool
bus_command(struct tpm_box *box, int fd)
{
	struct tpm_bus *bus = &box->bus;
	struct tpm_message command, answer;
	uint32_t number, code;
	bool faulty;

	if (!tpm_receive_message(fd, &command))
		return false;
	number = bus->commands++;
	code = tpm_u32(command.bytes + 6);
	if (number < sizeof(bus->codes) / sizeof(bus->codes[0]))
		bus->codes[number] = code;
	if (bus->needle != NULL &&
	    memmem(command.bytes, command.size, bus->needle, bus->needle_bytes) != NULL)
		bus->needle_found = true;
	faulty = bus->fault != TPM_FAULT_NONE && number >= bus->fault_at &&
	         number - bus->fault_at < bus->fault_count;
	if (faulty && bus->fault == TPM_FAULT_LOST)
		return false;
	if (faulty && bus->fault == TPM_FAULT_CODE) {
		answer = (struct tpm_message){
		    .bytes = {0x80, 0x01, 0, 0, 0, TPM_HEADER, (uint8_t)(bus->code >> 24),
		              (uint8_t)(bus->code >> 16), (uint8_t)(bus->code >> 8),
		              (uint8_t)bus->code},
		    .size = TPM_HEADER};
		return tpm_send(fd, &answer);
	}
	if (!tpm_exchange(box, &command, &answer))
		return false;
	if (code == 0x14e && tpm_u32(answer.bytes + 6) == 0) /* TPM2_NV_Read */
		bus->last_read = answer;
	if (faulty && !bus_tamper(bus, &answer))
		return false;
	/* A reader that was told of more bytes than there are must not wait for them. */
	return tpm_send(fd, &answer) && !faulty;
}

/* A control command: one message there and one back. */
static inline void
bus_control(struct tpm_box *box, int fd)
{
	struct tpm_message message;
	ssize_t got = recv(fd, message.bytes, sizeof(message.bytes), 0);
	int tpm = tpm_connect(tpm_path(box, "tpm.ctrl"));

	if (got > 0 && tpm >= 0) {
		message.size = (size_t)got;
		if (tpm_send(tpm, &message))
			got = recv(tpm, message.bytes, sizeof(message.bytes), 0);
		message.size = got > 0 ? (size_t)got : 0;
		(void)tpm_send(fd, &message);
	}
	if (tpm >= 0)
		close(tpm);
}

static inline void *
bus_run(void *arg)
{
	struct tpm_box *box = arg;
	struct tpm_bus *bus = &box->bus;

	for (;;) {
		struct pollfd wait[3] = {{bus->stop[0], POLLIN, 0},
		                         {bus->doors[0], POLLIN, 0},
		                         {bus->doors[1], POLLIN, 0}};

		if (poll(wait, 3, -1) < 0 && errno != EINTR)
			abort();
		if (wait[0].revents != 0)
			return NULL;
		for (int i = 0; i < 2; i++) {
			int fd = wait[i + 1].revents == 0
			             ? -1
			             : accept4(bus->doors[i], NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0)
				continue;
			if (i == 1)
				bus_control(box, fd);
			else
				while (bus_command(box, fd))
					;
			close(fd);
		}
	}
}

static inline int
bus_door(const char *path)
{
	struct sockaddr_un address = tpm_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 8) != 0)
		abort();
	return fd;
}

/* The bus as at the start: nothing is tampered with, commands are counted from 0. */
static inline void
bus_reset(struct tpm_box *box)
{
	box->bus.fault = TPM_FAULT_NONE;
	box->bus.fault_at = 0;
	box->bus.fault_count = 1;
	box->bus.commands = 0;
	box->bus.needle_found = false;
}

/* A new TPM, switched on, and its bus. */
static inline struct tpm_box *
tpm_box_new(void)
{
	struct tpm_box *box = calloc(1, sizeof(*box));

	if (box == NULL)
		abort();
	snprintf(box->folder, sizeof(box->folder), "/tmp/weir-tpm-XXXXXX");
	if (mkdtemp(box->folder) == NULL || mkdir(tpm_path(box, "state"), 0700) != 0 ||
	    pipe2(box->bus.stop, O_CLOEXEC) != 0)
		abort();
	snprintf(box->log, sizeof(box->log), "%s/log", box->folder);
	CU_ASSERT_FATAL(tpm_start(box));
	bus_reset(box);
	box->bus.doors[0] = bus_door(tpm_path(box, "bus"));
	box->bus.doors[1] = bus_door(tpm_path(box, "bus.ctrl"));
	if (pthread_create(&box->bus.thread, NULL, bus_run, box) != 0)
		abort();
	return box;
}

static inline void
tpm_box_free(struct tpm_box *box)
{
	static const char *const names[] = {"state/tpm2-00.permall",
	                                    "state/tpm2-00.volatilestate",
	                                    "state/tpm2-00.savestate",
	                                    "state/.lock",
	                                    "state",
	                                    "tpm",
	                                    "tpm.ctrl",
	                                    "bus",
	                                    "bus.ctrl",
	                                    "log"};

	tpm_kill(box);
	(void)!write(box->bus.stop[1], "", 1);
	pthread_join(box->bus.thread, NULL);
	for (int i = 0; i < 2; i++) {
		close(box->bus.doors[i]);
		close(box->bus.stop[i]);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove(tpm_path(box, names[i]));
	CU_ASSERT_EQUAL(rmdir(box->folder), 0);
	free(box);
}

#endif
