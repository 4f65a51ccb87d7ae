# SPDX-License-Identifier: BSD-3-Clause
"""weirctl check, diff, apply, show and stop."""

import json
import os
import re
import socket
import subprocess
import threading
import time

import fake_server
import pytest
from fake_server import MIB, WEIRCTL, Server, answer, failed

ctl, policy, serve = fake_server.ctl, fake_server.policy, fake_server.serve  # fixtures

# check, diff, apply

VERDICT = {"ok": True, "generation": 4, "restart": True, "changes": [
    {"change": "tightens", "what": "class api: rate 200 Mbit/s -> 100 Mbit/s"},
    {"change": "loosens", "what": "class logs: new"},
    {"change": "neutral", "what": "rule 3: moved"},
    {"change": "restart", "what": "port in0: mtu 1500 -> 9000"},
]}
DIFF_TEXT = """\
- class api: rate 200 Mbit/s -> 100 Mbit/s
+ class logs: new
= rule 3: moved
! port in0: mtu 1500 -> 9000
"""


@pytest.mark.parametrize("command, path, text", [
    ("check", "/v1/policy?check=1", "OK, but needs a restart: port in0: mtu 1500 -> 9000\n"),
    ("diff", "/v1/policy?check=1", DIFF_TEXT),
    ("apply", "/v1/policy", DIFF_TEXT + "in force, generation 4\n"),
])
def test_policy(ctl, serve, policy, command, path, text):
    server = serve(answer(VERDICT))
    done = ctl(command, policy)
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")
    method, asked, headers, body = server.requests[0]
    assert (method, asked, body) == ("POST", path, policy.read_bytes())
    assert headers["content-type"] == "application/yaml"
    done = ctl("--json", command, policy)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, VERDICT, "")


def test_check(ctl, serve, policy):
    port, link = ({"change": "restart", "what": what} for what in ("port in0: new", "link b\n: new"))
    serve(answer({**VERDICT, "restart": False, "changes": VERDICT["changes"][:3]}),
          answer({**VERDICT, "changes": [port, VERDICT["changes"][0], link]}))
    assert ctl("check", policy).stdout == "OK\n"
    assert ctl("check", policy).stdout == "OK, but needs a restart: port in0: new; link b?: new\n"


@pytest.mark.parametrize("command", ["check", "diff", "apply"])
@pytest.mark.parametrize("code, status", [(400, 2), (403, 1), (409, 1), (413, 1), (500, 1), (503, 1)])
def test_policy_refused(ctl, serve, policy, command, code, status):
    serve(answer({"ok": False, "error": "policy:3: rate: 20 Mbit: expected a rate"}, code=code))
    line = f"{policy if code == 400 else 'policy'}:3: rate: 20 Mbit: expected a rate"
    done = ctl(command, policy)
    failed(done, status, re.escape(line))
    assert done.stdout == ""
    done = ctl("--json", command, policy)
    assert done.returncode == status
    assert json.loads(done.stdout) == {"ok": False, "error": line}


def test_no_change(ctl, serve, policy):
    serve(answer({**VERDICT, "changes": []}))
    assert ctl("diff", policy).stdout == "no change\n"
    assert ctl("apply", policy).stdout == "no change\nin force, generation 4\n"


@pytest.mark.parametrize("wrong", [
    {"ok": False}, {"ok": 1}, {"generation": "4"}, {"restart": None}, {"changes": {}},
    {"changes": [1]}, {"changes": [{"change": "explodes", "what": "x"}]},
    {"changes": [{"change": "loosens"}]}, {"changes": [{"change": "loosens", "what": 1}]},
], ids=str)
@pytest.mark.parametrize("command", ["check", "diff", "apply"])
def test_wrong_verdict(ctl, serve, policy, command, wrong):
    serve(answer({**VERDICT, **wrong}))
    done = ctl(command, policy)
    failed(done, 1, r"/v1/policy.*: .*changes.*")
    assert done.stdout == ""


def test_policy_is_cleaned(ctl, serve, policy):
    serve(answer({**VERDICT, "changes": [{"change": "neutral", "what": "a\x1b[2J\nb"}]}),
          answer({"ok": False, "error": "a\x1b[2J\nb"}, code=400))
    assert ctl("diff", policy).stdout == "= a?[2J?b\n"
    failed(ctl("diff", policy), 2, r"a\?\[2J\?b")


@pytest.mark.parametrize("command", ["check", "diff", "apply"])
def test_bad_file(ctl, serve, folder, command):
    server = serve(answer(VERDICT))
    failed(ctl(command, folder / "none"), 2, ".*/none: No such file or directory")
    failed(ctl(command, folder), 2, ".*: Is a directory")
    failed(ctl(command, "/dev/zero"), 2, "/dev/zero: longer than the 4194304 bytes of a policy")
    assert server.requests == []


def test_largest_file(ctl, serve, folder):
    server = serve(answer(VERDICT))
    (folder / "large").write_bytes(b"#" * (4 * MIB))
    assert ctl("check", folder / "large").returncode == 0
    assert len(server.requests[0][3]) == 4 * MIB
    (folder / "large").write_bytes(b"#" * (4 * MIB + 1))
    assert ctl("check", folder / "large").returncode == 2


# show


def test_show(ctl, serve):
    text = "appliance:\n\tname: weir-größe  # tab\n"
    serve(answer(text, kind="application/yaml"))
    done = ctl("show")
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")
    done = ctl("--json", "show")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"policy": text})


def test_show_is_cleaned(ctl, serve):
    serve(answer(b"a\x1b[2J\r\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\x00\xc2\x9b\xc3\xa9\n\xe2\x82"))
    assert ctl("show").stdout == "a?[2J?" + "?" * 10 + "??é\n??"


def test_show_refused(ctl, serve):
    serve(answer({"ok": False, "error": "not for you"}, code=403))
    failed(ctl("show"), 1, "not for you")


# stop


class Stopping:
    """A weir in a process of its own, that ends some time after it was asked to stop."""

    def __init__(self, folder, reply, unlink=True, seconds=0.3, status=0):
        self.marker = folder / "ended"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "s"))
        self.pid = os.fork()
        if self.pid == 0:
            try:
                # Who listens is who is asked for by SO_PEERCRED.
                self.listener.listen(8)
                while True:
                    connection, _ = self.listener.accept()
                    data = connection.recv(65536)
                    if data:
                        break
                assert data.startswith(b"POST /v1/stop HTTP/1.1\r\n")
                connection.sendall(reply)
                connection.close()
                if unlink:
                    os.unlink(folder / "s")
                self.listener.close()
                time.sleep(seconds)
                self.marker.touch()
            finally:
                os._exit(status)

        self.listener.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # until the child listens
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(folder / "s")) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("nobody listens")

    def close(self):
        os.waitpid(self.pid, 0)


def test_stop_waits_for_the_process(ctl, folder):
    """The socket goes first, and only then the ports and the memory: weirctl waits for all."""
    stopping = Stopping(folder, answer({"ok": True}))
    done = ctl("stop")
    assert stopping.marker.exists()
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")
    stopping.close()


def test_stop_json(ctl, folder):
    stopping = Stopping(folder, answer({"ok": True}), seconds=0)
    done = ctl("--json", "stop")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"ok": True}, "")
    stopping.close()


def test_stop_that_crashes(ctl, folder):
    stopping = Stopping(folder, answer({"ok": True}), unlink=False, seconds=0, status=1)
    failed(ctl("stop"), 1, f"{folder}/s: weir has ended, but not cleanly: it left its socket")
    stopping.close()


def in_another_namespace(folder):
    """weirctl where it can't see the process that listens."""
    return subprocess.run(["unshare", "--pid", "--fork", WEIRCTL, "--socket", str(folder / "s"), "stop"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          check=False)


def test_stop_of_an_unseen_process(folder, serve):
    order = []

    def stop(server, connection):
        connection.sendall(answer({"ok": True}))
        connection.close()

        def end():
            time.sleep(0.3)
            order.append("gone")
            os.unlink(folder / "s")
            server.close()
        threading.Thread(target=end).start()

    server = serve(stop, answer({"ok": True}))
    done = in_another_namespace(folder)
    order.append("back")
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")
    assert order == ["gone", "back"]
    assert server.requests[0][:2] == ("POST", "/v1/stop")


def test_stop_and_another_starts(folder, serve):
    """A new Weir in the old one's place does not keep weirctl waiting."""
    others = []

    def stop(_, connection):
        os.rename(folder / "s", folder / "old")
        others.append(Server(folder / "s", answer({"ok": True})))
        connection.sendall(answer({"ok": True}))

    serve(stop)
    assert in_another_namespace(folder).stdout == "stopped\n"
    others[0].close()


def test_stop_refused(ctl, serve):
    serve(answer({"ok": False, "error": "this socket is for reading only"}, code=403))
    failed(ctl("stop"), 1, "this socket is for reading only")
