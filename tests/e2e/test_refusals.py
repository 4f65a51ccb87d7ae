# SPDX-License-Identifier: BSD-3-Clause
"""A ledger, key or witness that is not the right one: the start refuses it in one line of its own,
changes nothing, and the right one put back is accepted."""

import fcntl
import hashlib
import os
import re
import shutil
import struct
import time
from pathlib import Path

import pytest
from swtpm import Swtpm
from weirproc import Weir, command, flood_device, policy_text

EVERY = 2_000_000  # witness_every; at most twice that is granted between two values
GRANTS, STATE = 2, 1
SLOTS = {GRANTS: (0, 102_400), STATE: (204_800, 18_329_600)}
LEDGER_BYTES = 36_454_400
F_OFD_SETLK = 37  # of <fcntl.h>
FILES = ("ledger", "ledger.key", "witness")

# What each refusal says behind "weir: ". No line fits two of them.
LINES = {
    "missing": r"ledger F/ledger: No such file or directory: a new box needs a new ledger, "
               r"made once by weir --commission",
    "no file": r"ledger F/ledger: expected a regular file",
    "size": rf"ledger F/ledger: 1000000 bytes, expected {LEDGER_BYTES}",
    "key missing": r"ledger key F/ledger\.key: No such file or directory: "
                   r"expected the key that was made with the ledger",
    "key mode": r"ledger key F/ledger\.key: mode 0644, expected 0400",
    "key owner": r"ledger key F/ledger\.key: its owner is user 12345, expected 0 or \d+",
    "key contents": r'ledger key F/ledger\.key: "key" is not 64 hex digits',
    "key foreign": r"ledger key F/ledger\.key: \w+ slot [01]: the key is another appliance's: of other, "
                   r"expected that of weir-test, identity [0-9a-f]{32}",
    "key of a twin": r"ledger key F/ledger\.key: \w+ slot [01]: the key is of another ledger of weir-test, "
                     r"expected that of identity [0-9a-f]{32}",
    "foreign": r"ledger F/ledger: \w+ slot [01]: the ledger of another appliance: of other, "
               r"expected weir-test, as policy and key say",
    "both foreign": r"ledger F/ledger: ledger and key are of appliance other, expected weir-test, as the policy says",
    "version": r"ledger F/ledger: \w+ slot [01]: a record .*, expected version 2",
    "forged": r"ledger F/ledger: grants slot [01]: record \d+ is whole but its MAC is wrong: "
              r"not written with the key, forged",
    "torn grants": r"ledger F/ledger: grants: slot 0: .*; slot 1: .*; expected a valid record in one",
    "torn state": r"ledger F/ledger: state: slot 0: .*; slot 1: .*; expected a valid record in one",
    "lost": r"ledger F/ledger: the newest valid state record is \d+, expected \d+ or later: a newer one has been lost",
    "contradiction": r"ledger F/ledger: grants: records \d+ and \d+, expected consecutive ones",
    "rolled back": r"ledger F/ledger: by witness file F/witness: rolled back: the witness stands at (?P<value>\d+), "
                   r"expected a ledger that says \d+ or \d+, found one that says (?P<found>\d+): an older copy, "
                   r"which hides at most (?P<hidden>\d+) bytes",
    "rolled back by TPM": r"ledger F/ledger: by witness TPM swtpm:path=F/tpm\.sock index 0x01805745: rolled back: "
                          r"the witness stands at (?P<value>\d+), expected a ledger that says \d+ or \d+, "
                          r"found one that says (?P<found>\d+): an older copy, "
                          r"which hides at most (?P<hidden>\d+) bytes",
    "other kind": r"ledger F/ledger: commissioned with witness: file, but the policy says witness: none",
    "other kind than TPM": r"ledger F/ledger: commissioned with witness: tpm, but the policy says witness: file",
    "witness missing": r"witness file F/witness: there is no such file: expected the one made with the ledger",
    "counter missing": r"witness TPM swtpm:path=F/tpm\.sock index 0x01805745: there is no such counter: "
                       r"expected the one made with the ledger",
    "witness foreign": r"witness file F/witness: that of another ledger: expected the one made with the ledger's key",
    "counter foreign": r"witness TPM swtpm:path=F/tpm\.sock index 0x01805746: that of another ledger: "
                       r"expected the one made with the ledger's key",
    "witness bad": r"witness file F/witness: damaged: expected 8192 bytes with at least one whole copy",
    "witness behind": r"witness file F/witness: the ledger says \d+, expected its witness to stand at \d+ or \d+, "
                      r"found it at \d+: it was put back or replaced",
    "counter behind": r"witness TPM swtpm:path=F/tpm\.sock index 0x01805745: the ledger says \d+, expected its witness "
                      r"to stand at \d+ or \d+, found it at \d+: it was put back or replaced",
    "witness out of reach": r"witness file F/witness: can't be reached: Too many levels of symbolic links",
    "witness held": r"witness file F/witness: can't be reached: another process has it",
    "TPM gone": r"witness TPM swtpm:path=F/tpm\.sock index 0x01805745: can't be reached: Connection refused",
    "TPM hangs": r"witness TPM swtpm:path=F/tpm\.sock index 0x01805745: can't be reached: no answer in time",
}


class Box:
    """A Weir that is flooded, and the files that it believes."""

    def __init__(self, folder: Path, witness: str = "", name: str = "weir-test") -> None:
        self.folder = folder
        self.witness = witness or f"  witness: file\n  witness_path: {folder}/witness\n"
        self.name = name
        self.charged = 0

    def path(self, name: str) -> Path:
        return self.folder / name

    def text(self, witness: str | None = None) -> str:
        keys = self.witness if witness is None else witness
        if "witness: none" not in keys:
            keys += f"  witness_every: {EVERY} B\n"
        # Of the same place every time, or the port would differ.
        text = policy_text(self.folder, appliance=keys, inside=flood_device(self.folder))
        return text.replace("name: weir-test", f"name: {self.name}")

    def commission(self) -> None:
        self.path("policy.yaml").write_text(self.text())
        done = command("--commission", self.path("policy.yaml"))
        assert done.returncode == 0, done.stderr

    def live(self, more: int = 1) -> None:
        """Starts, lets so many bytes more leave, and stops."""
        weir = Weir(self.folder, self.text(), commission=False, ready=False)
        try:
            weir.wait_for("weir: ready", count=weir.text().count("weir: ready") + 1)
            weir.wait_status(lambda now: now["budgets"][0]["charged_wire_bytes"] >= self.charged + more, timeout=60)
            weir.stop()
        finally:
            weir.process.kill()
            weir.process.wait()
        charged = int(re.findall(r"budget total: charged (\d+) B", weir.text())[-1])
        assert charged >= self.charged + more
        self.charged = charged

    def digests(self) -> dict[str, str]:
        return {name: hashlib.sha256(self.path(name).read_bytes()).hexdigest()
                for name in FILES if self.path(name).is_file()}

    def refused(self, case: str, witness: str | None = None) -> re.Match:
        """A start that ends with the case's line, and with no other's."""
        before = self.digests()
        log = self.path("refused.yaml.log")
        log.unlink(missing_ok=True)
        weir = Weir(self.folder, self.text(witness), commission=False, ready=False, name="refused.yaml")
        try:
            status = weir.process.wait(90)
        finally:
            weir.process.kill()
            weir.process.wait()
        assert status == 1, weir.text()
        assert len(weir.text().splitlines()) == 1, weir.text()
        line = weir.text().removeprefix("weir: ").rstrip("\n")
        fits = {name: re.fullmatch(pattern.replace("F/", re.escape(f"{self.folder}/")), line)
                for name, pattern in LINES.items()}
        assert [name for name in fits if fits[name]] == [case], line
        assert self.digests() == before
        return fits[case]


def copy(source: Path, to: Path) -> None:
    for name in FILES:
        if (source / name).exists():
            shutil.copy2(source / name, to / name)


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A ledger after two lives (now) and after one (then); that of another appliance (other); one of
    an appliance of the same name (twin)."""
    top = tmp_path_factory.mktemp("refusals")
    folders = {name: top / name for name in ("run", "then", "now", "other", "twin")}
    for path in folders.values():
        path.mkdir()
    first = Box(folders["run"])
    first.commission()
    first.live(5_000_000)
    copy(folders["run"], folders["then"])
    then = first.charged
    first.live(12_000_000)
    copy(folders["run"], folders["now"])
    Box(folders["other"], name="other").commission()
    Box(folders["twin"]).commission()
    yield folders, then, first.charged
    shutil.rmtree(top)


@pytest.fixture
def box(folder, homes):
    """The ledger after two lives. When the test has put all back as it was, it starts again."""
    folders, _, charged = homes
    copy(folders["now"], folder)
    made = Box(folder)
    made.charged = charged
    right = made.digests()
    yield made
    assert made.digests() == right
    assert made.path("ledger.key").stat().st_mode & 0o7777 == 0o400
    made.live()


def swap(box: Box, name: str, content: bytes | Path, mode: int | None = None) -> None:
    """Other contents, or another file, in the place of one that is kept aside."""
    path, aside = box.path(name), box.path(f"right.{name}")
    path.rename(aside)
    if isinstance(content, Path):
        shutil.copy2(content, path)
    else:
        path.write_bytes(content)
        path.chmod(aside.stat().st_mode & 0o7777 if mode is None else mode)


def put_back(box: Box, *names: str) -> None:
    for name in names:
        box.path(f"right.{name}").rename(box.path(name))


# ---- the ledger's file ----


def sequence(content: bytes, offset: int) -> int:
    return struct.unpack_from("<Q", content, offset + 16)[0]


def newest(content: bytes, kind: int) -> int:
    """Offset of the newest record of a kind."""
    return max(SLOTS[kind], key=lambda offset: sequence(content, offset))


def seal(content: bytearray, offset: int) -> None:
    """A right checksum: anyone can make that."""
    length = struct.unpack_from("<I", content, offset + 24)[0]
    record = content[offset:offset + length]
    digest = hashlib.blake2b(record[:224] + record[256:], digest_size=32, person=b"weir-ledger-sum2").digest()
    assert len(record) == length
    content[offset + 224:offset + 256] = digest


def changed(box: Box, kind: int, place: int, value: bytes, slots: str = "newest", sealed: bool = True) -> bytes:
    content = bytearray(box.path("ledger").read_bytes())
    for offset in (newest(content, kind),) if slots == "newest" else SLOTS[kind]:
        assert content[offset:offset + 8] == b"WEIRLDGR"
        if sealed:  # what is sealed anew without a change is what it was
            before = bytes(content)
            seal(content, offset)
            assert bytes(content) == before
        content[offset + place:offset + place + len(value)] = value
        if sealed:
            seal(content, offset)
    return bytes(content)


def test_missing(box):
    box.path("ledger").rename(box.path("right.ledger"))
    box.refused("missing")
    box.path("ledger.key").rename(box.path("right.key"))
    box.refused("missing")
    assert not box.path("ledger").exists() and not box.path("ledger.key").exists()
    box.path("right.key").rename(box.path("ledger.key"))
    put_back(box, "ledger")


def test_no_regular_file(box):
    box.path("ledger").rename(box.path("right.ledger"))
    os.mkfifo(box.path("ledger"))
    box.refused("no file")
    box.path("ledger").unlink()
    put_back(box, "ledger")


def test_size(box):
    swap(box, "ledger", box.path("ledger").read_bytes()[:1_000_000])
    box.refused("size")
    put_back(box, "ledger")


@pytest.mark.parametrize("version", [0, 1, 3, 0xFFFFFFFF])
@pytest.mark.parametrize("slots", ["newest", "both"])
def test_version(box, version, slots):
    for kind in (GRANTS, STATE):
        swap(box, "ledger", changed(box, kind, 8, struct.pack("<I", version), slots))
        box.refused("version")
        put_back(box, "ledger")


def test_algorithm(box):
    swap(box, "ledger", changed(box, GRANTS, 28, struct.pack("<I", 2)))
    box.refused("version")
    put_back(box, "ledger")


@pytest.mark.parametrize("slots", ["newest", "both"])
def test_forged(box, slots):
    """Somebody without the key gives the root bytes back, with a checksum that is right."""
    content = box.path("ledger").read_bytes()
    spent, grant, bound = struct.unpack_from("<QQQ", content, newest(content, GRANTS) + 256)
    assert box.charged == spent == grant <= bound
    swap(box, "ledger", changed(box, GRANTS, 256, struct.pack("<QQQ", 0, 0, bound), slots))
    box.refused("forged")
    put_back(box, "ledger")


def test_forged_mac(box):
    """A MAC of all zeros is no MAC."""
    swap(box, "ledger", changed(box, GRANTS, 192, bytes(32)))
    box.refused("forged")
    put_back(box, "ledger")


@pytest.mark.parametrize("kind, case", [(GRANTS, "torn grants"), (STATE, "torn state")])
def test_torn(box, kind, case):
    swap(box, "ledger", changed(box, kind, 224, b"garbled", "both", sealed=False))
    box.refused(case)
    put_back(box, "ledger")


def test_lost(box):
    """The newest STATE is gone, and GRANTS tell of it."""
    content = box.path("ledger").read_bytes()
    peer = struct.unpack_from("<Q", content, newest(content, GRANTS) + 128)[0]
    assert peer == sequence(content, newest(content, STATE))
    swap(box, "ledger", changed(box, STATE, 224, b"garbled", sealed=False))
    box.refused("lost")
    put_back(box, "ledger")


def test_part_put_back(box, homes):
    """One slot of an earlier time among the others."""
    content, then = bytearray(box.path("ledger").read_bytes()), (homes[0]["then"] / "ledger").read_bytes()
    offset = next(offset for offset in SLOTS[GRANTS] if offset != newest(content, GRANTS))
    content[offset:offset + 4096] = then[offset:offset + 4096]
    swap(box, "ledger", bytes(content))
    box.refused("contradiction")
    put_back(box, "ledger")


def test_ledger_of_another_appliance(box, homes):
    swap(box, "ledger", homes[0]["other"] / "ledger")
    box.refused("foreign")
    swap(box, "ledger.key", homes[0]["other"] / "ledger.key")
    box.refused("both foreign")
    put_back(box, "ledger", "ledger.key")


# ---- its key ----


def test_key_missing(box):
    box.path("ledger.key").rename(box.path("right.ledger.key"))
    box.refused("key missing")
    put_back(box, "ledger.key")


def test_key_mode(box):
    box.path("ledger.key").chmod(0o644)
    box.refused("key mode")
    box.path("ledger.key").chmod(0o400)


def test_key_owner(box):
    os.chown(box.path("ledger.key"), 12345, 0)
    box.refused("key owner")
    os.chown(box.path("ledger.key"), 0, 0)


def test_key_contents(box):
    text = box.path("ledger.key").read_text()
    shorter = re.sub(r'("key": "[0-9a-f]{63})[0-9a-f]"', r'\1"', text)
    assert len(shorter) == len(text) - 1
    swap(box, "ledger.key", shorter.encode())
    box.refused("key contents")
    put_back(box, "ledger.key")


@pytest.mark.parametrize("whose, case", [("other", "key foreign"), ("twin", "key of a twin")])
def test_key_of_another(box, homes, whose, case):
    swap(box, "ledger.key", homes[0][whose] / "ledger.key")
    box.refused(case)
    put_back(box, "ledger.key")


# ---- its witness ----


def check_hidden(found: re.Match, charged: int) -> None:
    """The bound covers what really left, and is what its rule says."""
    behind = int(found["value"]) - int(found["found"])
    assert behind > 0
    assert charged <= int(found["hidden"]) == (behind + 1) * 2 * EVERY


def test_rolled_back(box, homes):
    folders, then, now = homes
    assert now - then > 5 * EVERY
    swap(box, "ledger", folders["then"] / "ledger")
    check_hidden(box.refused("rolled back"), now - then)
    put_back(box, "ledger")


def test_witness_of_another_kind(box):
    box.refused("other kind", "  witness: none\n")


def test_witness_missing(box):
    box.path("witness").rename(box.path("right.witness"))
    box.refused("witness missing")
    assert not box.path("witness").exists()
    put_back(box, "witness")


@pytest.mark.parametrize("whose", ["other", "twin"])
def test_witness_of_another(box, homes, whose):
    swap(box, "witness", homes[0][whose] / "witness")
    box.refused("witness foreign")
    put_back(box, "witness")


@pytest.mark.parametrize("garbled", ["both", "short", "empty"])
def test_witness_damaged(box, garbled):
    content = bytearray(box.path("witness").read_bytes())
    content[16] ^= 1
    content[4096 + 16] ^= 1
    swap(box, "witness", {"both": bytes(content), "short": bytes(content[:4096]), "empty": b""}[garbled])
    box.refused("witness bad")
    put_back(box, "witness")


def test_witness_put_back(box, homes):
    swap(box, "witness", homes[0]["then"] / "witness")
    box.refused("witness behind")
    put_back(box, "witness")


def test_witness_out_of_reach(box):
    box.path("witness").rename(box.path("right.witness"))
    box.path("witness").symlink_to(box.path("witness"))
    box.refused("witness out of reach")
    box.path("witness").unlink()
    put_back(box, "witness")


def test_witness_held(box):
    with box.path("witness").open("r+b") as held:
        # Of the open file, not of this process, which closes the file once more in between.
        fcntl.fcntl(held, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        box.refused("witness held")


# ---- a TPM ----


@pytest.fixture
def tpm(folder):
    with Swtpm(folder) as made:
        yield made


@pytest.fixture
def tpm_box(folder, tpm):
    """A ledger with a counter, after one life. It starts again when the test has put all back."""
    made = Box(folder, f"  witness: tpm\n  witness_tcti: {tpm.tcti}\n")
    made.commission()
    made.live(5_000_000)
    yield made
    made.live()


def test_rolled_back_by_tpm(tpm_box):
    then, copied = tpm_box.charged, tpm_box.path("ledger").read_bytes()
    tpm_box.live(12_000_000)
    swap(tpm_box, "ledger", copied)
    found = tpm_box.refused("rolled back by TPM")
    check_hidden(found, tpm_box.charged - then)
    # The refusal has not moved the counter.
    assert tpm_box.refused("rolled back by TPM")["value"] == found["value"]
    put_back(tpm_box, "ledger")


def test_other_kind_than_tpm(tpm_box):
    tpm_box.refused("other kind than TPM", f"  witness: file\n  witness_path: {tpm_box.folder}/witness\n")
    assert not tpm_box.path("witness").exists()


def test_tpm_gone(tpm_box, tpm):
    tpm.stop()
    tpm_box.refused("TPM gone")
    tpm.start()


def test_tpm_that_hangs(tpm_box, tpm):
    tpm.freeze()
    try:
        began = time.monotonic()
        tpm_box.refused("TPM hangs")
        assert time.monotonic() - began >= 10  # it was given its time
    finally:
        tpm.thaw()


def test_other_tpm(tpm_box, tpm):
    """A TPM that has never had the counter; and one that was put back, as no real one is."""
    tpm.stop()
    tpm.save(tpm_box.path("then"))
    tpm.start()
    tpm_box.live(12_000_000)
    tpm.stop()
    tpm.save(tpm_box.path("now"))
    tpm.restore(tpm_box.path("then"))
    tpm.start()
    tpm_box.refused("counter behind")
    tpm.stop()
    tpm_box.path("nothing").mkdir()
    tpm.restore(tpm_box.path("nothing"))
    tpm.start()
    tpm_box.refused("counter missing")
    tpm.stop()
    tpm.restore(tpm_box.path("now"))
    tpm.start()


def test_counter_of_another(tpm_box, tpm, folder):
    (folder / "second").mkdir()
    index = f"  witness: tpm\n  witness_tcti: {tpm.tcti}\n  witness_index: 0x01805746\n"
    Box(folder / "second", index).commission()
    tpm_box.refused("counter foreign", index)
