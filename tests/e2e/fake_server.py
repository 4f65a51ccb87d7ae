# SPDX-License-Identifier: BSD-3-Clause
"""A server that a test plays to weirctl: it gives the answers that it was told to give."""

import copy
import json
import re
import socket
import subprocess
import threading

import lab as laboratory
import pytest

WEIRCTL = str(laboratory.BUILD / "weirctl")
MIB = 1 << 20

STATUS = {
    "appliance": "lab",
    "state": "running",
    "uptime_s": 3725.25,
    "largest_frame_bytes": 1546,
    "policy": {"generation": 3},
    "asset": {"name": "frontier", "weights_bytes": 3400000000000, "compression": 16, "survive_s": 7776000,
              "accept_risk": None, "left_share": 0.000007},
    "ledger": {"failed": False, "error": None, "epoch": 7, "sequence": 4711, "forfeited_bytes": 1500000,
               "witness": "file", "witness_value": 12, "witness_failures": 2, "witness_error": None,
               "witness_left_bytes": 1250000000},
    "links": [{
        "name": "internet",
        "egress": {"rx_frames": 1000, "rx_wire_bytes": 1538000, "tx_frames": 900,
                   "tx_wire_bytes": 1384200, "dropped": {"no_rule": 60, "rate": 40}},
        "return": {"rx_frames": 5, "rx_wire_bytes": 420, "tx_frames": 5, "tx_wire_bytes": 420,
                   "dropped": {}},
    }],
    "classes": [
        {"name": "api", "rate_bit_s": 200000000, "burst_bytes": 64000, "tx_frames": 900,
         "tx_wire_bytes": 1384200, "dropped_frames": 40, "dropped_wire_bytes": 61520,
         "queued_bytes": 3076},
        {"name": "housekeeping", "rate_bit_s": 8500, "burst_bytes": 1600, "tx_frames": 0,
         "tx_wire_bytes": 0, "dropped_frames": 0, "dropped_wire_bytes": 0, "queued_bytes": 0},
    ],
    "budgets": [
        {"name": "total", "parent": None, "charged_wire_bytes": 1384200,
         "forfeited_wire_bytes": 2500, "caps": [
            {"limit_bytes": 106000000000, "window_s": None, "used_bytes": 1384200,
             "remaining_bytes": 105998615800},
            {"limit_bytes": 2360000000, "window_s": 86400, "used_bytes": 2000000000,
             "remaining_bytes": 360000000}]},
        {"name": "none", "parent": "total", "charged_wire_bytes": 0,
         "forfeited_wire_bytes": 0, "caps": []},
    ],
}


def later(status, seconds):
    """The status some time on: 50 Mbit/s of api, and 12 more frames without a rule."""
    after = copy.deepcopy(status)
    moved = int(50_000_000 / 8 * seconds)
    after["uptime_s"] += seconds
    after["classes"][0]["tx_wire_bytes"] += moved
    after["classes"][0]["dropped_frames"] += int(7 * seconds)
    egress = after["links"][0]["egress"]
    egress["tx_wire_bytes"] += moved
    egress["rx_wire_bytes"] += 2 * moved
    egress["dropped"]["no_rule"] += 12
    egress["dropped"]["cap"] = 1
    total = after["budgets"][0]
    total["charged_wire_bytes"] += moved
    for cap in total["caps"]:
        cap["used_bytes"] += moved
        cap["remaining_bytes"] -= moved
    return after


def answer(body, code=200, kind="application/json"):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    return (f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n").encode() + body


def chunks(*parts, end=True):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head + body + (b"0\r\n\r\n" if end else b"")


class Server:
    """Gives its answers one a connection, in order; the last one again and again. A callable
    answer gets the connection itself. Requests are kept as (method, path, headers, body)."""

    def __init__(self, path, *answers):
        self.path = str(path)
        self.answers = list(answers)
        self.requests = []
        self.done = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        n = 0
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    if not self.read_request(connection):
                        continue
                    reply = self.answers[min(n, len(self.answers) - 1)]
                    n += 1
                    if callable(reply):
                        reply(self, connection)
                    else:
                        connection.sendall(reply)
                except OSError:
                    pass  # weirctl hung up, as it may

    def read_request(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return False
            data += part
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        self.requests.append((method, path, headers, body))
        return True

    def close(self):
        self.done.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


@pytest.fixture
def serve(folder):
    servers = []

    def start(*answers):
        servers.append(Server(folder / "s", *answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def ctl(folder):
    def run(*arguments, timeout=30, environment=None, text=True):
        return subprocess.run([WEIRCTL, "--socket", str(folder / "s"), *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=text,
                              timeout=timeout, check=False,
                              env={"PATH": "/nowhere", **(environment or {})})
    return run


@pytest.fixture
def policy(folder):
    path = folder / "policy.yaml"
    path.write_text("appliance: {name: lab}\n")
    return path


def failed(done, status, line):
    """Exactly one line on standard error, and the status."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert re.fullmatch(f"weirctl: {line}\n", done.stderr), done.stderr


def no_controls(text):
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]", text), repr(text)


def arguments_of(command, policy):
    return [command, policy] if command in ("check", "diff", "apply") else [command]
