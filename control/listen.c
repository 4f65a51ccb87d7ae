/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int
fail(int fd, int code, const char *what, const char *why, char *error, size_t error_size)
{
	if (fd >= 0)
		close(fd);
	snprintf(error, error_size, "%s: %s", what, why != NULL ? why : strerror(-code));
	return code;
}

/* Makes room for a socket's file. Returns 0 when there is none any more. */
static int
remove_stale(const struct sockaddr_un *address, const char **why)
{
	const char *path = address->sun_path;
	struct stat status;
	int probe, code = 0;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode)) {
		*why = "exists and is not a socket";
		return -EEXIST;
	}
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED) {
		*why = "another process listens there";
		code = -EADDRINUSE;
	} else if (unlink(path) < 0) {
		code = -errno;
	}
	close(probe);
	return code;
}

int
weir_listen_unix(const char *path, mode_t mode, char *error, size_t error_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *why = NULL;
	mode_t before;
	int fd, code;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(-1, -ENAMETOOLONG, path, NULL, error, error_size);
	memcpy(address.sun_path, path, strlen(path) + 1);
	code = remove_stale(&address, &why);
	if (code < 0)
		return fail(-1, code, path, why, error, error_size);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(fd, -errno, path, NULL, error, error_size);
	/* By umask and not by chmod: there is no moment at which the mode is another. */
	before = umask((mode_t)(0777 & ~mode));
	code = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(before);
	if (code < 0)
		return fail(fd, code, path, NULL, error, error_size);
	if (listen(fd, BACKLOG) < 0) {
		code = -errno;
		unlink(path);
		return fail(fd, code, path, NULL, error, error_size);
	}
	return fd;
}

int
weir_listen_loopback(uint16_t port, char *error, size_t error_size)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1;
	char name[32];

	snprintf(name, sizeof(name), "127.0.0.1:%u", port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return fail(fd, -errno, name, NULL, error, error_size);
	return fd;
}

int
weir_listen_peer(int fd, uid_t *uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (size != sizeof(peer))
		return -EPROTO;
	*uid = peer.uid;
	return 0;
}
