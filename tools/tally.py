#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the tests in a result file, and names those that failed.

usage: tally.py meson TESTLOG.json | junit RESULTS.xml

The last line is "PASSED FAILED". A program that ended badly before it said how many of its tests
passed counts as one failure more; an empty or unreadable file counts as a failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree


def essence(output: str) -> list[str]:
    """What a failed program says of its failures, and its last lines."""
    lines = output.splitlines()
    told = [line for line in lines if re.match(r"FAIL |    \S+:\d+: |seed: |.*ERROR: |.*runtime error: ", line)]
    return [line[:500] for line in told[:40] + lines[-15:]]


def tally_meson(path: str) -> tuple[int, int]:
    """meson's log: one JSON object a line, one line a program."""
    passed = failed = 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            output = entry.get("stdout", "")
            good = entry["result"] == "OK"
            counts = re.findall(r"^CUnit: (\d+) passed, (\d+) failed$", output, re.MULTILINE)
            ok, bad = (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)
            if not good and bad == 0:
                bad = 1
            elif good and not counts:
                ok = 1
            passed += ok
            failed += bad
            if bad:
                print(f"FAIL {entry['name']}: {entry['result']}, exit status {entry.get('returncode')}")
                print("\n".join(essence(output + entry.get("stderr", ""))))
    return passed, failed


def tally_junit(path: str) -> tuple[int, int]:
    passed = failed = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        if tags & {"failure", "error"}:
            failed += 1
            print(f"FAIL {case.get('classname')}.{case.get('name')}")
        elif "skipped" not in tags:
            passed += 1
    return passed, failed


def main() -> int:
    kinds = {"meson": tally_meson, "junit": tally_junit}
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        passed, failed = kinds[sys.argv[1]](sys.argv[2])
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        print(f"FAIL {sys.argv[2]}: {error}")
        passed, failed = 0, 1
    if passed + failed == 0:
        print(f"FAIL {sys.argv[2]}: no test ran")
        failed = 1
    print(passed, failed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
