# SPDX-License-Identifier: BSD-3-Clause
"""Changing the policy of a running Weir, and what happens when a part of it fails."""

import ctypes
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import lab as laboratory
from weirproc import Weir, class_of, flood_device, policy_text, udp_frame

TURNS = 3  # of what a machine that is busy with something else may spoil
TAKEN_S = 0.05  # for so long a thread has been kept from its CPU, at least, where it was spoilt


# ---- changing the policy ----


def test_check_changes_nothing(weir):
    before = weir.status()["policy"]
    code, answer = weir.json("POST", "/v1/policy?check=1",
                             policy_text(weir.folder, rate="10 Mbit/s", lifetime="200 GB"))
    assert code == 200 and answer["ok"] is True and answer["restart"] is False
    assert sorted(change["change"] for change in answer["changes"]) == ["loosens", "tightens"]
    assert answer["generation"] == 1
    # Changes that need a restart are told, and are no mistake.
    code, answer = weir.json("POST", "/v1/policy?check=1",
                             weir.policy.read_text().replace("memory: 96 MiB", "memory: 97 MiB"))
    assert code == 200 and answer["restart"] is True
    assert "restart" in [change["change"] for change in answer["changes"]]
    assert weir.status()["policy"] == before
    assert class_of(weir.status())["rate_bit_s"] == 50_000_000


def test_restart_needed(weir):
    text = weir.policy.read_text()
    before = weir.status()["policy"]
    for old, new, word in (("memory: 96 MiB", "memory: 97 MiB", "memory"),
                           ("net_null1,no-rx=1", "net_null2,no-rx=1", "out0"),
                           ("internet", "elsewhere", "elsewhere|internet"),
                           ("workers: [1]", "workers: [1]\n  heartbeat_limit: 3 s",
                            "heartbeat")):
        assert old in text
        changed = text.replace(old, new).replace("rate: 50 Mbit/s", "rate: 1 Mbit/s")
        code, answer = weir.json("POST", "/v1/policy", changed)
        assert code == 409, answer
        assert "restart" in answer["error"] and re.search(word, answer["error"]), answer
    assert weir.status()["policy"] == before
    assert class_of(weir.status())["rate_bit_s"] == 50_000_000


def test_tightened_rate(start, folder):
    device = flood_device(folder)
    weir = start(policy_text(folder, inside=device, rate="400 Mbit/s"))
    weir.wait_status(lambda now: class_of(now)["tx_wire_bytes"] > 10_000_000)
    code, answer = weir.json("POST", "/v1/policy",
                             policy_text(folder, inside=device, rate="8 Mbit/s"))
    begin = time.monotonic()
    first = class_of(weir.status())
    assert code == 200 and answer["generation"] == 2
    assert [change["change"] for change in answer["changes"]] == ["tightens"]
    assert first["rate_bit_s"] == 8_000_000
    time.sleep(1)
    last = class_of(weir.status())
    elapsed = time.monotonic() - begin
    # Counters run on: the class is the same one.
    assert first["tx_wire_bytes"] > 10_000_000
    sent = last["tx_wire_bytes"] - first["tx_wire_bytes"]
    # begin was taken after the answer, so the interval that counts is at most elapsed.
    assert sent <= 8_000_000 / 8 * elapsed + 64_000
    assert last["dropped_frames"] > first["dropped_frames"]
    weir.stop()


def test_a_new_class_starts_empty(start, folder):
    """Whatever its slot was used for before: with no burst, and with no debt of another class."""
    device = flood_device(folder)
    weir = start(policy_text(folder, inside=device, rate="400 Mbit/s"))
    weir.wait_status(lambda now: class_of(now)["tx_wire_bytes"] > 10_000_000)
    text = policy_text(folder, inside=device, rate="400 kbit/s", burst="5 MB")
    for name in ("first", "second", "third"):
        changed = text.replace("name: all", f"name: {name}").replace("class: all", f"class: {name}")
        begin = time.monotonic()
        code, answer = weir.json("POST", "/v1/policy", changed)
        assert code == 200, answer
        status = weir.wait_status(lambda now, name=name: class_of(now, name)["tx_frames"] >= 5)
        elapsed = time.monotonic() - begin
        assert class_of(status, name)["tx_wire_bytes"] <= 400_000 / 8 * elapsed + 1024
    weir.stop()


def test_a_queue_added_later(start, folder):
    """A first policy without queues must not leave a later one without room for them."""
    device = flood_device(folder)
    text = policy_text(folder, inside=device, rate="8 Mbit/s")
    weir = start(text)
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    shaped = text.replace("excess: drop", "excess: shape\n    backlog: 50 KB")
    assert shaped != text
    assert weir.json("POST", "/v1/policy", shaped)[0] == 200
    # The flood fills it: to its limit, but for less than one frame.
    weir.wait_status(lambda now: 50_000 - 1024 <= class_of(now)["queued_bytes"] <= 50_000)
    weir.stop()


def slow_rules(count: int, name: str = "all") -> str:
    """Rules that take long to compile: random prefixes and wide ports ranges on both sides."""
    generator = random.Random(7)
    lines = []
    for _ in range(count):
        length = generator.randint(12, 28)
        address = generator.getrandbits(length) << (32 - length)
        low, other = generator.randint(1, 30000), generator.randint(1, 30000)
        lines.append(
            f"  - {{source: {'.'.join(str(address >> shift & 255) for shift in (24, 16, 8, 0))}"
            f"/{length}, source_ports: {low}-{low + generator.randint(100, 30000)}, "
            f"destination_ports: {other}-{other + generator.randint(100, 30000)}, class: {name}}}\n")
    return "".join(lines)


def test_a_slow_compilation_stops_nothing(start, folder):
    """Rules that take far longer to compile than the pulse may be late: egress goes on."""
    limits = "  heartbeat_limit: 250 ms\n"
    text = policy_text(folder, inside=flood_device(folder), appliance=limits)
    text = text.replace("memory: 96 MiB", "memory: 512 MiB")
    weir = start(text)
    weir.wait_status(lambda now: class_of(now)["tx_wire_bytes"] > 1_000_000)

    def stale() -> int:
        return weir.status()["links"][0]["egress"]["dropped"].get("control_stale", 0)

    def takes_long(count: int) -> bool:
        begin = time.monotonic()
        code, answer = weir.json("POST", "/v1/policy?check=1",
                                 text.replace("rules:\n", "rules:\n" + slow_rules(count)))
        took = time.monotonic() - begin
        assert code == 200 or took > 1, answer
        return took > 1  # several times the limit, on a machine of any speed

    for _ in range(TURNS):
        before, waited = stale(), weir.waited_s()
        any(takes_long(count) for count in (40, 80, 160, 320, 640))  # up to the first that does
        if stale() == before:
            break
        # Its thread may have stood still because the machine gave it no CPU, which the kernel knows.
        assert weir.waited_s() - waited > TAKEN_S, (before, stale())
    else:
        raise AssertionError(f"egress stopped in {TURNS} turns")
    weir.stop()


def test_a_failed_start_sends_nothing(start, folder):
    """Its sockets can't be had: then no frame may leave, not even for a moment."""
    out = folder / "out.pcap"
    text = policy_text(folder, inside=flood_device(folder), outside=f"net_pcap1,tx_pcap={out}")
    text = text.replace("read_socket: ", "read_socket: /nowhere")
    weir = start(text, ready=False)
    assert weir.process.wait(60) == 1
    assert "nowhere" in weir.text()
    assert not out.exists() or out.stat().st_size <= 24


def test_tightened_cap(start, folder):
    device = flood_device(folder)
    weir = start(policy_text(folder, inside=device, rate="100 Mbit/s"))
    weir.wait_status(lambda now: now["budgets"][0]["charged_wire_bytes"] > 5_000_000)
    code, _ = weir.json("POST", "/v1/policy", policy_text(folder, inside=device, rate="100 Mbit/s",
                                                          lifetime="4 MB"))
    assert code == 200
    # What had been taken is at most a purse; from there nothing leaves any more.
    first = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"].get("cap", 0) > 0)
    time.sleep(0.5)
    last = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"]["cap"]
                            > first["links"][0]["egress"]["dropped"]["cap"])
    assert class_of(last)["tx_wire_bytes"] == class_of(first)["tx_wire_bytes"]
    assert last["budgets"][0]["caps"][0]["remaining_bytes"] == 0
    weir.wait_event("cap_reached")
    # A looser cap lets it go on.
    code, answer = weir.json("POST", "/v1/policy", policy_text(folder, inside=device,
                                                               rate="100 Mbit/s"))
    assert code == 200 and [change["change"] for change in answer["changes"]] == ["loosens"]
    weir.wait_status(lambda now: class_of(now)["tx_wire_bytes"]
                     > class_of(last)["tx_wire_bytes"])
    weir.stop()


def with_child(text: str) -> str:
    """The policy with a budget below the root, which the class charges to."""
    assert text.count("classes:\n") == 1 and text.count("budget: total\n") == 1
    return (text.replace("classes:\n", "  - name: part\n    parent: total\nclasses:\n")
            .replace("budget: total\n", "budget: part\n"))


def test_names_leave_and_return(start, folder):
    device = flood_device(folder)
    text = with_child(policy_text(folder, inside=device))
    weir = start(text)
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    other = text.replace("name: all", "name: other").replace("class: all", "class: other")
    assert weir.json("POST", "/v1/policy", other)[0] == 200
    weir.wait_status(lambda now: class_of(now, "other")["tx_frames"] > 0)
    before = weir.status()
    charged = before["budgets"][1]["charged_wire_bytes"]
    assert weir.json("POST", "/v1/policy", text)[0] == 200
    after, later = weir.status(), weir.status()
    # A class begins again from nothing: it has sent no more than the link has since. A budget never
    # does.
    since = (later["links"][0]["egress"]["tx_wire_bytes"]
             - before["links"][0]["egress"]["tx_wire_bytes"])
    assert class_of(after)["tx_wire_bytes"] <= since
    assert after["budgets"][1]["charged_wire_bytes"] >= charged > 0
    renamed = text.replace("part", "piece")
    assert weir.json("POST", "/v1/policy", renamed)[0] == 200
    weir.wait_status(lambda now: now["budgets"][1]["charged_wire_bytes"] > 0)
    assert weir.json("POST", "/v1/policy", text)[0] == 200
    assert weir.status()["budgets"][1]["charged_wire_bytes"] >= charged
    weir.stop()


def test_root_keeps_its_name(start, folder):
    """Another root would begin with nothing charged: refused while Weir runs, and at its start."""
    device = flood_device(folder)
    text = with_child(policy_text(folder, inside=device))
    weir = start(text)
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    before = weir.status()
    renamed = text.replace("total", "sum")
    swapped = text.replace("total", "x").replace("part", "total").replace("x\n", "part\n")
    assert "name: part\n    caps" in swapped and "name: total\n    parent: part" in swapped
    for changed, name, way in ((renamed, "sum", ""), (swapped, "part", ""),
                               (renamed, "sum", "?check=1")):
        code, answer = weir.json("POST", "/v1/policy" + way, changed)
        assert code == 409, answer
        assert answer["error"] == (f"ledger: the root budget is called total there and can't be called {name}: "
                                   "its charge would be lost")
    after = weir.status()
    assert after["policy"] == before["policy"]
    assert [budget["name"] for budget in after["budgets"]] == ["total", "part"]
    assert after["budgets"][0]["charged_wire_bytes"] >= before["budgets"][0]["charged_wire_bytes"] > 0
    weir.stop()
    ledger = (folder / "ledger").read_bytes()
    for changed, name in ((renamed, "sum"), (swapped, "part")):
        weir = start(changed, ready=False, name=f"{name}.yaml")
        assert weir.process.wait(60) == 1
        assert weir.text().splitlines()[-1] == (
            f"weir: ledger: the root budget is called total there and can't be called {name}: its charge would be lost")
        assert (folder / "ledger").read_bytes() == ledger
    # What was refused has done no harm.
    weir = start(text, name="again.yaml")
    assert weir.status()["budgets"][0]["charged_wire_bytes"] >= after["budgets"][0]["charged_wire_bytes"]
    weir.stop()


def test_no_frame_is_lost_by_a_renamed_budget(start, folder):
    """The old name is open until no worker uses it any more, the new one before any does."""
    device = flood_device(folder)
    text = with_child(policy_text(folder, inside=device))
    weir = start(text)
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    def dropped() -> dict[str, int]:
        return weir.status()["links"][0]["egress"]["dropped"]

    for turn in range(TURNS):
        before, waited = dropped(), weir.waited_s()
        for number in range(30):
            code, answer = weir.json("POST", "/v1/policy", text.replace("part", f"part{number % 3}"))
            assert code == 200, answer
        assert weir.status()["policy"]["generation"] == 30 * (turn + 1) + 1
        # Only what exceeds the rate is dropped.
        others = {reason for reason, count in dropped().items() if count > before.get(reason, 0)} - {"rate"}
        if not others:
            break
        # Or a grant came late, for want of a CPU.
        assert others <= {"ledger", "control_stale"} and weir.waited_s() - waited > TAKEN_S, (before, dropped())
    else:
        raise AssertionError(f"frames were lost in {TURNS} turns")
    weir.stop()


def test_many_changes(start, folder):
    """Fifty policies one behind the other, under flood: each takes hold, none is lost."""
    device = flood_device(folder)
    weir = start(policy_text(folder, inside=device))
    for turn in range(50):
        rate = 10 + turn % 7
        code, answer = weir.json("POST", "/v1/policy",
                                 policy_text(folder, inside=device, rate=f"{rate} Mbit/s"))
        assert code == 200, answer
        assert answer["generation"] == turn + 2
        assert class_of(weir.status())["rate_bit_s"] == rate * 1_000_000
    weir.stop()


def test_backlogs_beyond_memory_are_told(weir):
    """The pools are made at start; a later policy may let more frames wait than they have."""
    assert not [event for event in weir.events() if event["kind"] == "memory_short"]
    text = weir.policy.read_text()
    code, _ = weir.json("POST", "/v1/policy", text.replace("excess: drop", "backlog: 84 MB"))
    assert code == 200
    event = weir.wait_event("memory_short")
    assert event["severity"] == "warning"
    room = re.search(r"1000000 of the shortest frames .* buffers for ([0-9]+):", event["message"])
    assert room and 0 < int(room.group(1)) < 96 * 1024 * 1024 // 2048


def test_sighup(weir):
    weir.policy.write_text(policy_text(weir.folder, rate="20 Mbit/s"))
    weir.process.send_signal(signal.SIGHUP)
    weir.wait_status(lambda now: class_of(now)["rate_bit_s"] == 20_000_000)
    assert weir.wait_event("policy_applied")["message"].startswith("from SIGHUP: generation 2")
    last = weir.events()[-1]["number"]
    for text in ("nonsense\n", policy_text(weir.folder).replace("96 MiB", "97 MiB")):
        weir.policy.write_text(text)
        weir.process.send_signal(signal.SIGHUP)
        event = weir.wait_event("policy_refused", last)
        last = event["number"]
        assert event["severity"] == "warning"
        assert class_of(weir.status())["rate_bit_s"] == 20_000_000
        assert weir.status()["policy"]["generation"] == 2
    weir.policy.unlink()
    weir.process.send_signal(signal.SIGHUP)
    weir.wait_event("policy_refused", last)
    weir.policy.write_text(policy_text(weir.folder, rate="30 Mbit/s"))
    weir.process.send_signal(signal.SIGHUP)
    weir.wait_status(lambda now: class_of(now)["rate_bit_s"] == 30_000_000)


# ---- threads that stand still, and a disk that fails ----


class Held:
    """One thread of a process, stopped by ptrace until the end of the block."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, thread: int) -> None:
        self.thread = thread

    def ptrace(self, request: int) -> None:
        if self.libc.ptrace(request, self.thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self) -> "Held":
        self.ptrace(16)  # PTRACE_ATTACH
        os.waitpid(self.thread, 0x40000000)  # __WALL
        return self

    def __exit__(self, *_) -> None:
        self.ptrace(17)  # PTRACE_DETACH


def worker_thread(weir: Weir) -> int:
    """The one that uses the most of a CPU."""
    def ticks(task: Path) -> int:
        return int((task / "stat").read_text().rpartition(")")[2].split()[11])

    return int(max(Path(f"/proc/{weir.process.pid}/task").iterdir(), key=ticks).name)


def test_stalled_worker(start, folder):
    device = flood_device(folder)
    weir = start(policy_text(folder, inside=device))
    weir.wait_status(lambda now: now["uptime_s"] > 1.5 and class_of(now)["tx_frames"] > 100)
    last = max(event["number"] for event in weir.events())
    with Held(worker_thread(weir)):
        stalled = weir.wait_event("worker_stalled", last)
        assert stalled["severity"] == "alarm"
        status = weir.status()
        assert status["workers"][0]["stalled"] is True
        # A policy is published, and held back until the worker lets go of the one before.
        code, answer = weir.json("POST", "/v1/policy",
                                 policy_text(folder, inside=device, rate="10 Mbit/s"))
        assert code == 200 and answer["generation"] == 2
        another = policy_text(folder, inside=device, rate="9 Mbit/s")
        code, answer = weir.json("POST", "/v1/policy", another)
        assert code == 409 and "again" in answer["error"]
        assert weir.json("POST", "/v1/policy?check=1", another)[0] == 200
        assert weir.status()["policy"]["generation"] == 2
    weir.wait_event("worker_resumed", stalled["number"])
    weir.wait_status(lambda now: not now["workers"][0]["stalled"])
    code, answer = weir.json("POST", "/v1/policy", another)
    assert code == 200 and answer["generation"] == 3
    weir.stop()


def test_stalled_control_thread(start, folder):
    """Nobody looks after the box: egress stops within the heartbeat's limit, and goes on after."""
    weir = start(policy_text(folder, inside=flood_device(folder),
                             appliance="  heartbeat_limit: 300 ms\n"))
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    with Held(weir.process.pid):
        time.sleep(1)
    status = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"]
                              .get("control_stale", 0) > 0)
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > class_of(status)["tx_frames"])
    weir.stop()


def test_failed_ledger(start, folder):
    """Writes fail from some moment on: an alarm, no more grants, no change of policy, egress ends."""
    device = flood_device(folder)
    text = policy_text(folder, inside=device, rate="400 Mbit/s")
    # The log must not fail as well, so what Weir says goes to a pipe.
    weir = start(text, ready=False, stderr=subprocess.PIPE)
    for line in weir.process.stderr:
        if line == b"weir: ready\n":
            break
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE, (0, 0))
    status = weir.wait_status(lambda now: now["state"] == "ledger_failed")
    assert status["ledger"]["failed"] is True
    assert weir.wait_event("ledger_failed")["severity"] == "alarm"
    code, answer = weir.json("POST", "/v1/policy", policy_text(folder, inside=device))
    assert code == 503 and "ledger" in answer["error"]
    assert weir.status()["policy"]["generation"] == 1
    last = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"].get("ledger", 0) > 0)
    granted = last["budgets"][0]["granted_wire_bytes"]
    assert class_of(last)["tx_wire_bytes"] <= granted
    time.sleep(0.3)
    assert class_of(weir.status())["tx_wire_bytes"] == class_of(last)["tx_wire_bytes"]
    # It can't be made exact any more, and says so.
    assert weir.end() == 1
    assert b"ledger" in weir.process.stderr.read()
    weir = start(name="again.yaml")
    assert weir.status()["budgets"][0]["charged_wire_bytes"] >= class_of(last)["tx_wire_bytes"]
    weir.stop()


def test_link_down(lab, start, folder):
    """The outside's link goes: told, nothing is sent there, nothing happens to the inside's link."""
    send = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("inside", 0))
for _ in range(5):
    link.send(bytes.fromhex(sys.argv[1]))
"""
    weir = start(policy_text(folder, inside="net_tap0,iface=inside", outside="net_tap1,iface=outside",
                             appliance="  allow_remote_numa: true\n"), within=tuple(lab.exec("box")))

    def link(name: str, state: str) -> None:
        laboratory.run(*lab.exec("box"), "ip", "link", "set", name, state)

    def ports(status: dict) -> dict[str, bool]:
        return {port["name"]: port["up"] for port in status["ports"]}

    weir.wait_status(lambda now: ports(now) == {"in0": True, "out0": True})
    link("outside", "down")
    event = weir.wait_event("link_down")
    assert event["severity"] == "warning" and "out0" in event["message"]
    before = weir.wait_status(lambda now: ports(now) == {"in0": True, "out0": False})
    laboratory.run(*lab.exec("box"), sys.executable, "-c", send, udp_frame(100).hex())
    after = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"]
                             .get("link_down", 0) >= 5)
    assert class_of(after)["tx_frames"] == class_of(before)["tx_frames"]
    link("outside", "up")
    event = weir.wait_event("link_up", event["number"])
    assert "out0" in event["message"]
    weir.wait_status(lambda now: ports(now) == {"in0": True, "out0": True})
    laboratory.run(*lab.exec("box"), sys.executable, "-c", send, udp_frame(100).hex())
    weir.wait_status(lambda now: class_of(now)["tx_frames"] == class_of(before)["tx_frames"] + 5)
    assert [event["kind"] for event in weir.events() if event["kind"].startswith("link_")] == [
        "link_down", "link_up"]
    weir.stop()
