# SPDX-License-Identifier: BSD-3-Clause
"""How Weir starts, refuses to start, and ends."""

import os
import re
import resource
import signal
import socket
import subprocess
import time

import pytest

from weirproc import WEIR, Stream, class_of, command, flood_device, policy_text, udp_frame



# ---- start ----


def test_commission(folder):
    policy = folder / "policy.yaml"
    policy.write_text(policy_text(folder))
    done = command("--commission", policy)
    assert done.returncode == 0 and str(folder / "ledger") in done.stdout
    content = (folder / "ledger").read_bytes()
    assert (folder / "ledger").stat().st_mode & 0o777 == 0o600
    assert (folder / "ledger.key").stat().st_mode & 0o7777 == 0o400
    key = (folder / "ledger.key").read_bytes()
    done = command("--commission", policy)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert ((folder / "ledger").read_bytes(), (folder / "ledger.key").read_bytes()) == (content, key)


@pytest.mark.parametrize("there", ["ledger", "ledger.key", "witness"])
def test_commission_beside_what_is_there(folder, there):
    """Whichever of the three is there already stays as it is, and the others are not made."""
    policy = folder / "policy.yaml"
    policy.write_text(policy_text(folder, appliance=f"  witness: file\n  witness_path: {folder}/witness\n"))
    (folder / there).write_text("something")
    done = command("--commission", policy)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert f"{folder}/{there}: File exists" in done.stderr
    assert (folder / there).read_text() == "something"
    assert {path.name for path in folder.iterdir()} == {"policy.yaml", there}
    (folder / there).unlink()
    done = command("--commission", policy)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {"policy.yaml", "ledger", "ledger.key", "witness"}
    assert all(str(folder / name) in done.stdout for name in ("ledger", "ledger.key", "witness"))


@pytest.mark.parametrize("room", [100_000, 20_000_000])
def test_commission_that_fails_leaves_nothing(folder, room):
    """A disk that ends before the ledger does; then one that is large enough."""
    policy = folder / "policy.yaml"
    policy.write_text(policy_text(folder, appliance=f"  witness: file\n  witness_path: {folder}/witness\n"))
    done = subprocess.run([WEIR, "--commission", policy], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          timeout=60, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done
    assert str(folder / "ledger") in done.stderr
    assert {path.name for path in folder.iterdir()} == {"policy.yaml"}
    done = command("--commission", policy)
    assert done.returncode == 0, done.stderr


def test_commission_without_a_folder(folder):
    policy = folder / "policy.yaml"
    policy.write_text(policy_text(folder).replace(f"ledger: {folder}/ledger", f"ledger: {folder}/none/ledger"))
    done = command("--commission", policy)
    assert done.returncode == 1
    assert re.fullmatch(r"weir: ledger key .*/none/ledger.key: No such file or directory: "
                        r"its folder is missing: make it first\n", done.stderr)
    assert not (folder / "none").exists()


def test_ledger_of_a_wrong_size(start, folder):
    start().stop()
    with (folder / "ledger").open("r+b") as ledger:
        ledger.truncate(1000)
    cut = (folder / "ledger").read_bytes()
    (folder / "policy.yaml.log").unlink()
    weir = start(commission=False, ready=False)
    assert weir.process.wait(60) == 1
    assert re.fullmatch(r"weir: ledger .*/ledger: 1000 bytes, expected \d+\n", weir.text())
    assert (folder / "ledger").read_bytes() == cut


def test_memory_is_named(weir):
    pages = "huge" if weir.status()["huge_pages"] else "normal"
    assert re.search(rf"^weir: memory: \d+ MiB on {pages} pages$", weir.text(), re.M)


def test_missing_ledger_is_a_refusal(start, folder):
    weir = start(commission=False, ready=False)
    assert weir.process.wait(60) == 1
    assert re.fullmatch(r"weir: ledger .*/ledger: No such file.*--commission\n", weir.text())
    assert sorted(path.name for path in folder.iterdir()) == ["policy.yaml", "policy.yaml.log"]


def test_second_instance(weir, start):
    before = (weir.folder / "ledger").read_bytes()
    other = start(weir.policy.read_text().replace(".sock", "2.sock"), ready=False, name="two.yaml")
    assert other.process.wait(60) == 1
    assert "ledger" in other.text() and len(other.text().splitlines()) == 1
    assert (weir.folder / "ledger").read_bytes() == before
    assert weir.status()["state"] == "running"


def test_socket_paths(start, folder):
    (folder / "control.sock").write_text("precious")
    weir = start(ready=False)
    assert weir.process.wait(60) == 1
    assert "control.sock: exists and is not a socket" in weir.text()
    assert (folder / "control.sock").read_text() == "precious"
    (folder / "control.sock").unlink()

    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(folder / "control.sock"))
        taken.listen(1)
        weir = start(ready=False, name="taken.yaml")
        assert weir.process.wait(60) == 1
        assert "control.sock: another process listens there" in weir.text()
        assert (folder / "control.sock").is_socket()
    # Nobody listens there any more: what is left of it is replaced.
    weir = start(name="stale.yaml")
    assert weir.status()["state"] == "running"
    weir.stop()


def test_no_such_device(start, folder):
    weir = start(policy_text(folder, inside="net_af_packet0,iface=weir-none"), ready=False)
    assert weir.process.wait(60) == 1
    last = weir.text().splitlines()[-1]
    assert last.startswith("weir: port in0: "), weir.text()
    assert not (folder / "control.sock").exists()


def test_command_line(folder):
    policy = folder / "policy.yaml"
    policy.write_text(policy_text(folder))
    bad = folder / "bad.yaml"
    bad.write_text("appliance: 1\n")
    assert command("--check", policy).returncode == 0
    printed = command("--print", policy)
    assert printed.returncode == 0
    again = folder / "again.yaml"
    again.write_text(printed.stdout)
    assert command("--print", again).stdout == printed.stdout
    for arguments in (["--check", bad], ["--print", bad], ["--commission", bad], [bad],
                      ["--check", folder / "none.yaml"], [folder / "none.yaml"]):
        done = command(*arguments)
        assert done.returncode == 2, arguments
        assert len(done.stderr.splitlines()) == 1 and str(arguments[-1]) in done.stderr
        assert done.stdout == ""
    for option in ("--check", "--print"):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([WEIR, option, policy], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.returncode == 1, option
        assert done.stderr == "weir: standard output: cannot be written\n"
    for arguments in ([], ["--check"], ["--frobnicate"], ["--check", policy, "more"],
                      [policy, "more"], ["--frobnicate", policy], ["--help", "more"], ["-"]):
        done = command(*arguments)
        assert done.returncode == 2, arguments
        assert "usage: weir" in done.stderr and done.stdout == ""
        if arguments:
            assert str(arguments[-1]) in done.stderr or str(arguments[0]) in done.stderr
    assert re.fullmatch(r"weir \d+\.\d+\.\d+\n", command("--version").stdout)
    done = command("--help")
    assert done.returncode == 0 and "usage: weir" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["again.yaml", "bad.yaml",
                                                              "policy.yaml"]


# ---- end ----


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "twice", "request"])
def test_clean_stop(start, folder, how):
    weir = start(policy_text(folder, inside=flood_device(folder)))
    weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    stream = Stream(weir, 0)
    assert stream.read_until(bool)
    if how == "request":
        assert weir.json("POST", "/v1/stop") == (200, {"ok": True})
    elif how == "twice":
        for _ in range(20):
            weir.process.send_signal(signal.SIGTERM)
            time.sleep(0.005)
            if weir.process.poll() is not None:
                break
    else:
        weir.process.send_signal(getattr(signal, how))
    assert weir.process.wait(60) == 0, weir.text()
    assert not stream.fill(60), "the stream was ended"
    for name in ("control.sock", "read.sock"):
        assert not (folder / name).exists()
    charged, = re.findall(r"^weir: budget total: charged (\d+) B", weir.text(), re.MULTILINE)
    assert int(charged) > 0
    # To the byte: what the next run begins with, and a multiple of the only frame there is.
    assert int(charged) % (len(udp_frame(1000)) + 24) == 0
    weir = start(name="again.yaml")
    assert weir.status()["budgets"][0]["charged_wire_bytes"] == int(charged)
    weir.stop()


def test_kill_and_restart(start, folder):
    """After kill -9 the sockets' files are still there; the charge is not forgotten."""
    weir = start(policy_text(folder, inside=flood_device(folder)))
    status = weir.wait_status(lambda now: class_of(now)["tx_frames"] > 100)
    assert weir.end(signal.SIGKILL) == -signal.SIGKILL
    assert (folder / "control.sock").is_socket()
    weir = start(name="again.yaml")
    after = weir.status()
    assert after["budgets"][0]["charged_wire_bytes"] >= class_of(status)["tx_wire_bytes"]
    assert after["ledger"]["forfeited_bytes"] > 0
    weir.stop()


def test_systemd(start, folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(folder / "notify"))
        notices.settimeout(60)
        weir = start(env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify"),
                          "WATCHDOG_USEC": "200000"})

        def wait_for(word: str) -> None:
            for _ in range(200):
                if word in notices.recv(4096).decode().splitlines():
                    return
            raise AssertionError(word)

        wait_for("READY=1")
        for _ in range(3):
            wait_for("WATCHDOG=1")
        weir.process.send_signal(signal.SIGHUP)
        wait_for("RELOADING=1")
        wait_for("READY=1")
        weir.process.send_signal(signal.SIGTERM)
        wait_for("STOPPING=1")
        assert weir.process.wait(60) == 0
