/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values of a policy, each from its text and with its range: what is refused is reported with
 * the place that the caller names. All return 0 or -EINVAL. Part of config.h; only hardware_plan.c
 * uses its names as well.
 */
#ifndef WEIR_CONTROL_CONFIG_VALUE_H
#define WEIR_CONTROL_CONFIG_VALUE_H

#include "control/config.h"
#include "control/config_tree.h"

/* A word and what it stands for. Tables end with a NULL word. */
struct weir_config_word {
	const char *word;
	uint32_t value;
};

extern const struct weir_config_word weir_config_huge_pages[];
extern const struct weir_config_word weir_config_booleans[];
extern const struct weir_config_word weir_config_witnesses[];
extern const struct weir_config_word weir_config_limiters[];
extern const struct weir_config_word weir_config_queues[]; /* 1: a queue of its own */
extern const struct weir_config_word weir_config_ethertypes[];
extern const struct weir_config_word weir_config_protocols[];

/* The word for a value, or NULL. */
const char *weir_config_word_of(const struct weir_config_word *words, uint32_t value);

static inline struct weir_config_at
weir_config_at(const char *section, int64_t index, const char *key)
{
	return (struct weir_config_at){section, index, key, -1, NULL};
}

int weir_config_get_name(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, char name[WEIR_NAME_SIZE]);
int weir_config_get_word(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, const struct weir_config_word *words, uint32_t *value);
int weir_config_get_integer(struct weir_config_report *report, struct weir_config_at at,
                            const char *text, uint64_t least, uint64_t most, uint32_t *value);
int weir_config_get_bytes(struct weir_config_report *report, struct weir_config_at at,
                          const char *text, uint64_t least, uint64_t most, uint64_t *bytes);
int weir_config_get_rate(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, uint64_t least, uint64_t most, uint64_t *bit_s);
int weir_config_get_duration(struct weir_config_report *report, struct weir_config_at at,
                             const char *text, uint64_t least, uint64_t most, uint64_t *ns);
int weir_config_get_factor(struct weir_config_report *report, struct weir_config_at at,
                           const char *text, uint32_t least, uint32_t most, double *value);
/* An absolute path, spelled in one way only: no empty, "." or ".." part. */
int weir_config_get_path(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, char path[WEIR_PATH_SIZE]);
/* Where a TPM answers, as tctildr spells it. */
int weir_config_get_tcti(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, char tcti[WEIR_PATH_SIZE]);
/* The index of an NV counter. */
int weir_config_get_nv_index(struct weir_config_report *report, struct weir_config_at at,
                             const char *text, uint32_t *index);
/* One line that tells people why. */
int weir_config_get_reason(struct weir_config_report *report, struct weir_config_at at,
                           const char *text, char reason[WEIR_RISK_SIZE]);
/* A user's name, looked up, or number. */
int weir_config_get_user(struct weir_config_report *report, struct weir_config_at at,
                         const char *text, uint32_t *uid);
int weir_config_get_prefix(struct weir_config_report *report, struct weir_config_at at,
                           const char *text, struct weir_prefix *prefix);
int weir_config_get_ports(struct weir_config_report *report, struct weir_config_at at,
                          const char *text, uint16_t *low, uint16_t *high);
int weir_config_get_ethertype(struct weir_config_report *report, struct weir_config_at at,
                              const char *text, uint32_t *ethertype);

/*
 * Names of one kind, sorted, for finding one of thousands. The names are the first member of each
 * of n structs of stride bytes, which must stay where they are.
 */
struct weir_config_names {
	const char *base;
	size_t stride;
	uint32_t n;
	uint32_t *order; /* indices by name */
};

/* Returns 0 or -ENOMEM. */
int weir_config_names_make(struct weir_config_names *names, const void *base, size_t stride,
                           uint32_t n) __attribute__((warn_unused_result));
void weir_config_names_free(struct weir_config_names *names);

/* The first index with the name, or WEIR_ANY. */
uint32_t weir_config_names_find(const struct weir_config_names *names, const char *name);

/* The lowest index whose name an earlier one has too, or WEIR_ANY. */
uint32_t weir_config_names_duplicate(const struct weir_config_names *names);

#endif
