/* SPDX-License-Identifier: BSD-3-Clause */
/* A plan as text. */
#include "control/quantity.h"
#include "tools/weirctl/plan_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define DIGITS_ABOVE  10000U /* four digits are shown: see format.h */
#define LIMIT_SIZE    192U
#define ATTACKER_SIZE WEIR_QUANTITY_SIZE

/* Cut to the digits that are shown, so that what is printed errs to the safe side. */
static uint64_t
cut(weir_u128 value, bool up)
{
	uint64_t whole = value > UINT64_MAX ? UINT64_MAX : (uint64_t)value, unit = 1, rest;

	while (whole / unit >= DIGITS_ABOVE)
		unit *= 10;
	rest = whole % unit;
	whole -= rest;
	return up && rest > 0 ? weir_sat_add(whole, unit) : whole;
}

static struct weir_format
bytes_up(weir_u128 bytes)
{
	return weir_format_bytes(cut(bytes, true));
}

static struct weir_format
bytes_down(uint64_t bytes)
{
	struct weir_format none = {"none"};

	return bytes == 0 ? none : weir_format_bytes(cut(bytes, false));
}

static struct weir_format
rate_down(uint64_t bit_s)
{
	struct weir_format none = {"none"};

	return bit_s == 0 ? none : weir_format_rate(cut(bit_s, false));
}

static struct weir_format
duration_down(uint64_t ns)
{
	return weir_format_duration(ns < 60 * WEIR_NS_PER_S ? cut(ns, false) : ns);
}

/* "1.02 times", "428 times", rounded up. */
static struct weir_format
times_up(weir_u128 part, uint64_t whole)
{
	struct weir_format out;
	weir_u128 hundredths = (part * 100 + whole - 1) / whole;

	if (hundredths >= (weir_u128)UINT64_MAX)
		snprintf(out.text, sizeof(out.text), "over 10^17 times");
	else if (hundredths >= 10000)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 " times",
		         (uint64_t)((hundredths + 99) / 100));
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 ".%02" PRIu64 " times",
		         (uint64_t)(hundredths / 100), (uint64_t)(hundredths % 100));
	return out;
}

/* The share of something that it is less than, rounded up. */
static struct weir_format
percent_up(uint64_t part, uint64_t whole)
{
	uint64_t per_mille = (uint64_t)(((weir_u128)part * 1000 + whole - 1) / whole);

	return weir_format_percent(per_mille, 1000);
}

static struct weir_format
when_text(enum weir_plan_when when, uint64_t t_ns)
{
	struct weir_format never = {"never"}, at_once = {"at once"};

	if (when == WEIR_PLAN_NEVER)
		return never;
	if (when == WEIR_PLAN_AT && t_ns == 0)
		return at_once;
	return duration_down(t_ns);
}

static void
limit_text(const struct weir_plan_limit *limit, char text[LIMIT_SIZE])
{
	char first[WEIR_QUANTITY_SIZE], second[WEIR_QUANTITY_SIZE];

	switch (limit->kind) {
	case WEIR_PLAN_RATE:
		snprintf(text, LIMIT_SIZE, "rate %s, burst %s",
		         weir_quantity_print_rate(limit->rate_bit_s, first),
		         weir_quantity_print_bytes(limit->bytes, second));
		break;
	case WEIR_PLAN_WINDOW:
		snprintf(text, LIMIT_SIZE, "cap %s per %s",
		         weir_quantity_print_bytes(limit->bytes, first),
		         weir_quantity_print_duration(limit->window_ns, second));
		break;
	case WEIR_PLAN_LIFETIME:
		snprintf(text, LIMIT_SIZE, "lifetime cap %s",
		         weir_quantity_print_bytes(limit->bytes, first));
		break;
	}
}

/* "cap 2.36 GB per 1 d of total, and 3 more": what holds a path until that time. */
static void
held_text(const struct weir_plan *plan, struct weir_plan_path path, uint64_t t_ns,
          char text[2 * LIMIT_SIZE])
{
	struct weir_plan_bind *binds;
	uint32_t n = weir_plan_binds(plan, path, t_ns, &binds);
	char limit[LIMIT_SIZE];

	if (n == 0) {
		snprintf(text, 2 * LIMIT_SIZE, "no rule sends anything there");
		return;
	}
	limit_text(&binds[0].limit, limit);
	if (n == 1)
		snprintf(text, 2 * LIMIT_SIZE, "%s of %s", limit, binds[0].limit.owner);
	else
		snprintf(text, 2 * LIMIT_SIZE, "%s of %s, and %u more", limit, binds[0].limit.owner,
		         n - 1);
	free(binds);
}

static const char *
attacker_text(const struct weir_plan_report *report, uint32_t i, char text[ATTACKER_SIZE + 4])
{
	char factor[WEIR_QUANTITY_SIZE];

	snprintf(text, ATTACKER_SIZE + 4, "%sx%s",
	         weir_quantity_print_factor(report->attackers[i].compression, factor),
	         i == report->own ? " *" : "");
	return text;
}

static void
print_verdict(const struct weir_plan_report *report)
{
	const struct weir_plan_path total = {WEIR_PLAN_TOTAL, 0};
	const struct weir_config_asset *asset = &report->asset;
	uint64_t need_bytes = report->attackers[report->own].need_bytes, t_ns;
	/* Exact: cut to two units it could look like the time that misses it. */
	char exact[WEIR_QUANTITY_SIZE];
	const char *survive = weir_quantity_print_duration(asset->survive_ns, exact);
	enum weir_plan_when when = weir_plan_reach(report->plan, total, need_bytes, &t_ns);
	/* Of interest where it survives. */
	uint64_t less_bytes = need_bytes - (uint64_t)report->leaves_bytes;

	/* What is rounded up is not to look like all of it. */
	if (report->survives && less_bytes <= need_bytes / 1000) {
		printf("SURVIVES %s: until then at most %s can leave, %" PRIu64
		       " B less than an attacker needs\n",
		       survive, bytes_up(report->leaves_bytes).text, less_bytes);
		return;
	}
	if (report->survives) {
		/* Less than is needed, so it fits. */
		printf("SURVIVES %s: until then at most %s can leave, %s of the %s that an "
		       "attacker needs\n",
		       survive, bytes_up(report->leaves_bytes).text,
		       percent_up((uint64_t)report->leaves_bytes, need_bytes).text,
		       bytes_up(need_bytes).text);
		return;
	}
	printf("DOES NOT SURVIVE %s: ", survive);
	if (when == WEIR_PLAN_AT && t_ns == 0)
		printf("the model can have left at once");
	else
		printf("the model can have left after %s", when_text(when, t_ns).text);
	printf("\nmissed by a factor: until then up to %s can leave, %s the %s that an attacker "
	       "needs\n",
	       bytes_up(report->leaves_bytes).text, times_up(report->leaves_bytes, need_bytes).text,
	       bytes_up(need_bytes).text);
	if (asset->accept_risk[0] != '\0')
		printf("RISK ACCEPTED, says the policy: %s\n", asset->accept_risk);
}

/* Whom the answer trusts not to put back what was charged before. A TPM trusts nobody with that. */
static void
print_trust(const struct weir_config_appliance *appliance)
{
	if (appliance->witness == WEIR_WITNESS_NONE)
		printf("All this holds as long as nobody puts an older copy of the ledger back: "
		       "there is no witness\n");
	else if (weir_plan_witness_beside(appliance))
		printf("All this holds as long as nobody puts an older copy of the ledger back: "
		       "its witness lies in the same folder\n");
	else if (appliance->witness == WEIR_WITNESS_FILE)
		printf(
		    "All this holds as long as nobody puts older copies of the ledger and of its "
		    "witness back together:\nthe witness is a file, and root on the box can\n");
}

static void
print_head(const struct weir_plan_report *report)
{
	const struct weir_config_asset *asset = &report->asset;
	char weights[WEIR_QUANTITY_SIZE], factor[WEIR_QUANTITY_SIZE], survive[WEIR_QUANTITY_SIZE];

	weir_text_put(stdout, report->file, strlen(report->file), false);
	printf(": %s of %s, compressed %s times by an attacker, to survive %s\n", asset->name,
	       weir_quantity_print_bytes(asset->weights_bytes, weights),
	       weir_quantity_print_factor(asset->compression, factor),
	       weir_quantity_print_duration(asset->survive_ns, survive));
	if (report->assumed)
		printf("ASSUMED: the policy has no section asset that says what it protects\n");
	print_verdict(report);
	print_trust(&report->config->appliance);
	putchar('\n');
}

static void
print_attackers(const struct weir_plan_report *report)
{
	static const struct weir_column columns[] = {{"ATTACKER", false},
	                                             {"NEEDS", true},
	                                             {"MODEL OUT AFTER", true},
	                                             {"SURVIVES", false},
	                                             {"HELD UNTIL THEN BY", false}};
	const struct weir_plan_path total = {WEIR_PLAN_TOTAL, 0};
	struct weir_table *table = weir_table_new(columns, COUNT(columns));
	char text[2 * LIMIT_SIZE], name[ATTACKER_SIZE + 4];

	for (uint32_t i = 0; i < report->n_attackers; i++) {
		uint64_t need_bytes = report->attackers[i].need_bytes, t_ns;
		enum weir_plan_when when = weir_plan_reach(report->plan, total, need_bytes, &t_ns);

		weir_table_cell(table, "%s", attacker_text(report, i, name));
		weir_table_cell(table, "%s", bytes_up(need_bytes).text);
		weir_table_cell(table, "%s", when_text(when, t_ns).text);
		weir_table_cell(table, "%s",
		                when != WEIR_PLAN_AT || t_ns >= report->asset.survive_ns ? "yes"
		                                                                         : "no");
		held_text(report->plan, total, weir_plan_held_ns(when, t_ns), text);
		weir_table_cell(table, "%s", text);
	}
	weir_table_print(table, stdout);
}

/* What the root would have to say: one of these. */
static void
print_largest(const struct weir_plan_report *report)
{
	char titles[WEIR_CAPS_MAX + 1][WEIR_QUANTITY_SIZE + 16], name[ATTACKER_SIZE + 4];
	char survive[WEIR_QUANTITY_SIZE];
	uint64_t windows_ns[WEIR_CAPS_MAX + 1], survive_ns = report->asset.survive_ns;
	uint32_t n = weir_plan_windows(report, windows_ns), n_columns = 0;
	struct weir_column columns[WEIR_CAPS_MAX + 4];
	struct weir_table *table;

	columns[n_columns++] = (struct weir_column){"ATTACKER", false};
	for (uint32_t i = 0; i < n; i++) {
		char window[WEIR_QUANTITY_SIZE];

		snprintf(titles[i], sizeof(titles[i]), "LARGEST PER %s",
		         weir_quantity_print_duration(windows_ns[i], window));
		columns[n_columns++] = (struct weir_column){titles[i], true};
	}
	columns[n_columns++] = (struct weir_column){"LARGEST LIFETIME", true};
	columns[n_columns++] = (struct weir_column){"LARGEST RATE", true};
	table = weir_table_new(columns, n_columns);
	for (uint32_t k = 0; k < report->n_attackers; k++) {
		uint64_t need_bytes = report->attackers[k].need_bytes;

		weir_table_cell(table, "%s", attacker_text(report, k, name));
		for (uint32_t i = 0; i < n; i++)
			weir_table_cell(table, "%s",
			                bytes_down(weir_plan_largest_window(need_bytes, survive_ns,
			                                                    windows_ns[i]))
			                    .text);
		weir_table_cell(table, "%s", bytes_down(need_bytes - 1).text);
		weir_table_cell(table, "%s",
		                rate_down(weir_plan_largest_rate(need_bytes, survive_ns,
		                                                 weir_plan_bursts(report)))
		                    .text);
	}
	printf("\nAny one of these on budget %s alone would survive %s:\n",
	       report->config->budgets[weir_plan_root(report->plan)].name,
	       weir_quantity_print_duration(survive_ns, survive));
	weir_table_print(table, stdout);
	printf("Half of that lifetime is wiser: then not even half a model can leave.\n\n");
}

/* Columns of times, one an attacker, between two of text. Titles point into names. */
static uint32_t
time_columns(const struct weir_plan_report *report, struct weir_column *columns,
             char names[WEIR_PLAN_ATTACKERS_MAX][ATTACKER_SIZE + 4])
{
	for (uint32_t i = 0; i < report->n_attackers; i++)
		columns[i] = (struct weir_column){attacker_text(report, i, names[i]), true};
	return report->n_attackers;
}

static void
put_path(const struct weir_plan_report *report, struct weir_table *table, const char *kind,
         const char *name, struct weir_plan_path path)
{
	enum weir_plan_when when;
	char text[2 * LIMIT_SIZE];
	uint64_t t_ns, held_ns = 0;

	weir_table_cell(table, "%s", kind);
	weir_table_cell(table, "%s", name);
	for (uint32_t i = 0; i < report->n_attackers; i++) {
		when = weir_plan_reach(report->plan, path, report->attackers[i].need_bytes, &t_ns);
		weir_table_cell(table, "%s", when_text(when, t_ns).text);
		if (i == report->own)
			held_ns = weir_plan_held_ns(when, t_ns);
	}
	held_text(report->plan, path, held_ns, text);
	weir_table_cell(table, "%s", text);
}

static void
print_paths(const struct weir_plan_report *report)
{
	char names[WEIR_PLAN_ATTACKERS_MAX][ATTACKER_SIZE + 4];
	struct weir_column columns[WEIR_PLAN_ATTACKERS_MAX + 3] = {{"PATH", false}, {"", false}};
	uint32_t n = 2 + time_columns(report, columns + 2, names);
	const struct weir_config *config = report->config;
	struct weir_table *table;

	columns[n++] = (struct weir_column){"HELD BY, AT *", false};
	table = weir_table_new(columns, n);
	put_path(report, table, "total", "", (struct weir_plan_path){WEIR_PLAN_TOTAL, 0});
	for (uint32_t i = 0; i < config->n_links; i++)
		put_path(report, table, "link", config->links[i].name,
		         (struct weir_plan_path){WEIR_PLAN_LINK, i});
	for (uint32_t i = 0; i < config->n_budgets; i++)
		put_path(report, table, "budget", config->budgets[i].name,
		         (struct weir_plan_path){WEIR_PLAN_BUDGET, i});
	for (uint32_t i = 0; i < config->n_classes; i++)
		put_path(report, table, "class", config->classes[i].name,
		         (struct weir_plan_path){WEIR_PLAN_CLASS, i});
	printf("When the model can have left by each path:\n");
	weir_table_print(table, stdout);
	putchar('\n');
}

static void
print_limits(const struct weir_plan_report *report)
{
	char names[WEIR_PLAN_ATTACKERS_MAX][ATTACKER_SIZE + 4], text[LIMIT_SIZE];
	struct weir_column columns[WEIR_PLAN_ATTACKERS_MAX + 2] = {{"OF", false}, {"LIMIT", false}};
	uint32_t n = 2 + time_columns(report, columns + 2, names);
	struct weir_table *table = weir_table_new(columns, n);

	for (uint32_t i = 0; i < weir_plan_n_limits(report->plan); i++) {
		struct weir_plan_limit limit = weir_plan_limit(report->plan, i);

		weir_table_cell(table, "%s %s", limit.kind == WEIR_PLAN_RATE ? "class" : "budget",
		                limit.owner);
		limit_text(&limit, text);
		weir_table_cell(table, "%s", text);
		for (uint32_t k = 0; k < report->n_attackers; k++) {
			uint64_t t_ns;
			enum weir_plan_when when =
			    weir_plan_limit_reach(&limit, report->attackers[k].need_bytes, &t_ns);

			weir_table_cell(table, "%s", when_text(when, t_ns).text);
		}
	}
	printf("Each limit as if there were no other:\n");
	weir_table_print(table, stdout);
}

/* A row about a cap. */
static struct weir_plan_cap_fit
put_cap(const struct weir_plan_report *report, struct weir_table *table, uint32_t budget,
        uint32_t i)
{
	const struct weir_config_cap *cap = &report->config->budgets[budget].caps[i];
	struct weir_plan_cap_fit fit = weir_plan_traffic_fit(report, budget, i);
	uint64_t total = report->traffic->total_bit_s;
	weir_u128 used = fit.used_bytes;
	char text[WEIR_QUANTITY_SIZE], window[WEIR_QUANTITY_SIZE];

	weir_table_cell(table, "budget %s", report->config->budgets[budget].name);
	weir_table_cell(table, "%s", weir_format_rate(fit.bit_s).text);
	weir_table_cell(table, "%s", total == 0 ? "-" : weir_format_percent(fit.bit_s, total).text);
	weir_quantity_print_bytes(cap->limit_bytes, text);
	if (cap->window_ns == 0) {
		weir_table_cell(table, "lifetime cap %s", text);
		weir_table_cell(table, "-");
	} else {
		weir_table_cell(table, "cap %s per %s", text,
		                weir_quantity_print_duration(cap->window_ns, window));
		weir_table_cell(table, "%s",
		                weir_format_percent(used > UINT64_MAX ? UINT64_MAX : (uint64_t)used,
		                                    cap->limit_bytes)
		                    .text);
	}
	if (report->traffic->live)
		weir_table_cell(table, "%s", bytes_down(fit.left_bytes).text);
	if (!fit.fits && cap->window_ns == 0)
		weir_table_cell(table, "TOO MUCH: used up after %s",
		                duration_down(fit.lasts_ns).text);
	else if (!fit.fits)
		weir_table_cell(table, "TOO MUCH: %s", times_up(used, cap->limit_bytes).text);
	else if (fit.lasts_ns == UINT64_MAX || cap->window_ns == 0)
		weir_table_cell(table, "fits%s%s", fit.lasts_ns == UINT64_MAX ? "" : ": lasts ",
		                fit.lasts_ns == UINT64_MAX ? "" : duration_down(fit.lasts_ns).text);
	else if (!fit.fits_now)
		weir_table_cell(table, "fits, but %s: may be full after %s",
		                fit.fits_if_even ? "perhaps not now" : "not now",
		                duration_down(fit.lasts_ns).text);
	else
		weir_table_cell(table, "fits");
	return fit;
}

static bool
put_class(const struct weir_plan_report *report, struct weir_table *table, uint32_t i)
{
	const struct weir_config_class *class = &report->config->classes[i];
	uint64_t bit_s = report->traffic->bit_s[i], total = report->traffic->total_bit_s;
	bool used = weir_plan_class_used(report->plan, i);
	bool fits = bit_s <= class->rate_bit_s && (used || bit_s == 0);
	char text[WEIR_QUANTITY_SIZE];

	weir_table_cell(table, "class %s", class->name);
	weir_table_cell(table, "%s", weir_format_rate(bit_s).text);
	weir_table_cell(table, "%s", total == 0 ? "-" : weir_format_percent(bit_s, total).text);
	weir_table_cell(table, "rate %s", weir_quantity_print_rate(class->rate_bit_s, text));
	weir_table_cell(table, "%s", weir_format_percent(bit_s, class->rate_bit_s).text);
	if (report->traffic->live)
		weir_table_cell(table, "-");
	if (fits)
		weir_table_cell(table, "fits");
	else if (!used)
		weir_table_cell(table, "TOO MUCH: no rule sends anything there");
	else
		weir_table_cell(table, "TOO MUCH: %s", times_up(bit_s, class->rate_bit_s).text);
	return fits;
}

static void
print_traffic(const struct weir_plan_report *report)
{
	const struct weir_plan_traffic *traffic = report->traffic;
	const struct weir_config *config = report->config;
	struct weir_column columns[] = {{"TRAFFIC", false}, {"NEEDS", true},    {"SHARE", true},
	                                {"LIMIT", false},   {"OF LIMIT", true}, {"VERDICT", false},
	                                {"VERDICT", false}};
	char survive[WEIR_QUANTITY_SIZE];
	struct weir_table *table;
	uint32_t n_missed = 0, n_missed_now = 0, n_missed_surely = 0;

	if (traffic->live)
		columns[COUNT(columns) - 2] = (struct weir_column){"LEFT NOW", true};
	table = weir_table_new(columns, traffic->live ? COUNT(columns) : COUNT(columns) - 1);
	for (uint32_t i = 0; i < config->n_classes; i++)
		n_missed += !put_class(report, table, i);
	for (uint32_t i = 0; i < config->n_budgets; i++)
		for (uint32_t k = 0; k < config->budgets[i].n_caps; k++) {
			struct weir_plan_cap_fit fit = put_cap(report, table, i, k);

			n_missed += !fit.fits;
			n_missed_now += !fit.fits_now;
			n_missed_surely += !fit.fits_if_even;
		}
	printf("\nTraffic %s, %s in all, %s:\n",
	       traffic->live ? "that the running weir has now" : "as given",
	       weir_format_rate(traffic->total_bit_s).text,
	       n_missed > 0          ? "DOES NOT FIT"
	       : n_missed_surely > 0 ? "FITS, BUT NOT NOW"
	       : n_missed_now > 0    ? "FITS, BUT PERHAPS NOT NOW"
	                             : "FITS");
	weir_table_print(table, stdout);
	printf("A lifetime cap has to last for %s, which is what the model is to survive.\n",
	       weir_quantity_print_duration(report->asset.survive_ns, survive));
	if (n_missed == 0 && n_missed_surely > 0)
		printf("A window holds more now than this traffic makes: it may fill before that "
		       "is back.\n");
	else if (n_missed == 0 && n_missed_now > 0)
		printf("A window holds what this traffic would make of it if it came evenly; if "
		       "most of it came late,\nthe window may fill before that is back.\n");
	if (traffic->n_unknown > 0)
		printf("Besides, %s of %u classes that this policy does not have.\n",
		       weir_format_rate(traffic->unknown_bit_s).text, traffic->n_unknown);
}

void
weir_plan_print(const struct weir_plan_report *report)
{
	print_head(report);
	print_attackers(report);
	print_largest(report);
	print_paths(report);
	print_limits(report);
	if (report->traffic != NULL)
		print_traffic(report);
}
