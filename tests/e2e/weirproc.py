# SPDX-License-Identifier: BSD-3-Clause
"""A Weir on ports that need no network (null, pcap), and a plain HTTP client for its sockets."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import lab as laboratory
from plain_http import unchunk

WEIR = laboratory.BUILD / "weir"

POLICY = """\
appliance:
  name: weir-test
  workers: [1]
  control_lcore: 0
  memory: 96 MiB
  huge_pages: off
  ledger: {folder}/ledger
  control_socket: {folder}/control.sock
  read_socket: {folder}/read.sock
{appliance}ports:
  - name: in0
    device: {inside}
  - name: out0
    device: {outside}
links:
  - name: internet
    inside: in0
    outside: out0
budgets:
  - name: total
    caps:
      - limit: {lifetime}
      - limit: {window}
        per: 1 d
classes:
  - name: all
    budget: total
    rate: {rate}
    burst: {burst}
    excess: drop
rules:
  - link: internet
    ethertype: ipv4
    class: all
"""


def policy_text(folder: Path, **changes: str) -> str:
    values = {"folder": str(folder), "appliance": "", "inside": "net_null0,no-rx=1",
              "outside": "net_null1,no-rx=1", "lifetime": "100 GB", "window": "50 GB", "rate": "50 Mbit/s", "burst": "64 KB"}
    unknown = set(changes) - set(values)
    assert not unknown, unknown
    return POLICY.format(**{**values, **changes})


def udp_frame(length: int) -> bytes:
    """A good IPv4 and UDP frame of so many bytes, without FCS."""
    payload = bytes(length - 14 - 20 - 8)
    udp = struct.pack("!HHHH", 4000, 443, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                         bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return bytes.fromhex("020000000002020000000001") + b"\x08\x00" + header + udp


def flood_device(folder: Path, length: int = 1000) -> str:
    """A port that receives the same good frame without end, as fast as it is read."""
    path = folder / "flood.pcap"
    laboratory.write_pcap(path, [udp_frame(length)] * 64)
    return f"net_pcap0,rx_pcap={path},infinite_rx=1"


def parse_response(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, gap, body = answer.partition(b"\r\n\r\n")
    assert gap, answer
    lines = head.decode("ascii").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.[01] [1-5][0-9][0-9] .*", lines[0]), lines[0]
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        assert colon, line
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = unchunk(body)
    elif "content-length" in headers:
        assert len(body) == int(headers["content-length"]), answer
    return int(lines[0].split()[1]), headers, body


class Weir:
    """One process. The log is what it wrote on standard error."""

    def __init__(self, folder: Path, text: str | None = None, commission: bool = True,
                 ready: bool = True, name: str = "policy.yaml", within: tuple = (),
                 **options) -> None:
        """within: a command that runs another one, in a network namespace for example."""
        self.folder = folder
        self.policy = folder / name
        self.policy.write_text(policy_text(folder) if text is None else text)
        if commission and not (folder / "ledger").exists():
            done = command("--commission", self.policy)
            assert done.returncode == 0, done.stderr
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*within, WEIR, self.policy], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL,
                                            **{"stderr": log, **options})
        if ready:
            self.wait_for("weir: ready")

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, count: int = 1, timeout: float = laboratory.PATIENCE_S) -> None:
        end = time.monotonic() + timeout
        while self.text().count(words) < count:
            assert self.process.poll() is None, f"it ended: {self.text()}"
            assert time.monotonic() < end, f"never said {words}: {self.text()}"
            time.sleep(0.02)

    def connect(self, door: str = "control.sock") -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(self.folder / door))  # without a time limit: a full backlog is waited for
        link.settimeout(laboratory.PATIENCE_S)
        return link

    def request(self, method: str, path: str, body: bytes | str = b"",
                door: str = "control.sock") -> tuple[int, dict[str, str], bytes]:
        if isinstance(body, str):
            body = body.encode()
        with self.connect(door) as link:
            return ask(link, method, path, body)

    def json(self, method: str, path: str, body: bytes | str = b"",
             door: str = "control.sock") -> tuple[int, dict]:
        code, headers, answer = self.request(method, path, body, door)
        assert headers["content-type"] == "application/json", (code, headers, answer)
        return code, json.loads(answer)

    def status(self) -> dict:
        code, answer = self.json("GET", "/v1/status")
        assert code == 200, answer
        return answer

    def wait_status(self, condition, timeout: float = laboratory.PATIENCE_S) -> dict:
        end = time.monotonic() + timeout
        while not condition(status := self.status()):
            assert time.monotonic() < end, json.dumps(status, indent=1)
            time.sleep(0.02)
        return status

    def events(self, after: int = 0) -> list[dict]:
        """All events so far, without waiting for more."""
        stream = Stream(self, after)
        try:
            return stream.read()
        finally:
            stream.close()

    def wait_event(self, kind: str, after: int = 0, timeout: float = laboratory.PATIENCE_S) -> dict:
        end = time.monotonic() + timeout
        stream = Stream(self, after)
        try:
            while time.monotonic() < end:
                for event in stream.read(0.2):
                    if event["kind"] == kind:
                        return event
        finally:
            stream.close()
        raise AssertionError(f"no event {kind}: {self.text()}")

    def waited_s(self) -> float:
        """How long its threads but the workers have waited for a CPU, by the kernel's count, and what a hypervisor took."""
        waited = [int((task / "schedstat").read_text().split()[1])
                  for task in Path(f"/proc/{self.process.pid}/task").iterdir() if "worker" not in (task / "comm").read_text()]
        stolen = int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])
        return max(waited) / 1e9 + stolen / os.sysconf("SC_CLK_TCK")

    def end(self, number: int = signal.SIGTERM, timeout: float = laboratory.PATIENCE_S) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def stop(self) -> None:
        assert self.end() == 0, self.text()
        assert "ERROR: " not in self.text() and "runtime error" not in self.text(), self.text()


class Stream:
    """A reader of events."""

    def __init__(self, weir: Weir, after: int | None = None, door: str = "control.sock") -> None:
        query = "" if after is None else f"?after={after}"
        self.link = weir.connect(door)
        self.link.sendall(f"GET /v1/events{query} HTTP/1.1\r\nHost: weir\r\n\r\n".encode())
        self.data = b""
        self.head = None

    def fill(self, seconds: float) -> bool:
        """Reads for so long. False when the server has ended the stream."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.link.settimeout(left)
            try:
                part = self.link.recv(65536)
            except TimeoutError:
                return True
            except ConnectionResetError:
                return False
            if not part:
                return False
            self.data += part
        return True

    def read_until(self, condition) -> list[dict]:
        """The events that come until condition(events) holds."""
        events, end = [], time.monotonic() + laboratory.PATIENCE_S
        while not condition(events):
            assert time.monotonic() < end, events
            events += self.read(0.05)
        return events

    def read(self, quiet_s: float = 0.3) -> list[dict]:
        """The events that come until none has for so long, once there is an answer. Each line is checked."""
        end, before = time.monotonic() + laboratory.PATIENCE_S, None
        while (len(self.data) != before or self.head is None and b"\r\n\r\n" not in self.data) and time.monotonic() < end:
            before = len(self.data)
            if not self.fill(quiet_s):
                break
        if self.head is None:
            self.head, gap, self.data = self.data.partition(b"\r\n\r\n")
            assert gap and self.head.startswith(b"HTTP/1.1 200 "), self.head
            assert b"chunked" in self.head and b"application/x-ndjson" in self.head
        lines = b""
        while b"\r\n" in self.data:
            size, _, rest = self.data.partition(b"\r\n")
            length = int(size, 16)
            if length == 0 or len(rest) < length + 2:
                break
            lines += rest[:length]
            self.data = rest[length + 2:]
        events = [json.loads(line) for line in lines.decode("ascii").splitlines()]
        for event in events:
            assert set(event) - {"missed"} == {"number", "time", "severity", "kind", "message"}
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
            assert event["severity"] in ("info", "warning", "alarm")
        return events

    def close(self) -> None:
        self.link.close()


def ask(link: socket.socket, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    link.sendall(f"{method} {path} HTTP/1.1\r\nHost: weir\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return parse_response(receive(link))


def receive(link: socket.socket) -> bytes:
    """All there is until the other end closes."""
    answer = b""
    while True:
        try:
            part = link.recv(65536)
        except ConnectionResetError:
            return answer
        if not part:
            return answer
        answer += part


def command(*arguments: object, timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run([str(WEIR), *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=timeout, check=False)


def class_of(status: dict, name: str = "all") -> dict:
    return next(item for item in status["classes"] if item["name"] == name)
