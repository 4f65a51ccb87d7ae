/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles: each file of tests/profiles/bad gives exactly the line beside it, those of
 * tests/profiles/good and tools/profiles are taken, and what one says is what is read.
 */
#include "tests/unit/harness.h"
#include "tools/weirgen/profile.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

/* The first line of a file, without its end; empty where there is none. */
static void
read_line(const char *path, char line[512])
{
	FILE *file = fopen(path, "r");

	line[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(line, 512, file) == NULL)
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	(void)fclose(file);
}

/* Loads each profile of a folder; with expected lines these must be what is said. */
static void
check_folder(const char *folder, bool good)
{
	char path[PATH_MAX], name[PATH_MAX + NAME_MAX + 2], line[512], error[512];
	struct dirent *entry;
	uint32_t n = 0;
	DIR *opened;

	snprintf(path, sizeof(path), "%s/%s", WEIR_SOURCE_ROOT, folder);
	opened = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(opened);
	while ((entry = readdir(opened)) != NULL) {
		struct weir_profile *profile = NULL;
		size_t length = strlen(entry->d_name);
		int rc;

		if (length < 6 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
			continue;
		n++;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		rc = weir_profile_load(name, &profile, error, sizeof(error));
		CU_ASSERT_EQUAL(rc == 0, good);
		if (good) {
			if (rc != 0)
				printf("%s\n", error);
			weir_profile_free(profile);
			continue;
		}
		memcpy(name + strlen(name) - 5, ".expected", 10);
		read_line(name, line);
		/* Behind the path of the file. */
		if (strcmp(error + strlen(path) + 1, line) != 0) {
			printf("%s\n  said:     %s\n  expected: %s\n", entry->d_name,
			       error + strlen(path) + 1, line);
			CU_FAIL("another line");
		}
	}
	closedir(opened);
	CU_ASSERT(n > 0);
}

static void
test_bad(void)
{
	check_folder("tests/profiles/bad", false);
}

static void
test_good(void)
{
	check_folder("tests/profiles/good", true);
	check_folder("tools/profiles", true);
}

static void
test_values(void)
{
	static const char text[] =
	    "name: values\nseed: 9223372036854775807\nduration: 2.5 s\ncount: 9\nstreams:\n"
	    "  - name: one\n    steps: [{for: 1 s, rate: 8 Mbit/s, to: 16 Mbit/s}]\n"
	    "    repeat: false\n    arrival: poisson\n    start: 3 ms\n    count: 4\n"
	    "    sizes: [{bytes: 60, weight: 3}, {bytes: 100-9000}]\n"
	    "    source_mac: 0a:00:00:00:00:01-0a:00:00:00:01:00\n    vlan: 4094\n"
	    "    source: 10.0.0.0/30\n    destination: 10.9.0.1-10.9.1.0\n"
	    "    protocols: [esp, 200]\n    flows: 12\n    stamp: live\n"
	    "  - name: two\n    size: imix\n    source: 2001:db8::/32\n    destination: fd00::7\n"
	    "    sessions: {count: 3, frames: 5-6, rate: 1 Mbit/s, pause: 1 s - 2 s}\n";
	struct weir_profile *profile = NULL;
	const struct weir_profile_stream *one, *two;
	char error[512] = "";

	CU_ASSERT_EQUAL_FATAL(
	    weir_profile_parse("text", text, sizeof(text) - 1, &profile, error, sizeof(error)), 0);
	one = &profile->streams[0];
	two = &profile->streams[1];
	CU_ASSERT_EQUAL(profile->seed, INT64_MAX);
	CU_ASSERT_EQUAL(profile->duration_ns, 2500000000);
	CU_ASSERT_EQUAL(profile->count, 9);
	CU_ASSERT_EQUAL(profile->n_streams, 2);
	CU_ASSERT(one->steps[0].from_bit_s == 8000000 && one->steps[0].to_bit_s == 16000000);
	CU_ASSERT(!one->repeat && one->poisson && one->start_ns == 3000000 && one->count == 4);
	CU_ASSERT(one->sizes[0].weight == 3 && one->sizes[1].weight == 1);
	CU_ASSERT(one->sizes[1].low == 100 && one->sizes[1].high == 9000);
	CU_ASSERT(one->source_mac.low == 0x0a0000000001 && one->source_mac.span == 256);
	CU_ASSERT(one->vlan.low == 4094 && one->vlan.span == 1);
	CU_ASSERT(one->source.low.low == 0x0a000000 && one->source.low.span == 4);
	CU_ASSERT(one->destination.low.low == 0x0a090001 && one->destination.low.span == 256);
	CU_ASSERT(one->protocols[0] == 50 && one->protocols[1] == 200 && one->flows == 12);
	CU_ASSERT_EQUAL(one->stamp, WEIR_PROFILE_STAMP_LIVE);
	/* 60 bytes are too short for UDP over IPv6. */
	CU_ASSERT(two->sizes[0].low == 62 && two->n_sizes == 3);
	CU_ASSERT(two->source.high.low == UINT64_C(0x20010db800000000));
	CU_ASSERT(two->source.high.span == UINT64_C(1) << 32 && two->source.low.span == 0);
	CU_ASSERT(two->destination.low.low == 7 && two->destination.low.span == 1);
	CU_ASSERT(two->sessions.count == 3 && two->sessions.frames.span == 2);
	CU_ASSERT(two->sessions.pause_ns.span == 1000000001);
	CU_ASSERT_EQUAL(weir_profile_frame_max(profile), 9000);
	CU_ASSERT_EQUAL(weir_profile_mtu(profile), 8982);
	weir_profile_free(profile);
}

static const struct weir_test tests[] = {
    {"each bad profile gives its line", test_bad},
    {"good profiles are taken", test_good},
    {"what a profile says is what is read", test_values},
};

int
main(void)
{
	return weir_test_run("weirgen_profile", tests, WEIR_TEST_COUNT(tests));
}
