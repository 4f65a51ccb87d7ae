# SPDX-License-Identifier: BSD-3-Clause
"""Whether the red team can tell: deliberately weakened Weirs, each of which named scenarios must catch.

Each weakness is a patch, as those of tests/mutants are: tests/redteam/weakened/*.patch, and of
tests/mutants those that WEAK names. Head: What: is broken, Caught-by: which scenarios. A scenario
has caught it when it says that something is not so; one that could not judge has not. The Weir
without a patch passes all of them, or they would catch everything. What it says has to be about
what is broken: Claims: is a pattern that each must match. And those of Passes: must pass as ever: who
fails them all can't tell one weakness from another. The last line is "weakened: N passed, N failed".
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", "build*", "__pycache__")
# What tests/mutants tries on single modules, seen from outside.
WEAK = {"publish_before_sync": (["S4"], "power cut", ["S2"]), "time_off_counts": (["S13"], "beyond the window's cap", ["S2"])}
LIMIT_S, CLEAN_S = 600, 60
TURNS = 3  # a scenario judges less sharply while the machine is busy with something else


class Weakness(NamedTuple):
    name: str
    what: str
    scenarios: list[str]
    claims: str
    passes: list[str]
    patch: Path | None


def head_of(patch: Path, word: str) -> str:
    found = re.search(rf"^{word}: *(.*)$", patch.read_text().partition("\n--- ")[0], re.MULTILINE)
    return found[1] if found else ""


def weaknesses() -> list[Weakness]:
    ours = sorted((ROOT / "tests/redteam/weakened").glob("*.patch"))
    found = [Weakness(path.stem, head_of(path, "What"), head_of(path, "Caught-by").split(), head_of(path, "Claims"),
                      head_of(path, "Passes").split(), path) for path in ours]
    for name, (scenarios, claims, passes) in WEAK.items():
        path = ROOT / f"tests/mutants/{name}.patch"
        found.append(Weakness(name, head_of(path, "What"), scenarios, claims, passes, path))
    every = sorted({one for weakness in found for one in weakness.scenarios + weakness.passes}, key=lambda one: int(one[1:]))
    return [Weakness("nothing", "nothing is broken", [], "", every, None), *found]


class Tree:
    """A copy of this one, and its build."""

    def __init__(self, folder: Path) -> None:
        self.tree, self.build = folder / "tree", folder / "build"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        self.run("meson", "setup", self.build, self.tree)

    @staticmethod
    def run(*command: object) -> None:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: exit status {done.returncode}: {done.stdout[-2000:]}")

    def patch(self, path: Path | None, *options: str) -> None:
        if path is not None:
            self.run("patch", "-d", self.tree, "-p1", "-s", "-f", *options, "-i", path)

    def make(self) -> Path:
        self.run("ninja", "-C", self.build, "weir")
        return self.build / "weir"


def fight(program: Path, scenarios: list[str], seed: int | None, evidence: Path) -> dict[str, dict]:
    """By id, what the scenarios say of a program."""
    command = [str(ROOT / "tools/redteam"), "--weir", str(program), "--only", ",".join(scenarios), "--json", str(evidence)]
    evidence.unlink(missing_ok=True)
    with subprocess.Popen(command + (["--seed", str(seed)] if seed is not None else []), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(LIMIT_S)
        finally:
            process.terminate()  # nothing, once it has ended
            process.wait(CLEAN_S)  # it removes what it has made
    told = json.loads(evidence.read_text())["scenarios"]
    return {one["id"]: one for one in told}


def judge(weakness: Weakness, told: dict[str, dict]) -> list[tuple[bool, str]]:
    """A line for each scenario: whether it did as it should."""
    lines = []
    for name in weakness.scenarios:
        verdict, why = told[name]["verdict"], told[name]["why"]
        broken = [part for part in why.split("; ") if part.startswith("not so: ")]
        right = [part for part in broken if re.search(weakness.claims, part)]
        caught = verdict == "fail" and bool(weakness.claims) and bool(right)
        said = right[0] if caught else f"{verdict}: {why}"
        lines.append((caught, f"{weakness.name} ({weakness.what}): {name} {'fails: ' if caught else 'does not see it: '}{said}"))
    for name in weakness.passes:
        verdict, why = told[name]["verdict"], told[name]["why"]
        passed = verdict == "pass"
        lines.append((passed, f"{weakness.name}: {name} {'passes' if passed else 'does not pass'}{': ' + why if why else ''}"))
    return lines


def main(options) -> int:
    passed = failed = 0
    every = weaknesses()
    wanted = options.only.split(",") if options.only else [weakness.name for weakness in every]
    if unknown := set(wanted) - {weakness.name for weakness in every}:
        print(f"tools/redteam: --only {','.join(sorted(unknown))}: expected some of "
              f"{','.join(weakness.name for weakness in every)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="weir-weakened-") as name:
        folder = Path(name)
        tree = Tree(folder)
        for weakness in every:
            if weakness.name not in wanted:
                continue
            try:
                tree.patch(weakness.patch)
                program = tree.make()
                for _ in range(TURNS):
                    lines = judge(weakness, fight(program, weakness.scenarios + weakness.passes, options.seed,
                                                  folder / "told.json"))
                    if weakness.patch is None or all(good for good, _ in lines):
                        break
                tree.patch(weakness.patch, "-R")
            except (RuntimeError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
                print(f"FAIL {weakness.name}: {error}", flush=True)
                failed += 1
                break  # the tree may be half patched
            for good, line in lines:
                print(f"{'ok  ' if good else 'FAIL'} {line[:230]}", flush=True)
                passed, failed = passed + good, failed + (not good)
    print(f"weakened: {passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit("run tools/redteam --weakened")
