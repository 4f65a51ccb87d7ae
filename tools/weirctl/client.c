/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_LIMIT_MS 5000L
#define GET_LIMIT_MS     5000L
#define POST_LIMIT_MS    60000L /* a policy waits for the ledger's disk and for the workers */

/* What libcurl hands over, until it is complete. */
struct receiver {
	CURL *curl;
	char *data;
	size_t bytes, room;
	/* Streams only. */
	int (*each)(void *arg, const char *line, size_t bytes, struct weir_error *error);
	void *arg;
	struct weir_error *error;
	/* Why the receiver itself ended the transfer: 0 or -errno. */
	int stopped;
};

static int
receiver_append(struct receiver *receiver, const char *data, size_t bytes, size_t limit)
{
	size_t room = receiver->room == 0 ? 4096 : receiver->room;
	char *grown;

	if (bytes > limit - receiver->bytes)
		return -EFBIG;
	while (room < receiver->bytes + bytes + 1)
		room *= 2;
	if (room != receiver->room) {
		grown = realloc(receiver->data, room);
		if (grown == NULL)
			weir_text_no_memory();
		receiver->data = grown;
		receiver->room = room;
	}
	memcpy(receiver->data + receiver->bytes, data, bytes);
	receiver->bytes += bytes;
	receiver->data[receiver->bytes] = '\0';
	return 0;
}

static size_t
receive_body(char *data, size_t size, size_t n, void *arg)
{
	struct receiver *receiver = arg;

	receiver->stopped = receiver_append(receiver, data, size * n, WEIR_ANSWER_MAX_BYTES);
	return receiver->stopped == 0 ? size * n : 0;
}

/* Hands over complete lines. An answer that is not 200 is kept whole, for its error line. */
static size_t
receive_lines(char *data, size_t size, size_t n, void *arg)
{
	struct receiver *receiver = arg;
	size_t bytes = size * n, used = 0;
	long code = 0;

	curl_easy_getinfo(receiver->curl, CURLINFO_RESPONSE_CODE, &code);
	while (used < bytes && receiver->stopped == 0) {
		char *end = code == 200 ? memchr(data + used, '\n', bytes - used) : NULL;
		size_t part = end != NULL ? (size_t)(end - data) - used : bytes - used;

		receiver->stopped =
		    receiver_append(receiver, data + used, part, WEIR_LINE_MAX_BYTES);
		used += part;
		if (end == NULL || receiver->stopped != 0)
			continue;
		used++;
		receiver->stopped =
		    receiver->each(receiver->arg, receiver->data, receiver->bytes, receiver->error);
		receiver->bytes = 0;
	}
	return receiver->stopped == 0 ? bytes : 0;
}

static int
check_socket(const char *socket, struct weir_error *error)
{
	struct sockaddr_un address;

	if (strlen(socket) >= sizeof(address.sun_path))
		return weir_error_set(error, -EIO,
		                      "%s: longer than the %zu bytes of a socket's name", socket,
		                      sizeof(address.sun_path) - 1);
	return 0;
}

static CURL *
client_new(const char *socket, const char *path, long limit_ms)
{
	CURL *curl = curl_easy_init();
	char *url;

	if (curl == NULL || asprintf(&url, "http://localhost%s", path) < 0)
		weir_text_no_memory();
	/* Neither a proxy from the environment nor a redirect leads away from the socket. */
	if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK)
		weir_text_no_memory();
	free(url);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_LIMIT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit_ms);
	return curl;
}

/* Bytes of a path to show in an error: without its query. */
static int
shown(const char *path)
{
	return (int)strcspn(path, "?");
}

/* Turns libcurl's verdict and the receiver's into one -errno and one line. */
static int
client_result(CURL *curl, CURLcode code, const char *socket, const char *path,
              const struct receiver *receiver, struct weir_error *error)
{
	long os_error = 0;

	if (receiver->stopped == -EFBIG)
		return weir_error_set(error, -EFBIG, "%.*s: the answer is too long", shown(path),
		                      path);
	if (receiver->stopped != 0)
		return receiver->stopped;
	if (code == CURLE_OK)
		return 0;
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_COULDNT_CONNECT) {
		const char *why = os_error != 0 ? strerror((int)os_error) : "no connection";

		return weir_error_set(error, -ECONNREFUSED,
		                      "%s: %s (is weir running? another socket: --socket PATH)",
		                      socket, why);
	}
	if (code == CURLE_OPERATION_TIMEDOUT)
		return weir_error_set(error, -ETIMEDOUT, "%.*s: no complete answer in time",
		                      shown(path), path);
	if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING)
		return weir_error_set(error, -EIO,
		                      "%.*s: the connection ended before the answer did",
		                      shown(path), path);
	return weir_error_set(error, -EIO, "%.*s: %s", shown(path), path, curl_easy_strerror(code));
}

static int
client_transfer(CURL *curl, const char *socket, const char *path, struct weir_answer *answer,
                struct weir_error *error)
{
	struct receiver receiver = {.curl = curl, .error = error};
	int ret;

	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
	receiver.stopped = receiver_append(&receiver, "", 0, WEIR_ANSWER_MAX_BYTES);
	ret = client_result(curl, curl_easy_perform(curl), socket, path, &receiver, error);
	if (ret == 0) {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->code);
		answer->body = receiver.data;
		answer->bytes = receiver.bytes;
	} else {
		free(receiver.data);
	}
	curl_easy_cleanup(curl);
	return ret;
}

int
weir_client_get(const char *socket, const char *path, struct weir_answer *answer,
                struct weir_error *error)
{
	int ret = check_socket(socket, error);

	if (ret != 0)
		return ret;
	return client_transfer(client_new(socket, path, GET_LIMIT_MS), socket, path, answer, error);
}

int
weir_client_post(const char *socket, const char *path, const char *body, size_t bytes,
                 struct weir_answer *answer, struct weir_error *error)
{
	struct curl_slist *headers = NULL, *more;
	CURL *curl;
	int ret = check_socket(socket, error);

	if (ret != 0)
		return ret;
	curl = client_new(socket, path, POST_LIMIT_MS);
	headers = curl_slist_append(NULL, "Content-Type: application/yaml");
	if (headers == NULL)
		weir_text_no_memory();
	/* Without this libcurl would ask first, and wait, before it sends a long body. */
	more = curl_slist_append(headers, "Expect:");
	if (more == NULL)
		weir_text_no_memory();
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, more);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
	ret = client_transfer(curl, socket, path, answer, error);
	curl_slist_free_all(more);
	return ret;
}

void
weir_answer_free(struct weir_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
	answer->bytes = 0;
}

json_t *
weir_answer_json(const struct weir_answer *answer, const char *path, struct weir_error *error)
{
	json_error_t why;
	json_t *json = json_loadb(answer->body, answer->bytes, JSON_REJECT_DUPLICATES, &why);

	if (json == NULL) {
		weir_error_set(error, 0, "%.*s: the answer is not JSON: line %d: %s", shown(path),
		               path, why.line, why.text);
		return NULL;
	}
	if (!json_is_object(json)) {
		weir_error_set(error, 0, "%.*s: the answer is not a JSON object", shown(path),
		               path);
		json_decref(json);
		return NULL;
	}
	return json;
}

int
weir_answer_refused(const struct weir_answer *answer, const char *path, struct weir_error *error)
{
	struct weir_error unused;
	json_t *json = weir_answer_json(answer, path, &unused);
	const char *line = json_string_value(json_object_get(json, "error"));

	if (line != NULL)
		weir_error_set(error, 0, "%s", line);
	else if (answer->code == 413) /* a read-only socket takes next to nothing */
		weir_error_set(error, 0, "%.*s: too long for this socket: is it for reading only?",
		               shown(path), path);
	else
		weir_error_set(error, 0, "%.*s: the server answers %ld", shown(path), path,
		               answer->code);
	json_decref(json);
	return -EPROTO;
}

int
weir_client_stream(const char *socket, const char *path,
                   int (*each)(void *arg, const char *line, size_t bytes, struct weir_error *error),
                   void *arg, struct weir_error *error)
{
	struct receiver receiver = {.each = each, .arg = arg, .error = error};
	struct weir_answer refusal = {0};
	int ret = check_socket(socket, error);

	if (ret != 0)
		return ret;
	receiver.curl = client_new(socket, path, 0);
	curl_easy_setopt(receiver.curl, CURLOPT_WRITEFUNCTION, receive_lines);
	curl_easy_setopt(receiver.curl, CURLOPT_WRITEDATA, &receiver);
	receiver.stopped = receiver_append(&receiver, "", 0, WEIR_LINE_MAX_BYTES);
	ret = client_result(receiver.curl, curl_easy_perform(receiver.curl), socket, path,
	                    &receiver, error);
	curl_easy_getinfo(receiver.curl, CURLINFO_RESPONSE_CODE, &refusal.code);
	if (ret == 0 && refusal.code != 200) {
		refusal.body = receiver.data;
		refusal.bytes = receiver.bytes;
		ret = weir_answer_refused(&refusal, path, error);
	} else if (ret == 0 && receiver.bytes != 0) {
		ret = weir_error_set(error, -EIO, "%.*s: the last line is cut short", shown(path),
		                     path);
	}
	curl_easy_cleanup(receiver.curl);
	free(receiver.data);
	return ret;
}

/* Connects. Returns a descriptor; -EAGAIN when somebody listens and has too much to do; -errno. */
static int
connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(name);
	int fd, ret;

	if (bytes >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, name, bytes);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

bool
weir_client_alive(const char *socket)
{
	int fd = connect_to(socket);

	if (fd >= 0)
		close(fd);
	/* Whatever else went wrong, it does not tell that nobody listens. */
	return fd != -ENOENT && fd != -ECONNREFUSED;
}

int
weir_client_process(const char *socket)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	int fd = connect_to(socket), process = -1;

	if (fd < 0)
		return -1;
	/* 0: a process that this one can't see, in another namespace. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0)
		process = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	close(fd);
	return process;
}
