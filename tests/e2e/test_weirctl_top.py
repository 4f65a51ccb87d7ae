# SPDX-License-Identifier: BSD-3-Clause
"""weirctl top and watch: what they measure and print, on a terminal and into a pipe."""

import copy
import json
import os
import pty
import re
import select
import subprocess

import fake_server
import pytest
from fake_server import STATUS, WEIRCTL, answer, chunks, failed, later, no_controls

ctl, serve = fake_server.ctl, fake_server.serve  # fixtures

# top

TOP_TEXT = """\
lab: running, up 1 h 2 min, policy generation 3
measured over 2 s

CLASS              ASKED   MEASURED  OF ASKED     QUEUE  DROPS/S  DROPPED
api           200 Mbit/s  50 Mbit/s    25.0 %  3.076 kB        7       54
housekeeping  8.5 kbit/s    0 bit/s     0.0 %       0 B        0        0

LINK      DIRECTION    RECEIVED       SENT  DROPPED  BY REASON
internet  egress     100 Mbit/s  50 Mbit/s      113  no_rule 72 (+12), rate 40, cap 1 (+1)
internet  return        0 bit/s    0 bit/s        0

BUDGET      CAP  PER       CHARGED AT      USED      LEFT  USED %  EXHAUSTED IN
total    106 GB  lifetime   50 Mbit/s  13.88 MB    106 GB   0.0 %    4 h 42 min
total   2.36 GB  1 d        50 Mbit/s  2.013 GB  347.5 MB  85.2 %     >= 55.6 s

"""


def test_top(ctl, serve):
    after = later(STATUS, 2)
    serve(answer(STATUS), answer(after))
    done = ctl("top", "-n", "1", "-i", "100 ms")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == TOP_TEXT


def test_top_json(ctl, serve):
    last = later(later(STATUS, 2), 2)
    serve(answer(STATUS), answer(later(STATUS, 2)), answer(last))
    done = ctl("--json", "top", "-n", "3", "-i", "100 ms")
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first["measured_s"] == second["measured_s"] == 2
    assert third["measured_s"] is None  # the uptime did not grow
    assert first["classes"][0] == {
        "name": "api", "rate_bit_s": 200000000, "measured_bit_s": 50000000, "queued_bytes": 3076,
        "dropped_frames_s": 7, "dropped_frames": 54}
    assert third["classes"][0]["measured_bit_s"] is None
    assert first["links"][0]["egress"] == {
        "rx_bit_s": 100000000, "tx_bit_s": 50000000,
        "dropped": {"no_rule": 72, "rate": 40, "cap": 1}}
    total = first["budgets"][0]
    assert total["charged_byte_s"] == 6250000
    assert total["caps"][0]["window_s"] is None and total["caps"][1]["window_s"] == 86400
    assert total["caps"][0]["exhausted_in_s"] == pytest.approx((105998615800 - 12500000) / 6250000)
    assert third["budgets"][0]["caps"][0]["exhausted_in_s"] is None
    assert '"window_s":86400,' in done.stdout  # as Weir writes it
    reals = re.findall(r"\d+\.\d+", done.stdout)
    assert reals and all(len(real.replace(".", "").lstrip("0")) <= 12 for real in reals)
    assert second["budgets"][1]["caps"] == [] and second["budgets"][1]["parent"] == "total"


@pytest.mark.parametrize("remaining, charged, window, expected", [
    (0, 0, None, "now"), (0, 1000, 60, "now"), (2000, 0, None, "never"), (2000, 0, 60, "never"),
    (2000, 2000, None, "2 s"), (2000, 2000, 60, ">= 2 s"), (60000, 2000, 60, ">= 1 min"),
    (61000, 2000, 60, "never"), (86400000, 2000, None, "1 d"),
    # The largest frame takes 1546: what is less stops one, whatever the rate.
    (1546, 3092000, None, "1 ms"), (1545, 3092000, None, "now"), (1545, 0, 60, "now"),
])
def test_exhaustion(ctl, serve, remaining, charged, window, expected):
    status = copy.deepcopy(STATUS)
    status["budgets"] = [{"name": "b", "parent": None, "charged_wire_bytes": 5,
                          "forfeited_wire_bytes": 0, "caps": [
        {"limit_bytes": 1 << 40, "window_s": window, "used_bytes": 1, "remaining_bytes": remaining}]}]
    after = copy.deepcopy(status)
    after["uptime_s"] += 2
    after["budgets"][0]["charged_wire_bytes"] += charged
    serve(answer(status), answer(after))
    line = ctl("top", "-n", "1", "-i", "100ms").stdout.splitlines()[-2]
    assert re.split("  +", line)[-1] == expected


def test_top_restart(ctl, serve):
    """Weir restarted between two samples: nothing is made up."""
    after = later(STATUS, 2)
    after["uptime_s"] = 0.01
    serve(answer(STATUS), answer(after))
    done = ctl("top", "-n", "1", "-i", "100 ms")
    assert "nothing measured: weir has restarted" in done.stdout
    assert re.search(r"^api +200 Mbit/s +- +- +3.076 kB +- +54$", done.stdout, re.M)


def test_top_policy_change(ctl, serve):
    """Classes, links and budgets come, go and change places between two samples."""
    after = later(STATUS, 2)
    after["classes"].reverse()
    after["classes"].append({**STATUS["classes"][0], "name": "new"})
    after["links"].insert(0, {**STATUS["links"][0], "name": "new"})
    after["budgets"] = [{**after["budgets"][0], "name": "new"}, after["budgets"][0]]
    serve(answer(STATUS), answer(after))
    lines = ctl("top", "-n", "1", "-i", "100 ms").stdout
    assert re.search(r"^api +200 Mbit/s +50 Mbit/s +25.0 % ", lines, re.M)
    assert re.search(r"^new +200 Mbit/s +- +- ", lines, re.M)
    assert re.search(r"^new +egress +- +- +100  no_rule 60, rate 40$", lines, re.M)
    assert re.search(r"^new +106 GB +lifetime +- .* -$", lines, re.M)
    assert re.search(r"^total +106 GB +lifetime +50 Mbit/s .* 4 h 42 min$", lines, re.M)


def test_top_counter_goes_back(ctl, serve):
    after = later(STATUS, 2)
    after["classes"][0]["tx_wire_bytes"] = 1
    serve(answer(STATUS), answer(after))
    assert re.search(r"^api +200 Mbit/s +- +- ", ctl("top", "-n", "1", "-i", "100 ms").stdout, re.M)


def test_top_server_goes(ctl, serve):
    server = serve(answer(STATUS), answer(later(STATUS, 2)), lambda server, _: server.close())
    done = ctl("top", "-i", "100 ms")
    assert done.returncode == 1 and len(server.requests) == 3
    assert done.stdout == TOP_TEXT
    assert done.stderr.startswith("weirctl: /v1/status: ")


def run_on_terminal(folder, rows, columns, *arguments):
    """Output of weirctl with a terminal as its standard output."""
    pid, fd = pty.fork()
    if pid == 0:
        subprocess.run(["stty", "rows", str(rows), "cols", str(columns)], check=True)
        os.execv(WEIRCTL, [WEIRCTL, "--socket", str(folder / "s"), *arguments])
    data = b""
    while select.select([fd], [], [], 20)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        data += part
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return data.decode()


def screens(text):
    assert text.startswith("\x1b[2J\x1b[H")
    shown = [screen.replace("\x1b[K", "").replace("\x1b[J", "").replace("\r", "")
             for screen in text[len("\x1b[2J"):].split("\x1b[H")[1:]]
    assert not any("\x1b" in screen for screen in shown)
    return shown


def test_top_on_a_terminal(folder, serve):
    serve(answer(STATUS), answer(later(STATUS, 2)))
    shown = screens(run_on_terminal(folder, 40, 100, "top", "-n", "2", "-i", "100 ms"))
    assert len(shown) == 2
    assert shown[0] == TOP_TEXT[:-1]


def test_top_on_a_small_terminal(folder, serve):
    serve(answer(STATUS), answer(later(STATUS, 2)))
    shown, = screens(run_on_terminal(folder, 6, 20, "top", "-n", "1", "-i", "100 ms"))
    lines = shown.split("\n")
    assert len(lines) == 6 and lines[-1] == "(more: enlarge the w"
    assert lines[:-1] == [line[:20] for line in TOP_TEXT.splitlines()[:5]]


def test_top_json_on_a_terminal(folder, serve):
    serve(answer(STATUS), answer(later(STATUS, 2)))
    text = run_on_terminal(folder, 24, 80, "--json", "top", "-n", "1", "-i", "100 ms")
    assert json.loads(text)["state"] == "running"


# watch

EVENTS = [
    {"number": 7, "time": "2026-01-02T03:04:05.678Z", "severity": "info", "kind": "policy",
     "message": "generation 3 in force"},
    {"number": 8, "time": "2026-01-02T03:04:06.000Z", "severity": "alarm", "kind": "cap_reached",
     "message": "budget total"},
]
EVENTS_TEXT = """\
7  2026-01-02T03:04:05.678Z  info     policy: generation 3 in force
8  2026-01-02T03:04:06.000Z  alarm    cap_reached: budget total
"""
EVENT_LINES = [json.dumps(event).encode() + b"\n" for event in EVENTS]


def test_watch(ctl, serve):
    server = serve(chunks(*EVENT_LINES))
    done = ctl("watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, EVENTS_TEXT, "")
    done = ctl("--json", "watch", "--after", "6")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == EVENTS
    assert [request[:2] for request in server.requests] == [
        ("GET", "/v1/events?after=0"), ("GET", "/v1/events?after=6")]


def test_watch_missed(ctl, serve):
    serve(chunks(json.dumps({**EVENTS[0], "missed": 6}).encode() + b"\n"))
    assert ctl("watch").stdout == "(6 earlier events are forgotten)\n" + EVENTS_TEXT.splitlines(True)[0]


def test_watch_in_odd_pieces(ctl, serve):
    data = b"".join(EVENT_LINES)
    serve(chunks(*(data[i:i + 1] for i in range(len(data)))))
    assert ctl("watch").stdout == EVENTS_TEXT


def test_watch_prints_at_once(folder, serve):
    def send(server, connection):
        connection.sendall(chunks(EVENT_LINES[0], end=False))
        server.done.wait(20)

    server = serve(send)
    with subprocess.Popen([WEIRCTL, "--socket", str(folder / "s"), "watch"], stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            assert process.stdout.readline() == EVENTS_TEXT.splitlines(True)[0]
            assert process.poll() is None and not server.done.is_set()
        finally:
            process.kill()


@pytest.mark.parametrize("tail, line", [
    (b"", "/v1/events: .*"),
    (b"5\r\nhello", "/v1/events: .*"),
    (b"6\r\nhello\n\r\n", "/v1/events: a line is not JSON: .*"),
    (b"3\r\n{}\n\r\n", "/v1/events: a line lacks one of .*"),
    (b"1\r\n\n\r\n", "/v1/events: a line is not JSON: .*"),
    (b"1\r\n{\r\n0\r\n\r\n", "/v1/events: the last line is cut short"),
    (b"20000\r\n" + b"x" * 0x20000 + b"\r\n", "/v1/events: the answer is too long"),
])
def test_watch_broken(ctl, serve, tail, line):
    serve(chunks(*EVENT_LINES, end=False) + tail)
    done = ctl("watch")
    failed(done, 1, line)
    assert done.stdout == EVENTS_TEXT
    done = ctl("--json", "watch")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[:2] == EVENTS and lines[2]["ok"] is False and len(lines) == 3


def test_watch_refused(ctl, serve):
    serve(answer({"ok": False, "error": "too many readers"}, code=503))
    failed(ctl("watch"), 1, "too many readers")


def test_watch_is_cleaned(ctl, serve):
    event = {**EVENTS[0], "message": "\x1b[2J\n8  now  alarm  forged: line", "kind": "\x9b"}
    serve(chunks(json.dumps(event).encode() + b"\n"))
    done = ctl("watch")
    assert len(done.stdout.splitlines()) == 1
    no_controls(done.stdout)
