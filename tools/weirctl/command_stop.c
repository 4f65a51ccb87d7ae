/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/client.h"
#include "tools/weirctl/command.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STOP_LIMIT_MS                                                                              \
	120000 /* queues drain for a minute at most, the ledger syncs within seconds */
#define POLL_MS 20

/* True when the socket that was there has gone, or another one is in its place. */
static bool
is_replaced(const char *socket, const struct stat *before)
{
	struct stat now;

	return stat(socket, &now) != 0 || now.st_ino != before->st_ino ||
	       now.st_dev != before->st_dev;
}

/* Waits until the process has ended, where there is one to wait for, or else until nobody listens.
 */
static bool
wait_for_end(int process, const char *socket, const struct stat *before)
{
	const struct timespec pause = {0, POLL_MS * 1000000L};
	struct pollfd end = {.fd = process, .events = POLLIN};

	for (int ms = 0; ms < STOP_LIMIT_MS; ms += POLL_MS) {
		if (process >= 0) {
			if (poll(&end, 1, POLL_MS) > 0)
				return true;
			continue;
		}
		if (is_replaced(socket, before) || !weir_client_alive(socket))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static int
stop_and_wait(const char *socket, struct weir_error *error)
{
	struct weir_answer answer = {0};
	struct stat before = {0};
	int process, ret;
	bool ended;

	(void)stat(socket, &before); /* without a socket the POST fails, and says so */
	process = weir_client_process(socket);
	ret = weir_client_post(socket, "/v1/stop", "", 0, &answer, error);
	if (ret == 0 && answer.code != 200)
		ret = weir_answer_refused(&answer, "/v1/stop", error);
	weir_answer_free(&answer);
	ended = ret == 0 && wait_for_end(process, socket, &before);
	if (process >= 0)
		close(process);
	if (ret != 0)
		return ret;
	if (!ended)
		return weir_error_set(error, -ETIMEDOUT,
		                      "%s: weir still runs %d s after it was asked to stop", socket,
		                      STOP_LIMIT_MS / 1000);
	/* A clean end takes the socket away. */
	if (!is_replaced(socket, &before))
		return weir_error_set(
		    error, -EIO, "%s: weir has ended, but not cleanly: it left its socket", socket);
	return 0;
}

enum weir_exit
weir_command_stop(const struct weir_options *options)
{
	struct weir_error error;

	if (stop_and_wait(options->socket, &error) != 0)
		return weir_command_fail(options, WEIR_EXIT_FAILED, &error);
	if (options->json)
		weir_command_print_json(weir_command_json(json_pack("{s:b}", "ok", 1)), true);
	else
		printf("stopped\n");
	return WEIR_EXIT_OK;
}
