# SPDX-License-Identifier: BSD-3-Clause
"""The sockets of a running Weir: what they answer, and to whom."""

import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import openmetrics
from weirproc import (Stream, ask, class_of, command, flood_device, parse_response, policy_text,
                      receive)

POLICY_MAX_BYTES = 4 << 20


# ---- reading ----


def test_status_names(weir):
    status = weir.status()
    assert status["state"] == "running"
    assert isinstance(status["uptime_s"], (int, float)) and status["uptime_s"] > 0
    link, = status["links"]
    assert link["name"] == "internet"
    for direction in ("egress", "return"):
        assert set(link[direction]) == {"rx_frames", "rx_wire_bytes", "tx_frames", "tx_wire_bytes",
                                        "dropped"}
        assert link[direction]["dropped"] == {}
    item = class_of(status)
    assert {"name", "rate_bit_s", "burst_bytes", "tx_frames", "tx_wire_bytes", "dropped_frames",
            "queued_bytes", "budget"} <= set(item)
    assert (item["rate_bit_s"], item["burst_bytes"], item["budget"]) == (50_000_000, 64_000, "total")
    budget, = status["budgets"]
    assert (budget["name"], budget["parent"], budget["charged_wire_bytes"]) == ("total", None, 0)
    assert budget["caps"] == [
        {"limit_bytes": 100_000_000_000, "window_s": None, "used_bytes": 0,
         "remaining_bytes": 100_000_000_000},
        {"limit_bytes": 50_000_000_000, "window_s": 86400, "used_bytes": 0,
         "remaining_bytes": 50_000_000_000}]
    worker, = status["workers"]
    assert worker["lcore"] == "1" and worker["stalled"] is False
    later = weir.wait_status(lambda now: now["workers"][0]["rounds"] > worker["rounds"])
    assert later["uptime_s"] > status["uptime_s"]


def test_policy_is_the_effective_one(weir):
    code, headers, body = weir.request("GET", "/v1/policy")
    assert code == 200 and headers["content-type"] == "text/yaml"
    assert body.decode() == command("--print", weir.policy).stdout
    # Given back it changes nothing, and says so.
    code, answer = weir.json("POST", "/v1/policy?check=1", body)
    assert (code, answer) == (200, {"ok": True, "generation": 1, "restart": False, "changes": []})


def test_metrics(start, folder):
    # A port that the kernel says is free; another may take it, then the start fails and says so.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    weir = start(policy_text(folder, inside=flood_device(folder),
                             appliance=f"  metrics_port: {port}\n"))
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 0)
    before = weir.status()
    code, headers, body = weir.request("GET", "/metrics", door="read.sock")
    after = weir.status()
    assert code == 200
    assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    samples = openmetrics.parse(body.decode())
    for name in ("rx_frames", "rx_wire_bytes", "tx_frames", "tx_wire_bytes"):
        value = samples[f"weir_link_{name}_total"][(("link", "internet"), ("direction", "egress"))]
        assert before["links"][0]["egress"][name] <= value <= after["links"][0]["egress"][name]
        assert value > 0
    value = samples["weir_class_dropped_frames_total"][(("class", "all"),)]
    assert class_of(before)["dropped_frames"] <= value <= class_of(after)["dropped_frames"]
    reasons = samples["weir_link_dropped_frames_total"]
    key = (("link", "internet"), ("direction", "egress"), ("reason", "rate"))
    assert reasons[key] >= before["links"][0]["egress"]["dropped"]["rate"] > 0
    assert samples["weir_class_rate_bits_per_second"][(("class", "all"),)] == 50_000_000
    limits = samples["weir_cap_limit_bytes"]
    assert limits[(("budget", "total"), ("window_seconds", "lifetime"))] == 100e9
    assert limits[(("budget", "total"), ("window_seconds", "86400"))] == 50e9
    assert samples["weir_state"][(("weir_state", "running"),)] == 1

    def tcp(method: str, path: str) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", port), 60) as link:
            code, _, body = ask(link, method, path)
            return code, body

    code, body = tcp("GET", "/metrics")
    assert code == 200
    assert openmetrics.parse(body.decode()).keys() == samples.keys()
    for path in ("/v1/status", "/v1/policy", "/v1/events", "/", "/metrics/"):
        assert tcp("GET", path)[0] == 404, path
    assert tcp("POST", "/v1/stop")[0] == 403
    assert tcp("POST", "/metrics")[0] == 403
    weir.stop()


def test_events(weir):
    first = weir.events()
    assert [event["number"] for event in first] == list(range(1, len(first) + 1))
    assert "started" in [event["kind"] for event in first]
    last = first[-1]["number"]
    stream, later = Stream(weir, 0), Stream(weir, last)
    assert stream.read_until(lambda events: len(events) >= last)[:last] == first
    assert weir.json("POST", "/v1/policy", "nonsense")[0] == 400
    text = policy_text(weir.folder, rate="40 Mbit/s")
    assert weir.json("POST", "/v1/policy", text)[0] == 200
    # A busy machine may take a worker's CPU away meanwhile, which is an event as well.
    def told(events: list[dict]) -> list[str]:
        return [event["kind"] for event in events if event["kind"].startswith("policy_")]

    for reader in (stream, later):
        events = reader.read_until(lambda events: len(told(events)) >= 2)
        assert told(events + reader.read()) == ["policy_refused", "policy_applied"]
        reader.close()
    # A reader that has gone is forgotten, and the next one is served.
    numbers = [event["number"] for event in weir.events(last)]
    assert numbers == list(range(last + 1, last + 1 + len(numbers))) and len(numbers) >= 2
    # One that asks for what has not happened yet gets what happens then, and nothing before.
    stream = Stream(weir, 10 ** 18)
    assert stream.read() == []
    stream.close()


# ---- what is refused ----


def test_paths_and_methods(weir):
    for path in ("/", "/v1", "/v1/", "/v1/status/", "/v1/statu", "//v1/status", "/V1/STATUS",
                 "/v1/../v1/status", "/v1/stop/x", "/metrics/x"):
        assert weir.json("GET", path)[0] == 404, path
    wrong = [("POST", "/v1/status", "GET"), ("DELETE", "/v1/policy", "GET, POST"),
             ("PUT", "/v1/policy", "GET, POST"), ("GET", "/v1/stop", "POST"),
             ("POST", "/v1/events", "GET"), ("PATCH", "/metrics", "GET"),
             ("OPTIONS", "/v1/stop", "POST")]
    for method, path, allow in wrong:
        code, headers, body = weir.request(method, path)
        assert (code, headers["allow"]) == (405, allow), (method, path, body)
        assert json.loads(body)["ok"] is False
    for path in ("/v1/status?x=1", "/v1/events?after=", "/v1/events?after=-1", "/v1/events?after=x",
                 "/v1/events?after=1&after=2", "/v1/events?after=1x", "/v1/events?before=1",
                 "/v1/events?after=99999999999999999999", "/v1/events?after=1&x=1"):
        assert weir.request("GET", path)[0] == 400, path
    good = weir.policy.read_text()
    for path in ("/v1/policy?check=2", "/v1/policy?check=yes", "/v1/policy?Check=1",
                 "/v1/policy?check=1&check=1", "/v1/stop?now=1"):
        assert weir.request("POST", path, good)[0] == 400, path
    assert weir.status()["policy"]["generation"] == 1


def test_read_socket_only_reads(weir):
    changed = policy_text(weir.folder, rate="1 Mbit/s")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        for path in ("/v1/policy", "/v1/policy?check=1", "/v1/stop", "/v1/status", "/nowhere"):
            code, answer = weir.json(method, path, door="read.sock")
            assert code == 403 and answer["ok"] is False, (method, path)
    # With a body it is turned away before the body is looked at.
    with weir.connect("read.sock") as link:
        try:
            code = ask(link, "POST", "/v1/policy", changed.encode())[0]
        except BrokenPipeError:
            code = 413
    assert code in (403, 413)
    assert class_of(weir.status())["rate_bit_s"] == 50_000_000
    assert weir.process.poll() is None
    for path in ("/v1/status", "/v1/policy", "/metrics"):
        assert weir.request("GET", path, door="read.sock")[0] == 200
    stream = Stream(weir, 0, door="read.sock")
    assert stream.read()
    stream.close()


def test_bad_policies(weir):
    good = weir.policy.read_text()
    before = weir.status()["policy"]
    bad = ["", "\n", "[]", "appliance: 1\n", good.replace("50 Mbit/s", "50 Mb"),
           good.replace("budget: total", "budget: none"), good + "extra: 1\n", good[:-30],
           "\0" * 100, "a: &a [*a, *a]\n", "[" * 5000, good.replace("total", "to\x07tal"),
           "\xff\xfe", good.replace("ipv4", "\xff")]
    for text in bad:
        body = text.encode("latin-1")
        for path in ("/v1/policy", "/v1/policy?check=1"):
            code, answer = weir.json("POST", path, body)
            assert code == 400, (text, answer)
            assert answer["ok"] is False and answer["error"]
            assert "\n" not in answer["error"]
    assert weir.status()["policy"] == before


def test_body_too_large(weir):
    before = weir.status()["policy"]
    good = weir.policy.read_bytes()
    # As large as it may be: read, and found to be a good policy.
    fits = good + b"#" * (POLICY_MAX_BYTES - len(good) - 1) + b"\n"
    assert weir.json("POST", "/v1/policy?check=1", fits)[0] == 200
    with weir.connect() as link:
        try:
            code = ask(link, "POST", "/v1/policy", fits + b"#\n")[0]
        except (BrokenPipeError, ConnectionResetError):
            code = 413
    assert code == 413
    # Announced, not sent.
    with weir.connect() as link:
        link.sendall(b"POST /v1/policy HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")
        assert parse_response(receive(link))[0] == 413
    # In chunks, so that its size is known only when it has come.
    with weir.connect() as link:
        link.sendall(b"POST /v1/policy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"#" * 0x10000 + b"\r\n"
        answer = b""
        try:
            for _ in range(POLICY_MAX_BYTES // 0x10000 + 2):
                link.sendall(chunk)
            link.sendall(b"0\r\n\r\n")
            answer = receive(link)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert not answer or parse_response(answer)[0] in (400, 413)
    assert weir.status()["policy"] == before


def test_a_body_cut_short_is_no_policy(weir):
    text = policy_text(weir.folder, rate="1 Mbit/s").encode()
    padded = text + b"#" * 1000 + b"\n"
    for sent in (len(text), len(padded) - 1, 10, 0):
        with weir.connect() as link:
            link.sendall(b"POST /v1/policy HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(padded))
            link.sendall(padded[:sent])
            link.shutdown(socket.SHUT_WR)
            receive(link)
    assert weir.status()["policy"]["generation"] == 1


def test_garbage(weir):
    seed = int(os.environ.get("WEIR_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"WEIR_SEED={seed}")
    dice = random.Random(seed)
    fixed = [b"\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
             b"GET /v1/status HTTP/1.1\r\n" + b"A: " + b"b" * 20000 + b"\r\n\r\n",
             b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n",
             b"GET /v1/status HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
             b"POST /v1/policy HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
             b"POST /v1/policy HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
             b"POST /v1/policy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
             b"POST /v1/policy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
             b"POST /v1/policy HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
             b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"BREW /v1/status HTTP/1.1\r\n\r\n",
             b"GET http://[::1 HTTP/1.1\r\n\r\n", b"GET /v1/status%00 HTTP/1.1\r\n\r\n",
             b"GET /v1/status?%zz=1 HTTP/1.1\r\n\r\n", b"GET * HTTP/1.1\r\n\r\n",
             b"POST /v1/stop\r\n\r\n", b"GET /v1/events?after=%31%00 HTTP/1.1\r\n\r\n"]
    valid = b"POST /v1/policy?check=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab: c"
    for turn in range(300):
        if turn < len(fixed):
            data = fixed[turn]
        elif turn % 2:
            data = dice.randbytes(dice.randrange(1, 400))
        else:
            data = bytearray(valid)
            for _ in range(dice.randrange(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            # No run of luck may ask for a stop.
            data = bytes(data).replace(b"stop", b"sto_")
        if data.startswith(b"POST /v1/stop"):
            data = data.replace(b"stop", b"sto_")
        with weir.connect(dice.choice(("control.sock", "read.sock"))) as link:
            try:
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                answer = receive(link)
            except BrokenPipeError:
                continue
        assert not answer or answer.startswith((b"HTTP/", b"<HTML>")), answer
    assert weir.status()["policy"]["generation"] == 1


# ---- many, slow and foreign peers ----


def wait_for_cuts(weir):
    """Peers that say nothing, stop in the midst or trickle are cut, and others are served meanwhile."""
    begin = time.monotonic()
    idle, half, trickle = weir.connect(), weir.connect(), weir.connect("read.sock")
    half.sendall(b"POST /v1/policy HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
    trickle.setblocking(False)
    request = b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 10000
    sent = 0
    ended = {}
    peers = {"idle": idle, "half": half, "trickle": trickle}
    while len(ended) < len(peers) and time.monotonic() - begin < 60:
        assert weir.status()["state"] == "running"
        if "trickle" not in ended:
            try:
                trickle.send(request[sent:sent + 1])
                sent += 1
            except (BrokenPipeError, ConnectionResetError):
                ended["trickle"] = time.monotonic() - begin
        for name, peer in peers.items():
            if name in ended:
                continue
            peer.settimeout(0.1)
            try:
                if peer.recv(4096) == b"":
                    ended[name] = time.monotonic() - begin
            except TimeoutError:
                pass
            except ConnectionResetError:
                ended[name] = time.monotonic() - begin
    assert set(ended) == set(peers), ended
    for peer in peers.values():
        peer.close()


def test_too_many_connections(weir):
    def crowd(door: str, n: int, most: int) -> list[socket.socket]:
        """Connects n times; all but so many are turned away, and no more than that."""
        links = [weir.connect(door) for _ in range(n)]
        waiting, end = set(links), time.monotonic() + 60
        while len(waiting) > most:
            ready = select.select(waiting, [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"{len(waiting)} of {n} are still there"
            for link in ready:
                answer = link.recv(65536)
                assert answer == b"" or parse_response(answer)[0] == 503, answer
                waiting.remove(link)
        assert not select.select(waiting, [], [], 0.3)[0] and len(waiting) == most
        return links

    # A crowd at the read socket does not touch the control socket.
    links = crowd("read.sock", 60, 24)
    assert weir.status()["state"] == "running"
    for link in links:
        link.close()
    weir.wait_status(lambda _: weir.request("GET", "/v1/status", door="read.sock")[0] == 200)

    links = crowd("control.sock", 60, 32)
    assert weir.json("GET", "/v1/status", door="read.sock")[0] == 200
    for link in links:
        link.close()
    end = time.monotonic() + 60
    while weir.request("GET", "/v1/status")[0] != 200:
        assert time.monotonic() < end
    # Streams have a limit of their own, below that of connections.
    streams = [Stream(weir, 0) for _ in range(20)]
    for stream in streams:
        while b"\r\n" not in stream.data and stream.fill(0.05):
            assert time.monotonic() < end + 60
    heads = [stream.data.split(b"\r\n")[0].split()[1] for stream in streams]
    assert sorted(heads) == [b"200"] * 16 + [b"503"] * 4
    assert weir.status()["state"] == "running"
    for stream in streams:
        stream.close()
    # There is room for another one, once their end has been noticed.
    while True:
        stream = Stream(weir, 0)
        while b"\r\n" not in stream.data and stream.fill(0.05):
            pass
        stream.close()
        if stream.data.startswith(b"HTTP/1.1 200 "):
            break
        assert time.monotonic() < end + 60


def test_slow_peers_and_a_reader_that_never_reads(weir):
    """All at once. The reader's events wait in a bounded ring, it learns how many it missed, and nobody else notices."""
    lazy, stuck = Stream(weir, 0), Stream(weir, 0)
    text = "\x20" * 10
    for _ in range(5200):  # more than the ring keeps
        assert weir.request("POST", "/v1/policy", text)[0] == 400
    events = lazy.read_until(lambda events: events and events[-1]["number"] >= 5200)
    events += lazy.read()
    assert events[0]["number"] == 1
    numbers = [event["number"] for event in events]
    skipped = 0
    for before, event in zip(events, events[1:]):
        gap = event["number"] - before["number"] - 1
        assert event.get("missed", 0) == gap
        skipped += gap
    assert skipped > 0
    # One that still takes nothing is cut; the other one stays.
    since = time.monotonic()
    wait_for_cuts(weir)
    time.sleep(max(0, since + 11 - time.monotonic()))
    assert stuck.fill(60) is False
    assert weir.request("POST", "/v1/policy", text)[0] == 400
    assert lazy.read_until(bool)[0]["number"] == numbers[-1] + 1
    lazy.close()
    stuck.close()


CLIENT = """
import os, socket, sys
uid = int(sys.argv[1])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
link = socket.socket(socket.AF_UNIX)
link.settimeout(60)
try:
    link.connect(sys.argv[2])
except PermissionError:
    print("EACCES"); sys.exit()
link.sendall(sys.argv[3].encode() + b" HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\n\\r\\n")
answer = b""
try:
    while part := link.recv(65536):
        answer += part
except ConnectionResetError:
    pass
print(answer.split()[1].decode())
"""


def as_user(uid: int, path: Path, request: str) -> str:
    done = subprocess.run([sys.executable, "-c", CLIENT, str(uid), str(path), request], text=True,
                          capture_output=True, timeout=90, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_users(start, folder):
    weir = start(policy_text(folder, appliance="  control_users: [64001]\n  read_users: [64002]\n"))
    control, read = folder / "control.sock", folder / "read.sock"
    status, stop = "GET /v1/status", "POST /v1/stop?no=1"
    assert as_user(64001, control, status) == "200"
    assert as_user(64001, read, status) == "200"
    assert as_user(64002, read, status) == "200"
    assert as_user(64002, read, stop) == "403"
    for request in (status, stop, "GET /nowhere", "POST /v1/policy"):
        assert as_user(64002, control, request) == "403"
        assert as_user(64003, control, request) == "403"
        assert as_user(64003, read, request) == "403"
    assert as_user(0, control, status) == "200"
    assert weir.wait_event("access_denied")["severity"] == "warning"
    weir.stop()


def test_sockets_of_one_user_are_closed_to_others(weir):
    for name in ("control.sock", "read.sock"):
        assert (weir.folder / name).stat().st_mode & 0o777 == 0o600
        assert as_user(64001, weir.folder / name, "GET /v1/status") == "EACCES"


def test_denied_peers_do_not_shut_out_others(start, folder):
    weir = start(policy_text(folder, appliance="  control_users: [64001]\n"))
    hold = """
import os, socket, sys, time
os.setgroups([]); os.setgid(64003); os.setuid(64003)
links = []
for _ in range(100):
    link = socket.socket(socket.AF_UNIX)
    link.connect(sys.argv[1])
    links.append(link)
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", hold, str(folder / "control.sock")], cwd="/",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "held"
        for _ in range(20):
            assert weir.status()["state"] == "running"
        holder.stdin.close()
        holder.wait(60)
    weir.stop()
