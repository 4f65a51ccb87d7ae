/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config_cover.h"

#include "control/config_shape.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#define PIECES_MAX    2048U      /* of one rule, waiting at a time */
#define RULE_WORK_MAX (1U << 22) /* comparisons of two boxes, for one rule */
#define WORK_MAX      (1U << 25) /* for all of them; 4,096 rules that all meet take 1 << 23 */
#define KIND_MAX      UINT16_MAX

/*
 * The axes. Kind is the ethertype where a frame is neither IPv4 nor IPv6, and the protocol where it
 * is. An address is the number that its 16 bytes make: an IPv4 address fills the first four.
 */
enum axis {
	SOURCE,
	DESTINATION,
	SOURCE_PORT,
	DESTINATION_PORT,
	KIND,
	VLAN,
	LINK,
	AXES,
};

__extension__ typedef unsigned __int128 coordinate;

struct box {
	coordinate low[AXES], high[AXES]; /* inclusive */
};

/* A rule: its box is right for each family that it can match. */
struct area {
	struct box box;
	uint8_t families;
	bool ports; /* it looks at ports */
};

/* What is left of a box after the first so many of the rules that meet it. */
struct piece {
	struct box box;
	uint32_t next;
};

struct weir_cover {
	struct area *areas;   /* one a rule */
	uint32_t *earlier;    /* rules that meet the box at hand, in order */
	struct piece *pieces; /* PIECES_MAX */
	uint32_t work_left;   /* for all rules that are still to come */
	uint32_t rule_work;   /* for the rule at hand */
	uint32_t first, last; /* rules that cut the one at hand */
};

static void
set_range(struct box *box, enum axis axis, coordinate low, coordinate high)
{
	box->low[axis] = low;
	box->high[axis] = high;
}

static void
set_value(struct box *box, enum axis axis, uint32_t value, uint32_t most)
{
	set_range(box, axis, value == WEIR_ANY ? 0 : value, value == WEIR_ANY ? most : value);
}

static void
set_prefix(struct box *box, enum axis axis, const struct weir_prefix *prefix)
{
	uint32_t length = prefix->family == WEIR_FAMILY_L2 ? 0 : prefix->length;
	coordinate low = 0, rest = ~(coordinate)0;

	for (int i = 0; i < 16; i++)
		low = low << 8 | prefix->address[i];
	rest = length >= 128 ? 0 : rest >> length;
	set_range(box, axis, low, low | rest);
}

static void
set_area(const struct weir_rule *rule, uint32_t n_links, struct area *area)
{
	struct box *box = &area->box;
	uint32_t kind = rule->protocol;

	area->families = weir_shape_families(rule);
	area->ports = rule->source_port_low != 0 || rule->source_port_high != UINT16_MAX ||
	              rule->destination_port_low != 0 || rule->destination_port_high != UINT16_MAX;
	if (area->families == 1U << WEIR_FAMILY_L2)
		kind = rule->ethertype;
	set_prefix(box, SOURCE, &rule->source);
	set_prefix(box, DESTINATION, &rule->destination);
	set_range(box, SOURCE_PORT, rule->source_port_low, rule->source_port_high);
	set_range(box, DESTINATION_PORT, rule->destination_port_low, rule->destination_port_high);
	set_value(box, KIND, kind, KIND_MAX);
	set_value(box, VLAN, rule->vlan, WEIR_VLAN_NONE);
	set_value(box, LINK, rule->link, n_links - 1);
}

int
weir_cover_new(const struct weir_rule *rules, uint32_t n_rules, uint32_t n_links,
               struct weir_cover **cover)
{
	struct weir_cover *made = calloc(1, sizeof(*made));

	assert(n_links > 0);
	if (made == NULL)
		return -ENOMEM;
	made->work_left = WORK_MAX;
	made->areas = calloc(n_rules + 1, sizeof(*made->areas));
	made->earlier = calloc(n_rules + 1, sizeof(*made->earlier));
	made->pieces = calloc(PIECES_MAX, sizeof(*made->pieces));
	if (made->areas == NULL || made->earlier == NULL || made->pieces == NULL) {
		weir_cover_free(made);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n_rules; i++)
		set_area(&rules[i], n_links, &made->areas[i]);
	*cover = made;
	return 0;
}

void
weir_cover_free(struct weir_cover *cover)
{
	if (cover == NULL)
		return;
	free(cover->areas);
	free(cover->earlier);
	free(cover->pieces);
	free(cover);
}

/* Counts as work. Once there is none left, nothing meets: what is asked about is then reachable. */
static bool
meet(struct weir_cover *cover, const struct box *one, const struct box *other)
{
	if (cover->rule_work == 0)
		return false;
	cover->rule_work--;
	for (int i = 0; i < AXES; i++)
		if (one->low[i] > other->high[i] || other->low[i] > one->high[i])
			return false;
	return true;
}

/*
 * Cuts what a box takes out of a piece that it meets: what is left, at most two pieces an axis,
 * goes behind the n pieces that wait. Returns how many wait then.
 */
static uint32_t
cut(struct weir_cover *cover, uint32_t n, struct piece *piece, const struct box *box)
{
	struct piece *rest;

	for (int i = 0; i < AXES; i++) {
		if (piece->box.low[i] < box->low[i]) {
			rest = &cover->pieces[n++];
			*rest = *piece;
			rest->box.high[i] = box->low[i] - 1;
			piece->box.low[i] = box->low[i];
		}
		if (piece->box.high[i] > box->high[i]) {
			rest = &cover->pieces[n++];
			*rest = *piece;
			rest->box.low[i] = box->high[i] + 1;
			piece->box.high[i] = box->high[i];
		}
	}
	return n;
}

/*
 * Whether the n rules in earlier cover a box. The newest piece goes first: so one that is not
 * covered is found after about n comparisons, however many pieces there would be.
 */
static bool
is_covered(struct weir_cover *cover, const struct box *box, uint32_t n)
{
	uint32_t waiting = 1;

	cover->pieces[0] = (struct piece){.box = *box};
	while (waiting > 0) {
		struct piece piece = cover->pieces[--waiting];
		uint32_t rule;

		while (piece.next < n &&
		       !meet(cover, &piece.box, &cover->areas[cover->earlier[piece.next]].box))
			piece.next++;
		if (piece.next == n || waiting + 2 * AXES > PIECES_MAX)
			return false;
		rule = cover->earlier[piece.next++];
		cover->first = rule < cover->first ? rule : cover->first;
		cover->last = rule > cover->last ? rule : cover->last;
		waiting = cut(cover, waiting, &piece, &cover->areas[rule].box);
	}
	return true;
}

/*
 * The same for frames of one family, and all rules before index. Where the box has frames without
 * ports, rules that look at ports don't count: they take none of those, and what takes all of those
 * takes the same frames with ports.
 */
static bool
is_hidden(struct weir_cover *cover, uint32_t index, enum weir_family family, const struct box *box)
{
	bool ports = cover->areas[index].ports;
	uint32_t n = 0;

	for (uint32_t i = 0; i < index; i++) {
		const struct area *area = &cover->areas[i];

		if ((area->families & 1U << family) != 0 && (ports || !area->ports) &&
		    meet(cover, box, &area->box))
			cover->earlier[n++] = i;
	}
	return is_covered(cover, box, n);
}

/* Of a rule with ports and no protocol, the boxes are those of the protocols that have ports. */
static bool
hides(struct weir_cover *cover, uint32_t index, enum weir_family family)
{
	static const uint8_t with_ports[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct box box = cover->areas[index].box;

	if (family != WEIR_FAMILY_L2 && box.high[KIND] > UINT8_MAX)
		box.high[KIND] = UINT8_MAX;
	if (!cover->areas[index].ports || box.low[KIND] == box.high[KIND])
		return is_hidden(cover, index, family, &box);
	for (size_t i = 0; i < sizeof(with_ports); i++) {
		set_range(&box, KIND, with_ports[i], with_ports[i]);
		if (!is_hidden(cover, index, family, &box))
			return false;
	}
	return true;
}

bool
weir_cover_hides(struct weir_cover *cover, uint32_t index, uint32_t *first, uint32_t *last)
{
	uint32_t work = cover->work_left < RULE_WORK_MAX ? cover->work_left : RULE_WORK_MAX;
	uint8_t families = cover->areas[index].families;
	bool hidden = families != 0;

	cover->rule_work = work;
	cover->first = UINT32_MAX;
	cover->last = 0;
	for (int family = 0; family < WEIR_FAMILIES && hidden; family++)
		if ((families & 1U << family) != 0)
			hidden = hides(cover, index, (enum weir_family)family);
	cover->work_left -= work - cover->rule_work;
	*first = cover->first;
	*last = cover->last;
	return hidden;
}
