/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/snapshot.h"

#include "drivers/memory.h"

#include <stdlib.h>

static size_t
classes_bytes(uint32_t n_classes)
{
	return (size_t)n_classes * sizeof(struct weir_class);
}

struct weir_snapshot *
weir_snapshot_new(uint32_t n_classes, int node)
{
	struct weir_snapshot *snapshot = calloc(1, sizeof(*snapshot));

	assert(n_classes > 0 && n_classes <= WEIR_CLASSES_MAX);
	if (snapshot == NULL)
		return NULL;
	snapshot->n_classes = n_classes;
	snapshot->classes = weir_memory_alloc(classes_bytes(n_classes), node);
	if (snapshot->classes == NULL) {
		free(snapshot);
		return NULL;
	}
	return snapshot;
}

void
weir_snapshot_free(struct weir_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	weir_classifier_free(snapshot->classifier);
	weir_memory_free(snapshot->classes, classes_bytes(snapshot->n_classes));
	free(snapshot);
}
