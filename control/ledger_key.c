/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ledger_key.h"

#include "drivers/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_VERSION    1
#define FILE_MAX_BYTES  1024U /* far more than a key file needs */
#define N_MEMBERS       4U
#define ID_PERSONAL     "weir-ledger-keyi"
#define SECRET_PERSONAL "weir-ledger-witn"

static_assert(sizeof(ID_PERSONAL) - 1 == crypto_generichash_blake2b_PERSONALBYTES, "BLAKE2b's");
static_assert(sizeof(SECRET_PERSONAL) - 1 == crypto_generichash_blake2b_PERSONALBYTES, "BLAKE2b's");

/* Letters, digits, '_', '.' and '-', as in a policy. */
static bool
is_name(const char *text, size_t bytes)
{
	if (bytes == 0 || bytes >= WEIR_NAME_SIZE)
		return false;
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
	       bytes;
}

static void
set_id(struct weir_ledger_key *key)
{
	int rc = crypto_generichash_blake2b_salt_personal(key->id, sizeof(key->id), key->key,
	                                                  sizeof(key->key), NULL, 0, NULL,
	                                                  (const uint8_t *)ID_PERSONAL);

	assert(rc == 0);
}

void
weir_ledger_key_make(const char *appliance, struct weir_ledger_key *key)
{
	size_t bytes = strlen(appliance);
	int rc = sodium_init();

	assert(rc >= 0);
	assert(is_name(appliance, bytes));
	memset(key, 0, sizeof(*key));
	memcpy(key->appliance, appliance, bytes);
	randombytes_buf(key->identity, sizeof(key->identity));
	randombytes_buf(key->key, sizeof(key->key));
	set_id(key);
}

void
weir_ledger_key_secret(const struct weir_ledger_key *key, uint8_t secret[WEIR_WITNESS_SECRET_BYTES])
{
	int rc = crypto_generichash_blake2b_salt_personal(secret, WEIR_WITNESS_SECRET_BYTES, NULL,
	                                                  0, key->key, sizeof(key->key), NULL,
	                                                  (const uint8_t *)SECRET_PERSONAL);

	assert(rc == 0);
}

void
weir_ledger_key_wipe(struct weir_ledger_key *key)
{
	sodium_memzero(key, sizeof(*key));
}

/* ---- reading ---- */

/* A member of exactly so many hex digits. */
static bool
get_hex(const json_t *object, const char *name, uint8_t *to, size_t bytes)
{
	const json_t *member = json_object_get(object, name);
	const char *end;
	size_t got;

	if (!json_is_string(member) || json_string_length(member) != 2 * bytes)
		return false;
	return sodium_hex2bin(to, bytes, json_string_value(member), 2 * bytes, NULL, &got, &end) ==
	           0 &&
	       got == bytes && *end == '\0';
}

/* Overwrites the key's digits in memory that jansson will free. */
static void
forget(const json_t *object)
{
	const json_t *member = json_object_get(object, "key");

	if (json_is_string(member))
		sodium_memzero((void *)(uintptr_t)json_string_value(member),
		               json_string_length(member));
}

/* What is wrong with the contents, or NULL. */
static const char *
parse(const char *text, size_t bytes, struct weir_ledger_key *key)
{
	json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
	const json_t *version = json_object_get(object, "weir_ledger_key");
	const json_t *appliance = json_object_get(object, "appliance");
	const char *wrong = NULL;

	memset(key, 0, sizeof(*key));
	if (!json_is_object(object))
		wrong = "not a JSON object, or one with a member twice";
	else if (!json_is_integer(version) || json_integer_value(version) != FILE_VERSION)
		wrong = "\"weir_ledger_key\" is not 1";
	else if (!json_is_string(appliance) ||
	         !is_name(json_string_value(appliance), json_string_length(appliance)))
		wrong = "\"appliance\" is not the name of one";
	else if (!get_hex(object, "identity", key->identity, sizeof(key->identity)))
		wrong = "\"identity\" is not 32 hex digits";
	else if (!get_hex(object, "key", key->key, sizeof(key->key)))
		wrong = "\"key\" is not 64 hex digits";
	else if (json_object_size(object) != N_MEMBERS)
		wrong = "it has members that a key file does not have";
	if (wrong == NULL) {
		memcpy(key->appliance, json_string_value(appliance), json_string_length(appliance));
		set_id(key);
	}
	forget(object);
	json_decref(object);
	return wrong;
}

/* Regular, mode 0400, owner root or this user. */
static int
check_file(int fd, const char *path, char *error, size_t error_size)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		int rc = -errno;

		snprintf(error, error_size, "ledger key %s: %s", path, strerror(-rc));
		return rc;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, error_size, "ledger key %s: expected a regular file", path);
		return -EACCES;
	}
	if ((st.st_mode & 07777) != S_IRUSR) {
		snprintf(error, error_size, "ledger key %s: mode %04o, expected 0400", path,
		         (unsigned int)st.st_mode & 07777);
		return -EACCES;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		snprintf(error, error_size, "ledger key %s: its owner is user %u, expected 0 or %u",
		         path, (unsigned int)st.st_uid, (unsigned int)geteuid());
		return -EACCES;
	}
	return 0;
}

/* Reads to the end, at most room bytes. How many, or -errno. */
static ssize_t
read_all(int fd, char *text, size_t room)
{
	size_t bytes = 0;

	while (bytes < room) {
		ssize_t got = read(fd, text + bytes, room - bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		bytes += (size_t)got;
	}
	return (ssize_t)bytes;
}

int
weir_ledger_key_load(const char *path, struct weir_ledger_key *key, char *error, size_t error_size)
{
	char text[FILE_MAX_BYTES + 1];
	const char *wrong;
	int fd, rc = sodium_init();
	ssize_t bytes;

	assert(rc >= 0);
	memset(key, 0, sizeof(*key));
	/* O_NONBLOCK: a FIFO by that name must not hang the start. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		rc = -errno;
		snprintf(error, error_size, "ledger key %s: %s", path, strerror(-rc));
		return rc;
	}
	rc = check_file(fd, path, error, error_size);
	bytes = rc == 0 ? read_all(fd, text, sizeof(text)) : 0;
	(void)close(fd);
	if (rc != 0)
		return rc;
	if (bytes < 0) {
		snprintf(error, error_size, "ledger key %s: %s", path, strerror((int)-bytes));
		return (int)bytes;
	}
	wrong = bytes <= FILE_MAX_BYTES ? parse(text, (size_t)bytes, key)
	                                : "longer than a key file can be";
	sodium_memzero(text, sizeof(text));
	if (wrong == NULL)
		return 0;
	weir_ledger_key_wipe(key);
	snprintf(error, error_size, "ledger key %s: %s", path, wrong);
	return -EINVAL;
}

/* ---- writing ---- */

static int
write_all(int fd, const char *text, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t put = write(fd, text + at, bytes - at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		at += (size_t)put;
	}
	return 0;
}

int
weir_ledger_key_save(const char *path, const struct weir_ledger_key *key)
{
	char identity[2 * sizeof(key->identity) + 1], digits[2 * sizeof(key->key) + 1];
	char text[FILE_MAX_BYTES];
	int fd, rc, length;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, S_IRUSR);
	if (fd < 0)
		return -errno;
	sodium_bin2hex(identity, sizeof(identity), key->identity, sizeof(key->identity));
	sodium_bin2hex(digits, sizeof(digits), key->key, sizeof(key->key));
	length = snprintf(text, sizeof(text),
	                  "{\"weir_ledger_key\": %d, \"appliance\": \"%s\", \"identity\": \"%s\","
	                  " \"key\": \"%s\"}\n",
	                  FILE_VERSION, key->appliance, identity, digits);
	assert(length > 0 && (size_t)length < sizeof(text));
	rc = fchmod(fd, S_IRUSR) == 0 ? 0 : -errno; /* whatever the mask */
	if (rc == 0)
		rc = write_all(fd, text, (size_t)length);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	(void)close(fd);
	if (rc == 0)
		rc = weir_disk_sync_folder(path);
	if (rc != 0)
		(void)unlink(path); /* this call made it, so this call removes it */
	sodium_memzero(digits, sizeof(digits));
	sodium_memzero(text, sizeof(text));
	return rc;
}
