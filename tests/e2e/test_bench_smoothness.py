# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench smoothness: one of its rates, measured and told as its table has it."""

import json
import subprocess
import sys
from pathlib import Path

import lab as laboratory

BENCH = Path(__file__).parents[2] / "tools/bench"
PERCENT = 50


def test_one_rate(folder):
    told = folder / "smoothness.json"
    done = subprocess.run([sys.executable, BENCH, "smoothness", "--percent", str(PERCENT), "--build", laboratory.BUILD,
                           "--json", told], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(told.read_text())
    assert result["kind"] == "bench.smoothness" and [row["percent"] for row in result["rows"]] == [PERCENT]
    row, gaps = result["rows"][0], result["rows"][0]["gaps"]
    wire_bits = (result["frame_bytes"] + 24) * 8
    assert abs(row["mean_us"] / (wire_bits / (result["wire_bit_s"] * PERCENT / 100) * 1e6) - 1) < 0.01
    assert all(row["mean_us"] * 0.99 < cell["largest_us"] for cell in gaps.values()), gaps
    assert gaps["ixgbe's limiter"]["deviation_us"] < gaps["software"]["deviation_us"]
    # A worker that does nothing for a while shows in what it paces itself, not in what a queue in the NIC holds.
    assert gaps["software, hiccups"]["largest_us"] >= result["hiccup_us"] / 2
    assert gaps["ixgbe's, hiccups"]["largest_us"] < result["hiccup_us"] / 2
    assert f"{PERCENT} %  {row['mean_us']:>8.2f}" in done.stdout


def test_rates_that_it_has_not(folder):
    done = subprocess.run([sys.executable, BENCH, "smoothness", "--percent", "2", "--build", folder],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "--percent" in done.stderr
