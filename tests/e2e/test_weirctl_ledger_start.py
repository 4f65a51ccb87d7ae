# SPDX-License-Identifier: BSD-3-Clause
"""weirctl ledger init and explain: what they make, what they say, and that a weir agrees."""

import json
import re
import shutil
import subprocess

import ledger_reader as reader
import pytest
import weirproc
from fake_server import failed
from ledger_reader import SLOTS
from test_weirctl_ledger import agree, asked, ctl, key_of, made, prints, tree, write_policy

WITNESS = "  witness: file\n  witness_path: {folder}/witness\n"


# init


def test_charges(folder, start):
    """The root is charged the sum; weir counts it as used, and its windows as spent now."""
    folder.chmod(0o755)
    text = tree(folder)
    policy = write_policy(folder, text)
    done = ctl("init", "--charge", "api=12 GB", "--charge", "logs=300.5 MB", "--charge", "total=1 GiB", policy)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (f"ledger   {folder}/ledger", f"key      {folder}/ledger.key", "witness  none",
                 "charge   api: 12 GB", "charge   logs: 300.5 MB"):
        assert line + "\n" in done.stdout
    assert "\nWhat to keep where:\n" in done.stdout
    ledger = folder / "ledger"
    assert ledger.stat().st_mode & 0o777 == 0o600 and key_of(ledger).stat().st_mode & 0o777 == 0o400
    expected = {"total": 12_000_000_000 + 300_500_000 + (1 << 30), "api": 12_000_000_000, "logs": 300_500_000}
    told = agree(ledger).told()["budgets"]
    assert {budget["name"]: budget["charged_bytes"] for budget in told} == expected
    assert told[0]["name"] == "total"
    weir = start(text, commission=False)
    status = weir.status()
    for budget in status["budgets"]:
        assert budget["charged_wire_bytes"] == expected[budget["name"]]
        for cap in budget["caps"]:  # lifetime and windows alike
            assert cap["used_bytes"] == expected[budget["name"]], (budget["name"], cap)
    weir.stop()
    told = agree(ledger).told()["budgets"]
    assert {budget["name"]: budget["charged_bytes"] for budget in told} == expected
    for budget in told:
        assert budget["forfeited_bytes"] == 0
        assert {window["used_bytes"] for window in budget["windows"]} <= {expected[budget["name"]]}
    assert [len(budget["windows"]) for budget in told] == [1, 2, 0]


def test_charge_beyond_the_cap(folder, start):
    """More is known to have left than may: nothing more leaves."""
    folder.chmod(0o755)
    text = tree(folder, inside=weirproc.flood_device(folder), rate="200 Mbit/s")
    made(folder, "api=41 GB", text=text)
    weir = start(text, commission=False)
    status = weir.wait_status(lambda status: status["links"][0]["egress"]["dropped"].get("cap", 0) > 1000)
    api = next(budget for budget in status["budgets"] if budget["name"] == "api")
    assert api["charged_wire_bytes"] == 41_000_000_000
    assert [cap["remaining_bytes"] for cap in api["caps"]] == [0, 0, 0]
    assert status["links"][0]["egress"]["tx_frames"] == 0
    weir.stop()


def test_twice(folder):
    ledger = made(folder, "api=1 GB")
    before = prints(folder)
    failed(ctl("init", folder / "policy.yaml"), 1, f"ledger {ledger}: File exists.*")
    assert prints(folder) == before
    # Nor where only one of them is there.
    for keep, lose in (("ledger", "ledger.key"), ("ledger.key", "ledger")):
        (folder / lose).rename(folder / "aside")
        before = prints(folder)
        failed(ctl("init", folder / "policy.yaml"), 1, f".*{folder}/{keep}: File exists.*")
        assert prints(folder) == before
        (folder / "aside").rename(folder / lose)


def test_witness_is_made(folder):
    text = tree(folder, appliance=WITNESS.format(folder=folder))
    ledger = made(folder, "logs=5 GB", text=text)
    told = agree(ledger).told()
    assert told["witness"]["kind"] == "file" and told["witness"]["value"] >= 1
    assert (folder / "witness").stat().st_mode & 0o777 == 0o600
    shown = ctl("show", ledger).stdout
    assert re.search(r"^witness    file, value \d+, at most \S+ \S?B granted between two values$", shown, re.M)
    ledger.unlink()
    key_of(ledger).unlink()
    before = prints(folder)
    failed(ctl("init", folder / "policy.yaml"), 1, f".*{folder}/witness: File exists.*")
    assert prints(folder) == before


def test_init_json(folder):
    text = tree(folder, appliance=WITNESS.format(folder=folder))
    told = asked("init", write_policy(folder, text))
    assert told == {"ok": True, "ledger": f"{folder}/ledger", "key": f"{folder}/ledger.key",
                    "witness_kind": "file", "witness": f"file {folder}/witness"}


@pytest.mark.parametrize("charge, line", [
    ("nobody=1 GB", "nobody=1 GB: expected the name of a budget of the policy"),
    ("ap=1 GB", "ap=1 GB: expected the name of a budget of the policy"),
    ("api", "api: expected NAME=BYTES, such as 'total=12 GB'"),
    ("=1 GB", "=1 GB: expected NAME=BYTES.*"),
    ("api=", "api=: expected .*"),
    ("api=12", "api=12: expected .*"),
    ("api=12 G", "api=12 G: expected .*"),
    ("api=12 Gb", "api=12 Gb: expected .*"),
    ("api=-1 GB", "api=-1 GB: expected .*"),
    ("api=0.5 B", "api=0.5 B: expected .*"),
    ("api=12 GB ", "api=12 GB : expected .*"),
    ("api=19 EB", "api=19 EB: expected .*"),
    ("api=1\x1b[31m", r"api=1\?\[31m: expected .*"),
])
def test_bad_charge(folder, charge, line):
    policy = write_policy(folder, tree(folder))
    before = prints(folder)
    failed(ctl("init", "--charge", charge, policy), 2, "--charge: " + line)
    failed(ctl("init", "--charge", "logs=1 GB", "--charge", charge, policy), 2, "--charge: " + line)
    assert prints(folder) == before


def test_bad_charges_together(folder):
    policy = write_policy(folder, tree(folder))
    before = prints(folder)
    failed(ctl("init", "--charge", "api=1 GB", "--charge", "api=2 GB", policy), 2,
           "--charge: api=2 GB: expected each budget once")
    failed(ctl("init", "--charge", "api=18 EB", "--charge", "logs=18 EB", policy), 2, ".*2.64.*")
    assert prints(folder) == before


def test_missing_folder(folder):
    """Nothing of it is left behind, wherever it fails."""
    text = tree(folder)
    for changed in (text.replace(f"ledger: {folder}/ledger", f"ledger: {folder}/none/ledger"),
                    tree(folder, appliance=WITNESS.format(folder=folder / "none")),
                    tree(folder, appliance=f"  ledger_key: {folder}/none/key\n")):
        policy = write_policy(folder, changed)
        before = prints(folder)
        failed(ctl("init", policy), 1, f".*{folder}/none/.*: No such file or directory.*")
        assert prints(folder) == before
    done = ctl("--json", "init", policy)
    assert done.returncode == 1 and json.loads(done.stdout)["ok"] is False


@pytest.mark.parametrize("command", ["init", "explain"])
def test_bad_policy(folder, command):
    policy = write_policy(folder, tree(folder).replace("rate: 50 Mbit/s", "rate: 50 Mbit"))
    failed(ctl(command, policy), 2, f"{policy}:\\d+: .*50 Mbit: expected .*")
    failed(ctl(command, folder / "none"), 2, f"{folder}/none: No such file or directory")
    assert sorted(prints(folder)) == ["policy.yaml"]


# explain


def zero_blocks(folder, *slots):
    with (folder / "ledger").open("r+b") as file:
        for slot in slots:
            file.seek(SLOTS[slot][0])
            file.write(bytes(4096))


def forge(folder):
    """Raises what the first budget may spend, and sets the checksum right."""
    content = (folder / "ledger").read_bytes()
    for slot in range(2):
        place = SLOTS[slot][0]
        length = int.from_bytes(content[place + 24:place + 28], "little")
        record = content[place:place + length]
        record = reader.seal(record[:256] + bytes(16) + b"\1" + bytes(7) + record[280:], None)
        content = content[:place] + record + content[place + length:]
    (folder / "ledger").write_bytes(content)


def put(folder, place, data):
    with (folder / "ledger").open("r+b") as file:
        file.seek(place)
        file.write(data)


def replace_key(folder, **changes):
    path = folder / "ledger.key"
    told = json.loads(path.read_text()) | changes
    path.chmod(0o600)
    path.write_text(json.dumps(told) + "\n")
    path.chmod(0o400)


def other_ledger(folder, name):
    """The files of another appliance."""
    other = folder / "other"
    made(other, "api=1 GB", text=tree(other, appliance=WITNESS.format(folder=other)).replace("weir-test", name))
    return other


def foreign_ledger(folder):
    shutil.copy2(other_ledger(folder, "elsewhere") / "ledger", folder / "ledger")


def foreign_key(folder):
    (folder / "ledger.key").unlink()
    shutil.copy2(other_ledger(folder, "elsewhere") / "ledger.key", folder / "ledger.key")


def foreign_witness(folder):
    shutil.copy2(other_ledger(folder, "weir-test") / "witness", folder / "witness")


def other_kind(folder):
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace(WITNESS.format(folder=folder), ""))


def rolled_back(folder):
    (folder / "ledger").write_bytes((folder / "copy").read_bytes())


def behind(folder):
    (folder / "witness").write_bytes((folder / "witness.copy").read_bytes())


CASES = {
    "missing": lambda folder: (folder / "ledger").unlink(),
    "size": lambda folder: (folder / "ledger").write_bytes(b"WEIRLDGR"),
    "key_missing": lambda folder: (folder / "ledger.key").unlink(),
    "key_bad": lambda folder: (folder / "ledger.key").chmod(0o644),
    "key_foreign": foreign_key,
    "foreign": foreign_ledger,
    "version": lambda folder: put(folder, 8, b"\1"),
    "mac": forge,
    "torn": lambda folder: zero_blocks(folder, 0, 1),
    "rolled_back": rolled_back,
    "witness_changed": other_kind,
    "witness_missing": lambda folder: (folder / "witness").unlink(),
    "witness_foreign": foreign_witness,
    "witness_bad": lambda folder: (folder / "witness").write_bytes(bytes(8192)),
    "witness_behind": behind,
}


@pytest.fixture
def run_once(folder):
    """A ledger with a witness that has had two runs; copies of both files from before them."""
    folder.chmod(0o755)
    text = tree(folder, appliance=WITNESS.format(folder=folder))
    made(folder, "api=1 GB", text=text)
    for name in ("ledger", "witness"):
        shutil.copy2(folder / name, folder / {"ledger": "copy", "witness": "witness.copy"}[name])
    for number in range(2):
        weir = weirproc.Weir(folder, text, commission=False, name=f"run{number}.yaml")
        try:
            weir.stop()
        finally:
            if weir.process.poll() is None:
                weir.process.kill()
                weir.process.wait(10)
    return folder


def test_would_start(run_once):
    before = prints(run_once)
    done = ctl("explain", run_once / "policy.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "would start\n", "")
    assert asked("explain", run_once / "policy.yaml") == {"ok": True, "refusal": None, "error": None, "advice": None}
    assert prints(run_once) == before


@pytest.mark.parametrize("word", CASES)
def test_refused(run_once, word):
    """explain says what a weir says, and neither changes a byte."""
    folder, policy = run_once, run_once / "policy.yaml"
    CASES[word](folder)
    before = prints(folder)
    told = asked("explain", policy, status=1)
    assert (told["ok"], told["refusal"]) == (False, word), told
    done = ctl("explain", policy)
    line, gap, advice = done.stdout.partition("\n\n")
    assert (done.returncode, done.stderr, gap) == (1, "", "\n\n")
    assert line == f"weir: {told['error']}" and "\n" not in line
    assert advice == told["advice"] and advice.endswith("\n") and len(advice) > 60
    refused = weirproc.command(policy)
    assert refused.returncode == 1
    assert line in refused.stderr.splitlines(), (line, refused.stderr)
    assert prints(folder) == before


def test_busy(folder, start):
    folder.chmod(0o755)
    text = tree(folder)
    made(folder, text=text)
    weir = start(text, commission=False)
    told = asked("explain", weir.policy, status=1)
    assert told["refusal"] == "busy"
    second = subprocess.run([weirproc.WEIR, weir.policy], capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1 and f"weir: {told['error']}" in second.stderr.splitlines()
    weir.stop()
    assert asked("explain", weir.policy)["ok"] is True
