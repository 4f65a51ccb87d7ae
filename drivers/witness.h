/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A witness: a counter outside of the ledger that only grows, so that an older copy of the ledger
 * can be told from the newest one. Either an NV counter of a TPM 2.0, or a small file on another
 * disk or a network mount. What its value means stands in control/ledger_witness.h.
 *
 * Whoever has the ledger's key can read and advance it, nobody else can: the TPM's counter asks for
 * a secret made from the key, the file bears a MAC. So a witness also says whose it is.
 */
#ifndef WEIR_DRIVERS_WITNESS_H
#define WEIR_DRIVERS_WITNESS_H

#include "drivers/units.h"

#include <stddef.h>
#include <stdint.h>

#define WEIR_WITNESS_SECRET_BYTES  32U
#define WEIR_WITNESS_OPEN_LIMIT_NS (10 * WEIR_NS_PER_S)

struct weir_witness;

/*
 * All calls may block, for as long as the TPM or the file system takes, and belong to one thread at
 * a time. Each reaches for the TPM or the file anew if it has to: one that was away and is back is
 * used again. Errors are the same for all kinds, and of opening as well:
 *
 *   -ENOENT     there is no such counter or file
 *   -EACCES     it is another ledger's: the secret does not fit, or the NV index is no such counter
 *   -EBADMSG    it is damaged: neither copy in the file is valid, or the file has another size
 *   -ERANGE     advance: it stands neither at value nor at value - 1
 *   -EBUSY      file: another process has it; TPM: it can't do it now
 *   -ENODATA    TPM: the counter was defined and never incremented: creation was cut off
 *   any other   it can't be reached or used now. Never -EAGAIN
 *
 * Opening reads the witness once, within WEIR_WITNESS_OPEN_LIMIT_NS: -ETIMEDOUT when that takes
 * longer, and then a thread and some memory are left behind.
 */
struct weir_witness_ops {
	int (*read)(struct weir_witness *witness, uint64_t *value);
	/*
	 * Moves it from value - 1 to value; 0 when that is durable, and also when it stood there
	 * already: so a call whose outcome is not known may be made again.
	 */
	int (*advance)(struct weir_witness *witness, uint64_t value);
	void (*close)(struct weir_witness *witness);
};

struct weir_witness {
	const struct weir_witness_ops *ops;
};

/*
 * The file. Two copies of 4,096 bytes each, written in turn, as described in witness_file.c; locked
 * against a second process. A copy that is not valid may have been the newer one and counts as
 * such: the value is then that of the other one plus one.
 *
 * It is worth as much as the place where it is: whoever can put back both the ledger and this file
 * is not noticed.
 */
int weir_witness_open_file(const char *path, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                           struct weir_witness **witness) __attribute__((warn_unused_result));

/*
 * Makes it, mode 0600, standing at 1, with its name durable. -EEXIST where the name is taken. Not
 * limited in time.
 */
int weir_witness_create_file(const char *path, const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                             struct weir_witness **witness) __attribute__((warn_unused_result));

/*
 * The NV counter of a TPM 2.0, by tpm2-tss. tcti: as tctildr takes it, "device:/dev/tpmrm0" or
 * "swtpm:path=/run/tpm.sock". index: of the NV counter, 0x01000000 to 0x01ffffff. Opening talks to
 * the TPM but changes nothing. The secret is never sent, but once, encrypted, when the counter is
 * made: it keys the HMAC of the session, which also proves that the answer is that of the TPM which
 * holds the counter. -EINVAL: not such an index or tcti, or a secret of zeros; -ECONNREFUSED: there
 * is no TPM; -ELIBACC: no library for this kind of tcti; -EIO: it went away, or failed.
 *
 * Both calls set TSS2_LOG=all+NONE in the environment where TSS2_LOG is not set, lest the library
 * writes its own messages to standard error: so no other thread may change the environment then.
 */
int weir_witness_open_tpm(const char *tcti, uint32_t index,
                          const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                          struct weir_witness **witness) __attribute__((warn_unused_result));

/*
 * Defines the counter, by the owner's hierarchy with an empty password, and increments it once: a
 * TPM starts a new counter above all that it ever had, so it does not stand at 1. -EEXIST where the
 * index is taken; -EPERM where the owner has a password; -ENOSPC. Not limited in time.
 */
int weir_witness_create_tpm(const char *tcti, uint32_t index,
                            const uint8_t secret[WEIR_WITNESS_SECRET_BYTES],
                            struct weir_witness **witness) __attribute__((warn_unused_result));

/*
 * What the ledger uses: a witness that never keeps it waiting unasked. One request at a time.
 * weir_witness_line_start puts a thread behind a blocking witness; a simulation has its own.
 */
struct weir_witness_line;

struct weir_witness_line_ops {
	/* Asks for advance(value). None is under way. Never waits. */
	void (*request)(struct weir_witness_line *line, uint64_t value);
	/*
	 * What has become of the request, waiting for at most wait_ns: -EAGAIN while it is under
	 * way; 0; or -errno as above. Not -EAGAIN: once, then no request is under way. Only after a
	 * request.
	 */
	int (*result)(struct weir_witness_line *line, uint64_t wait_ns);
	void (*close)(struct weir_witness_line *line);
};

struct weir_witness_line {
	const struct weir_witness_line_ops *ops;
};

/*
 * Puts a thread of its own behind a witness and takes it; closing closes it too. Closing waits for
 * a request that is under way for at most two seconds; a thread that hangs in a dead mount or TPM
 * is then left behind, for the end of the process to take. The thread runs with all signals
 * blocked, on the CPUs of the thread that starts it. 0 or -errno, and then the witness stays the
 * caller's.
 */
int weir_witness_line_start(struct weir_witness *witness, struct weir_witness_line **line)
    __attribute__((warn_unused_result));

/*
 * Reads a witness, for at most limit_ns: -ETIMEDOUT when it takes longer. Must come before
 * weir_witness_line_start; after -ETIMEDOUT the witness is not to be touched any more.
 */
int weir_witness_read(struct weir_witness *witness, uint64_t limit_ns, uint64_t *value)
    __attribute__((warn_unused_result));

#endif
