# SPDX-License-Identifier: BSD-3-Clause
"""weirctl: usage, no server or one that sends garbage, and status."""

import copy
import json
import re
import socket
import subprocess
import time

import fake_server
import pytest
from fake_server import MIB, STATUS, WEIRCTL, Server, answer, arguments_of, failed, no_controls

ctl, policy, serve = fake_server.ctl, fake_server.policy, fake_server.serve  # fixtures

STATUS_TEXT = """\
lab: running, up 1 h 2 min, policy generation 3
asset: at most 0.0007 % of frontier may have left: of 3.4 TB, compressed 16 times, to survive 90 d
ledger: start 7, record 4711, 1.5 MB forfeited by this start
witness: file, stands at 12, 1.25 GB may be granted before it must advance

LINK      DIRECTION  RX FRAMES  RX BYTES  TX FRAMES  TX BYTES  DROPPED
internet  egress          1000  1.538 MB        900  1.384 MB      100
internet  return             5     420 B          5     420 B        0

LINK      DIRECTION  DROP REASON  FRAMES
internet  egress     no_rule          60
internet  egress     rate             40

CLASS               RATE   BURST  TX FRAMES  TX BYTES    QUEUED  DROPPED
api           200 Mbit/s   64 kB        900  1.384 MB  3.076 kB       40
housekeeping  8.5 kbit/s  1.6 kB          0       0 B       0 B        0

BUDGET  PARENT   CHARGED  FORFEITED      CAP  PER           USED    LEFT  USED %
total   -       1.384 MB     2.5 kB   106 GB  lifetime  1.384 MB  106 GB   0.0 %
total   -       1.384 MB     2.5 kB  2.36 GB  1 d           2 GB  360 MB  84.7 %
none    total        0 B        0 B        -  -                -       -       -
"""


# Usage


@pytest.mark.parametrize("arguments, line", [
    (["frobnicate"], "frobnicate: unknown command"),
    (["status", "--frobnicate"], "--frobnicate: unknown option"),
    (["status", "-x"], "-x: unknown option"),
    (["status", "extra"], "extra: expected nothing more"),
    (["help", "frobnicate"], "frobnicate: unknown command"),
    (["help", "status", "extra"], "extra: expected nothing more"),
    (["check"], "check: expected FILE behind it"),
    (["apply", "a", "b"], "b: expected nothing more"),
    (["status", "-n", "1"], "-n: only top takes it"),
    (["show", "-i", "1s"], "-i: only top and plan take it"),
    (["plan", "-i", "1s", "FILE"], "-i: expected --live beside it"),
    (["status", "--live"], "--live: only plan takes it"),
    (["diff", "--traffic", "a=1 bit/s", "FILE"], "--traffic: only plan takes it"),
    (["plan"], "plan: expected FILE behind it"),
    (["top", "--after", "1"], "--after: only watch takes it"),
    (["top", "-n", "0"], "0: -n: expected a count.*"),
    (["top", "-n", "1x"], "1x: -n: expected a count.*"),
    (["top", "-n", "99999999999999999999"], "99999999999999999999: -n: expected a count.*"),
    (["top", "-i", "1"], "1: -i: expected a duration.*"),
    (["top", "-i", "1 sec"], "1 sec: -i: expected a duration.*"),
    (["top", "-i", "99 ms"], "99 ms: -i: expected a duration.*"),
    (["top", "-i", "25 h"], "25 h: -i: expected a duration.*"),
    (["top", "-i"], "-i: expected a value behind it"),
    (["watch", "--after", "-1"], "-1: --after: expected an event's number"),
    (["watch", "--after", "9223372036854775808"], "9223372036854775808: --after: expected.*"),
    (["status", "\x1b[31m"], r"\?\[31m: expected nothing more"),
])
def test_bad_usage(ctl, arguments, line):
    done = ctl(*arguments)
    failed(done, 2, line + r" \(see weirctl --help\)")
    assert done.stdout == ""


def test_no_command():
    done = subprocess.run([WEIRCTL], capture_output=True, text=True, check=False)
    failed(done, 2, r"expected a command \(see weirctl --help\)")


def test_long_socket_name():
    done = subprocess.run([WEIRCTL, "--socket", "/" + "x" * 108, "status"], capture_output=True,
                          text=True, check=False)
    failed(done, 1, "/x{108}: longer than the 107 bytes of a socket's name")


COMMANDS = ["status", "hardware", "top", "watch", "check", "diff", "apply", "show", "stop"]  # ask a weir


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"]])
def test_help(ctl, arguments):
    done = ctl(*arguments)
    assert done.returncode == 0 and done.stderr == ""
    for command in COMMANDS + ["plan"]:
        assert re.search(f"^  {command} ", done.stdout, re.M)
    assert all(len(line) <= 90 for line in done.stdout.splitlines())


def test_version(ctl):
    done = ctl("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"weirctl \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("command", COMMANDS + ["plan"])
def test_help_of_command(ctl, command):
    done = ctl(command, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert ctl(command, "-h").stdout == ctl("help", command).stdout == done.stdout
    assert done.stdout.startswith(f"usage: weirctl [--socket PATH] [--json] {command}")
    assert "\nexample:\n" in done.stdout
    assert all(len(line) <= 90 for line in done.stdout.splitlines())


@pytest.mark.parametrize("command, headings", [
    ("status", ["RX FRAMES", "TX BYTES", "DROPPED", "RATE", "BURST", "QUEUED", "CHARGED", "CAP",
                "PER", "USED", "LEFT", "USED %"]),
    ("top", ["ASKED", "MEASURED", "OF ASKED", "QUEUE", "DROPS/S", "RECEIVED", "SENT", "BY REASON",
             "CHARGED AT", "EXHAUSTED IN"])])
def test_help_explains_each_column(ctl, command, headings):
    text = ctl(command, "--help").stdout
    assert [heading for heading in headings if heading not in text] == []


# No server, or one that misbehaves


@pytest.mark.parametrize("command", COMMANDS)
def test_no_server(ctl, folder, policy, command):
    done = ctl(*arguments_of(command, policy))
    failed(done, 1, f"{folder}/s: No such file or directory .*--socket PATH\\)")
    assert done.stdout == ""
    socket.socket(socket.AF_UNIX).bind(str(folder / "s"))  # a socket that nobody listens on
    done = ctl("--json", *arguments_of(command, policy))
    failed(done, 1, f"{folder}/s: Connection refused .*")
    assert json.loads(done.stdout)["ok"] is False


def test_socket_from_environment(folder, serve):
    serve(answer(STATUS))
    done = subprocess.run([WEIRCTL, "status"], capture_output=True, text=True, check=False,
                          env={"WEIR_SOCKET": str(folder / "s")})
    assert done.returncode == 0 and done.stdout == STATUS_TEXT


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_no_proxy(ctl, serve, variable):
    serve(answer(STATUS))
    done = ctl("status", environment={variable: "http://127.0.0.1:1"})
    assert done.returncode == 0, done.stderr


GARBAGE = {
    "nothing": b"",
    "not http": b"hello\r\n\r\n",
    "binary": bytes(range(256)) * 16,
    "escape sequences for a status line": b"HTTP/1.1 \x1b[2J\r\n\r\n",
    "empty": answer(b""),
    "not json": answer("<html>404</html>"),
    "cut json": answer('{"state": "running", "uptime_s": 1'),
    "trailing garbage": answer(json.dumps(STATUS) + "x"),
    "two objects": answer(json.dumps(STATUS) * 2),
    "array": answer("[]"),
    "twice the same key": answer('{"ok":true,"ok":true,"generation":1,"restart":false,"changes":[]}'),
    "invalid utf-8": answer(b'{"state": "\xff"}'),
    "nul": answer('{"state": "a\\u0000b"}'),
    "deep": answer("[" * 100000),
    "shorter than it says": answer(STATUS).replace(b"Content-Length: ", b"Content-Length: 9"),
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100000,
    "redirect": b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "a code alone": answer("{}", code=500),
    "an error that is no string": answer('{"ok":false,"error":[1]}', code=500),
    "a number beyond 64 bits": answer('{"ok":true,"generation":99999999999999999999}'),
}


@pytest.mark.parametrize("command", ["status", "top", "check", "diff", "apply"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage(ctl, serve, policy, command, garbage):
    serve(GARBAGE[garbage])
    done = ctl(*arguments_of(command, policy))
    failed(done, 1, "/v1/.*")
    assert done.stdout == ""
    no_controls(done.stderr)


@pytest.mark.parametrize("command", ["status", "show", "check"])
def test_huge(ctl, serve, policy, command):
    def send(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(64):
            connection.sendall(b"x" * MIB)

    serve(send)
    failed(ctl(*arguments_of(command, policy)), 1, "/v1/.*: the answer is too long")


def test_largest(ctl, serve):
    text = b"#" * (16 * MIB)
    serve(answer(text), answer(text + b"#"))
    assert ctl("show").stdout == text.decode()
    failed(ctl("show"), 1, "/v1/policy: the answer is too long")


def test_too_slow(ctl, serve):
    def drip(server, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.done.wait(0.2):
            connection.sendall(b" ")

    serve(drip)
    start = time.monotonic()
    failed(ctl("status"), 1, "/v1/status: no complete answer in time")
    assert time.monotonic() - start >= 4.9


def test_slow(ctl, serve):
    def drip(server, connection):
        text = answer(STATUS)
        for i in range(0, len(text), len(text) // 10):
            connection.sendall(text[i:i + len(text) // 10])
            server.done.wait(0.05)

    serve(drip)
    assert ctl("status").stdout == STATUS_TEXT


# status


def test_status(ctl, serve):
    server = serve(answer(STATUS))
    done = ctl("status")
    assert (done.returncode, done.stdout, done.stderr) == (0, STATUS_TEXT, "")
    assert server.requests[0][:2] == ("GET", "/v1/status")
    done = ctl("--json", "status")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, STATUS, "")


@pytest.mark.parametrize("changes, line", [
    ({"witness": "none", "witness_value": 0, "witness_left_bytes": None}, "witness: none"),
    ({"witness": "tpm", "witness_error": "Input/output error"},
     "witness: tpm, stands at 12, 1.25 GB may be granted before it must advance; "
     "FAILING (2 since the start): Input/output error"),
    ({"failed": True, "error": "No space left on device"},
     "ledger: start 7, record 4711, 1.5 MB forfeited by this start; FAILED: No space left on device"),
])
def test_status_of_ledger(ctl, serve, changes, line):
    serve(answer({**STATUS, "ledger": {**STATUS["ledger"], **changes}}))
    assert line in ctl("status").stdout.splitlines()


def test_status_of_asset(ctl, serve):
    """The gauge: what may have left, more than a whole copy included; nothing where nothing is known."""
    serve(answer({**STATUS, "asset": {**STATUS["asset"], "left_share": 1.25, "accept_risk": "why\nnot"}}),
          answer({**STATUS, "asset": None}))
    assert ctl("status").stdout.splitlines()[1:3] == [
        "asset: at most 125.0000 % of frontier may have left: of 3.4 TB, compressed 16 times, to survive 90 d",
        "asset: RISK ACCEPTED, says the policy: why?not"]
    assert "asset" not in ctl("status").stdout


def paths(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, path + (key,))


MEMBERS = sorted({".".join(map(str, path)) for path in paths(STATUS)
                  if path[0] not in ("appliance", "policy") and path[1:] != ("failed",)})


@pytest.mark.parametrize("wrong", ["missing", -1, 1.5, "x", True, {"a": -1}, [1]], ids=str)
def test_status_with_a_wrong_member(ctl, folder, wrong):
    """Every member in turn is left out or of a wrong type; what is no error must be a good value."""
    for member in MEMBERS:
        status = copy.deepcopy(STATUS)
        keys = [int(key) if key.isdigit() else key for key in member.split(".")]
        inside = status
        for key in keys[:-1]:
            inside = inside[key]
        good = inside[keys[-1]]
        if wrong == "missing":
            if isinstance(inside, list) or keys[-2:-1] == ["dropped"]:
                continue  # a shorter list is a good one
            del inside[keys[-1]]
        else:
            inside[keys[-1]] = wrong
        if wrong == "x" and (isinstance(good, str) or keys[-1] in ("parent", "error", "witness_error", "accept_risk")):
            continue
        if wrong == 1.5 and keys[-1] in ("uptime_s", "window_s", "survive_s", "compression", "left_share"):
            continue
        server = Server(folder / "s", answer(status))
        done = ctl("status")
        server.close()
        (folder / "s").unlink()
        failed(done, 1, r"/v1/status: \S+: expected .*")
        if isinstance(keys[-1], str) and not isinstance(good, dict):
            assert (keys[-2] if keys[-2:-1] == ["dropped"] else keys[-1]) in done.stderr


def test_status_is_cleaned(ctl, serve):
    status = copy.deepcopy(STATUS)
    evil = "\x1b]0;own\x07\x1b[2J\r\n\t\x7f\x9b31m\u202egnp\u200b\u2028é"
    status["appliance"] = status["state"] = evil
    status["links"][0]["name"] = status["classes"][0]["name"] = evil
    status["budgets"][0]["name"] = status["budgets"][1]["parent"] = evil
    status["links"][0]["egress"]["dropped"][evil] = 1
    for key in ("error", "witness", "witness_error"):
        status["ledger"][key] = evil
    serve(answer(status))
    for command in (["status"], ["top", "-n", "1", "-i", "100ms"]):
        done = ctl(*command)
        assert done.returncode == 0
        no_controls(done.stdout)
        assert "?]0;own??[2J?????31m?gnp??é" in done.stdout
        done = ctl("--json", *command)
        no_controls(done.stdout)
        assert done.stdout.isascii()
        assert json.loads(done.stdout)["classes"][0]["name"] == evil


def test_status_largest_numbers(ctl, serve):
    status = copy.deepcopy(STATUS)
    largest = (1 << 63) - 1
    for values in (status["ledger"], status["classes"][0], status["links"][0]["egress"],
                   status["links"][0]["egress"]["dropped"], status["budgets"][0]["caps"][0]):
        for key, value in values.items():
            if isinstance(value, int) and not isinstance(value, bool):
                values[key] = largest
    status["uptime_s"] = 1e300
    serve(answer(status))
    done = ctl("status")
    assert done.returncode == 0
    assert "9.223 Ebit/s" in done.stdout and "9.223 EB" in done.stdout
    assert "up over 213503 d" in done.stdout
    assert json.loads(ctl("--json", "status").stdout) == status


def test_nobody_reads(folder, serve):
    serve(answer(STATUS))
    with open("/dev/full", "wb") as full:
        done = subprocess.run([WEIRCTL, "--socket", str(folder / "s"), "status"], stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    failed(done, 1, "standard output: No space left on device")
