# SPDX-License-Identifier: BSD-3-Clause
"""tools/redteam itself: its verdicts and evidence, a Weir that is given, what it leaves. The scenarios run in tools/check."""

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import lab as laboratory
import pytest

REDTEAM = laboratory.REPOSITORY / "tools/redteam"
ENVIRONMENT = {**os.environ, "WEIR_BUILD": str(laboratory.BUILD)}


def redteam(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess:
    return subprocess.run([str(REDTEAM), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False, env=ENVIRONMENT)


def test_usage():
    done = redteam("--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if line[0] == "S"] == [
        f"S{number}" for number in range(1, 13)] + ["S12s", "S13", "S14", "S15"]
    for wrong in (["--only", "S16"], ["--scale", "0"], ["--seed", "-5"], ["--seed", str(1 << 64)], ["--inside", "dc0"], ["--weir", "/nowhere"], ["--port", "1,0"], ["more"]):
        done = redteam(*wrong)
        assert done.returncode == 2 and done.stderr and not done.stdout, wrong
        assert wrong[0] != "--seed" or f"\ntools/redteam: error: --seed {wrong[1]}: expected 0 to " in done.stderr, done.stderr


def test_usage_of_a_weir_that_is_given(tmp_path):
    """One line says what of it is wrong, before anything is attacked."""
    missing = tmp_path / "read.sock"
    for wrong, line in ((["--source", "999.0.0.1"], "argument --source: 999.0.0.1: expected an IPv4 address"),
                        (["--destination", "fd77::2"], "argument --destination: fd77::2: expected an IPv4 address"),
                        (["--source-mac", "02:00"], "argument --source-mac: 02:00: expected a MAC address"),
                        (["--inside", "nowhere:lo"], "--inside nowhere:lo: no such interface"),
                        (["--outside", "nothing0"], "--outside nothing0: no such interface"),
                        ([], f"--socket {missing}: No such file or directory")):
        done = redteam("--inside", "lo", "--outside", "lo", "--socket", missing, *wrong)
        assert done.returncode == 2 and not done.stdout, wrong
        assert re.fullmatch(rf"tools/redteam: (error: )?{re.escape(line)}", done.stderr.splitlines()[-1]), done.stderr


@pytest.fixture(name="ground")
def fixture_ground():
    sys.path.insert(0, str(laboratory.REPOSITORY / "tests/redteam"))
    import ground  # pylint: disable=import-outside-toplevel
    return ground


@pytest.fixture(name="tool")
def fixture_tool():
    loader = importlib.machinery.SourceFileLoader("redteam", str(REDTEAM))
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("redteam", loader))
    loader.exec_module(tool)
    return tool


def brought_down(number: int):
    """A scenario that passes, but for its Weir, which this signal ends. 0: a stop that it was told."""
    def attack(run) -> None:
        run.weir = laboratory.Process(["sh", "-c", f"kill -{number} $$; sleep 60"], run.folder / "log")
        run.must(True, "it holds")
        if number == 0:
            run.weir.end()
        run.weir.child.wait(10)
    return attack


def raises(error: Exception, holds: bool | None = None):
    def attack(run) -> None:
        if holds is not None:
            run.must(holds, "it holds")
        raise error
    return attack


def test_verdicts(ground, tmp_path):
    """What could not be judged is neither held nor failed; what is not so has failed, whatever else went wrong."""
    unjudged = "could not be judged: "
    for number, (attack, verdict, why) in enumerate([
            (lambda run: run.must(True, "it holds"), "pass", ""),
            (lambda run: run.must(False, "it holds"), "fail", "not so: it holds"),
            (lambda run: None, "unjudged", unjudged + "it judged nothing"),
            (raises(ground.Unjudged("too slow")), "unjudged", unjudged + "too slow"),
            (raises(ground.Unjudged("too slow"), True), "unjudged", unjudged + "too slow"),
            (raises(KeyError(), False), "fail", "not so: it holds; " + unjudged + "KeyError"),
            (raises(ground.Skipped("not built")), "skip", "not built"),
            (brought_down(signal.SIGSEGV), "fail", "not so: Weir runs on: it ended by itself, exit status -11"),
            (brought_down(0), "pass", "")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        told, _ = ground.fight(ground.Scenario("S1", "some", "all", attack, ""), folder, 1, 1, None)
        assert (told["verdict"], told["why"]) == (verdict, why)


def test_commit(tool, tmp_path):
    """The evidence names no commit that the program was not built from."""
    def git(*arguments: str) -> str:
        return laboratory.run("git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments).stdout.strip()

    build, source = tmp_path / "build", tmp_path / "source"
    build.mkdir()
    (tmp_path / "meson.build").touch()
    (tmp_path / ".gitignore").write_text("build\n")
    (build / "build.ninja").write_text("rule copy\n  command = cp $in $out\nbuild weir: copy ../source\n")
    found = []
    git("init", "-q")
    for text, makes, commits in (("one", True, True), ("two", True, False), ("two", False, True), ("three", False, True),
                                 ("three", True, False)):
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
        if makes:
            laboratory.run("ninja", "-C", build)
        if commits:
            git("add", ".")
            git("commit", "-q", "-m", text)
        found.append(tool.commit_of(build / "weir").replace(git("rev-parse", "HEAD"), "HEAD"))
    assert found == ["HEAD", "HEAD-dirty", "HEAD", "HEAD-stale", "HEAD"]


@pytest.mark.parametrize("verdicts, status, line", [
    (["pass", "skip"], 0, "1 passed, 0 failed, 0 unjudged"), (["pass", "unjudged"], 1, "1 passed, 0 failed, 1 unjudged"),
    (["pass", "fail"], 1, "1 passed, 1 failed, 0 unjudged"), (["skip"], 1, "0 passed, 0 failed, 0 unjudged")])
def test_conclusion(tool, verdicts, status, line, capsys):
    assert tool.conclude(tool.counts_of([{"verdict": verdict} for verdict in verdicts])) == status
    assert capsys.readouterr().out == f"redteam: {line}\n"


@pytest.mark.parametrize("verdicts, lost, told, turns", [
    (["unjudged", "pass"], 0.02, "pass", 2), (["unjudged", "fail"], 0.02, "fail", 2), (["fail", "pass"], 0.02, "fail", 1),
    (["skip", "pass"], 0.02, "skip", 1), (["unjudged", "unjudged", "pass"], 0.02, "unjudged", 2),
    (["unjudged", "pass"], 0.0, "unjudged", 1), (["unjudged", "pass"], None, "unjudged", 1)])
def test_unjudged_is_fought_again(ground, tool, tmp_path, monkeypatch, verdicts, lost, told, turns):
    """Once, and only where CPUs were kept from it. What has failed has failed; a Weir that is given (None) is not attacked twice."""
    left, given = list(verdicts), lost is None
    monkeypatch.setattr(ground.Run, "kept_from_cpu", lambda run: 0.02 if given else lost)

    def attack(run) -> None:
        verdict = left.pop(0)
        if verdict in ("pass", "fail"):
            run.must(verdict == "pass", "it holds")
        elif verdict == "skip":
            raise ground.Skipped("not built")
        else:
            raise ground.Unjudged("too slow")

    evidence: list[dict] = []
    options = SimpleNamespace(scale=1, long=False)
    given_one = ground.Given(tmp_path / "sock", ("", "lo"), ("", "lo"), "", "", (9000,), "", "") if given else None
    tool.fight_all(options, [ground.Scenario("S1", "some", "all", attack, "")], given_one, tmp_path, 1, evidence)
    assert [one["verdict"] for one in evidence] == [told]
    assert ("in a second turn, as the first could not be judged: too slow" in evidence[0]["why"]) == (turns > 1)
    assert len(left) == len(verdicts) - turns


def test_kept_from_its_cpu(ground, tmp_path):
    """By the kernel's count: of three that want one CPU, each waits."""
    run = ground.Run(ground.Scenario("S1", "some", "all", lambda run: None, ""), tmp_path, 1, 1, None)
    try:
        assert run.kept_from_cpu() == 0
        for number in range(3):
            run.lab.start("box", ["taskset", "-c", "0", "sh", "-c", "while :; do :; done"], f"turns{number}")
        end = time.monotonic() + 60
        while run.kept_from_cpu() < 0.3:
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        run.close()


@pytest.mark.parametrize("change, verdict, why", [
    ({}, "pass", ""), ({"lost": 3}, "pass", ""),
    # As a meter of payload would: far less than what is read again outside.
    ({"charge": lambda frame: frame.length - 54}, "fail", r"\d+ bits were read outside, at most \d+"),
    # As one that leaves out what a frame takes besides its content: sizes and times go free.
    ({"charge": lambda frame: frame.length}, "fail", "not so: content, lengths and times"),
    ({"charge": lambda frame: frame.wire - 1}, "fail", "not so: .* B charged: the same"),
    ({"byte": 18}, "fail", "not so: the channel is there: 1 of 100"), ({"byte": 22}, "fail", "1 of 100"),
    ({"byte": 15}, "fail", "1 of 100"), ({"byte": 50}, "fail", "1 of 100"), ({"cut": 1}, "fail", "1 of 100"),
    ({"lost": 91}, "unjudged", "only 9 of 100 frames")])
def test_what_is_hidden_is_read_again(ground, tmp_path, change, verdict, why):
    """S7 judges by what was truly read outside, and against what was charged."""
    import packets  # pylint: disable=import-outside-toplevel
    import traffic  # pylint: disable=import-outside-toplevel

    def attack(run) -> None:
        signs = traffic.random_signs(run, 100)
        sent = [bytearray(traffic.hide(packets.Sender(), sign)) for sign in signs]
        sent[0][change.get("byte", 0)] ^= 1  # by default of an address, where nothing is read
        sent[0] = sent[0][:len(sent[0]) - change.get("cut", 0)]
        frames = [laboratory.Frame(number * 100_000, len(frame), bytes(frame)) for number, frame in enumerate(sent)]
        frames = frames[change.get("lost", 0):]
        traffic.judge_carriers(run, signs, frames, sum(map(change.get("charge", lambda frame: frame.wire), frames)))

    told, _ = ground.fight(ground.Scenario("S7", "some", "all", attack, ""), tmp_path, 1, 1, None)
    assert told["verdict"] == verdict and re.search(why, told["why"]), told


def test_digests_of_all_policies(ground, tmp_path):
    """The evidence names each policy that was in force, and none that was refused."""
    class Weir:
        answers = [200, 409, 200, 200]
        policy = b""

        def request(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
            assert (method, path) == ("POST", "/v1/policy") and body
            code = self.answers.pop(0)
            self.policy = body if code == 200 else self.policy
            return code, b"so"

        def status(self) -> dict:
            return {"policy": {"digest": "of " + self.policy.decode()}}

        def ended_by_itself(self) -> bool:
            return False

    def attack(run) -> None:
        run.weir = Weir()
        run.enter("first")
        run.must([run.apply(text) for text in (b"one", b"two", b"three", b"one")] ==
                 [(200, "so"), (409, "so"), (200, "so"), (200, "so")], "answers are handed on")

    told, _ = ground.fight(ground.Scenario("S1", "some", "all", attack, ""), tmp_path, 1, 1, None)
    digests = ["first", "of one", "of three"]
    assert (told["verdict"], told["policy_digests"]) == ("pass", digests)
    assert ground.digest_of([told, {"policy_digests": []}]) == hashlib.blake2b(
        "\n".join(sorted(digests)).encode(), digest_size=32).hexdigest()


def test_a_weir_that_is_given(pair):
    """Attacked from the hosts beside it; it runs on as before, and its evidence is whole."""
    policy = pair.pair_policy("20 Mbit/s", "64 KB", "drop", caps="{limit: 40 MB}")
    pair.commission(policy)
    weir = pair.weir(policy)
    digest, path = weir.status()["policy"]["digest"], pair.folder / "told.json"
    done = redteam("--inside", f"{pair.name('datacenter')}:dc0", "--outside", f"{pair.name('internet')}:net0", "--socket",
                   pair.folder / "control.sock", "--only", "S1,S4,S6,S9", "--seed", 7, "--json", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("redteam: 3 passed, 0 failed, 0 unjudged\n")
    told = json.loads(path.read_text())
    assert (told["kind"], told["seed"], told["policy_digest"]) == ("redteam", 7, digest)
    printed = laboratory.run(laboratory.PROGRAM, "--print", policy).stdout
    assert digest == hashlib.blake2b(printed.encode(), digest_size=32).hexdigest()
    assert told["weir"] == {"version": weir.status()["version"], "commit": None} and told["weir"]["version"]
    assert told["machine"] == {"dpdk": laboratory.run("pkg-config", "--modversion", "libdpdk").stdout.strip(),
                               "kernel": os.uname().release}
    assert told["counts"] == {"pass": 3, "fail": 0, "skip": 1, "unjudged": 0}
    assert {one["id"]: one["verdict"] for one in told["scenarios"]} == {"S1": "pass", "S4": "skip", "S6": "pass", "S9": "pass"}
    # What nobody chose is named, so that nobody takes four for all.
    every = re.findall(r"^S\w+", redteam("--list").stdout, re.MULTILINE)
    assert [one for one in every if one not in told["not_chosen"]] == ["S1", "S4", "S6", "S9"] and len(told["not_chosen"]) == len(every) - 4
    for one in told["scenarios"]:
        assert one["why"] if one["verdict"] == "skip" else one["asked"] and one["measured"] and one["checks"], one
    series, = told["scenarios"][0]["series"]
    points = series["points"]
    assert series["unit"] == "B" and points == sorted(points) and 2 < len(points) < 400
    assert points[-1][1] == told["scenarios"][0]["measured"]["received_bytes"] <= series["limit"][0][1]
    assert weir.status()["policy"]["digest"] == digest
    # Looked at where nothing arrives: that is no pass.
    done = redteam("--inside", f"{pair.name('datacenter')}:dc0", "--outside", f"{pair.name('internet')}:lo", "--socket",
                   pair.folder / "control.sock", "--only", "S1,S9", "--json", "/dev/full")
    assert done.returncode == 1 and done.stderr == "tools/redteam: --json /dev/full: No space left on device\n", done.stderr
    assert done.stdout.endswith("redteam: 0 passed, 0 failed, 2 unjudged\n"), done.stdout + done.stderr
    assert len(re.findall(r"^unjudged +could not be judged: ", done.stdout, re.MULTILINE)) == 2
    weir.stop()


CLASSES = """\
  read_socket: {folder}/read.sock
  control_users: [64001]
ports:
  - {{name: in0, device: "net_af_packet0,iface=in0"}}
  - {{name: out0, device: "net_af_packet1,iface=out0"}}
links:
  - {{name: internet, inside: in0, outside: out0}}
budgets:
  - {{name: total, caps: [{{limit: 2 GB}}]}}
  - {{name: api, parent: total, caps: [{{limit: 1 GB, per: 1 h}}]}}
  - {{name: bulk, parent: total}}
classes:
  - {{name: api, budget: api, rate: 6 Mbit/s, burst: 64 KB, backlog: 100 ms}}
  - {{name: bulk, budget: bulk, rate: 5 Mbit/s, burst: 64 KB, excess: drop}}
rules:
  - {{link: internet, protocol: udp, destination_ports: 443, class: api}}
  - {{link: internet, protocol: udp, destination_ports: 9000-9001, class: bulk}}
"""


def test_classes_of_a_weir_that_is_given(pair):
    """By several ports, over its socket for reading: what needs no other life or policy of it."""
    pair.folder.chmod(0o755)
    policy = pair.policy("", CLASSES.format(folder=pair.folder))
    pair.commission(policy)
    weir = pair.weir(policy)
    path, before = pair.folder / "told.json", weir.status()["policy"]
    given = ["--inside", f"{pair.name('datacenter')}:dc0", "--outside", f"{pair.name('internet')}:net0", "--socket",
             pair.folder / "read.sock", "--only", "S2,S8,S10,S12,S15", "--json", path, "--port"]
    done = redteam(*given, "443,9000,9001")
    assert done.returncode == 0, done.stdout + done.stderr
    told = {one["id"]: one for one in json.loads(path.read_text())["scenarios"]}
    assert {name: one["verdict"] for name, one in told.items()} == {"S2": "skip", "S8": "pass", "S10": "pass", "S12": "pass",
                                                                    "S15": "pass"}
    assert told["S8"]["asked"]["classes"] == ["api", "bulk"] and min(told["S8"]["measured"]["received_bytes"].values()) > 100_000
    assert told["S10"]["measured"]["alarm"]["message"].startswith("class bulk: ")
    assert told["S12"]["asked"] == {"tries": 6, "sockets": 2} and "user 64003 " in told["S12"]["measured"]["denied"]["message"]
    assert weir.status()["policy"] == before and not [item for item in weir.status()["classes"]
                                                       if item["name"] == "api" and item["starved"]]
    done = redteam(*given, "9000,9001", "--only", "S8")  # which are one class
    assert "lead to class bulk" in done.stdout and done.stdout.endswith("redteam: 0 passed, 0 failed, 0 unjudged\n")
    weir.stop()


STATUS = {"budgets": [{"name": name, "parent": parent, "charged_wire_bytes": charged,
                       "caps": [{"window_s": None, "limit_bytes": 10_000, "remaining_bytes": 5000}]}
                      for name, parent, charged in (("total", None, 7000), ("api", "total", 5000), ("bulk", "total", 2000))]}


@pytest.mark.parametrize("total, api, burst, seconds, verdict, why", [
    (2000, 1000, 1000, 0, "pass", ""),
    (1000, 1000, 1000, 0, "fail", r"budget total: 2000 B of 2 classes arrived, all charged \(1000 B\)"),
    (2000, 999, 1000, 0, "fail", "budget api: 1000 B of 1 classes arrived"),
    (2000, 1000, 399, 0, "fail", "api: no window holds more.*bulk: no window"),
    (2000, 1000, 200, 0.9, "skip", r"could take 1.3 kB of the 5 kB that a cap of budget total has left")])
def test_what_must_hold_of_given_classes(ground, tmp_path, total, api, burst, seconds, verdict, why):
    """The total counts all classes, each has its rate, and none is attacked that has little left."""
    import guest  # pylint: disable=import-outside-toplevel

    def attack(run) -> None:
        run.given = object()
        ways = [guest.Way(port, name, 4000, burst, (name, "total")) for port, name in ((443, "api"), (9000, "bulk"))]
        if seconds:
            run.weir = type("Weir", (), {"status": lambda self: STATUS})()
            guest.must_spare(run, ways, seconds)
        # Ten frames of 100 B on the wire of each, a tenth of a second apart: their rate and 50 B more each time.
        frames = [laboratory.Frame(number * 100_000_000, 76, b"\0" * 12 + b"\x08\0" + b"\0" * 9 + b"\x11" + b"\0" * 12
                                   + port.to_bytes(2, "big")) for number in range(10) for port in (443, 9000)]
        after = json.loads(json.dumps(STATUS))
        for budget, more in zip(after["budgets"], (total, api, 1000)):
            budget["charged_wire_bytes"] += more
        watch = type("Watch", (), {"allowance_ns": 0})()
        guest.must_hold(run, watch, ways, guest.by_way(frames, ways), STATUS, after)

    told, _ = ground.fight(ground.Scenario("S8", "some", "all", attack, ""), tmp_path, 1, 1, None)
    assert told["verdict"] == verdict and re.search(why, told["why"]), told


@pytest.mark.parametrize("arrived, used, own, given", [
    ((100, 100), 0, "pass", "pass"), ((0, 100, 100, 100), 0, "pass", "pass"), ((99, 100, 99, 100, 100, 100), 0, "pass", "pass"),
    # All of two turns in three, or in two, is no accident; nor is any of it, on wires that are known.
    ((0, 0, 100, 0, 0, 100), 0, "fail", "fail"), ((0, 100, 0, 100, 0, 100), 0, "fail", "fail"),
    ((99, 99, 99, 99, 99, 99), 0, "fail", "pass"),
    ((0, 0, 100, 0, 0, 100), 1, "fail", "note")])  # where others may have had the rate
def test_most_turns_lose_nothing(ground, tmp_path, arrived, used, own, given):
    """S10, S14 and S15: a Weir that is fair now and then is not fair."""
    import guest  # pylint: disable=import-outside-toplevel
    import social  # pylint: disable=import-outside-toplevel
    frames = [laboratory.Frame(1000 * turn + number, 60, b"") for turn, count in enumerate(arrived) for number in range(count)]
    turns = [(1000 * turn, 1000 * turn + 1000, 100) for turn in range(len(arrived))]

    def whole(run) -> None:
        assert social.must_be_whole(run, turns, frames, "others") == (100 * len(arrived), sum(arrived))

    def fair(run) -> None:
        others = guest.Others(run, guest.Way(443, "api", 1000, 1000, ("api",)))
        others.turns = [(*turn, used) for turn in turns]
        assert others.judge(frames) == (100 * len(arrived), sum(arrived))
        run.must(True, "it was judged")

    for number, (attack, verdict) in enumerate(((whole, own), (fair, given))):
        folder = tmp_path / str(number)
        folder.mkdir()
        told, _ = ground.fight(ground.Scenario("S10", "some", "all", attack, ""), folder, 1, 1, None)
        assert told["verdict"] == ("pass" if verdict == "note" else verdict) and bool(told["why"]) == (verdict != "pass"), told
    to_come, taken = iter(arrived + (100,)), []

    def turn() -> tuple[int, int]:
        taken.append(next(to_come))
        return 100, taken[-1]

    social.repeat(turn)
    assert tuple(taken) == arrived  # no more than it takes, and no less


def namespaces(pid: int) -> dict[str, int]:
    """Of a red team: name and inode."""
    return {path.name: path.stat().st_ino for path in Path("/run/netns").glob(f"weir-{pid}-*")}


def inhabitants(inodes: set[int]) -> list[bytes]:
    """Command lines of the processes in these network namespaces."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "ns/net").stat().st_ino in inodes:
                found.append((path / "cmdline").read_bytes())
        except OSError:
            pass  # it has ended meanwhile
    return found


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_is_left_behind(number, status):
    """Interrupted in the middle of an attack; killed, it is the next one that cleans up."""
    with subprocess.Popen([REDTEAM, "--only", "S8"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=ENVIRONMENT) as process:
        pid, end = process.pid, time.monotonic() + 120
        while sum(b"/flood\0" in line and b"\0-r\0" in line for line in inhabitants(set(namespaces(pid).values()))) < 6:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        made = set(namespaces(pid).values())
        process.send_signal(number)
        for _ in range(20):  # whoever is impatient hurries nothing
            if process.poll() is None:
                time.sleep(0.02)
                process.send_signal(number)
        process.wait(120)
    assert process.returncode == status
    if number == signal.SIGKILL:
        assert namespaces(pid) and inhabitants(made)
        redteam("--only", "S12s")  # it runs nothing, and cleans up before
    assert not namespaces(pid) and not inhabitants(made)
    assert not list(Path(tempfile.gettempdir()).glob(f"weir-red-{pid}-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_evidence_of_an_interrupted_run(number, tmp_path):
    """It is whole, and tells what did not run: what was in the midst, and what was to come, has not passed."""
    path, out = tmp_path / "told.json", tmp_path / "page.html"
    path.write_text("of another run")
    with socket.socket(socket.AF_UNIX) as mute:  # in place of a Weir, so that whoever asks it something waits
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        with subprocess.Popen([REDTEAM, "--inside", "lo", "--outside", "lo", "--socket", tmp_path / "mute.sock", "--seed", "5",
                               "--only", "S4,S5,S6,S7", "--json", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            mute.settimeout(60)
            mute.accept()[0].close()  # only whether there is one
            link, _ = mute.accept()
            with link:
                process.send_signal(number)
                said = process.communicate(timeout=60)
    assert (process.returncode, said[1]) == (128 + number, "tools/redteam: interrupted\n")
    told = json.loads(path.read_text())
    assert [(one["id"], one["verdict"], one["why"].partition(":")[0]) for one in told["scenarios"]] == [
        ("S4", "skip", "not to a Weir that is given"), ("S5", "unjudged", "interrupted while it ran"),
        ("S6", "unjudged", "not run"), ("S7", "unjudged", "not run")]
    assert told["counts"] == {"pass": 0, "fail": 0, "skip": 1, "unjudged": 3} and told["seed"] == 5
    assert sorted(os.listdir(tmp_path)) == ["mute.sock", "told.json"]
    laboratory.run(laboratory.REPOSITORY / "tools/report", "-o", out, path)
    every = len(told["scenarios"]) + len(told["not_chosen"])
    assert f"0 of {every} attacks were held; could not be judged: S5, S6, S7; not run: S4, S1, S2, " in out.read_text()


FIGHT = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import weakened
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: sys.exit(128 + number))
print("begins", flush=True)
weakened.fight(Path(sys.argv[2]), ["S8"], 5, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("number, by", [(signal.SIGINT, "terminal"), (signal.SIGINT, "kill"), (signal.SIGTERM, "kill")])
def test_weakened_leaves_nothing_behind(number, by, tmp_path):
    """Once it has ended, so has the red team that it ran, which has removed all. A terminal's interrupt reaches both."""
    command = [sys.executable, "-c", FIGHT, laboratory.REPOSITORY / "tests/redteam", laboratory.PROGRAM, tmp_path / "told"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=ENVIRONMENT, start_new_session=True) as process:
        assert process.stdout.readline() == b"begins\n"
        end, made = time.monotonic() + 120, {}
        while sum(b"/flood\0" in line for line in inhabitants(set(made.values()))) < 6:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
            child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            made = namespaces(int(child[0])) if child else {}
        (os.killpg if by == "terminal" else os.kill)(process.pid, number)
        process.wait(120)
        assert not namespaces(int(child[0])) and not inhabitants(set(made.values()))
        assert not list(Path(tempfile.gettempdir()).glob(f"weir-red-{child[0]}-*"))
    assert process.returncode == 128 + number


def test_weakened_wants_the_right_failure():
    """By what the scenarios said: the right ones, for the right reason, and the others pass as ever."""
    sys.path.insert(0, str(laboratory.REPOSITORY / "tests/redteam"))
    import weakened  # pylint: disable=import-outside-toplevel
    weakness = weakened.Weakness("some", "is broken", ["S1"], "no window", ["S2"], Path("some.patch"))
    ok, wrong = {"verdict": "pass", "why": ""}, {"verdict": "fail", "why": "not so: 5 B arrived; could not be judged: no window"}
    right = {"verdict": "fail", "why": "not so: 5 B arrived; not so: no window holds more"}

    def good(first: dict, second: dict) -> list[bool]:
        return [each for each, _ in weakened.judge(weakness, {"S1": first, "S2": second})]

    assert good(right, ok) == [True, True]
    assert good(right, right) == [True, False]
    assert good(wrong, ok) == good(ok, ok) == good({"verdict": "skip", "why": "no window"}, ok) == [False, True]
    for each in weakened.weaknesses()[1:]:
        assert each.scenarios and each.claims and each.patch.exists(), each
        assert each.passes or each.name == "payload_counted", each  # which all that is charged shows
