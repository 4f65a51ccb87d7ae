/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/server.h"

#include "control/listen.h"
#include "drivers/clock.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS_MAX  68U
#define HEADER_MAX_BYTES 8192
#define SMALL_BODY_BYTES 0 /* where nothing is ever posted */
#define IDLE_LIMIT_S     5
#define REQUEST_LIMIT_NS (12 * WEIR_NS_PER_S)
#define DENIED_LIMIT_NS  (2 * WEIR_NS_PER_S)
#define SWEEP_S          1
#define TELL_DENIED_NS   WEIR_NS_PER_S /* events of denied peers: one a second */

/* Connections of each kind. Those who may do less can't shut out those who may do more. */
static const unsigned int limits[WEIR_ACCESSES] = {
    [WEIR_ACCESS_CONTROL] = 32,
    [WEIR_ACCESS_READ] = 24,
    [WEIR_ACCESS_METRICS] = 8,
};
#define DENIED_MAX 4U /* they only wait for their refusal */

/*
 * An accepted connection. evhttp owns the descriptor and does not say when it closes it, so an
 * entry is good for as long as the descriptor still is the socket (its inode) that was accepted.
 */
struct connection {
	int fd; /* -1: free entry */
	ino_t inode;
	enum weir_access access;
	uid_t uid;
	bool denied;
	bool stream;
	uint64_t since_ns;
};

struct door {
	struct weir_server *server;
	enum weir_access access;
	struct evhttp *http;
	char path[WEIR_PATH_SIZE]; /* of the Unix socket; empty: TCP */
	ino_t inode;               /* of its file */
	/* Accepted and not looked at yet: evhttp sets the descriptor after it got this. */
	struct bufferevent *fresh;
	struct event *look;
};

struct weir_server {
	struct event_base *base;
	struct weir_config_appliance config;
	struct weir_events *events;
	weir_server_handle handle;
	void *arg;
	struct event *sweep;
	uint64_t told_denied_ns;
	unsigned int n_doors;
	struct door doors[WEIR_ACCESSES];
	struct connection connections[CONNECTIONS_MAX];
};

static bool
listed(uid_t uid, const uint32_t *users, uint32_t n_users)
{
	for (uint32_t i = 0; i < n_users; i++) {
		if (users[i] == uid)
			return true;
	}
	return false;
}

static bool
may_pass(const struct weir_config_appliance *config, enum weir_access access, uid_t uid)
{
	if (access == WEIR_ACCESS_METRICS || uid == 0 || uid == geteuid())
		return true;
	if (listed(uid, config->control_users, config->n_control_users))
		return true;
	return access == WEIR_ACCESS_READ && listed(uid, config->read_users, config->n_read_users);
}

/* Inode of a descriptor that is open, or 0. */
static ino_t
inode_of(int fd)
{
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

static void
forget_closed(struct weir_server *server)
{
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];

		if (connection->fd >= 0 && inode_of(connection->fd) != connection->inode)
			connection->fd = -1;
	}
}

static struct connection *
find(struct weir_server *server, int fd)
{
	ino_t inode = inode_of(fd);

	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];

		if (inode != 0 && connection->fd == fd && connection->inode == inode)
			return connection;
	}
	return NULL;
}

static void
tell_denied(struct weir_server *server, enum weir_access access, uid_t uid)
{
	uint64_t now_ns = weir_clock_boot_ns();

	if (server->told_denied_ns != 0 && now_ns - server->told_denied_ns < TELL_DENIED_NS)
		return;
	server->told_denied_ns = now_ns;
	weir_events_post(server->events, WEIR_WARNING, "access_denied",
	                 "user %u may not use the %s socket", uid,
	                 access == WEIR_ACCESS_CONTROL ? "control" : "read");
}

/* A free entry, if the connection's kind has room. */
static struct connection *
make_room(struct weir_server *server, enum weir_access access, bool denied)
{
	struct connection *free_entry = NULL;
	unsigned int n = 0;

	forget_closed(server);
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];

		if (connection->fd < 0)
			free_entry = connection;
		else if (connection->denied == denied && (denied || connection->access == access))
			n++;
	}
	return n < (denied ? DENIED_MAX : limits[access]) ? free_entry : NULL;
}

static void
turn_away(int fd)
{
	static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
	                           "Content-Type: application/json\r\nContent-Length: 43\r\n"
	                           "Connection: close\r\n\r\n"
	                           "{\"ok\": false, \"error\": \"too many clients\"}\n";

	/* evhttp sees the end and frees what it has. */
	if (send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		shutdown(fd, SHUT_RDWR);
	shutdown(fd, SHUT_RDWR);
}

/* Looks at a connection that evhttp has just accepted. */
static void
look_at(struct door *door, struct bufferevent *fresh)
{
	struct weir_server *server = door->server;
	int fd = bufferevent_getfd(fresh);
	struct connection *connection;
	uid_t uid = (uid_t)-1;
	bool denied;

	if (inode_of(fd) == 0)
		return;
	denied = (door->access != WEIR_ACCESS_METRICS && weir_listen_peer(fd, &uid) < 0) ||
	         !may_pass(&server->config, door->access, uid);
	if (denied)
		tell_denied(server, door->access, uid);
	connection = make_room(server, door->access, denied);
	if (connection == NULL) {
		turn_away(fd);
		return;
	}
	*connection = (struct connection){
	    .fd = fd,
	    .inode = inode_of(fd),
	    .access = door->access,
	    .uid = uid,
	    .denied = denied,
	    .since_ns = weir_clock_boot_ns(),
	};
}

static void
look_at_fresh(struct door *door)
{
	struct bufferevent *fresh = door->fresh;

	if (fresh == NULL)
		return;
	door->fresh = NULL;
	look_at(door, fresh);
	bufferevent_decref(fresh);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look_at_fresh(arg);
}

/* evhttp asks for a buffer for a connection that it has accepted and will then put in there. */
static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct door *door = arg;
	struct bufferevent *fresh;

	look_at_fresh(door);
	fresh = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (fresh == NULL)
		return NULL; /* evhttp makes one itself, and the request will be refused */
	bufferevent_incref(fresh);
	door->fresh = fresh;
	event_active(door->look, EV_TIMEOUT, 0);
	return fresh;
}

static void
refuse(struct evhttp_request *request, int code, const char *reason, const char *text)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evhttp_request_get_output_buffer(request);

	evhttp_add_header(headers, "Content-Type", "application/json");
	evhttp_add_header(headers, "Connection", "close");
	evbuffer_add_printf(body, "{\"ok\": false, \"error\": \"%s\"}\n", text);
	evhttp_send_reply(request, code, reason, NULL);
}

static int
request_fd(struct evhttp_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);

	return connection == NULL
	           ? -1
	           : bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
}

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct door *door = arg;
	struct weir_server *server = door->server;
	struct connection *connection;
	int fd = request_fd(request);
	uid_t uid = (uid_t)-1;

	look_at_fresh(door);
	connection = find(server, fd);
	if (connection == NULL) {
		refuse(request, 503, "Service Unavailable", "too many clients");
		return;
	}
	if (connection->denied ||
	    (door->access != WEIR_ACCESS_METRICS && weir_listen_peer(fd, &uid) < 0) ||
	    !may_pass(&server->config, door->access, uid)) {
		refuse(request, 403, "Forbidden", "this user may not use this socket");
		return;
	}
	server->handle(server->arg, request, door->access, uid);
}

/* Ends connections that have taken too long. Slow peers may trickle, but not for ever. */
static void
on_sweep(evutil_socket_t unused, short what, void *arg)
{
	struct weir_server *server = arg;
	uint64_t now_ns = weir_clock_boot_ns();

	(void)unused;
	(void)what;
	forget_closed(server);
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];
		uint64_t limit_ns = connection->denied ? DENIED_LIMIT_NS : REQUEST_LIMIT_NS;

		if (connection->fd < 0 || connection->stream ||
		    now_ns - connection->since_ns < limit_ns)
			continue;
		shutdown(connection->fd, SHUT_RDWR);
		connection->since_ns = now_ns;
	}
}

static void
close_door(struct door *door)
{
	struct stat status;

	if (door->http != NULL)
		evhttp_free(door->http);
	if (door->fresh != NULL)
		bufferevent_decref(door->fresh);
	if (door->look != NULL)
		event_free(door->look);
	/* Only our own file: another may have been put in its place. */
	if (door->inode != 0 && lstat(door->path, &status) == 0 && status.st_ino == door->inode)
		unlink(door->path);
	*door = (struct door){0};
}

static int
set_up_http(struct door *door, int fd)
{
	struct event_base *base = door->server->base;
	bool control = door->access == WEIR_ACCESS_CONTROL;
	struct evconnlistener *listener;

	door->look = event_new(base, -1, 0, on_look, door);
	door->http = evhttp_new(base);
	if (door->look == NULL || door->http == NULL)
		return -ENOMEM;
	evhttp_set_bevcb(door->http, on_accept, door);
	evhttp_set_gencb(door->http, on_request, door);
	evhttp_set_timeout(door->http, IDLE_LIMIT_S);
	evhttp_set_max_headers_size(door->http, HEADER_MAX_BYTES);
	evhttp_set_max_body_size(door->http, control ? WEIR_POLICY_MAX_BYTES : SMALL_BODY_BYTES);
	/* All, so that a wrong one gets our answer. */
	evhttp_set_allowed_methods(door->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
	                                           EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
	                                           EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
	                                           EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	listener = evconnlistener_new(base, NULL, NULL,
	                              LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listener == NULL)
		return -ENOMEM;
	if (evhttp_bind_listener(door->http, listener) == NULL) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	return 0;
}

/* path: of a Unix socket, or NULL: the loopback port. */
static int
open_door(struct weir_server *server, enum weir_access access, const char *path, char *error,
          size_t error_size)
{
	const struct weir_config_appliance *config = &server->config;
	struct door *door = &server->doors[server->n_doors];
	bool others =
	    config->n_control_users > 0 || (access == WEIR_ACCESS_READ && config->n_read_users > 0);
	struct stat status;
	int fd, code;

	*door = (struct door){.server = server, .access = access};
	if (path == NULL) {
		fd = weir_listen_loopback(config->metrics_port, error, error_size);
	} else {
		fd = weir_listen_unix(path, others ? 0666 : 0600, error, error_size);
		snprintf(door->path, sizeof(door->path), "%s", path);
	}
	if (fd < 0)
		return fd;
	if (path != NULL && lstat(path, &status) == 0)
		door->inode = status.st_ino;
	code = set_up_http(door, fd);
	if (code < 0) {
		snprintf(error, error_size, "control sockets: %s", strerror(-code));
		close_door(door);
		return code;
	}
	server->n_doors++;
	return 0;
}

int
weir_server_new(struct event_base *base, const struct weir_config_appliance *config,
                struct weir_events *events, weir_server_handle handle, void *arg,
                struct weir_server **server, char *error, size_t error_size)
{
	struct weir_server *made = calloc(1, sizeof(*made));
	const struct timeval second = {.tv_sec = SWEEP_S};
	int code = -ENOMEM;

	snprintf(error, error_size, "control sockets: out of memory");
	if (made == NULL)
		return -ENOMEM;
	made->base = base;
	made->config = *config;
	made->events = events;
	made->handle = handle;
	made->arg = arg;
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++)
		made->connections[i].fd = -1;
	made->sweep = event_new(base, -1, EV_PERSIST, on_sweep, made);
	if (made->sweep != NULL && event_add(made->sweep, &second) == 0)
		code =
		    open_door(made, WEIR_ACCESS_CONTROL, config->control_socket, error, error_size);
	if (code == 0 && config->read_socket[0] != '\0')
		code = open_door(made, WEIR_ACCESS_READ, config->read_socket, error, error_size);
	if (code == 0 && config->metrics_port != 0)
		code = open_door(made, WEIR_ACCESS_METRICS, NULL, error, error_size);
	if (code < 0) {
		weir_server_free(made);
		return code;
	}
	*server = made;
	return 0;
}

void
weir_server_free(struct weir_server *server)
{
	if (server == NULL)
		return;
	while (server->n_doors > 0)
		close_door(&server->doors[--server->n_doors]);
	if (server->sweep != NULL)
		event_free(server->sweep);
	free(server);
}

bool
weir_server_admit_stream(struct weir_server *server, struct evhttp_request *request)
{
	struct connection *connection = find(server, request_fd(request));
	unsigned int n = 0;

	forget_closed(server);
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		if (server->connections[i].fd >= 0 && server->connections[i].stream)
			n++;
	}
	if (connection == NULL || n >= WEIR_STREAMS_MAX)
		return false;
	connection->stream = true;
	return true;
}

void
weir_server_restart_limits(struct evhttp_request *request)
{
	const struct timeval limit = {.tv_sec = IDLE_LIMIT_S};
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	struct bufferevent *buffer;

	if (connection == NULL)
		return;
	buffer = evhttp_connection_get_bufferevent(connection);
	/* Limits count from the loop's own idea of now, which is as old as this round of it. */
	(void)event_base_update_cache_time(bufferevent_get_base(buffer));
	(void)bufferevent_set_timeouts(buffer, &limit, &limit);
}
