# SPDX-License-Identifier: BSD-3-Clause
"""weirctl ledger verify, show and init, on files that a weir made and on damaged ones."""

import hashlib
import json
import os
import random
import re
import struct
import subprocess
from pathlib import Path

import ledger_reader as reader
import pytest
import weirproc
from fake_server import WEIRCTL, failed
from ledger_reader import FILE_BYTES, SLOTS, Key

SEED = int(os.environ.get("WEIR_SEED") or random.SystemRandom().randrange(1 << 32))

BUDGETS = """\
  - name: api
    parent: total
    caps: [{limit: 40 GB}, {limit: 30 GB, per: 1 h}, {limit: 20 GB, per: 1 min}]
  - name: logs
    parent: total
classes:
"""


def tree(folder: Path, appliance: str = "", **changes: str) -> str:
    """A policy with two budgets below the total; traffic is charged to api."""
    text = weirproc.policy_text(folder, appliance=appliance, **changes)
    return text.replace("classes:\n", BUDGETS).replace("    budget: total\n", "    budget: api\n")


def ctl(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([WEIRCTL, "ledger", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)


def asked(*arguments: object, status: int = 0) -> dict:
    done = ctl("--json", *arguments)
    assert (done.returncode, done.stderr) == (status, ""), done
    return json.loads(done.stdout)


def prints(folder: Path) -> dict:
    """All that would tell whether a file was touched."""
    told = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.split(".")[-1] not in ("log", "sock"):
            stat = path.stat()
            told[path.name] = (hashlib.sha256(path.read_bytes()).digest(), stat.st_mtime_ns, stat.st_ctime_ns,
                               stat.st_mode, stat.st_ino)
    return told


def write_policy(folder: Path, text: str, name: str = "policy.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def made(folder: Path, *charges: str, text: str | None = None) -> Path:
    """A ledger as init makes it. Returns its path."""
    policy = write_policy(folder, tree(folder) if text is None else text)
    done = ctl("init", *(part for charge in charges for part in ("--charge", charge)), policy)
    assert (done.returncode, done.stderr) == (0, ""), done
    return folder / "ledger"


def key_of(ledger: Path) -> Path:
    return ledger.with_name("ledger.key")


def agree(ledger: Path, key: Path | None = None) -> reader.File:
    """weirctl and the tests' own reader say the same of a file."""
    options = ["--key", key] if key is not None else []
    if key is None and key_of(ledger).exists():
        key = key_of(ledger)
    own = reader.read(ledger, key)
    status = 0 if own.refused is None else 1
    verified = asked("verify", *options, ledger, status=status)
    shown = asked("show", *options, ledger, status=status)
    assert verified["ok"] is shown["ok"] is (own.refused is None), (own.refused, verified)
    assert verified["mac_checked"] is shown["mac_checked"] is (key is not None)
    assert (verified["error"] is None) is (verified["refusal"] is None) is verified["ok"]
    assert verified["slots"] == [reader.as_json({
        "kind": reader.NAMES[record.kind], "place": place,
        "sequence": record.sequence if record.whole else None,
        "epoch": record.epoch if record.whole else None, "verdict": record.verdict,
    }) for record, (place, _, _, _) in zip(own.slots, SLOTS)]
    if own.refused is None:
        told = reader.as_json(own.told())
        assert {name: shown[name] for name in told} == told
    return own


# Sound ones


def test_no_dpdk():
    """It must run where there is no DPDK."""
    told = subprocess.run(["readelf", "-d", WEIRCTL], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", told)
    assert needed and not [name for name in needed if name.startswith("librte_")], needed


def test_fresh(folder):
    ledger = made(folder)
    before = prints(folder)
    own = agree(ledger)
    assert own.told()["epoch"] == 0 and own.told()["budgets"] == []
    done = ctl("verify", ledger)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"KIND +PLACE +SEQUENCE +EPOCH +VERDICT", lines[0])
    assert [line.split()[0] for line in lines[1:5]] == ["GRANTS", "GRANTS", "STATE", "STATE"]
    assert all(re.fullmatch(r"\S+ +\d+ +\d+ +0 +valid", line) for line in lines[1:5])
    assert lines[5:] == [f"MAC checked with {folder}/ledger.key", f"{ledger}: valid"]
    shown = ctl("show", ledger)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.search(r"^appliance  weir-test$", shown.stdout, re.M)
    assert re.search(r"^witness    none$", shown.stdout, re.M)
    assert re.search(f"^identity   {own.grants.identity.hex()}$", shown.stdout, re.M)
    assert "NOT TRUSTED" not in shown.stdout
    assert prints(folder) == before


def test_without_a_key(folder):
    ledger = made(folder, "api=12 GB")
    key_of(ledger).rename(folder / "elsewhere")
    before = prints(folder)
    own = agree(ledger)
    assert own.refused is None
    for command in ("verify", "show"):
        done = ctl(command, ledger)
        assert done.returncode == 0
        assert f"MAC not checked: no key ({ledger}.key is missing)\n" in done.stdout
        assert "MAC checked with" not in done.stdout
        assert f"MAC checked with {folder}/elsewhere\n" in ctl(command, "--key", folder / "elsewhere", ledger).stdout
        # Asked for and not there is another thing than not there.
        failed(ctl(command, "--key", folder / "none", ledger), 2, ".*none.*No such file.*")
        failed(ctl(command, "--key", folder / "policy.yaml", ledger), 2, ".*policy.yaml.*")
        failed(ctl(command, "--key", folder, ledger), 2, f".*{folder}.*")
    assert prints(folder) == before


def test_traffic(folder, start):
    """While it runs, after a clean stop, after a kill, and after the start behind that."""
    folder.chmod(0o755)
    text = tree(folder, inside=weirproc.flood_device(folder), rate="200 Mbit/s")
    ledger = made(folder, "logs=7 MB", text=text)
    weir = start(text, commission=False)
    weir.wait_status(lambda status: status["budgets"][0]["charged_wire_bytes"] > 12_000_000)
    for _ in range(20):  # while records are being written
        running = asked("verify", ledger)
        assert running["in_use"] is True and asked("show", ledger)["in_use"] is True
    for command in ("verify", "show"):
        assert "read while a weir has it open: a record may have been half written\n" in ctl(command, ledger).stdout
    weir.stop()
    before = prints(folder)
    told = agree(ledger).told()
    charged = [int(re.search(f"budget {name}: charged (\\d+) B in all", weir.text())[1]) for name in ("total", "api")]
    assert asked("verify", ledger)["in_use"] is False
    assert told["budgets"][0]["name"] == "total"
    budgets = {budget["name"]: budget for budget in told["budgets"]}
    for name, bytes_all in (("total", charged[0]), ("api", charged[1]), ("logs", 7_000_000)):
        assert (budgets[name]["charged_bytes"], budgets[name]["granted_bytes"]) == (bytes_all, bytes_all)
    assert charged[1] > 0 and charged[0] == charged[1] + 7_000_000
    assert told["epoch"] == 1 and told["clock_ns"] > 0
    assert budgets["api"]["windows"] == [{"window_ns": seconds * 10**9, "used_bytes": charged[1]}
                                         for seconds in (3600, 60)]
    shown = ctl("show", ledger).stdout
    assert re.search(r"^api +\S+ MB +\S+ MB +0 B +1 h +\S+ MB$", shown, re.M), shown
    assert re.search(r"^logs +7 MB +7 MB +0 B +- +-$", shown, re.M), shown
    assert prints(folder) == before
    # A kill costs what was granted and not known as spent.
    weir = start(text, commission=False, name="killed.yaml")
    weir.wait_status(lambda status: status["budgets"][0]["charged_wire_bytes"] > charged[0] + 5_000_000)
    weir.process.kill()
    weir.process.wait(10)
    killed = agree(ledger).told()["budgets"]
    assert killed[0]["granted_bytes"] > killed[0]["charged_bytes"] > charged[0]
    api = next(budget for budget in killed if budget["name"] == "api")
    assert api["windows"][0]["used_bytes"] == api["granted_bytes"]
    weir = start(text, commission=False, name="last.yaml")
    weir.stop()
    last = agree(ledger).told()["budgets"]
    assert last[0]["charged_bytes"] >= killed[0]["granted_bytes"]
    assert last[0]["forfeited_bytes"] == killed[0]["granted_bytes"] - killed[0]["charged_bytes"]


# Damaged ones


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Two ages of one ledger that has had traffic and a kill, as bytes, and its key's file."""
    folder = Path(subprocess.run(["mktemp", "-d", "/tmp/weir-XXXXXX"], capture_output=True, text=True,
                                 check=True).stdout.strip())
    folder.chmod(0o755)
    text = tree(folder, inside=weirproc.flood_device(folder), rate="200 Mbit/s")
    ledger = made(folder, "logs=7 MB", text=text)
    ages = []
    try:
        for cleanly in (False, True):
            weir = weirproc.Weir(folder, text, commission=False, name=f"cleanly-{cleanly}.yaml")
            try:
                have = weir.status()["budgets"][0]["charged_wire_bytes"]
                weir.wait_status(lambda status, least=have + 3_000_000:
                                 status["budgets"][0]["charged_wire_bytes"] > least)
                if cleanly:
                    weir.stop()
            finally:
                weir.process.kill()
                weir.process.wait(10)
            ages.append(ledger.read_bytes())
        key = tmp_path_factory.mktemp("key") / "key"
        key.write_bytes(key_of(ledger).read_bytes())
        key.chmod(0o400)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return ages[0], ages[1], key


class Bench:
    """A file that is damaged in place, and made whole again."""

    def __init__(self, folder: Path, history: tuple) -> None:
        self.older, self.whole, key = history
        self.ledger = folder / "ledger"
        self.ledger.write_bytes(self.whole)
        key_of(self.ledger).write_bytes(key.read_bytes())
        key_of(self.ledger).chmod(0o400)
        self.key = Key(key)
        self.random = random.Random(SEED)
        self.undone = True  # what a test has changed

    def record(self, slot: int) -> bytes:
        place = SLOTS[slot][0]
        length, = struct.unpack_from("<I", self.whole, place + 24)
        return self.whole[place:place + length]

    def judge(self, *changes: tuple[int, bytes]) -> reader.File:
        """What both say of the file with these bytes written over it."""
        with self.ledger.open("r+b") as file:
            for place, data in changes:
                file.seek(place)
                file.write(data)
        try:
            before = self.ledger.stat()
            own = agree(self.ledger)
            after = self.ledger.stat()
            assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
            return own
        finally:
            with self.ledger.open("r+b") as file:
                for place, data in changes:
                    file.seek(place)
                    file.write(self.whole[place:place + len(data)])

    def refusal(self, *changes: tuple[int, bytes], lines: bool = True) -> str | None:
        """The word for it, as weirctl says; and what show says then."""
        with self.ledger.open("r+b") as file:
            for place, data in changes:
                file.seek(place)
                file.write(data)
        verified = ctl("--json", "verify", self.ledger)
        shown = ctl("show", self.ledger)
        text = ctl("verify", self.ledger)
        with self.ledger.open("r+b") as file:
            for place, data in changes:
                file.seek(place)
                file.write(self.whole[place:place + len(data)])
        told = json.loads(verified.stdout)
        if told["ok"]:
            assert (text.returncode, shown.returncode) == (0, 0) and text.stdout.endswith(": valid\n")
            assert "NOT TRUSTED" not in shown.stdout
            return None
        why = f"{told['refusal']}: {told['error']}"
        assert (verified.returncode, text.returncode, shown.returncode) == (1, 1, 1)
        assert text.stdout.endswith(f"{self.ledger}: not valid: {why}\n")
        assert shown.stdout.startswith(f"NOT TRUSTED: {why}\n")
        if lines:
            assert re.search("^total +", shown.stdout, re.M), shown.stdout
            assert shown.stdout.endswith("\nNOT TRUSTED: this is what the newest whole records say\n")
        return told["refusal"]


@pytest.fixture
def bench(folder, history):
    print(f"WEIR_SEED={SEED}")
    made_here = Bench(folder, history)
    yield made_here
    # All damage was undone, so what weirctl had written would be left.
    if made_here.undone:
        assert made_here.ledger.read_bytes() == made_here.whole


# Fields of a header, by their offsets, and the contents.
FIELDS = [(0, 8), (8, 12), (12, 16), (16, 24), (24, 28), (28, 32), (32, 48), (48, 64), (64, 112), (112, 120),
          (120, 128), (128, 136), (136, 144), (144, 152), (152, 156), (156, 160), (160, 192), (192, 224), (224, 256)]


@pytest.mark.parametrize("slot", range(4))
def test_flipped_bit(bench, slot):
    """A bit in each field of each slot's record: the slot is lost, or the version unknown."""
    place = SLOTS[slot][0]
    record = bench.record(slot)
    for low, high in [*FIELDS, (256, len(record))]:
        at = bench.random.randrange(low, high)
        bit = 1 << bench.random.randrange(8)
        own = bench.judge((place + at, bytes([record[at] ^ bit])))
        assert own.slots[slot].verdict != "valid", (at, bit)
        if low in (8, 28):
            assert own.refused == "of an unknown version or algorithm"
    # What lies behind the record means nothing.
    own = bench.judge((place + len(record), bench.random.randbytes(100)))
    assert [record.verdict for record in own.slots] == ["valid"] * 4 and own.refused is None


def test_ages_mixed(bench):
    """Any slots of an older copy among newer ones: both must find the same of them sound."""
    refused = 0
    for choice in range(16):
        changes = [(SLOTS[i][0], bench.older[SLOTS[i][0]:SLOTS[i][0] + 8192]) for i in range(4) if choice & 1 << i]
        refused += bench.judge(*changes).refused is not None
    assert refused >= 8  # all but an old file as a whole, and what differs in nothing


def test_garbled(bench):
    """Pieces of any length, anywhere in a slot's first blocks: zeros, noise, or another place's bytes."""
    for _ in range(60):
        changes = []
        for _ in range(bench.random.randrange(1, 4)):
            place = bench.random.choice(SLOTS)[0] + bench.random.choice([0, 0, bench.random.randrange(4096)])
            size = bench.random.choice([1, 8, 512, 4096])
            source = bench.random.choice(SLOTS)[0]
            data = bench.random.choice([bytes(size), bench.random.randbytes(size),
                                        bench.whole[source:source + size]])
            changes.append((place, data))
        bench.judge(*changes)


def test_sealed_again(bench):
    """Records that somebody with the key has changed: what the rules allow, and nothing else."""
    for _ in range(60):
        slot = bench.random.randrange(4)
        record = bytearray(bench.record(slot))
        for _ in range(bench.random.choice([1, 1, 2])):
            at = bench.random.choice([16, 112, 120, 128, 136, 144, 152, *range(256, len(record) - 7, 8)])
            value, = struct.unpack_from("<Q", record, at)
            value = bench.random.choice([value + 1, value - 1, 0, 2**64 - 1, value ^ 1 << bench.random.randrange(64),
                                         bench.random.getrandbits(64)]) % 2**64
            struct.pack_into("<Q", record, at, value)
        bench.judge((SLOTS[slot][0], reader.seal(bytes(record), bench.key)))


def test_verdicts(bench):
    """One word for each kind of damage."""
    newest = 0 if struct.unpack_from("<Q", bench.whole, 16)[0] > struct.unpack_from("<Q", bench.record(1), 16)[0] else 1
    place, record = SLOTS[newest][0], bench.record(newest)
    raised = record[:256] + struct.pack("<QQQ", 0, 0, 1) + record[280:]
    assert bench.refusal((0, b"")) is None
    assert bench.refusal((place, reader.seal(raised, None))) == "mac"
    assert bench.refusal((place, reader.seal(raised, bench.key))) == "contradiction"
    first = reader.seal(record[:8] + struct.pack("<I", 1) + record[12:], None)
    assert bench.refusal((place, first)) == "version"
    assert bench.refusal((place, reader.seal(record[:28] + struct.pack("<I", 2) + record[32:], None))) == "version"
    other = reader.seal(record[:32] + bytes(16) + record[48:], bench.key)
    assert bench.refusal((place, other)) == "key_foreign"
    assert bench.refusal((place, reader.seal(record[:48] + bytes(16) + record[64:], bench.key))) == "key_foreign"
    assert bench.refusal((place, bytes(4096))) is None  # one torn slot costs forfeit, nothing else
    assert bench.refusal((0, bytes(4096)), (SLOTS[1][0], bytes(4096))) == "torn"
    assert bench.refusal((SLOTS[2][0], bytes(4096)), (SLOTS[3][0], bytes(4096)), lines=False) == "torn"
    swapped = [(SLOTS[1 - i][0], bench.whole[SLOTS[i][0]:SLOTS[i][0] + 4096]) for i in range(2)]
    assert bench.refusal(*swapped, lines=False) == "torn"
    assert bench.refusal(*[(SLOTS[i][0], bytes(4096)) for i in range(4)], lines=False) == "torn"


def test_windows_at_the_clock(bench):
    """What is shown of a window is what counts when the newest record was written, not the oldest."""
    slot = max((0, 1), key=lambda number: struct.unpack_from("<Q", bench.record(number), 16))
    record = bench.record(slot)
    clock, = struct.unpack_from("<Q", record, 120)
    used = {}
    for seconds in (0, 30, 62, 3700, 90_000):
        later = record[:120] + struct.pack("<Q", clock + seconds * 10**9) + record[128:]
        own = bench.judge((SLOTS[slot][0], reader.seal(later, bench.key)))
        api = next(budget for budget in own.told()["budgets"] if budget["name"] == "api")
        used[seconds] = [window["used_bytes"] for window in api["windows"]]
    hour, minute = used[0]
    assert hour == minute > 0 and used[62] == [hour, 0] and used[3700] == used[90_000] == [0, 0]


@pytest.mark.parametrize("newest", [True, False])
def test_not_trusted(bench, newest):
    """Of a file that is refused, it shows the newest whole record, even a forged one."""
    slot = (max if newest else min)((0, 1), key=lambda number: struct.unpack_from("<Q", bench.record(number), 16))
    record = bench.record(slot)
    forged = reader.seal(record[:256] + struct.pack("<QQQ", 0, 77, 78) + record[280:], None)
    granted, = struct.unpack_from("<Q", bench.whole, SLOTS[slot if newest else 1 - slot][0] + 264)
    bench.undone = False
    with bench.ledger.open("r+b") as file:
        file.seek(SLOTS[slot][0])
        file.write(forged)
    shown = asked("show", bench.ledger, status=1)
    assert (shown["ok"], shown["refusal"]) == (False, "mac")
    assert shown["budgets"][0]["granted_bytes"] == (77 if newest else granted)


def test_version_1(bench):
    """A file of the format before this one."""
    changes = []
    for slot in range(4):
        head = bytearray(bench.record(slot)[:256])
        struct.pack_into("<I", head, 8, 1)
        changes.append((SLOTS[slot][0], bytes(head)))
    assert bench.refusal(*changes, lines=False) == "version"


def test_other_keys(bench, folder):
    other = folder / "other"
    ledger = made(other)
    own = agree(bench.ledger, key_of(ledger))
    assert {record.verdict for record in own.slots} == {"of another ledger"}
    assert asked("verify", "--key", key_of(ledger), bench.ledger, status=1)["refusal"] in ("key_foreign", "foreign")
    # The right identity, another key.
    told = json.loads(key_of(bench.ledger).read_text())
    told["key"] = json.loads(key_of(ledger).read_text())["key"]
    forged = folder / "forged"
    forged.write_text(json.dumps(told) + "\n")
    forged.chmod(0o400)
    own = agree(bench.ledger, forged)
    assert {record.verdict for record in own.slots} == {"made with another key"}
    assert asked("verify", "--key", forged, bench.ledger, status=1)["refusal"] == "key_foreign"
    forged.chmod(0o644)
    failed(ctl("verify", "--key", forged, bench.ledger), 2, f".*{forged}.*")
    # What can't be trusted is shown all the same, and marked.
    shown = ctl("show", "--key", key_of(ledger), bench.ledger)
    assert shown.returncode == 1 and shown.stdout.startswith("NOT TRUSTED: ")
    assert re.search("^api +", shown.stdout, re.M)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 4096, 204_800, FILE_BYTES - 1, FILE_BYTES + 1])
def test_wrong_size(bench, size):
    content = (bench.whole + bytes(1))[:size]
    bench.undone = False
    bench.ledger.write_bytes(content)
    before = prints(bench.ledger.parent)
    verified = asked("verify", bench.ledger, status=1)
    assert (verified["refusal"], verified["slots"]) == ("size", [])
    assert str(size) in verified["error"] and str(FILE_BYTES) in verified["error"]
    shown = ctl("show", bench.ledger)
    assert (shown.returncode, shown.stderr) == (1, "") and shown.stdout.startswith("NOT TRUSTED: size: ")
    assert "no whole record\n" in shown.stdout
    assert prints(bench.ledger.parent) == before


def test_noise(bench):
    """Files that are no ledgers at all."""
    bench.undone = False
    bench.ledger.write_bytes(bytes(FILE_BYTES))
    assert {record.verdict for record in agree(bench.ledger).slots} == {"blank"}
    bench.ledger.write_bytes(bench.random.randbytes(FILE_BYTES))
    assert {record.verdict for record in agree(bench.ledger).slots} == {"not a record"}
    noise = bytearray(bench.random.randbytes(FILE_BYTES))
    for place, _, kind, _ in SLOTS:  # as far as the checksum, and beyond by a right one
        struct.pack_into("<8sIIQII", noise, place, b"WEIRLDGR", 2, kind, 2, 4096, 1)
    bench.ledger.write_bytes(noise)
    assert {record.verdict for record in agree(bench.ledger).slots} == {"with a wrong checksum"}
    for place, _, _, _ in SLOTS:
        noise[place:place + 4096] = reader.seal(bytes(noise[place:place + 4096]), None)
    bench.ledger.write_bytes(noise)
    agree(bench.ledger)
    key_of(bench.ledger).unlink()
    agree(bench.ledger)


# What can't be read


@pytest.mark.parametrize("command", ["verify", "show"])
def test_unreadable(folder, command):
    failed(ctl(command, folder / "none"), 2, f"{folder}/none: No such file or directory")
    failed(ctl(command, folder), 2, f"{folder}: .*")
    os.mkfifo(folder / "pipe")
    failed(ctl(command, folder / "pipe"), 2, f"{folder}/pipe: expected a regular file")
    failed(ctl(command, "/dev/null"), 2, "/dev/null: expected a regular file")
    failed(ctl(command, "/" + "x" * 300), 2, ".*File name too long")


@pytest.mark.parametrize("arguments, line", [
    ([], "ledger: expected verify, show, explain or init behind it"),
    (["frobnicate", "x"], "frobnicate: expected verify, show, explain or init"),
    (["verify"], "ledger verify: expected FILE behind it"),
    (["show", "a", "b"], "b: expected nothing more"),
    (["verify", "--key"], "--key: expected a value behind it"),
    (["verify", "--key", "", "a"], "--key: expected the path of a key file"),
    (["explain", "--key", "k", "a"], "--key: only ledger verify and ledger show take it"),
    (["verify", "--charge", "a=1 B", "a"], "--charge: only ledger init takes it"),
    (["show", "-n", "1", "a"], "-n: only top takes it"),
])
def test_bad_usage(arguments, line):
    done = ctl(*arguments)
    failed(done, 2, line + r" \(see weirctl --help\)")
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["verify", "show", "explain", "init"])
def test_help(command):
    done = ctl(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: weirctl [--json] ledger {command} ")
    assert "\nexample:\n" in done.stdout
    assert all(len(line) <= 90 for line in done.stdout.splitlines())
    for words in (["help", "ledger"], ["ledger", "--help"]):
        whole = subprocess.run([WEIRCTL, *words], capture_output=True, text=True, check=True).stdout
        assert re.search(f"^  {command} ", whole, re.M)
    helped = subprocess.run([WEIRCTL, "help", "ledger", command], capture_output=True, text=True, check=True)
    assert helped.stdout == done.stdout
