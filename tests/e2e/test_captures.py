# SPDX-License-Identifier: BSD-3-Clause
"""Captures of real and of odd frames, replayed by pcap ports and judged by an independent reader.

Ours are in tests/captures; WEIR_CAPTURES names a folder of further ones.
"""

import os
from collections import Counter
from pathlib import Path

import judge
import lab as laboratory
import pytest

OURS = laboratory.REPOSITORY / "tests/captures"
SHARED = Path(os.environ.get("WEIR_CAPTURES", laboratory.REPOSITORY.parent / "shared/captures"))


def captures(*folders: Path) -> list[Path]:
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())
            if path.suffix in (".pcap", ".pcapng", ".cap")]


def load(lab: laboratory.Lab, path: Path) -> list[bytes]:
    """Frames of any capture, through tcpdump's own conversion, as much of each as the file holds."""
    converted = lab.folder / "converted.pcap"
    laboratory.run("tcpdump", "-r", path, "-w", converted, "-Z", "root")
    return [frame.data for frame in laboratory.read_pcap(converted)]


def replay(lab: laboratory.Lab, path: Path, mtu: int = 1500) -> tuple[dict, list[bytes]]:
    """Replays a file from inside to outside. Returns the status at the end and what came out."""
    empty, outside = lab.folder / "empty.pcap", lab.folder / "outside.pcap"
    laboratory.write_pcap(empty, [])
    policy = lab.policy(f"""\
ports:
  - name: in0
    device: net_pcap0,rx_pcap={path},tx_pcap={lab.folder}/inside.pcap
    mtu: {mtu}
  - name: out0
    device: net_pcap1,rx_pcap={empty},tx_pcap={outside}
    mtu: {mtu}
links:
  - {{name: replay, inside: in0, outside: out0}}
budgets:
  - {{name: total, caps: [{{limit: 1 TB}}]}}
classes:
  - {{name: all, budget: total, rate: 100 Gbit/s, burst: 1 MB, excess: shape, backlog: 4 MB}}
rules:
  - {{class: all}}
""")
    for name in ("ledger", "ledger.key"):
        (lab.folder / name).unlink(missing_ok=True)
    lab.commission(policy)
    weir = lab.weir(policy)
    frames = load(lab, path)

    def at_rest(status: dict) -> bool:
        egress = status["links"][0]["egress"]
        return egress["rx_frames"] == len(frames) == egress["tx_frames"] + sum(egress["dropped"].values())

    status = weir.wait_status(at_rest, 60)
    weir.stop()
    return status, [frame.data for frame in laboratory.read_pcap(outside)]


def compare(status: dict, came_out: list[bytes], frames: list[bytes], mtu: int) -> Counter:
    """Status and output against what the judge says of the file."""
    expected, refused = [], Counter()
    for frame in frames:
        try:
            expected.append(judge.forwarded(frame, mtu))
        except judge.Unsound as reason:
            refused[str(reason)] += 1
    egress = laboratory.named(status["links"], "replay")["egress"]
    dropped = {reason: count for reason, count in egress["dropped"].items() if count}
    assert egress["rx_frames"] == len(frames)
    assert egress["rx_wire_bytes"] == sum(laboratory.wire_bytes(len(frame)) for frame in frames)
    assert came_out == expected
    assert egress["tx_frames"] == len(expected)
    out_bytes = sum(laboratory.wire_bytes(len(frame)) for frame in expected)
    assert egress["tx_wire_bytes"] == out_bytes
    assert laboratory.named(status["classes"], "all")["tx_wire_bytes"] == out_bytes
    assert laboratory.named(status["budgets"], "total")["charged_wire_bytes"] == out_bytes
    assert sum(dropped.values()) == sum(refused.values())
    assert dropped.get("oversize", 0) == refused["oversize"]
    # Nothing may be lost for a reason that lies in Weir and not in the frame.
    assert not set(dropped) & {"no_rule", "rate", "backlog", "cap", "ledger", "control_stale", "stopping",
                               "tx_full", "link_down", "class_removed", "segmented"}, dropped
    print(f"{len(frames)} frames, {len(expected)} forwarded, dropped {dropped}")
    return refused


@pytest.mark.parametrize("path", captures(OURS, SHARED), ids=lambda path: path.name)
def test_captures(lab, path):
    frames = load(lab, path)
    status, came_out = replay(lab, path)
    refused = compare(status, came_out, frames, 1500)
    if path.parent == OURS:
        if path.name.startswith("good_"):
            assert not refused
        else:
            assert not came_out and sum(refused.values()) == len(frames)


def test_captures_jumbo(lab):
    """With a larger MTU, what was oversize leaves."""
    path = OURS / "bad.pcap"
    frames = load(lab, path)
    status, came_out = replay(lab, path, 9216)
    refused = compare(status, came_out, frames, 9216)
    assert refused["oversize"] == 0
    assert max(map(len, came_out)) > 9000


def test_cut_at_every_offset(lab):
    """Each good frame, cut at every offset: forwarded exactly where what is left is still sound."""
    good = {frame for path in captures(OURS) if path.name.startswith("good_") for frame in load(lab, path)}
    cut = [frame[:length] for frame in sorted(good) if len(frame) < 600 for length in range(1, len(frame) + 1)]
    path = lab.folder / "cut.pcap"
    laboratory.write_pcap(path, cut)
    status, came_out = replay(lab, path)
    refused = compare(status, came_out, cut, 1500)
    assert len(cut) > 5000 and sum(refused.values()) > 1000
