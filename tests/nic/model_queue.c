/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Send queues as the driver sees them: a ring of descriptors, of which the NIC marks some as done.
 * What rte_eth_tx_descriptor_status makes of the marks differs, and is often wrong.
 */
#include "tests/nic/model_family.h"

#include <errno.h>
#include <rte_errno.h>
#include <stdlib.h>

#define DONE        1U /* bits of a descriptor */
#define TELL        2U
#define SIMPLE_RS   32U /* from here on drivers take their simple path */
#define FREE_THRESH 32U
#define BLOCK       32U /* descriptors of one block of the absolute kind */
#define RING_ALIGN  64U

static bool
has_bits(const struct weir_model_queue *queue)
{
	enum weir_model_completion kind = queue->nic->config.completion;

	return kind == WEIR_MODEL_COMPLETION_BIT || kind == WEIR_MODEL_COMPLETION_ROUNDED;
}

int
weir_model_queue_init(struct weir_model *nic, uint16_t id)
{
	struct weir_model_queue *queue = &nic->queues[id];
	unsigned int size = rte_align32pow2(nic->config.descriptors + 1U);
	ssize_t bytes = rte_ring_get_memsize(size);
	char name[RTE_RING_NAMESIZE];

	queue->nic = nic;
	queue->id = id;
	nic->queue_pointers[id] = queue;
	if (bytes < 0)
		return -EINVAL;
	queue->ring = aligned_alloc(RING_ALIGN, RTE_ALIGN_CEIL((size_t)bytes, RING_ALIGN));
	queue->handed_ns = calloc(size, sizeof(*queue->handed_ns));
	queue->bits = calloc(nic->config.descriptors, sizeof(*queue->bits));
	if (queue->ring == NULL || queue->handed_ns == NULL || queue->bits == NULL)
		return -ENOMEM;
	snprintf(name, sizeof(name), "nic_%.16s_%u", nic->config.name, id);
	return rte_ring_init(queue->ring, name, size, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

void
weir_model_queue_fini(struct weir_model_queue *queue)
{
	if (queue->ring != NULL && queue->bits != NULL)
		weir_model_queue_empty(queue);
	free(queue->ring);
	free(queue->handed_ns);
	free((void *)(uintptr_t)queue->bits);
}

void
weir_model_queue_empty(struct weir_model_queue *queue)
{
	struct weir_model *nic = queue->nic;

	while (weir_model_queue_fetch(queue)) {
		rte_pktmbuf_free(queue->head);
		queue->head = NULL;
		queue->discarded++;
		nic->discarded_frames++;
	}
	queue->fetched = queue->done = 0;
	atomic_store(&queue->handed, 0);
	atomic_store(&queue->told, 0);
	for (uint32_t i = 0; i < nic->config.descriptors; i++)
		atomic_store(&queue->bits[i], DONE);
	queue->tail = queue->used = 0;
	queue->free = queue->n_descriptors > 0 ? queue->n_descriptors - 1U : 0;
	queue->cleaned = queue->free;
	queue->next_done = queue->rs_thresh > 0 ? queue->rs_thresh - 1U : 0;
}

bool
weir_model_queue_fetch(struct weir_model_queue *queue)
{
	void *mbuf;
	uint64_t mask = rte_ring_get_size(queue->ring) - 1;

	if (queue->head != NULL)
		return true;
	if (rte_ring_dequeue(queue->ring, &mbuf) != 0)
		return false;
	queue->head = mbuf;
	queue->head_ps = weir_model_time(queue->handed_ns[queue->fetched & mask]);
	queue->fetched++;
	return true;
}

void
weir_model_queue_done(struct weir_model_queue *queue)
{
	const struct weir_model_cheat *cheat = &queue->nic->cheat;
	uint32_t place = (uint32_t)(queue->done % queue->n_descriptors);

	queue->done++;
	if (cheat->never_completes)
		return;
	if ((atomic_load(&queue->bits[place]) & TELL) != 0)
		atomic_fetch_or(&queue->bits[place], DONE);
	atomic_store(&queue->told, queue->done);
}

/*
 * Takes back descriptors that are done, as far as the driver's path goes at once. The simple path
 * looks at each rs_thresh-th mark; the other one clears the mark that it has seen.
 */
static bool
clean(struct weir_model_queue *queue)
{
	uint32_t n = queue->n_descriptors, at, cleaned;

	if (queue->rs_thresh >= SIMPLE_RS) {
		if ((atomic_load(&queue->bits[queue->next_done]) & DONE) == 0)
			return false;
		queue->free += queue->rs_thresh;
		queue->next_done += queue->rs_thresh;
		if (queue->next_done >= n)
			queue->next_done = queue->rs_thresh - 1U;
		return true;
	}
	at = (queue->cleaned + queue->rs_thresh) % n;
	if ((atomic_load(&queue->bits[at]) & DONE) == 0)
		return false;
	cleaned = (at + n - queue->cleaned) % n;
	atomic_fetch_and(&queue->bits[at], (uint8_t)~DONE);
	queue->cleaned = at;
	queue->free += cleaned;
	return true;
}

/* The bits of the descriptor that a frame goes into. */
static uint8_t
fill_bits(struct weir_model_queue *queue, bool last)
{
	if (queue->rs_thresh >= SIMPLE_RS)
		return queue->tail % queue->rs_thresh == queue->rs_thresh - 1U ? TELL : 0;
	queue->used++;
	if (queue->used >= queue->rs_thresh) {
		queue->used = 0;
		return TELL;
	}
	return last && queue->nic->config.family->tells_at_end ? TELL : 0;
}

static bool
put(struct weir_model_queue *queue, struct rte_mbuf *frame, bool last, uint64_t now_ns)
{
	uint64_t handed = atomic_load_explicit(&queue->handed, memory_order_relaxed);
	uint64_t mask = rte_ring_get_size(queue->ring) - 1;

	if (has_bits(queue)) {
		if (queue->free == 0 && (queue->rs_thresh >= SIMPLE_RS || !clean(queue)))
			return false;
		queue->free--;
	} else if (handed - atomic_load(&queue->told) >= queue->n_descriptors - 1U) {
		return false;
	}
	if (rte_ring_full(queue->ring))
		return false;
	atomic_store(&queue->bits[queue->tail], fill_bits(queue, last));
	queue->handed_ns[handed & mask] = now_ns;
	queue->tail = (queue->tail + 1) % queue->n_descriptors;
	atomic_store(&queue->handed, handed + 1);
	(void)rte_ring_enqueue(queue->ring, frame); /* it has room */
	return true;
}

uint16_t
weir_model_send(void *arg, struct rte_mbuf **frames, uint16_t n)
{
	struct weir_model_queue *queue = arg;
	const struct weir_model *nic = queue->nic;
	uint64_t now_ns = nic->clock_ns != NULL ? nic->clock_ns() : nic->now_ns;
	uint16_t sent = 0;

	if (has_bits(queue) && queue->free < FREE_THRESH)
		(void)clean(queue);
	while (sent < n && put(queue, frames[sent], sent == n - 1, now_ns))
		sent++;
	return sent;
}

/* By the mark of a descriptor so far behind the tail. */
static bool
marked(const struct weir_model_queue *queue, uint32_t offset, uint32_t step)
{
	uint32_t n = queue->n_descriptors, at = queue->tail + offset;

	at = (at + step - 1) / step * step;
	if (at >= n)
		at -= n;
	if (at >= n)
		at -= n;
	return (atomic_load(&queue->bits[at]) & DONE) != 0;
}

static bool
is_done(const struct weir_model_queue *queue, uint32_t offset)
{
	uint64_t handed = atomic_load(&queue->handed), told = atomic_load(&queue->told), head;

	switch (queue->nic->config.completion) {
	case WEIR_MODEL_COMPLETION_DRIVER:
	case WEIR_MODEL_COMPLETION_NONE:
		break;
	case WEIR_MODEL_COMPLETION_EXACT:
		return queue->n_descriptors - offset > handed - told;
	case WEIR_MODEL_COMPLETION_BIT:
		return marked(queue, offset, 1);
	case WEIR_MODEL_COMPLETION_ROUNDED:
		return marked(queue, offset, queue->rs_thresh);
	case WEIR_MODEL_COMPLETION_ABSOLUTE:
		head = told % BLOCK;
		return handed == told || offset < head || offset > head + handed - told;
	}
	return false;
}

int
weir_model_status(void *arg, uint16_t offset)
{
	const struct weir_model_queue *queue = arg;

	if (offset >= queue->n_descriptors)
		return -EINVAL;
	if (queue->nic->cheat.completes_at_once)
		return RTE_ETH_TX_DESC_DONE;
	return is_done(queue, offset) ? RTE_ETH_TX_DESC_DONE : RTE_ETH_TX_DESC_FULL;
}

int
weir_model_set_up_queue(struct weir_model *nic, uint16_t id, uint16_t n_descriptors,
                        uint16_t rs_thresh)
{
	struct weir_model_queue *queue = &nic->queues[id];
	uint16_t thresh = nic->config.family->rs_thresh;

	if (id >= nic->config.queues || n_descriptors == 0 ||
	    n_descriptors > nic->config.descriptors)
		return -EINVAL;
	if (rs_thresh != 0 && nic->config.completion == WEIR_MODEL_COMPLETION_ROUNDED)
		thresh = rs_thresh;
	/* The drivers' own conditions. */
	if (n_descriptors % thresh != 0 || thresh + FREE_THRESH > n_descriptors)
		return -EINVAL;
	queue->n_descriptors = n_descriptors;
	queue->rs_thresh = thresh;
	queue->set_up = true;
	weir_model_queue_empty(queue);
	return 0;
}
