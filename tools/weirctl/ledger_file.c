/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/weirctl/ledger_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* How often a file that is in use is read again where it makes no sense: it was being written. */
#define READS_MAX 20U

/* A disk of what has been read: the rules for reading want one. */
struct memory_disk {
	struct weir_disk disk;
	const uint8_t *data;
	uint64_t bytes;
};

static int
memory_read(struct weir_disk *disk, void *data, size_t bytes, uint64_t offset)
{
	const struct memory_disk *memory = (const struct memory_disk *)disk;

	if (offset > memory->bytes || bytes > memory->bytes - offset)
		return -EIO;
	memcpy(data, memory->data + offset, bytes);
	return 0;
}

static int
memory_write(struct weir_disk *disk, const void *data, size_t bytes, uint64_t offset)
{
	(void)disk;
	(void)data;
	(void)bytes;
	(void)offset;
	return -EROFS;
}

static int
memory_sync(struct weir_disk *disk)
{
	(void)disk;
	return -EROFS;
}

static int
memory_size(struct weir_disk *disk, uint64_t *bytes)
{
	*bytes = ((const struct memory_disk *)disk)->bytes;
	return 0;
}

static void
memory_close(struct weir_disk *disk)
{
	(void)disk;
}

static const struct weir_disk_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .sync = memory_sync,
    .size = memory_size,
    .close = memory_close,
};

const char *
weir_ledger_file_kind(enum weir_ledger_kind kind)
{
	return kind == WEIR_LEDGER_GRANTS ? "GRANTS" : "STATE";
}

/* Opens the file and tells its size. 0 or -errno with a line in error. */
static int
open_file(struct weir_ledger_file *file, struct weir_disk **disk, struct weir_error *error)
{
	int rc = weir_disk_open_reader(file->path, disk, &file->in_use);

	if (rc == -EINVAL)
		return weir_error_set(error, rc, "%s: expected a regular file", file->path);
	if (rc == 0) {
		rc = (*disk)->ops->size(*disk, &file->bytes);
		if (rc != 0)
			(*disk)->ops->close(*disk);
	}
	if (rc != 0)
		weir_error_set(error, rc, "%s: %s", file->path, strerror(-rc));
	return rc;
}

/* Reads a slot's record, as much of it as it claims to be; the rest stays zero. */
static int
read_slot(struct weir_ledger_file *file, struct weir_disk *disk, enum weir_ledger_kind kind,
          uint32_t parity)
{
	uint64_t offset = weir_ledger_slot_offset(kind, parity);
	uint8_t *data = file->data + offset;
	size_t bytes;
	int rc = disk->ops->read(disk, data, WEIR_LEDGER_BLOCK_BYTES, offset);

	if (rc != 0)
		return rc;
	bytes = WEIR_LEDGER_BLOCKS(weir_ledger_claimed_bytes(data, kind));
	return bytes > WEIR_LEDGER_BLOCK_BYTES ? disk->ops->read(disk, data, bytes, offset) : 0;
}

/*
 * Reads all records, STATE first: while Weir runs, GRANTS are written more often and tell of the
 * newest STATE.
 */
static int
read_file(struct weir_ledger_file *file, struct weir_disk *disk, struct weir_error *error)
{
	int rc = 0;

	for (uint32_t i = 0; i < WEIR_LEDGER_SLOTS && rc == 0; i++)
		rc = read_slot(file, disk, i < 2 ? WEIR_LEDGER_STATE : WEIR_LEDGER_GRANTS, i & 1);
	return rc == 0 ? 0 : weir_error_set(error, rc, "%s: %s", file->path, strerror(-rc));
}

/* Judges each slot. */
static void
check_slots(struct weir_ledger_file *file)
{
	for (uint32_t i = 0; i < WEIR_LEDGER_SLOTS; i++) {
		struct weir_ledger_slot *slot = &file->slots[i];
		struct weir_ledger_header unused;
		const uint8_t *data;
		size_t room;

		slot->kind = i < 2 ? WEIR_LEDGER_GRANTS : WEIR_LEDGER_STATE;
		slot->parity = i & 1;
		slot->offset_bytes = weir_ledger_slot_offset(slot->kind, slot->parity);
		room = weir_ledger_slot_room(slot->kind);
		data = file->data + slot->offset_bytes;
		slot->whole = weir_ledger_check(data, room, slot->kind, slot->parity, NULL,
		                                &slot->header) == WEIR_LEDGER_VALID;
		slot->verdict = weir_ledger_check(data, room, slot->kind, slot->parity,
		                                  file->has_key ? &file->key : NULL, &unused);
	}
}

/* The newest whole record of a kind, or NULL. */
static const struct weir_ledger_slot *
newest(const struct weir_ledger_file *file, uint32_t first)
{
	const struct weir_ledger_slot *a = &file->slots[first], *b = &file->slots[first + 1];

	if (a->whole && b->whole)
		return a->header.sequence > b->header.sequence ? a : b;
	return a->whole ? a : b->whole ? b : NULL;
}

static void
free_windows(struct weir_ledger_recovered *recovered)
{
	for (uint32_t i = 0; recovered->budgets != NULL && i < WEIR_BUDGETS_MAX; i++) {
		for (uint32_t w = 0; w < WEIR_CAPS_MAX; w++)
			free(recovered->budgets[i].windows[w]);
	}
}

/* Room for what is read, zeroed. */
static void
make_room(struct weir_ledger_recovered *recovered)
{
	free_windows(recovered);
	free(recovered->budgets);
	free(recovered->grants);
	*recovered = (struct weir_ledger_recovered){
	    .budgets = calloc(WEIR_BUDGETS_MAX, sizeof(*recovered->budgets)),
	    .grants = calloc(WEIR_BUDGETS_MAX, sizeof(*recovered->grants)),
	};
	if (recovered->budgets == NULL || recovered->grants == NULL)
		weir_text_no_memory();
}

/* What the newest whole record of each kind says, fit together as far as it goes. */
static void
read_refused(struct weir_ledger_file *file)
{
	const struct weir_ledger_slot *grants = newest(file, 0), *state = newest(file, 2);
	struct weir_ledger_recovered *to = &file->recovered;

	make_room(to);
	file->has_grants = grants != NULL;
	file->has_state = state != NULL;
	if (state != NULL) {
		if (weir_ledger_decode_state(file->data + state->offset_bytes, &state->header,
		                             to->budgets) != 0)
			weir_text_no_memory();
		to->n_budgets = state->header.n_budgets;
		to->clock_ns = state->header.clock_ns;
		to->stamp = state->header.stamp;
	}
	if (grants != NULL) {
		weir_ledger_decode_grants(file->data + grants->offset_bytes, &grants->header,
		                          to->grants);
		if (to->n_budgets < grants->header.n_budgets)
			to->n_budgets = grants->header.n_budgets;
		if (to->clock_ns < grants->header.clock_ns)
			to->clock_ns = grants->header.clock_ns;
		to->stamp = grants->header.stamp;
	}
}

/* Judges what has been read, by the rules that a start goes by. */
static void
judge(struct weir_ledger_file *file)
{
	struct memory_disk memory = {{&memory_ops}, file->data, file->bytes};
	struct weir_ledger_store store;

	make_room(&file->recovered);
	if (weir_ledger_store_init(&store, &memory.disk, file->has_key ? &file->key : NULL) != 0)
		weir_text_no_memory();
	file->refusal =
	    weir_ledger_recover(&store, NULL, &file->recovered, file->error, sizeof(file->error));
	weir_ledger_store_free(&store);
	if (file->refusal == WEIR_REFUSAL_MEMORY)
		weir_text_no_memory();
	file->has_state = file->has_grants = true;
	if (file->refusal != WEIR_REFUSAL_NONE)
		read_refused(file);
}

/* A file of another size is no ledger: nothing in it is looked at. */
static void
refuse_size(struct weir_ledger_file *file)
{
	file->refusal = WEIR_REFUSAL_SIZE;
	snprintf(file->error, sizeof(file->error), "%llu bytes, expected the %llu of a ledger",
	         (unsigned long long)file->bytes, WEIR_LEDGER_FILE_BYTES);
	make_room(&file->recovered);
}

/* Finds the key. A file that is not there is an error only where it was asked for. */
static int
load_key(struct weir_ledger_file *file, const char *key_path, struct weir_error *error)
{
	char line[512];
	int rc;

	if ((size_t)snprintf(file->key_path, sizeof(file->key_path), "%s%s",
	                     key_path != NULL ? key_path : file->path,
	                     key_path != NULL ? "" : ".key") >= sizeof(file->key_path))
		return weir_error_set(error, -ENAMETOOLONG, "%s: %s", file->path,
		                      strerror(ENAMETOOLONG));
	rc = weir_ledger_key_load(file->key_path, &file->key, line, sizeof(line));
	if (rc == -ENOENT && key_path == NULL)
		return 0;
	if (rc != 0)
		return weir_error_set(error, rc, "%s", line);
	file->has_key = true;
	return 0;
}

/* Reads and judges, again where a file that is in use makes no sense. */
static int
load_file(struct weir_ledger_file *file, struct weir_disk *disk, struct weir_error *error)
{
	/* Aligned to blocks as disks want it, zero, and only as large as what is written to it. */
	file->data =
	    mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file->data == MAP_FAILED)
		weir_text_no_memory();
	for (uint32_t i = 0; i < READS_MAX; i++) {
		int rc = read_file(file, disk, error);

		if (rc != 0)
			return rc;
		check_slots(file);
		judge(file);
		if (file->refusal == WEIR_REFUSAL_NONE || !file->in_use)
			break;
	}
	return 0;
}

enum weir_exit
weir_ledger_file_load(struct weir_ledger_file *file, const char *path, const char *key_path,
                      struct weir_error *error)
{
	struct weir_disk *disk;
	int rc;

	memset(file, 0, sizeof(*file));
	file->path = path;
	if (open_file(file, &disk, error) != 0)
		return WEIR_EXIT_USAGE;
	rc = load_key(file, key_path, error);
	if (rc == 0 && file->bytes == WEIR_LEDGER_FILE_BYTES)
		rc = load_file(file, disk, error);
	else if (rc == 0)
		refuse_size(file);
	disk->ops->close(disk);
	if (rc == 0)
		return WEIR_EXIT_OK;
	weir_ledger_file_free(file);
	return WEIR_EXIT_USAGE;
}

void
weir_ledger_file_free(struct weir_ledger_file *file)
{
	free_windows(&file->recovered);
	free(file->recovered.budgets);
	free(file->recovered.grants);
	if (file->data != NULL)
		munmap(file->data, file->bytes);
	weir_ledger_key_wipe(&file->key);
}

void
weir_ledger_file_print_key(const struct weir_ledger_file *file)
{
	char *clean = weir_text_clean(file->key_path, strlen(file->key_path), false);

	if (file->has_key)
		printf("MAC checked with %s\n", clean);
	else
		printf("MAC not checked: no key (%s is missing)\n", clean);
	free(clean);
	if (file->in_use)
		printf("read while a weir has it open: a record may have been half written\n");
}

json_t *
weir_ledger_file_number(uint64_t number)
{
	return weir_command_json(json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

json_t *
weir_ledger_file_json(const struct weir_ledger_file *file)
{
	bool good = file->refusal == WEIR_REFUSAL_NONE;
	char *path = weir_text_clean(file->path, strlen(file->path), false);
	char *error = weir_text_clean(file->error, strlen(file->error), false);
	json_t *json = weir_command_json(json_pack(
	    "{s:b, s:s, s:s?, s:s?, s:b, s:b}", "ok", (int)good, "file", path, "refusal",
	    good ? NULL : weir_ledger_refusal_name(file->refusal), "error", good ? NULL : error,
	    "mac_checked", (int)file->has_key, "in_use", (int)file->in_use));

	free(error);
	free(path);
	return json;
}
