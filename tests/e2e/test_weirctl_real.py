# SPDX-License-Identifier: BSD-3-Clause
"""weirctl and a running weir agree. Null ports make the traffic: 64-byte frames of zeros, without end."""

import json
import math
import os
import re
import subprocess
import time

import lab as laboratory
import pytest
from fake_server import WEIRCTL, failed

POLICY = """\
asset: {name: toy, weights: 2 GB, compression: 2.5, survive: 1 d, accept_risk: for a test}
ports:
  - {name: in0, device: net_null0}
  - {name: out0, device: net_null1}
links:
  - {name: lab, inside: in0, outside: out0}
budgets:
  - name: total
    caps: [{limit: 1 GB}, {limit: 500 MB, per: 1 h}]
  - {name: leaf, parent: total, caps: [{limit: 900 MB}, {limit: 400 MB, per: 1 d}]}
  - {name: spare, parent: total, caps: [{limit: 1 MB}]}
  - {name: bare, parent: total}
classes:
  - {name: any, budget: leaf, rate: 20 Mbit/s, burst: 64 kB, backlog: 100 ms}
  - {name: idle, budget: total, rate: 1 Mbit/s, burst: 10 kB, excess: drop}
rules:
  - {ethertype: llc, class: any}
  - {ethertype: arp, class: idle}
"""
READ_SOCKET = "  read_socket: {folder}/read.sock\n"


@pytest.fixture
def policy(lab):
    return lab.policy(POLICY, READ_SOCKET.format(folder=lab.folder))


@pytest.fixture
def weir(lab, policy):
    lab.commission(policy)
    return lab.weir(policy)


@pytest.fixture
def ctl(lab):
    def run(*arguments, sock="control.sock", **options):
        return subprocess.run([WEIRCTL, "--socket", str(lab.folder / sock), *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, **options)
    return run


def good(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def changed(lab, policy, old, new, name="changed.yaml"):
    text = policy.read_text()
    assert text.count(old) == 1
    path = lab.folder / name
    path.write_text(text.replace(old, new))
    return path


def test_status_and_top(ctl, weir):
    for sock in ("control.sock", "read.sock"):
        text = good(ctl("status", sock=sock))
        assert re.match(r"laboratory: running, up .*, policy generation 1\n", text)
        for line in (r"lab +egress +\d+ ", r"any +20 Mbit/s +64 kB ", r"idle +1 Mbit/s +10 kB +0 +0 B ",
                     r"total +- .* 1 GB +lifetime ", r"total +- .* 500 MB +1 h ", r"leaf +total .* 400 MB +1 d ", r"bare +total .* -$"):
            assert re.search("^" + line, text, re.M), (line, text)
        status = json.loads(good(ctl("--json", "status", sock=sock)))
        assert status["classes"][0]["rate_bit_s"] == 20_000_000
        assert status["largest_frame_bytes"] == 1500 + 14 + 8 + 24
    lines = good(ctl("--json", "top", "-n", "3", "-i", "500 ms")).splitlines()
    assert len(lines) == 3
    for sample in map(json.loads, lines):
        # Status reads the clock and the counters one after the other: on a busy machine that is not
        # the same moment. A second of slack still tells bits from bytes, and a rate from a sum.
        most = 20_000_000 + (64_000 * 8 + 20_000_000) / sample["measured_s"]
        assert 4_000_000 < sample["classes"][0]["measured_bit_s"] <= most
        assert sample["classes"][1]["measured_bit_s"] == 0
        left = sample["budgets"][0]["caps"][0]
        assert left["used_bytes"] + left["remaining_bytes"] == 1_000_000_000
        assert left["exhausted_in_s"] == pytest.approx(
            left["remaining_bytes"] / sample["budgets"][0]["charged_byte_s"])
    assert re.search(r"^lab +egress .* backlog \d+ \(\+\d+\)", good(ctl("top", "-n", "1")), re.M)


def test_asset(ctl, policy, weir):
    """The gauge counts what was charged; the planner sees what the running Weir has to do."""
    status = weir.wait_status(lambda status: status["budgets"][0]["charged_wire_bytes"] > 500_000)
    asset, charged = status["asset"], status["budgets"][0]["charged_wire_bytes"]
    assert asset.pop("left_share") == pytest.approx(math.ceil(charged * 2.5 / 2e9 * 1e6) / 1e6)
    assert asset == {"name": "toy", "weights_bytes": 2_000_000_000, "compression": 2.5, "survive_s": 86400,
                     "accept_risk": "for a test"}
    least = charged * 2.5 / 2e9 * 100
    shown = re.search(r"^asset: at most (\S+) % of toy may have left: of 2 GB, compressed 2.5 times, to survive 1 d$",
                      good(ctl("status")), re.M)
    assert least <= float(shown[1]) < 100
    told = json.loads(good(ctl("--json", "plan", "--live", "-i", "300 ms", policy)))
    assert told["survives"] is False and told["needs_bytes"] == 800_000_000
    traffic = told["traffic"]  # 64-byte frames without end: far more than there is room for
    assert traffic["live"] is True and traffic["fits"] is False
    assert traffic["classes"][0]["traffic_bit_s"] > 20_000_000 and traffic["classes"][1]["traffic_bit_s"] == 0


def test_policy(ctl, lab, policy, weir):
    shown = lab.folder / "shown.yaml"
    shown.write_text(good(ctl("show")))
    assert good(ctl("check", shown)) == "OK\n"
    assert good(ctl("diff", shown)) == "no change\n"
    assert json.loads(good(ctl("--json", "show")))["policy"] == shown.read_text()
    assert laboratory.run(laboratory.BUILD / "weir", "--print", policy).stdout == shown.read_text()

    tighter = changed(lab, policy, "rate: 20 Mbit/s", "rate: 10 Mbit/s", "tighter.yaml")
    assert good(ctl("diff", tighter)).startswith("- class any: rate 20 Mbit/s -> 10 Mbit/s\n")
    assert good(ctl("diff", policy)) == "no change\n"  # diff changed nothing
    applied = good(ctl("apply", tighter))
    assert applied.startswith("- class any: rate 20 Mbit/s -> 10 Mbit/s\n")
    assert applied.endswith("\nin force, generation 2\n")
    assert good(ctl("diff", policy)).startswith("+ class any: rate 10 Mbit/s -> 20 Mbit/s\n")
    assert json.loads(good(ctl("--json", "status")))["classes"][0]["rate_bit_s"] == 10_000_000

    restart = changed(lab, policy, "device: net_null0", "device: net_null0, mtu: 1400", "restart.yaml")
    assert re.search("^! port", good(ctl("diff", restart)), re.M)
    assert re.fullmatch("OK, but needs a restart: port .*\n", good(ctl("check", restart)))
    assert json.loads(good(ctl("--json", "check", restart)))["restart"] is True
    failed(ctl("apply", restart), 1, ".*restart.*")

    bad = changed(lab, policy, "rate: 20 Mbit/s", "rate: 20 Mbit", "bad.yaml")
    offline = laboratory.run(laboratory.BUILD / "weir", "--check", bad, check=False)
    for command in ("check", "diff", "apply"):
        done = ctl(command, bad)
        failed(done, 2, re.escape(str(bad)) + r":\d+: .*20 Mbit: expected .*")
        assert done.stderr.replace("weirctl: ", "weir: ") == offline.stdout  # the same parser
    assert json.loads(good(ctl("--json", "status")))["policy"]["generation"] == 2


def test_budgets_that_go(ctl, lab, policy, weir):
    """What is lost by a new name is told with the figure, and only where there is any."""
    weir.wait_status(lambda status: status["budgets"][1]["charged_wire_bytes"] > 100_000)
    renamed = lab.folder / "renamed.yaml"
    renamed.write_text(policy.read_text().replace("leaf", "twig").replace("spare", "more").replace("bare", "none"))
    before = json.loads(good(ctl("--json", "status")))["budgets"][1]["charged_wire_bytes"]
    lines = good(ctl("diff", renamed)).splitlines()
    after = json.loads(good(ctl("--json", "status")))["budgets"][1]["charged_wire_bytes"]
    assert "= budget spare: removed (its caps count nothing as used)" in lines and "= budget bare: removed" in lines
    told = re.search(r"^\+ budget leaf: removed \(its caps count up to ([0-9.]+) (k?M?)B as used: ", "\n".join(lines), re.M)
    used = round(float(told[1]) * {"": 1, "k": 1e3, "M": 1e6}[told[2]])
    assert before <= used <= after


def test_reading_socket(ctl, policy, weir):
    assert ctl("show", sock="read.sock").returncode == 0
    for arguments in (["check", policy], ["diff", policy], ["apply", policy], ["stop"]):
        failed(ctl(*arguments, sock="read.sock"), 1, ".*read.*")
    assert weir.running()


def test_other_users_are_denied(lab, weir):
    """Neither by the file's mode nor by who connects: nobody is not among the users."""
    os.chmod(lab.folder, 0o755)
    os.chmod(lab.folder / "control.sock", 0o666)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run([*nobody, WEIRCTL, "--socket", lab.folder / "control.sock", "status"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("weirctl: ")
    assert weir.running()


def test_watch(ctl, lab, policy, weir):
    with subprocess.Popen([WEIRCTL, "--json", "--socket", lab.folder / "control.sock", "watch"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        first = watch.stdout.readline()  # it is connected
        good(ctl("apply", changed(lab, policy, "rate: 20 Mbit/s", "rate: 10 Mbit/s")))
        good(ctl("stop"))
        out, error = watch.communicate(timeout=60)
    events = [json.loads(line) for line in (first + out).splitlines()]
    assert (watch.returncode, error) == (0, "")  # a clean stop ends the stream in order
    numbers = [event["number"] for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    kinds = [event["kind"] for event in events]
    assert any("policy" in kind for kind in kinds) and kinds[-1] != kinds[0]
    assert "stop_asked" in kinds


def test_stop(ctl, lab, policy, weir):
    """weirctl returns when weir has ended and its ledger is exact; the next weir can start at once."""
    weir.wait_status(lambda status: status["budgets"][0]["charged_wire_bytes"] > 500_000)
    before = json.loads(good(ctl("--json", "status")))["budgets"][0]["charged_wire_bytes"]
    assert good(ctl("stop")) == "stopped\n"
    assert weir.child.wait(20) == 0
    assert not (lab.folder / "control.sock").exists() and not (lab.folder / "read.sock").exists()
    charged = int(re.search(r"budget total: charged (\d+) B in all", weir.text())[1])
    assert charged >= before
    failed(ctl("status"), 1, ".*No such file or directory.*")
    again = lab.weir(changed(lab, policy, "rate: 20 Mbit/s, burst: 64 kB, backlog: 100 ms",
                             "rate: 1 bit/s, burst: 64 kB, excess: drop"))
    time.sleep(0.1)
    now = json.loads(good(ctl("--json", "status")))
    assert now["budgets"][0]["charged_wire_bytes"] == charged
    assert now["ledger"]["forfeited_bytes"] == 0
    assert good(ctl("stop")) == "stopped\n"
    assert again.child.wait(20) == 0
