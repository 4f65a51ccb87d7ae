# SPDX-License-Identifier: BSD-3-Clause
"""weirctl hardware, with a server that is played."""

import copy
import json

import fake_server
import pytest
from fake_server import answer, failed, no_controls

ctl, serve = fake_server.ctl, fake_server.serve  # fixtures


def queue(index, classes, asked, programmed, measured, waiting, verdict, tested=None):
    return {"queue": index, "classes": classes, "asked_bit_s": asked, "programmed_bit_s": programmed,
            "measured_bit_s": measured, "waiting_frames": waiting, "tested": tested, "verdict": verdict,
            "alarm": False}


HARDWARE = {"ports": [
    {"name": "out0", "driver": "net_ixgbe", "asked": "auto", "required": True, "state": "up", "changing": False, "test": "unmeasured",
     "link_bit_s": 10000000000, "limiter": "queue", "reason": None, "interface": "queue (x): 63 queues",
     "driver_help": "divides", "capabilities": None,
     "quirks": [{"name": "wiped", "help": "starting the port clears every limit"}],
     "port_asked_bit_s": None, "port_programmed_bit_s": None, "meter": None,
     "counters_help": None, "sent_frames": 900, "sent_wire_bytes": 900000, "charged_frames": 910, "charged_wire_bytes": 914000,
     "lost_frames": 0, "verdict": "ok", "alarm": False,
     "queues": [queue(0, ["slow"], None, None, None, 0, "software"),
                queue(1, ["api"], 100000000, 100000000, 99500000, 12, "held", "held"),
                queue(2, ["a", "b", "c", "d", "e"], 50000000, 49900000, None, 0, "unmeasured", "unmeasured"),
                queue(3, ["new"], 7000000, 7000000, 7000000, 1, "held", "no")]},
    {"name": "out1", "driver": "net_null", "asked": "auto", "required": False, "state": "down", "changing": False, "test": None,
     "link_bit_s": None, "limiter": "soft", "reason": "driver net_null is not known to limit queues",
     "interface": None, "driver_help": None, "capabilities": None, "quirks": [], "port_asked_bit_s": None,
     "port_programmed_bit_s": None, "meter": None, "sent_frames": None, "sent_wire_bytes": None,
     "counters_help": "the driver's own count only", "charged_frames": 0, "charged_wire_bytes": 0, "lost_frames": 0, "verdict": "software", "alarm": False,
     "queues": [queue(0, [], None, None, None, 0, "software")]},
]}

TEXT = """\
PORT  STATE       LINK  DRIVER     LIMITER          LIMIT    SENT  FRAMES  CHARGED  FRAMES  VERDICT
out0  up     10 Gbit/s  net_ixgbe  queue, required      -  900 kB     900   914 kB     910  ok
out1  down           -  net_null   soft                 -       -       -      0 B       0  software

out0: in hardware: queue (x): 63 queues
out0: test of its limits: unmeasured; limits in force that were not tested (TESTED: no): 1
out0: known of its driver: starting the port clears every limit
out1: not in hardware: driver net_null is not known to limit queues
out1: sent: the driver's own count only

PORT  QUEUE  CLASSES                  ASKED   PROGRAMMED     MEASURED  WAITING  TESTED      VERDICT
out0      0  slow                         -            -            -        0  -           software
out0      1  api                 100 Mbit/s   100 Mbit/s  99.5 Mbit/s       12  held        held
out0      2  a, b, c and 2 more   50 Mbit/s  49.9 Mbit/s            -        0  unmeasured  unmeasured
out0      3  new                   7 Mbit/s     7 Mbit/s     7 Mbit/s        1  no          held
out1      0  -                            -            -            -        0  -           software
"""


def test_text(ctl, serve):
    server = serve(answer(HARDWARE))
    done = ctl("hardware")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TEXT
    assert server.requests[0][:2] == ("GET", "/v1/hardware")


def test_changing(ctl, serve):
    """Queues are shown as they are, not as the policy has it: that is said."""
    hardware = copy.deepcopy(HARDWARE)
    hardware["ports"][0]["changing"] = True
    serve(answer(hardware))
    assert ctl("hardware").stdout == TEXT.replace("63 queues\n", """63 queues
out0: in hardware: a new policy's limits wait until its queues are empty; below are those of before
""")


@pytest.mark.parametrize("passed, dropped, shown", [
    (1000, 7, "1.01 Gbit/s for the port; frames let through: 1000, dropped: 7"),
    (None, None, "1.01 Gbit/s for the port; it can't be read")])
def test_meter(ctl, serve, passed, dropped, shown):
    hardware = copy.deepcopy(HARDWARE)
    hardware["ports"][0]["meter"] = {"rate_bit_s": 1010000000, "passed_frames": passed, "dropped_frames": dropped}
    serve(answer(hardware))
    assert ctl("hardware").stdout == TEXT.replace("63 queues\n", f"63 queues\nout0: its meter: {shown}\n")


def test_json(ctl, serve):
    serve(answer(HARDWARE))
    done = ctl("--json", "hardware")
    assert done.returncode == 0 and json.loads(done.stdout) == HARDWARE


@pytest.mark.parametrize("arguments", [["hardware"], ["--json", "hardware"]])
@pytest.mark.parametrize("where", ["port", "queue"])
def test_alarm(ctl, serve, arguments, where):
    hardware = copy.deepcopy(HARDWARE)
    item = hardware["ports"][0] if where == "port" else hardware["ports"][0]["queues"][2]
    item["alarm"], item["verdict"] = True, "fast"
    serve(answer(hardware))
    done = ctl(*arguments)
    assert done.returncode == 1 and done.stderr == "" and "fast" in done.stdout


@pytest.mark.parametrize("key, value", [
    ("name", None), ("alarm", "no"), ("sent_frames", -1), ("charged_frames", None), ("queues", {}),
    ("quirks", [{}]), ("queues", [{"queue": 1}]), ("queues", [queue(1, [7], 1, 1, 1, 0, "held")]),
    ("verdict", 3), ("test", 3), ("changing", None), ("meter", 3), ("meter", {"rate_bit_s": 1}), ("queues", [queue(1, [], 1, 1, 1, 0, "held", 3)])])
def test_makes_no_sense(ctl, serve, key, value):
    hardware = copy.deepcopy(HARDWARE)
    hardware["ports"][0][key] = value
    serve(answer(hardware))
    failed(ctl("hardware"), 1, "/v1/hardware: .*")


def test_no_ports(ctl, serve):
    serve(answer({"ports": 3}))
    failed(ctl("hardware"), 1, "/v1/hardware: ports: expected a list")


def test_older_server(ctl, serve):
    serve(answer({"ok": False, "error": "no such path"}, 404))
    failed(ctl("hardware"), 1, "no such path")


def test_no_controls(ctl, serve):
    hardware = copy.deepcopy(HARDWARE)
    hardware["ports"][0]["name"] = "out\x1b[31m0"
    hardware["ports"][0]["reason"] = "because\nof\x07 this"
    hardware["ports"][0]["quirks"][0]["help"] = "x\u202ey"
    hardware["ports"][0]["queues"][1]["classes"] = ["\x9bapi"]
    serve(answer(hardware))
    no_controls(ctl("hardware").stdout)


def test_help(ctl):
    done = ctl("hardware", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: weirctl [--socket PATH] [--json] hardware")
    assert all(len(line) <= 90 for line in done.stdout.splitlines())
    assert "since Weir began" in done.stdout
    for verdict in ("held", "unmeasured", "slow", "above", "software", "FAST", "STUCK"):
        assert f"{verdict}:" in done.stdout or f"{verdict};" in done.stdout
    for heading in ("LINK", "LIMITER", "SENT", "CHARGED", "CLASSES", "ASKED", "PROGRAMMED", "MEASURED", "WAITING", "TESTED"):
        assert heading in done.stdout
